"""Rows: read in place from shards that are cut at any byte."""

from pathlib import Path

import numpy as np
import pytest

from intervene.errors import InterveneError
from intervene.sources.backend import open_rows
from intervene.sources.index import write_index
from intervene.sources.rows import ArrayRows, digest_rows, iterate_chunks

TOKENS = np.random.default_rng(0).integers(0, 50_000, (40, 9), dtype=np.uint16)


def write_shards(folder: Path, shard_bytes: int) -> None:
    raw = TOKENS.tobytes()
    pieces = [raw[i : i + shard_bytes] for i in range(0, len(raw), shard_bytes)]
    for number, piece in enumerate(pieces):
        name = f"document-{number:05d}-of-{len(pieces) - 1:05d}.bin"
        (folder / name).write_bytes(piece)
    write_index(folder / "document.idx", np.full(len(TOKENS), 9, np.int32))


@pytest.mark.parametrize("shard_bytes", [1, 7, 18, 101, 10_000])
def test_rows_straddle_shards_cut_at_any_byte(tmp_path: Path, shard_bytes: int) -> None:
    write_shards(tmp_path, shard_bytes)
    rows = open_rows(tmp_path, 9)
    assert len(rows) == 40
    assert (rows.read(3, 29) == TOKENS[3:29]).all()
    assert (rows.read(39, 40) == TOKENS[39:]).all()


def test_single_bin_without_index_opens(tmp_path: Path) -> None:
    (tmp_path / "all.bin").write_bytes(TOKENS.tobytes())
    for path in (tmp_path, tmp_path / "all.bin"):
        assert (open_rows(path, 9).read(0, 40) == TOKENS).all()


def test_reading_leaves_the_source_alone(tmp_path: Path) -> None:
    write_shards(tmp_path, 101)
    rows = open_rows(tmp_path, 9)
    rows.read(0, 2)[:] = 0
    assert (rows.read(0, 2) == TOKENS[:2]).all()


def test_missing_shard_is_named(tmp_path: Path) -> None:
    write_shards(tmp_path, 101)
    (tmp_path / "document-00003-of-00007.bin").unlink()
    with pytest.raises(InterveneError, match=r"document-00003-of-00007\.bin"):
        open_rows(tmp_path, 9)


def test_short_shard_is_refused(tmp_path: Path) -> None:
    write_shards(tmp_path, 101)
    shard = tmp_path / "document-00007-of-00007.bin"
    shard.write_bytes(shard.read_bytes()[:-2])
    with pytest.raises(InterveneError, match="the index counts 720 bytes"):
        open_rows(tmp_path, 9)


def test_odd_bytes_are_refused(tmp_path: Path) -> None:
    (tmp_path / "all.bin").write_bytes(TOKENS.tobytes()[:-1])
    with pytest.raises(InterveneError, match="17 bytes are left over from byte 702"):
        open_rows(tmp_path, 9)


def test_empty_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "all.bin").write_bytes(b"")
    with pytest.raises(InterveneError, match="no whole number of rows"):
        open_rows(tmp_path, 9)


def test_other_row_length_is_refused(tmp_path: Path) -> None:
    write_shards(tmp_path, 101)
    with pytest.raises(InterveneError, match="entry 0 has 9 tokens, not 10"):
        open_rows(tmp_path, 10)


def test_documents_given_as_rows_are_refused(shared: Path) -> None:
    with pytest.raises(InterveneError, match="preshuffled"):
        open_rows(shared / "mini_pile" / "documents.bin", 2049)


def test_other_dtype_is_refused(tmp_path: Path) -> None:
    write_shards(tmp_path, 101)
    raw = bytearray((tmp_path / "document.idx").read_bytes())
    raw[17] = 4
    (tmp_path / "document.idx").write_bytes(bytes(raw))
    with pytest.raises(InterveneError, match="int32, not uint16"):
        open_rows(tmp_path, 9)


def test_missing_path_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InterveneError, match=r"data\.path"):
        open_rows(tmp_path / "none", 9)


def test_digest_is_of_the_bytes_whatever_the_backend(tmp_path: Path) -> None:
    write_shards(tmp_path, 101)
    assert digest_rows(open_rows(tmp_path, 9), 2, 30) == digest_rows(ArrayRows(TOKENS), 2, 30)
    assert digest_rows(ArrayRows(TOKENS), 2, 30) != digest_rows(ArrayRows(TOKENS), 2, 31)


@pytest.mark.parametrize("shard_bytes", [7, 101, 10_000])
def test_reading_into_memory_fills_it_with_the_rows(tmp_path: Path, shard_bytes: int) -> None:
    write_shards(tmp_path, shard_bytes)
    memory = np.zeros((30, 9), np.uint16)
    open_rows(tmp_path, 9).read_into(4, memory[2:28])
    assert (memory[2:28] == TOKENS[4:30]).all()
    assert not memory[:2].any()
    assert not memory[28:].any()


def test_a_shard_that_shrinks_while_it_is_read_is_refused(tmp_path: Path) -> None:
    write_shards(tmp_path, 101)
    rows = open_rows(tmp_path, 9)
    shard = tmp_path / "document-00002-of-00007.bin"
    shard.write_bytes(shard.read_bytes()[:50])
    with pytest.raises(InterveneError, match="ends at byte 50 and had 101"):
        rows.read(0, 40)


def test_chunks_cover_the_span_once_in_the_same_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("intervene.sources.rows.CHUNK_TOKENS", 30)
    seen, places = [], set()
    for first, chunk in iterate_chunks(ArrayRows(TOKENS), 5, 12):
        seen.append((first, chunk.copy()))
        places.add(chunk.ctypes.data)
    assert [first for first, _ in seen] == [5, 8, 11]
    assert (np.concatenate([chunk for _, chunk in seen]) == TOKENS[5:12]).all()
    assert len(places) == 1


def test_mini_pile_has_its_published_digest(shared: Path) -> None:
    rows = open_rows(shared / "mini_pile" / "preshuffled", 2049)
    digest, largest = digest_rows(rows, 0, len(rows))
    assert digest == "4ac800b8a463c48c16a659c8892369099762ed18119fa4e0f62fa816c1e76d51"
    assert largest < 50_277
