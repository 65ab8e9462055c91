"""Rows that a driver of fsspec reads."""

import importlib.util
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import fsspec
import pytest
from fsspec.implementations.memory import MemoryFileSystem

from intervene.errors import InterveneError
from intervene.lineage import Store
from intervene.sources.remote import pieces, retry
from tests.sources.far import describe_data, read_steps, truth, write_corpus

STEPS = (30, 80)
SHARD = "document-00001-of-00002.bin"


@pytest.fixture(autouse=True)
def _small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pieces, "PIECE_BYTES", 512)
    monkeypatch.setattr(retry, "PAUSE_SECONDS", 0.01)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "store")


@pytest.fixture
def memory(tmp_path: Path) -> Iterator[Any]:
    files = fsspec.filesystem("memory")
    for name, raw in write_corpus(tmp_path / "rows").items():
        files.pipe_file(f"/bucket/rows/{name}", raw)
    yield files
    files.rm("/bucket", recursive=True)


@pytest.mark.parametrize("name", ["", "/", "/document-00001-of-00002.bin"])
def test_folder_and_any_of_its_shards_give_the_rows(memory: Any, store: Store, name: str) -> None:
    assert read_steps(store, describe_data(f"memory://bucket/rows{name}", STEPS)) == truth(*STEPS)


def test_local_address_gives_the_rows(tmp_path: Path, store: Store) -> None:
    write_corpus(tmp_path / "far")
    assert read_steps(store, describe_data(f"file://{tmp_path}/far", STEPS)) == truth(*STEPS)


def test_touched_file_is_fetched_anew(tmp_path: Path, store: Store) -> None:
    write_corpus(tmp_path / "far")
    read_steps(store, describe_data(f"file://{tmp_path}/far", STEPS))
    shard = tmp_path / "far" / "document-00001-of-00002.bin"
    shard.write_bytes(bytes(shard.stat().st_size))
    os.utime(shard, (1, 1))
    again = read_steps(store, describe_data(f"file://{tmp_path}/far", STEPS))
    assert len(store.artefacts("fetched")) == 2
    assert again != truth(*STEPS)


def test_missing_shard_is_named(memory: Any, store: Store) -> None:
    memory.rm(f"/bucket/rows/{SHARD}")
    with pytest.raises(InterveneError, match=f"{SHARD}: this shard is missing"):
        read_steps(store, describe_data("memory://bucket/rows", STEPS))
    beside = describe_data("memory://bucket/rows/document-00000-of-00002.bin", STEPS)
    with pytest.raises(InterveneError, match=f"{SHARD}: the driver does not"):
        read_steps(store, beside)


def test_missing_folder_is_one_line(store: Store) -> None:
    with pytest.raises(
        InterveneError, match=r"^memory://bucket/none: the driver does not give .*$"
    ):
        read_steps(store, describe_data("memory://bucket/none", STEPS))


def test_short_read_is_tried_again_and_then_refused(
    memory: Any, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    sound = MemoryFileSystem.cat_file

    def cut(self: Any, path: str, start: int | None = None, end: int | None = None) -> bytes:
        return bytes(sound(self, path, start, end)[:-1])

    monkeypatch.setattr(MemoryFileSystem, "cat_file", cut)
    with pytest.raises(InterveneError, match=r"33 bytes came, 34 were asked for \(try 6 of 6\)"):
        read_steps(store, describe_data("memory://bucket/rows", STEPS))
    assert store.artefacts() == []


def test_file_that_changes_while_it_is_read_is_no_mixture(
    memory: Any, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    sound, count = MemoryFileSystem.cat_file, [0]

    def change(self: Any, path: str, start: int | None = None, end: int | None = None) -> bytes:
        count[0] += 1
        if count[0] == 5:
            self.pipe_file(f"/bucket/rows/{SHARD}", bytes(2501))
        return bytes(sound(self, path, start, end))

    monkeypatch.setattr(MemoryFileSystem, "cat_file", change)
    with pytest.raises(InterveneError, match="the file has changed"):
        read_steps(store, describe_data("memory://bucket/rows", STEPS))
    assert store.artefacts() == []
    assert list(store.root.glob("fetched/.*.draft")) == []


@pytest.mark.parametrize(("scheme", "package"), [("s3", "s3fs"), ("gs", "gcsfs")])
def test_missing_driver_names_what_to_install(store: Store, scheme: str, package: str) -> None:
    if importlib.util.find_spec(package):
        pytest.skip(f"{package} is installed")
    with pytest.raises(InterveneError, match=f"no driver for {scheme}.*pip install {package}$"):
        read_steps(store, describe_data(f"{scheme}://bucket/rows", STEPS))


def test_unknown_scheme_is_refused(store: Store) -> None:
    with pytest.raises(InterveneError, match="fsspec does not open it"):
        read_steps(store, describe_data("nowhere://bucket/rows", STEPS))


def test_checksums_of_whole_files_are_refused(memory: Any, store: Store, tmp_path: Path) -> None:
    data = describe_data("memory://bucket/rows", STEPS, checksums=str(tmp_path / "sums"))
    with pytest.raises(InterveneError, match=r"data\.checksums=.*only parts of the files"):
        read_steps(store, data)
