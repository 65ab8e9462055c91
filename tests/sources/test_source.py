"""A source: rows that fit their tokenizer and hold the stretch."""

import dataclasses
import shutil
from pathlib import Path

import pytest

from intervene.data import Data
from intervene.errors import InterveneError
from intervene.lineage import Store
from intervene.sources.source import open_source
from intervene.stretch import Stretch


@pytest.fixture
def data(shared: Path, neox_tokenizer: Path) -> Data:
    return Data(
        name="local",
        path=str(shared / "mini_pile" / "preshuffled"),
        repo=None,
        revision=None,
        tokenizer=str(neox_tokenizer),
        row_tokens=2049,
        rows_per_step=32,
        stretch=Stretch(90, 96),
    )


def test_source_is_keyed_by_the_bytes_of_the_stretch(data: Data, tmp_path: Path) -> None:
    store = Store(tmp_path / "store")
    whole = open_source(store, data)
    merged = tmp_path / "merged.bin"
    merged.write_bytes(whole.rows.read(0, len(whole.rows)).tobytes())
    same = open_source(store, dataclasses.replace(data, path=str(merged)))
    other = open_source(store, dataclasses.replace(data, stretch=Stretch(89, 96)))
    assert same.artefact.key == whole.artefact.key != other.artefact.key


def test_changed_bytes_of_equal_size_are_another_source(data: Data, tmp_path: Path) -> None:
    store = Store(tmp_path / "store")
    merged = tmp_path / "merged.bin"
    tokens = open_source(store, data).rows.read(0, 96 * 32)
    merged.write_bytes(tokens.tobytes())
    local = dataclasses.replace(data, path=str(merged))
    before = open_source(store, local).artefact.key
    tokens[95 * 32, 7] ^= 1
    merged.write_bytes(tokens.tobytes())
    assert open_source(store, local).artefact.key != before


def test_stretch_past_the_end_is_refused(data: Data, tmp_path: Path) -> None:
    late = dataclasses.replace(data, stretch=Stretch(90, 97))
    with pytest.raises(InterveneError, match=r"has 3,072 rows, 96 steps of 32"):
        open_source(Store(tmp_path), late)


def test_token_ids_outside_the_vocabulary_are_refused(
    data: Data, shared: Path, tmp_path: Path
) -> None:
    small = shared / "neox_golden" / "data" / "bpe250_tokenizer.json"
    with pytest.raises(InterveneError, match="vocabulary of 25"):
        open_source(Store(tmp_path), dataclasses.replace(data, tokenizer=str(small)))


def test_missing_tokenizer_is_refused(data: Data, tmp_path: Path) -> None:
    absent = dataclasses.replace(data, tokenizer=str(tmp_path / "none.json"))
    with pytest.raises(InterveneError, match=r"data\.tokenizer"):
        open_source(Store(tmp_path / "store"), absent)


def test_file_that_is_no_tokenizer_is_refused(data: Data, tmp_path: Path) -> None:
    (tmp_path / "bad.json").write_text("{}")
    bad = dataclasses.replace(data, tokenizer=str(tmp_path / "bad.json"))
    with pytest.raises(InterveneError, match="not a tokenizer"):
        open_source(Store(tmp_path / "store"), bad)


def test_refused_source_leaves_the_store_empty(data: Data, tmp_path: Path) -> None:
    store = Store(tmp_path / "store")
    late = dataclasses.replace(data, stretch=Stretch(90, 97))
    with pytest.raises(InterveneError):
        open_source(store, late)
    assert store.artefacts() == []


def test_pointers_of_preshuffled_rows_that_run_backwards_are_refused(
    data: Data, shared: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "rows"
    folder.mkdir()
    for path in (shared / "mini_pile" / "preshuffled").iterdir():
        shutil.copyfile(path, folder / path.name)
    raw = bytearray((folder / "document.idx").read_bytes())
    at = 34 + 4 * 3072 + 8 * 5
    raw[at : at + 8] = bytes(8)
    (folder / "document.idx").write_bytes(bytes(raw))
    with pytest.raises(InterveneError, match=rf"entry 5 points to byte 0 .*\(byte {at:,} of"):
        open_source(Store(tmp_path / "store"), dataclasses.replace(data, path=str(folder)))
