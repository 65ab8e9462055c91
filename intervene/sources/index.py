"""Megatron's `.idx` beside a `.bin`: sizes, byte pointers and document starts of its entries."""

import os
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

import numpy as np
from numpy.typing import NDArray

from intervene.errors import InterveneError

MAGIC = b"MMIDIDX\x00\x00"
DTYPES = {1: np.uint8, 2: np.int8, 3: np.int16, 4: np.int32, 5: np.int64, 6: np.float32,
          7: np.float64, 8: np.uint16}  # fmt: skip
UINT16 = 8
HEADER_BYTES = len(MAGIC) + 8 + 1 + 8 + 8
CHUNK_ENTRIES = 1 << 20
"""Worked off at once, so that the tables of 134 million documents need no second copy."""


@dataclass(frozen=True)
class Index:
    """What an `.idx` says, mapped into memory; `check_index` says whether that can be.

    Args:
        path: the file.
        dtype: the token dtype of the `.bin`.
        sizes: int32 [entries], tokens per entry.
        pointers: int64 [entries], byte offset of each entry in the `.bin`.
        documents: int64 [documents + 1], entry at which each document starts.
    """

    path: Path
    dtype: np.dtype[np.generic]
    sizes: NDArray[np.int32]
    pointers: NDArray[np.int64]
    documents: NDArray[np.int64]


def read_index(path: Path) -> Index:
    """Read a Megatron or GPT-NeoX `.idx` (magic MMIDIDX, version 1) without touching its tables.

    Errors: InterveneError for a missing file, a wrong magic, version or dtype code, and tables
    that are not as long as the header says, with the byte offset.
    """
    if not path.is_file():
        raise InterveneError("no such index", str(path), "give the .idx that lies beside the .bin")
    with path.open("rb") as file:
        head = file.read(HEADER_BYTES)
    if not head.startswith(MAGIC):
        raise InterveneError(
            f"not a Megatron index: byte 0 reads {head[:9]!r}, not {MAGIC!r}",
            str(path),
            "give an .idx written by Megatron, GPT-NeoX or this project",
        )
    if len(head) < HEADER_BYTES:
        raise InterveneError(
            f"ends at byte {len(head)}, within its header of {HEADER_BYTES} bytes",
            str(path),
            "the file is truncated; copy it again",
        )
    version, code, entries, documents = struct.unpack_from("<QBQQ", head, len(MAGIC))
    if version != 1:
        raise InterveneError(
            f"version {version} at byte {len(MAGIC)} is not known",
            str(path),
            "give an .idx of version 1",
        )
    if code not in DTYPES:
        raise InterveneError(
            f"dtype code {code} at byte {len(MAGIC) + 8} is not known",
            str(path),
            "codes are 1 to 8, and 8 is uint16",
        )
    size, need = path.stat().st_size, HEADER_BYTES + entries * (4 + 8) + documents * 8
    if size != need:
        raise InterveneError(
            f"{'truncated' if size < need else 'goes on'} at byte {min(size, need):,}: "
            f"{size:,} bytes, but {entries:,} entries and {documents:,} document starts, as bytes "
            f"18 to {HEADER_BYTES} count them, need {need:,}",
            str(path),
            "copy the file again",
        )
    raw = np.memmap(path, np.uint8, "r")
    at = HEADER_BYTES
    sizes = np.frombuffer(raw, np.int32, entries, at)
    pointers = np.frombuffer(raw, np.int64, entries, at + 4 * entries)
    starts = np.frombuffer(raw, np.int64, documents, at + 12 * entries)
    return Index(path, np.dtype(DTYPES[code]), sizes, pointers, starts)


def check_index(index: Index, bin_bytes: int) -> None:
    """Check all tables of an index: what `check_entries` does, and where documents start.

    Document starts rise from 0 to the number of entries; a lone 0 is what GPT-NeoX 1.0's merging
    leaves, and its reader takes each entry for a document anyway.

    Errors: InterveneError that names the file and the byte of the first one which is wrong.
    """
    check_entries(index, bin_bytes)
    _check_documents(index)


