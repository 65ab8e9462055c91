"""Replacements made in rows, each of which keeps its length."""

import numpy as np
from numpy.typing import NDArray

from intervene.compiled import compiled, inlined
from intervene.sources.gather import copy_bytes
from intervene.sources.patches import FAR, Patches
from intervene.sources.rows import END_OF_DOCUMENT, TOKEN_BYTES


def patch_rows(out: NDArray[np.uint16], first: int, patches: Patches) -> None:
    """Make the replacements of rows `[first, first + len(out))` in place.

    A row keeps its length: what no longer fits is dropped at its end, what is missing there is
    filled with token 0, the end of document.

    Args:
        out: uint16 [n, row_tokens], contiguous: the source's rows.
        first: the entry of `patches` that is the first of them.
        patches: of rows.
    """
    assert 0 <= first <= first + len(out) <= len(patches), (first, len(out), len(patches))
    _patch_rows(out, first, *patches.columns, np.empty(out.shape[1], np.uint16))


def copy_rows(
    addresses: NDArray[np.int64],
    firsts: NDArray[np.int64],
    start: int,
    out: NDArray[np.uint16],
    first: int,
    patches: Patches,
) -> None:
    """Copy rows out of a stream that is mapped and make their replacements, in one pass.

    Each row is patched while it lies in the processor's nearest cache, which costs less than half
    of what a second pass over all that was read does.

    Args:
        addresses, firsts: of the stream, from `list_addresses`.
        start: its byte at which the first row begins.
        out, first, patches: as in `patch_rows`; `out` is filled.
    """
    assert 0 <= first <= first + len(out) <= len(patches), (first, len(out), len(patches))
    moved = np.empty(out.shape[1], np.uint16)
    copied = _copy_rows(
        addresses, firsts, start, out, out.ctypes.data, first, *patches.columns, moved
    )
    assert copied, (start, out.shape, firsts[-1])


@compiled
def _patch_rows(  # type: ignore[no-untyped-def]
    out, first, single, offsets, gaps, codes, removed, inserted_offsets, inserted, moved
):
    for number in range(len(out)):
        _patch_row(
            out[number], offsets[first + number], offsets[first + number + 1], single, gaps, codes,
            removed, inserted_offsets, inserted, moved,
        )  # fmt: skip


@compiled
def _copy_rows(  # type: ignore[no-untyped-def]
    addresses, firsts, start, out, target, first, single, offsets, gaps, codes, removed,
    inserted_offsets, inserted, moved,
):  # fmt: skip
    """Whether the stream has all the rows."""
    row_bytes = out.shape[1] * TOKEN_BYTES
    for number in range(len(out)):
        at = number * row_bytes
        if not copy_bytes(addresses, firsts, start + at, row_bytes, target + at):
            return False
        _patch_row(
            out[number], offsets[first + number], offsets[first + number + 1], single, gaps, codes,
            removed, inserted_offsets, inserted, moved,
        )  # fmt: skip
    return True


@inlined
def _patch_row(  # type: ignore[no-untyped-def]
    here, step, stop, single, gaps, codes, removed, inserted_offsets, inserted, moved
):
    """Make the replacements of the steps `[step, stop)` in a row."""
    at = 0
    while step < stop:
        gap = gaps[step]
        at += gap
        if gap != FAR:
            token = single[codes[step]]
            if token < 0:
                _splice(
                    here, at, step, stop, gaps, codes, removed, inserted_offsets, inserted, moved
                )
                return
            here[at] = token
            at += 1
        step += 1


@compiled
def _splice(here, first, step, stop, gaps, codes, removed, inserted_offsets, inserted, moved):  # type: ignore[no-untyped-def]
    """Make a row's replacements from `step` on, which is at token `first`, by way of `moved`."""
    limit = len(here)
    read = write = first
    while step < stop:
        if gaps[step] != FAR:
            code = codes[step]
            for new in range(inserted_offsets[code], inserted_offsets[code + 1]):
                if write < limit:
                    moved[write] = inserted[new]
                write += 1
            read += removed[code]
        step += 1
        kept = gaps[step] if step < stop else limit - read
        for _ in range(kept):
            if write < limit:
                moved[write] = here[read]
            read, write = read + 1, write + 1
    for at in range(first, limit):
        here[at] = moved[at] if at < write else END_OF_DOCUMENT
