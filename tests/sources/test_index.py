"""Megatron's `.idx`: written as Megatron writes it, refused when it is broken."""

import struct
from pathlib import Path

import numpy as np
import pytest

from intervene.errors import InterveneError
from intervene.sources.index import check_index, read_index, write_index


@pytest.fixture
def index(tmp_path: Path) -> Path:
    write_index(tmp_path / "a.idx", np.array([5, 3, 9], np.int32))
    return tmp_path / "a.idx"


def test_round_trip(index: Path) -> None:
    read = read_index(index)
    assert read.sizes.tolist() == [5, 3, 9]
    assert read.pointers.tolist() == [0, 10, 16]
    assert read.documents.tolist() == [0, 1, 2, 3]
    assert read.dtype == np.uint16


def test_bytes_equal_pythias_own_index(shared: Path, tmp_path: Path) -> None:
    theirs = shared / "mini_pile" / "preshuffled" / "document.idx"
    write_index(tmp_path / "ours.idx", read_index(theirs).sizes)
    assert (tmp_path / "ours.idx").read_bytes() == theirs.read_bytes()


def test_document_level_index_opens(shared: Path) -> None:
    index = read_index(shared / "mini_pile" / "documents.idx")
    size = (shared / "mini_pile" / "documents.bin").stat().st_size
    assert int(index.sizes.sum()) * 2 == size


def test_documents_of_several_entries_are_written_where_they_start(tmp_path: Path) -> None:
    sizes, documents = np.array([5, 3, 9], np.int32), np.array([0, 2, 2, 3], np.int64)
    write_index(tmp_path / "a.idx", sizes, documents)
    read = read_index(tmp_path / "a.idx")
    assert read.documents.tolist() == [0, 2, 2, 3]
    check_index(read, 34)


def test_tables_are_written_and_checked_alike_in_chunks(
    index: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = index.read_bytes()
    for chunk in (1, 2, 3):
        monkeypatch.setattr("intervene.sources.index.CHUNK_ENTRIES", chunk)
        write_index(index, np.array([5, 3, 9], np.int32))
        assert index.read_bytes() == whole
        check_index(read_index(index), 34)


def test_indices_of_gpt_neox_are_whole(shared: Path) -> None:
    for path in sorted((shared / "neox_golden" / "data").glob("*.idx")):
        check_index(read_index(path), path.with_suffix(".bin").stat().st_size)


def test_lone_document_start_of_a_merged_index_is_allowed(tmp_path: Path) -> None:
    write_index(tmp_path / "a.idx", np.array([5, 3], np.int32), np.zeros(1, np.int64))
    check_index(read_index(tmp_path / "a.idx"), 16)


def test_index_of_nothing_is_whole(tmp_path: Path) -> None:
    write_index(tmp_path / "a.idx", np.zeros(0, np.int32))
    check_index(read_index(tmp_path / "a.idx"), 0)


SIZES, POINTERS, STARTS = 34, 34 + 12, 34 + 36
"""Where the tables of three entries begin."""


@pytest.mark.parametrize("chunk", [1, 2, 100])
@pytest.mark.parametrize(
    ("byte", "kind", "value", "message"),
    [
        (SIZES + 4, "<i", -3, r"a\.idx: entry 1 has -3 tokens \(byte 38 "),
        (SIZES + 4, "<i", 4, r"entry 2 points to byte 16 .* end at byte 18 \(byte 62 "),
        (POINTERS, "<q", 2, r"entry 0 points to byte 2 .* end at byte 0 \(byte 46 "),
        (POINTERS + 8, "<q", -10, r"entry 1 points to byte -10 .* end at byte 10 \(byte 54 "),
        (POINTERS + 16, "<q", 8, r"entry 2 points to byte 8 .* end at byte 16 \(byte 62 "),
        (SIZES + 8, "<i", 10, r"the index counts 36 bytes, the \.bin files hold 34"),
        (STARTS, "<q", 1, r"the first document starts at entry 1, not 0 \(byte 70 "),
        (STARTS + 16, "<q", 0, r"document 2 starts at entry 0, before .* 1 \(byte 86 "),
        (STARTS + 24, "<q", 9, r"the last document ends at entry 9, .* are 3 \(byte 94 "),
    ],
)
def test_tables_that_cannot_be_so_are_refused_with_their_byte(
    index: Path,
    monkeypatch: pytest.MonkeyPatch,
    byte: int,
    kind: str,
    value: int,
    message: str,
    chunk: int,
) -> None:
    monkeypatch.setattr("intervene.sources.index.CHUNK_ENTRIES", chunk)
    raw = bytearray(index.read_bytes())
    struct.pack_into(kind, raw, byte, value)
    index.write_bytes(bytes(raw))
    with pytest.raises(InterveneError, match=message):
        check_index(read_index(index), 34)


def test_no_document_start_is_refused(tmp_path: Path) -> None:
    write_index(tmp_path / "a.idx", np.array([5], np.int32), np.zeros(0, np.int64))
    with pytest.raises(InterveneError, match="no document start at all"):
        check_index(read_index(tmp_path / "a.idx"), 10)


@pytest.mark.parametrize("size", [0, 8, 9, 33, 34, 60, 101])
def test_truncated_index_is_refused_wherever_it_is_cut(index: Path, size: int) -> None:
    assert len(index.read_bytes()) == 102
    index.write_bytes(index.read_bytes()[:size])
    with pytest.raises(InterveneError, match=r"truncated|byte 0 reads"):
        read_index(index)


def test_index_that_goes_on_is_refused(index: Path) -> None:
    index.write_bytes(index.read_bytes() + b"x")
    with pytest.raises(InterveneError, match=r"goes on at byte 102: 103 bytes"):
        read_index(index)


def test_index_that_counts_more_than_a_disk_holds_is_refused(index: Path) -> None:
    raw = bytearray(index.read_bytes())
    struct.pack_into("<Q", raw, 18, 2**64 - 1)
    index.write_bytes(bytes(raw))
    with pytest.raises(InterveneError, match=r"truncated at byte 102: .* 18,446,744"):
        read_index(index)


def test_wrong_magic_is_refused(index: Path) -> None:
    index.write_bytes(b"X" + index.read_bytes()[1:])
    with pytest.raises(InterveneError, match="byte 0"):
        read_index(index)


def test_unknown_dtype_code_is_refused(index: Path) -> None:
    raw = bytearray(index.read_bytes())
    raw[17] = 99
    index.write_bytes(bytes(raw))
    with pytest.raises(InterveneError, match="dtype code 99"):
        read_index(index)


def test_unknown_version_is_refused(index: Path) -> None:
    raw = index.read_bytes()
    index.write_bytes(raw[:9] + struct.pack("<Q", 2) + raw[17:])
    with pytest.raises(InterveneError, match="version 2"):
        read_index(index)


def test_missing_index_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InterveneError, match="no such index"):
        read_index(tmp_path / "none.idx")
