"""Applied swaps: rows with the drawn swaps written into them, each as long as it was."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from intervene.compiled import compiled
from intervene.rewriting.swap import EditLog
from intervene.sources.rows import END_OF_DOCUMENT


class Changes(NamedTuple):
    """What was done to some rows.

    Args:
        rows_changed: rows with at least one swap.
        rows_shifted: those of them in which a swap changed the number of tokens.
        swaps_dropped: swaps of which a token no longer fitted into its row; they are not made.
        tokens_dropped: tokens that no longer fitted and were left out at the rows' ends.
        tokens_filled: end-of-document tokens that fill the rows' ends.
    """

    rows_changed: int
    rows_shifted: int
    swaps_dropped: int
    tokens_dropped: int
    tokens_filled: int


def apply(
    tokens: NDArray[np.uint16], first_row: int, log: EditLog, mask: NDArray[np.bool_]
) -> NDArray[np.uint16]:
    """A copy of rows with the chosen swaps written into them.

    Args:
        tokens: uint16 [n, row_tokens].
        first_row: the training row of the first.
        log: the swaps of these rows and perhaps of others.
        mask: bool [len(log)], the swaps to apply.
    """
    rewritten = tokens.copy()
    overwrite(rewritten, first_row, log, mask.copy())
    return rewritten


def overwrite(
    tokens: NDArray[np.uint16], first_row: int, log: EditLog, mask: NDArray[np.bool_]
) -> Changes:
    """Write the chosen swaps into rows `[first_row, first_row + len(tokens))`.

    A row whose number of tokens would change is moved along: what no longer fits is dropped at its
    end, what is missing there is filled with the end of document.

    Args:
        tokens: uint16 [n, row_tokens], contiguous; changed in place.
        first_row: the training row of the first.
        log: the swaps of these rows and perhaps of others.
        mask: bool [len(log)], the swaps to apply; false afterwards for one that was chosen and of
            which a token was dropped.
    """
    low, high = np.searchsorted(log.row, [first_row, first_row + len(tokens)])
    return Changes(
        *_overwrite(
            tokens, first_row, int(low), int(high), log.row, log.start, log.before_offsets,
            log.after_offsets, log.after, mask, np.empty(tokens.shape[1], np.uint16),
        )
    )  # fmt: skip


@compiled
def _overwrite(  # type: ignore[no-untyped-def]
    tokens, first_row, low, high, row, start, before_offsets, after_offsets, after, mask, moved
):
    """`overwrite` for the swaps [low, high): the five numbers of `Changes`; `moved`: one row."""
    changed = shifted = unmade = dropped = filled = 0
    while low < high:
        stop, number, moves, chosen = low, row[low], False, False
        while stop < high and row[stop] == number:
            if mask[stop]:
                chosen = True
                before = before_offsets[stop + 1] - before_offsets[stop]
                moves |= before != after_offsets[stop + 1] - after_offsets[stop]
            stop += 1
        here = tokens[number - first_row]
        changed += chosen
        if moves:
            shifted += 1
            cut, size = _splice(
                here, moved, low, stop, start, before_offsets, after_offsets, after, mask
            )
            unmade += cut
            dropped += max(0, size - len(here))
            filled += max(0, len(here) - size)
        elif chosen:
            for swap in range(low, stop):
                if mask[swap]:
                    for at in range(after_offsets[swap], after_offsets[swap + 1]):
                        here[start[swap] + at - after_offsets[swap]] = after[at]
        low = stop
    return changed, shifted, unmade, dropped, filled


@compiled
def _splice(here, moved, low, high, start, before_offsets, after_offsets, after, mask):  # type: ignore[no-untyped-def]
    """Write the swaps [low, high) into one row by way of `moved`: swaps dropped, tokens needed."""
    limit = len(here)
    read = write = unmade = 0
    for swap in range(low, high + 1):
        begin = start[swap] if swap < high else limit
        if swap < high and not mask[swap]:
            continue
        for at in range(read, begin):
            if write < limit:
                moved[write] = here[at]
            write += 1
        if swap == high:
            break
        read = begin + before_offsets[swap + 1] - before_offsets[swap]
        for at in range(after_offsets[swap], after_offsets[swap + 1]):
            if write < limit:
                moved[write] = after[at]
            write += 1
        if write > limit:
            mask[swap] = False
            unmade += 1
    for at in range(limit):
        here[at] = moved[at] if at < write else END_OF_DOCUMENT
    return unmade, write
