"""Compiled copying of tokens out of files that are mapped into memory."""

from typing import Any

import numpy as np
from llvmlite import ir  # type: ignore[import-untyped]
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic
from numpy.typing import NDArray

from intervene.compiled import compiled, inlined
from intervene.sources.rows import TOKEN_BYTES
from intervene.sources.stream import Stream

LINE_BYTES = 64
"""What memory is fetched in."""
BLOCK_ROWS = 16
AHEAD = 3
"""Pieces that are being fetched while one is copied: the processor waits for several at once."""


def list_addresses(stream: Stream) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Where a stream lies in memory, for compiled loops; it lies there while the stream lives.

    Returns:
        int64 [files], the address of each file's first byte, and int64 [files + 1], the byte of
        the stream at which each file begins, with the stream's length at the end.
    """
    addresses = np.array([held.ctypes.data for held in stream.maps], np.int64)
    return addresses, np.array([*stream.firsts, stream.bytes], np.int64)


@intrinsic
def _copy_memory(typing: Any, target: Any, source: Any, count: Any) -> Any:
    """Copy `count` bytes from one address to another; the caller has checked both."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        pointer = cgutils.voidptr_t
        to, at = (builder.inttoptr(address, pointer) for address in arguments[:2])
        cgutils.raw_memcpy(builder, to, at, arguments[2], 1)  # type: ignore[no-untyped-call]
        return context.get_dummy_value()

    return types.void(types.int64, types.int64, types.int64), generate


@intrinsic
def _fetch_line(typing: Any, address: Any) -> Any:
    """Have memory at an address fetched, and do not wait for it; any address will do."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        word = ir.IntType(32)
        kind = ir.FunctionType(ir.VoidType(), [cgutils.voidptr_t, word, word, word])
        name = "llvm.prefetch.p0"
        fetch = cgutils.get_or_insert_function(builder.module, kind, name)  # type: ignore[no-untyped-call]
        to_read, near, data = (ir.Constant(word, number) for number in (0, 3, 1))
        builder.call(
            fetch, [builder.inttoptr(arguments[0], cgutils.voidptr_t), to_read, near, data]
        )
        return context.get_dummy_value()

    return types.void(types.int64), generate


@inlined
def find_file(firsts, byte):  # type: ignore[no-untyped-def]
    """The last file of a stream that begins at or before a byte of it."""
    low, high = 0, len(firsts) - 1
    while high - low > 1:
        middle = (low + high) // 2
        if firsts[middle] <= byte:
            low = middle
        else:
            high = middle
    return low


@inlined
def copy_bytes(addresses, firsts, start, count, target):  # type: ignore[no-untyped-def]
    """Copy bytes `[start, start + count)` of a stream to the address `target`.

    Args:
        addresses, firsts: of `list_addresses`.
        start, count: bytes of the stream.
        target: an address with room for `count` bytes.

    Returns:
        Whether the stream has those bytes; otherwise nothing is copied.
    """
    if start < 0 or count < 0 or start + count > firsts[-1]:
        return False
    file = find_file(firsts, start)
    while count > 0:
        part = min(count, firsts[file + 1] - start)
        source = addresses[file] + start - firsts[file]
        _copy_memory(target, source, part)  # type: ignore[call-arg]
        start, target, count, file = start + part, target + part, count - part, file + 1
    return True


@compiled
def gather_rows(  # type: ignore[no-untyped-def]
    shuffled, sample_idx, doc_idx, sizes, pointers, addresses, firsts, row_tokens, pieces, target
):
    """Gather rows out of the documents that they lie in, a few rows at a time.

    First all pieces of those rows are found, which has the processor wait for many places in the
    index at once; then they are copied.

    Args:
        shuffled: [rows], the sample that each row is.
        sample_idx, doc_idx: `Maps`.
        sizes, pointers: `Index`.
        addresses, firsts: of `list_addresses`.
        row_tokens: tokens per row.
        pieces: int64 [bytes of `BLOCK_ROWS` rows or of all, 2], room for addresses and bytes.
        target: address of the first row, uint16 [rows, row_tokens], contiguous.

    Returns:
        How many rows were gathered before one that these files do not hold.
    """
    for first in range(0, len(shuffled), BLOCK_ROWS):
        found = 0
        for number in range(first, min(first + BLOCK_ROWS, len(shuffled))):
            sample = shuffled[number]
            place, offset = np.int64(sample_idx[sample, 0]), np.int64(sample_idx[sample, 1])
            left = row_tokens
            while left > 0:
                if place >= len(doc_idx):
                    return number
                document = doc_idx[place]
                count = min(np.int64(sizes[document]) - offset, left)
                start = pointers[document] + offset * TOKEN_BYTES
                if count > 0:
                    found = _list_pieces(
                        addresses, firsts, start, count * TOKEN_BYTES, pieces, found
                    )
                if count < 0 or found < 0:
                    return number
                left, place, offset = left - count, place + 1, np.int64(0)
        _copy_pieces(pieces[:found], target + first * row_tokens * TOKEN_BYTES)
    return len(shuffled)


@inlined
def _list_pieces(addresses, firsts, start, count, pieces, found):  # type: ignore[no-untyped-def]
    """Add where bytes of a stream lie in memory to `pieces`, which has `found` of them.

    Returns:
        How many it has then, or -1 if the stream does not have those bytes.
    """
    if start < 0 or start + count > firsts[-1]:
        return -1
    file = find_file(firsts, start)
    while count > 0:
        part = min(count, firsts[file + 1] - start)
        pieces[found, 0] = addresses[file] + start - firsts[file]
        pieces[found, 1] = part
        found += np.int64(part > 0)
        start, count, file = start + part, count - part, file + 1
    return found


@inlined
def _copy_pieces(pieces, target):  # type: ignore[no-untyped-def]
    """Copy pieces of memory end to end to the address `target`."""
    for number in range(len(pieces)):
        if number + AHEAD < len(pieces):
            start, count = pieces[number + AHEAD, 0], pieces[number + AHEAD, 1]
            for line in range(start - start % LINE_BYTES, start + count, LINE_BYTES):
                _fetch_line(line)  # type: ignore[call-arg]
        _copy_memory(target, pieces[number, 0], pieces[number, 1])  # type: ignore[call-arg]
        target += pieces[number, 1]