def check_entries(index: Index, bin_bytes: int) -> None:
    """Check sizes and pointers against each other and against the `.bin`, in one pass.

    Every writer lays entries end to end, so a gap or an overlap is damage.

    Args:
        index: what `read_index` gave.
        bin_bytes: bytes of the `.bin` files together.

    Errors: InterveneError that names the file and the byte of the first entry which is wrong.
    """
    pointer = 0
    for start in range(0, len(index.sizes), CHUNK_ENTRIES):
        sizes = index.sizes[start : start + CHUNK_ENTRIES].astype(np.int64)
        pointers = index.pointers[start : start + CHUNK_ENTRIES]
        if (negative := sizes < 0).any():
            at = int(negative.argmax())
            _refuse(
                index,
                f"entry {start + at:,} has {sizes[at]:,} tokens",
                HEADER_BYTES + 4 * (start + at),
            )
        stops = np.cumsum(sizes * index.dtype.itemsize)
        stops += pointer
        wanted = np.concatenate([[pointer], stops[:-1]])
        if (other := pointers != wanted).any():
            at = int(other.argmax())
            _refuse(
                index,
                f"entry {start + at:,} points to byte {pointers[at]:,} of the .bin, but the "
                f"entries before it end at byte {wanted[at]:,}",
                HEADER_BYTES + 4 * len(index.sizes) + 8 * (start + at),
            )
        pointer = int(stops[-1])
    if pointer != bin_bytes:
        raise InterveneError(
            f"the index counts {pointer:,} bytes, the .bin files hold {bin_bytes:,}",
            str(index.path),
            "a .bin is truncated or another corpus's; copy it again",
        )


def _check_documents(index: Index) -> None:
    entries, known = len(index.sizes), index.documents
    at = HEADER_BYTES + 12 * entries
    if len(known) == 0:
        _refuse(index, "no document start at all", at)
    if known[0] != 0:
        _refuse(index, f"the first document starts at entry {known[0]:,}, not 0", at)
    for start in range(0, len(known) - 1, CHUNK_ENTRIES):
        chunk = known[start : start + CHUNK_ENTRIES + 1]
        if (falls := chunk[1:] < chunk[:-1]).any():
            number = int(falls.argmax()) + 1
            _refuse(
                index,
                f"document {start + number:,} starts at entry {chunk[number]:,}, before the one "
                f"ahead of it, {chunk[number - 1]:,}",
                at + 8 * (start + number),
            )
    if len(known) > 1 and known[-1] != entries:
        _refuse(
            index,
            f"the last document ends at entry {known[-1]:,}, but there are {entries:,}",
            at + 8 * (len(known) - 1),
        )


def _refuse(index: Index, what: str, offset: int) -> NoReturn:
    raise InterveneError(
        f"{what} (byte {offset:,} of the index)", str(index.path), "copy or write the index again"
    )


def write_index(
    path: Path, sizes: NDArray[np.int32], documents: NDArray[np.int64] | None = None
) -> None:
    """Write the `.idx` of a uint16 `.bin` whose entries lie end to end.

    Args:
        path: the `.idx` to write.
        sizes: int32 [entries], tokens per entry.
        documents: int64 [documents + 1], entry at which each document starts, and their number;
            None makes each entry a document of its own.
    """
    count = len(sizes) + 1 if documents is None else len(documents)
    part = path.with_name(f".{path.name}.part")
    with part.open("wb") as file:
        file.write(MAGIC + struct.pack("<QBQQ", 1, UINT16, len(sizes), count))
        file.write(np.ascontiguousarray(sizes, np.int32).data)
        for pointers in _iterate_pointers(sizes):
            file.write(pointers.data)
        for start in range(0, count, CHUNK_ENTRIES):
            stop = min(start + CHUNK_ENTRIES, count)
            starts = np.arange(start, stop) if documents is None else documents[start:stop]
            file.write(np.ascontiguousarray(starts, np.int64).data)
    os.replace(part, path)


def _iterate_pointers(sizes: NDArray[np.int32]) -> Iterator[NDArray[np.int64]]:
    """Byte offsets of uint16 entries that lie end to end, int64, a chunk at a time."""
    pointer = 0
    for start in range(0, len(sizes), CHUNK_ENTRIES):
        stops = np.cumsum(sizes[start : start + CHUNK_ENTRIES], dtype=np.int64) * 2 + pointer
        yield np.concatenate([[pointer], stops[:-1]])
        pointer = int(stops[-1])
