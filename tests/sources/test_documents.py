"""Rows of documents: gathered in GPT-NeoX's order, wherever the documents are cut."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from intervene.data import Data, Order
from intervene.errors import InterveneError
from intervene.experiment import Experiment, from_json, to_json
from intervene.lineage import Store
from intervene.sources.backend import open_rows
from intervene.sources.documents import DocumentRows, open_documents
from intervene.sources.index import write_index
from intervene.sources.source import find_rows
from intervene.stretch import Stretch
from tests.test_conf import compose_experiment

ROW_TOKENS = 9
GOLDEN = {
    "A_docs_weighted_sl256": ("docs_20B", 256, Order(60, 1234), None),
    "B_docs_split_sl256": ("docs_20B", 256, Order(60, 1234, "969,30,1"), None),
    "C_tiny_weighted_sl128_multiepoch": ("tiny_20B", 128, Order(60, 1234), None),
    "D_tiny_split_sl128_multiepoch": ("tiny_20B", 128, Order(60, 1234, "969,30,1"), None),
    "F_docs_weighted_sl256_resume_iter20": ("docs_20B", 256, Order(60, 1234), slice(20, 60)),
    "G_docs_weighted_sl256_4000iters_multiepoch": (
        "docs_20B",
        256,
        Order(4000, 1234),
        np.r_[0:10, 3990:4000],
    ),
    "H_small_bpe250_weighted_sl128": ("small_bpe250", 128, Order(60, 1234), None),
}


def make_data(
    path: Path, order: Order, row_tokens: int = ROW_TOKENS, rows_per_step: int = 8
) -> Data:
    stretch = Stretch(0, order.iterations)
    return Data(
        "documents", str(path), None, None, None, row_tokens, rows_per_step, stretch, order=order
    )


def open_data(store: Path, data: Data) -> DocumentRows:
    rows = find_rows(Store(store), data, data.rows)[1]
    assert isinstance(rows, DocumentRows)
    return rows


def write_documents(folder: Path, shard_bytes: int) -> list[NDArray[np.uint16]]:
    """300 documents, every fifth of them empty, as shards with their index."""
    random = np.random.default_rng(3)
    sizes = random.integers(1, 30, 300, dtype=np.int32)
    sizes[::5] = 0
    texts = [random.integers(0, 60_000, size, dtype=np.uint16) for size in sizes]
    raw = np.concatenate(texts).tobytes()
    pieces = [raw[i : i + shard_bytes] for i in range(0, len(raw), shard_bytes)]
    folder.mkdir(exist_ok=True)
    for number, piece in enumerate(pieces):
        name = f"text_0.9_document-{number:05d}-of-{len(pieces) - 1:05d}.bin"
        (folder / name).write_bytes(piece)
    write_index(folder / "text_0.9_document.idx", sizes)
    return texts


def test_mini_pile_documents_give_the_preshuffled_rows(shared: Path, tmp_path: Path) -> None:
    mini = shared / "mini_pile"
    rows = open_data(tmp_path, make_data(mini, Order(96, 1234), 2049, 32))
    truth = open_rows(mini / "preshuffled", 2049)
    assert len(rows) == len(truth) == 3072
    assert rows.read(0, 3072).tobytes() == truth.read(0, 3072).tobytes()


@pytest.mark.parametrize("cached", [False, True], ids=["rebuilt", "in place"])
@pytest.mark.parametrize("name", list(GOLDEN))
def test_rows_equal_the_batches_of_gpt_neox(
    shared: Path, tmp_path: Path, name: str, cached: bool
) -> None:
    golden = shared / "neox_golden" / "data"
    stem, stride, order, steps = GOLDEN[name]
    if cached:
        order = Order(order.iterations, order.seed, order.split, str(golden / "index"))
    data = make_data(golden / f"{stem}_text_document", order, stride + 1)
    rows = open_data(tmp_path, data)
    found = rows.read(0, len(rows)).reshape(order.iterations, 8, stride + 1)
    batches = np.load(golden / "batches" / f"{name}_train.npy")
    assert np.array_equal(found if steps is None else found[steps], batches)
    assert len(Store(tmp_path).artefacts("order")) == (not cached)


@pytest.mark.parametrize("shard_bytes", [4001, 1001, 77])
def test_documents_lie_in_shards_cut_at_any_byte(tmp_path: Path, shard_bytes: int) -> None:
    texts = write_documents(tmp_path / "docs", shard_bytes)
    rows = open_data(tmp_path / "store", make_data(tmp_path / "docs", Order(150, 5)))
    flat = np.concatenate([texts[document] for document in rows.doc_idx])
    for row in (0, 1, 700, 1199):
        at = int(rows.maps.shuffle_idx[row]) * (ROW_TOKENS - 1)
        assert (rows.read(row, row + 1) == flat[at : at + ROW_TOKENS]).all()
    several = np.zeros((5, ROW_TOKENS), np.uint16)
    rows.read_into(9, several[1:4])
    assert (several[1:4] == rows.read(9, 12)).all()
    assert not several[[0, 4]].any()


def test_starts_are_where_rows_begin(tmp_path: Path) -> None:
    write_documents(tmp_path / "docs", 500)
    rows = open_data(tmp_path / "store", make_data(tmp_path / "docs", Order(150, 5)))
    places, offsets = rows.starts(40, 90)
    assert places.dtype == offsets.dtype == np.int64
    for row, place, offset in zip(rows.read(40, 90), places, offsets, strict=True):
        document = int(rows.doc_idx[place])
        if len(rows.documents.read(document)):
            assert rows.documents.read(document)[offset] == row[0]


def test_documents_are_read_one_by_one(tmp_path: Path) -> None:
    texts = write_documents(tmp_path / "docs", 101)
    documents = open_documents(tmp_path / "docs")
    assert len(documents) == 300
    assert documents.sizes.tolist() == [len(text) for text in texts]
    assert all((documents.read(i) == text).all() for i, text in enumerate(texts))
    assert documents.find_byte(2) == 2 * len(texts[1])


@pytest.mark.parametrize("name", ["a.b", "a.b.bin", ""])
def test_path_is_a_prefix_a_file_or_a_folder(tmp_path: Path, name: str) -> None:
    (tmp_path / "a.b.bin").write_bytes(bytes(10))
    write_index(tmp_path / "a.b.idx", np.array([5], np.int32))
    assert open_documents(tmp_path / name).read(0).tolist() == [0] * 5


def test_a_training_process_opens_rows_by_their_folder_alone(tmp_path: Path) -> None:
    write_documents(tmp_path / "docs", 500)
    data = make_data(tmp_path / "docs", Order(20, 5))
    path, rows = find_rows(Store(tmp_path / "store"), data, data.rows)
    again = open_rows(path, ROW_TOKENS)
    assert (again.read(0, 160) == rows.read(0, 160)).all()
    assert set(again.files(0, 1)) >= set((tmp_path / "docs").iterdir())
    with pytest.raises(InterveneError, match="rows of 9 tokens, not 10"):
        open_rows(path, 10)


def test_corpora_of_equal_sizes_share_the_maps_but_not_the_rows(tmp_path: Path) -> None:
    for name, token in (("a", 1), ("b", 2)):
        (tmp_path / f"{name}.bin").write_bytes(np.full(200, token, np.uint16).tobytes())
        write_index(tmp_path / f"{name}.idx", np.full(20, 10, np.int32))
    store = tmp_path / "store"
    first, second = (
        open_data(store, make_data(tmp_path / f"{name}.bin", Order(3, 1))) for name in "ab"
    )
    assert first.maps == second.maps
    assert first.read(0, 24).tolist() == [[1] * ROW_TOKENS] * 24
    assert second.read(0, 24).tolist() == [[2] * ROW_TOKENS] * 24


def test_documents_that_changed_since_are_refused(tmp_path: Path) -> None:
    write_documents(tmp_path / "docs", 500)
    data = make_data(tmp_path / "docs", Order(20, 5))
    path, _ = find_rows(Store(tmp_path / "store"), data, data.rows)
    write_documents(tmp_path / "docs", 500)
    write_index(tmp_path / "docs" / "text_0.9_document.idx", np.full(3, 7, np.int32))
    with pytest.raises(InterveneError, match=r"docs: 3 entries of documents now, 300 when"):
        open_rows(path, ROW_TOKENS)


def test_index_that_no_longer_fits_is_refused_while_rows_are_read(tmp_path: Path) -> None:
    write_documents(tmp_path / "docs", 500)
    data = make_data(tmp_path / "docs", Order(20, 5))
    path, _ = find_rows(Store(tmp_path / "store"), data, data.rows)
    index = tmp_path / "docs" / "text_0.9_document.idx"
    raw = bytearray(index.read_bytes())
    raw[34 + 1200 : 34 + 1200 + 2400] = np.full(300, 1 << 40, np.int64).tobytes()
    index.write_bytes(bytes(raw))
    with pytest.raises(InterveneError, match=r"row 0 is not in the documents any more"):
        open_rows(path, ROW_TOKENS).read(0, 8)


def test_documents_that_do_not_fit_their_index_are_refused(tmp_path: Path) -> None:
    write_documents(tmp_path / "docs", 500)
    shard = sorted((tmp_path / "docs").glob("*.bin"))[-1]
    shard.write_bytes(shard.read_bytes() + b"ab")
    with pytest.raises(InterveneError, match=r"the index counts .* bytes, the \.bin files hold"):
        open_data(tmp_path / "store", make_data(tmp_path / "docs", Order(20, 5)))
    assert Store(tmp_path / "store").artefacts() == []


def test_tokens_of_another_dtype_are_refused(tmp_path: Path) -> None:
    write_documents(tmp_path / "docs", 500)
    index = tmp_path / "docs" / "text_0.9_document.idx"
    raw = bytearray(index.read_bytes())
    raw[17] = 4
    index.write_bytes(bytes(raw))
    with pytest.raises(InterveneError, match="tokens are int32, not uint16"):
        open_documents(tmp_path / "docs")


def test_documents_without_an_index_are_refused(tmp_path: Path) -> None:
    (tmp_path / "a.bin").write_bytes(bytes(10))
    with pytest.raises(InterveneError, match=r"a\.bin: no \.idx lies beside it"):
        open_documents(tmp_path / "a.bin")


def test_documents_taken_for_rows_are_told_apart(tmp_path: Path) -> None:
    write_documents(tmp_path / "docs", 500)
    with pytest.raises(InterveneError, match=r"entry 0 has 0 tokens, not 9; .* data=documents"):
        open_rows(tmp_path / "docs", ROW_TOKENS)


def test_rows_taken_for_documents_are_told_apart(tmp_path: Path) -> None:
    np.zeros((40, ROW_TOKENS), np.uint16).tofile(tmp_path / "rows.bin")
    write_index(tmp_path / "rows.idx", np.full(40, ROW_TOKENS, np.int32))
    with pytest.raises(InterveneError, match=r"every entry has 9 tokens.*data=local"):
        open_data(tmp_path / "store", make_data(tmp_path / "rows.bin", Order(4, 1)))


def test_missing_documents_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InterveneError, match=r"data\.path=.*none"):
        open_documents(tmp_path / "none")


def test_config_names_an_order_and_leaves_it_out() -> None:
    given = ("data=documents", "data.path=/d.bin", "data.tokenizer=/t.json")
    experiment = compose_experiment(*given, "data.order.split=969/30/1", "data.order.seed=7")
    assert experiment.data.order == Order(143_000, 7, "969/30/1")
    assert from_json(Experiment, to_json(experiment)) == experiment
    assert compose_experiment(*given, "data.order=null").data.order is None


BUILD = """
import sys
from pathlib import Path
from intervene.lineage import Store
from intervene.sources.source import find_rows
from tests.sources.test_documents import make_data
from intervene.data import Order
data = make_data(Path(sys.argv[1]), Order(1_000_000, 5))
find_rows(Store(Path(sys.argv[2])), data, data.rows)
"""


def test_an_order_whose_building_was_killed_is_built_anew(tmp_path: Path) -> None:
    write_documents(tmp_path / "docs", 500)
    store = Store(tmp_path / "store")
    command = [sys.executable, "-c", BUILD, str(tmp_path / "docs"), str(store.root)]
    for part in ("doc_idx.npy", "sample_idx.npy"):
        process = subprocess.Popen(command, cwd=Path(__file__).parents[2], process_group=0)
        while not list(store.root.glob(f"order/.*.draft/{part}")):
            assert process.poll() is None
            time.sleep(0.001)
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        assert store.artefacts() == []
    data = make_data(tmp_path / "docs", Order(1_000_000, 5))
    rows = open_data(store.root, data)
    other = open_data(tmp_path / "other", data)
    for ours, theirs in zip(rows.maps.files, other.maps.files, strict=True):
        assert ours.read_bytes() == theirs.read_bytes()
