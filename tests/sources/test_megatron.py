"""Megatron's own reader opens what this project writes, and the other way round."""

from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from intervene.data import Data
from intervene.errors import InterveneError
from intervene.sources.backend import open_rows
from intervene.sources.index import read_index, write_index
from intervene.sources.toy import build_toy
from intervene.stretch import Stretch

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore"),  # Megatron's, on what is not installed beside it
]


@pytest.fixture(scope="module")
def megatron() -> ModuleType:
    return pytest.importorskip(
        "megatron.core.datasets.indexed_dataset",
        reason="needs megatron-core: pip install -e .[peers]",
        exc_type=ImportError,
    )


def test_megatron_reads_the_rows_of_a_corpus(megatron: ModuleType, tmp_path: Path) -> None:
    rows = np.random.default_rng(0).integers(0, 50_277, (300, 2049)).astype(np.uint16)
    (tmp_path / "rows.bin").write_bytes(rows.tobytes())
    write_index(tmp_path / "rows.idx", np.full(len(rows), 2049, np.int32))
    theirs = megatron.IndexedDataset(str(tmp_path / "rows"))
    assert theirs.index.dtype == np.uint16
    assert np.array_equal(np.stack([theirs[row] for row in range(len(theirs))]), rows)
    assert theirs.document_indices.tolist() == list(range(301))


def test_megatron_reads_the_toy(megatron: ModuleType, tmp_path: Path) -> None:
    data = Data("toy", None, None, None, None, 65, 8, Stretch(4, 10))
    build_toy(tmp_path, data)
    shards = sorted((tmp_path / "rows").glob("*.bin"))
    (tmp_path / "merged.bin").write_bytes(b"".join(shard.read_bytes() for shard in shards))
    (tmp_path / "rows" / "document.idx").rename(tmp_path / "merged.idx")
    theirs = megatron.IndexedDataset(str(tmp_path / "merged"))
    ours = open_rows(tmp_path / "rows", 65).read(0, 80)
    assert np.array_equal(np.stack([theirs[row] for row in range(80)]), ours)


def test_documents_are_what_megatron_reads(megatron: ModuleType, shared: Path) -> None:
    prefix = shared / "mini_pile" / "documents"
    theirs, index = megatron.IndexedDataset(str(prefix)), read_index(prefix.with_suffix(".idx"))
    assert np.array_equal(theirs.sequence_lengths, index.sizes)
    assert np.array_equal(theirs.document_indices, index.documents)
    tokens = np.fromfile(prefix.with_suffix(".bin"), np.uint16)
    for document, (pointer, size) in enumerate(zip(index.pointers, index.sizes, strict=True)):
        ours = tokens[pointer // 2 : pointer // 2 + size]
        assert np.array_equal(theirs[document], ours)


def build(megatron: ModuleType, path: Path, dtype: type, rows: int, row_tokens: int) -> np.ndarray:
    """What Megatron's builder writes: random rows, each a document."""
    tokens = np.random.default_rng(1).integers(0, 50_277, (rows, row_tokens)).astype(dtype)
    builder = megatron.IndexedDatasetBuilder(str(path.with_suffix(".bin")), dtype)
    for row in tokens:
        builder.add_document(row, [row_tokens])
    builder.finalize(str(path.with_suffix(".idx")))
    return tokens


def test_rows_that_megatron_wrote_open(megatron: ModuleType, tmp_path: Path) -> None:
    tokens = build(megatron, tmp_path / "theirs", np.uint16, 40, 129)
    rows = open_rows(tmp_path / "theirs.bin", 129)
    assert np.array_equal(rows.read(0, len(rows)), tokens)


def test_our_index_is_megatrons_byte_for_byte(megatron: ModuleType, tmp_path: Path) -> None:
    build(megatron, tmp_path / "theirs", np.uint16, 40, 129)
    write_index(tmp_path / "ours.idx", np.full(40, 129, np.int32))
    assert (tmp_path / "ours.idx").read_bytes() == (tmp_path / "theirs.idx").read_bytes()


def test_int32_tokens_are_refused_where_rows_are_needed(
    megatron: ModuleType, tmp_path: Path
) -> None:
    build(megatron, tmp_path / "theirs", np.int32, 40, 129)
    assert read_index(tmp_path / "theirs.idx").dtype == np.int32
    with pytest.raises(InterveneError, match=r"theirs\.idx: tokens are int32, not uint16"):
        open_rows(tmp_path / "theirs.bin", 129)
