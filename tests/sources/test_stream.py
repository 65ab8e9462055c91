"""Bytes in files cut anywhere: the same as in one, and any damage is named."""

import hashlib
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from intervene.errors import InterveneError
from intervene.lineage import Store
from intervene.sources.source import find_rows
from intervene.sources.stream import open_stream
from tests.sources.far import TOKENS, describe_data, write_corpus

RAW = np.random.default_rng(0).integers(0, 256, 300, dtype=np.uint8).tobytes()


def cut(folder: Path, at: list[int], raw: bytes = RAW) -> list[Path]:
    """Write bytes as shards that end at the given places; some may be empty."""
    edges = [0, *sorted(at), len(raw)]
    last = len(edges) - 2
    paths = [folder / f"rows-{number:05d}-of-{last:05d}.bin" for number in range(last + 1)]
    for number, path in enumerate(paths):
        path.write_bytes(raw[edges[number] : edges[number + 1]])
    return paths


def list_sums(folder: Path) -> str:
    bins = sorted(folder.glob("*.bin"))
    return "".join(f"{hashlib.sha256(p.read_bytes()).hexdigest()}  ./{p.name}\n" for p in bins)


@given(at=st.lists(st.integers(0, len(RAW)), max_size=5), draw=st.data())
def test_shards_cut_at_any_byte_are_one_stream(
    tmp_path_factory: pytest.TempPathFactory, at: list[int], draw: st.DataObject
) -> None:
    folder = tmp_path_factory.mktemp("shards")
    cut(folder, at)
    stream = open_stream(folder)
    start = draw.draw(st.integers(0, len(RAW)))
    out = bytearray(draw.draw(st.integers(0, len(RAW) - start)))
    stream.read_into(start, memoryview(out))
    assert out == RAW[start : start + len(out)]
    assert b"".join(mapped.tobytes() for mapped in stream.maps) == RAW


def test_spanned_files_are_those_with_a_byte_of_the_span(tmp_path: Path) -> None:
    paths = cut(tmp_path, [100, 200])
    stream = open_stream(tmp_path)
    assert stream.spanned(100, 200) == paths[1:2]
    assert stream.spanned(99, 201) == paths
    assert stream.spanned(50, 50) == paths[:1]


@pytest.mark.parametrize("number", [0, 1, 2])
def test_missing_shard_is_named(tmp_path: Path, number: int) -> None:
    missing = cut(tmp_path, [100, 200])[number]
    missing.unlink()
    with pytest.raises(InterveneError, match=f"{missing.name}: this shard is missing"):
        open_stream(tmp_path)


def test_shard_that_vanishes_is_named(tmp_path: Path) -> None:
    shard = cut(tmp_path, [100])[1]
    stream = open_stream(tmp_path)
    shard.unlink()
    with pytest.raises(InterveneError, match=f"{shard.name}: this shard is missing"):
        stream.read_into(0, memoryview(bytearray(300)))


def test_shard_that_becomes_shorter_is_named_with_its_end(tmp_path: Path) -> None:
    shard = cut(tmp_path, [100])[1]
    stream = open_stream(tmp_path)
    shard.write_bytes(RAW[100:150])
    with pytest.raises(InterveneError, match=f"{shard.name}: this shard ends at byte 50 and had"):
        stream.read_into(0, memoryview(bytearray(300)))


def test_short_shard_of_rows_is_named(tmp_path: Path) -> None:
    write_corpus(tmp_path / "rows")
    last = tmp_path / "rows" / "document-00002-of-00002.bin"
    last.write_bytes(last.read_bytes()[:-1])
    data = describe_data(str(tmp_path / "rows"), (0, 1))
    with pytest.raises(InterveneError, match="7,199"):
        find_rows(Store(tmp_path / "store"), data, data.rows)


def test_checksums_that_fit_let_the_rows_through(tmp_path: Path) -> None:
    write_corpus(tmp_path / "rows")
    sums = tmp_path / "sums"
    sums.write_text(list_sums(tmp_path / "rows"))
    data = describe_data(str(tmp_path / "rows"), (0, 1), checksums=str(sums))
    rows = find_rows(Store(tmp_path / "store"), data, data.rows)[1]
    assert (rows.read(0, 400) == TOKENS).all()


def test_one_changed_byte_fails_the_checksums_even_after_they_fitted(tmp_path: Path) -> None:
    write_corpus(tmp_path / "rows")
    sums, store = tmp_path / "sums", Store(tmp_path / "store")
    sums.write_text(list_sums(tmp_path / "rows"))
    data = describe_data(str(tmp_path / "rows"), (0, 1), checksums=str(sums))
    find_rows(store, data, data.rows)
    shard = tmp_path / "rows" / "document-00001-of-00002.bin"
    shard.write_bytes(bytes([shard.read_bytes()[0] ^ 1]) + shard.read_bytes()[1:])
    with pytest.raises(InterveneError, match=r"document-00001-of-00002.bin: sha256 .* as listed"):
        find_rows(store, data, data.rows)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "rows-00000-of-00001.bin is not listed"),
        ("abc  rows-00000-of-00001.bin\n", "line 1 is no sha256 and file name"),
        (
            f"{'0' * 64}  rows-00000-of-00001.bin\n{'0' * 64}  rows-00001-of-00001.bin\n",
            "sha256 .*, not 0000000000000000… as listed",
        ),
    ],
)
def test_list_of_checksums_that_does_not_fit_is_refused(
    tmp_path: Path, text: str, told: str
) -> None:
    cut(tmp_path, [100])
    sums = tmp_path / "sums"
    sums.write_text(text)
    with pytest.raises(InterveneError, match=told):
        open_stream(tmp_path).check(sums)


def test_list_of_checksums_that_is_not_there_is_refused(tmp_path: Path) -> None:
    write_corpus(tmp_path / "rows")
    data = describe_data(str(tmp_path / "rows"), (0, 1), checksums=str(tmp_path / "none"))
    with pytest.raises(InterveneError, match=r"data.checksums=.*none: no such file"):
        find_rows(Store(tmp_path / "store"), data, data.rows)
