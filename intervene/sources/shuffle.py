"""The shuffle of numpy's `RandomState`, with the memory's latency hidden: several times as fast."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from intervene.compiled import compiled
from intervene.console import Progress

DRAWS = 1 << 20


def shuffle_like_numpy(
    values: NDArray[Any],
    random: np.random.RandomState,
    unit: str,
) -> None:
    """Do what `random.shuffle(values)` does, and leave `random` in the state that it would leave.

    Args:
        values: any integers, shuffled in place.
        random: the generator.
        unit: what the values are, plural, for the progress.
    """
    if len(values) > 2**32:  # numpy then draws 64 bits for some
        random.shuffle(values)
        return
    partners = np.empty(DRAWS, np.int64)
    last = max(len(values) - 1, 0)
    with Progress("shuffling", last, unit) as progress:
        while last > 0:
            state = random.get_state()
            draws = random.randint(0, 2**32, DRAWS, np.uint32)
            count, used = draw_partners(last, draws, partners)
            swap_down(values, last, partners[:count])
            last -= count
            progress.advance(count)
    if len(values) > 1:
        random.set_state(state)
        random.randint(0, 2**32, used, np.uint32)


@compiled
def draw_partners(last, draws, partners):  # type: ignore[no-untyped-def]
    """Turn 32-bit draws into the places that values swap with: the last value's first.

    A draw is cut to the bits that the value's place has, and thrown away if it is still past it.

    Args:
        last: the place of the last value that has not been swapped, 1 or more.
        draws: uint32.
        partners: int64, room for as many.

    Returns:
        How many partners were drawn, and how many draws that took.
    """
    used, count, mask = 0, np.int64(0), np.int64(1)
    while mask < last:
        mask = 2 * mask + 1
    while used < len(draws) and last > 0:
        partner = np.int64(draws[used]) & mask
        partners[count] = partner
        taken = np.int64(partner <= last)
        count, last, used = count + taken, last - taken, used + 1
        if last <= mask >> 1:
            mask >>= 1
    return count, used


@compiled
def swap_down(values, last, partners):  # type: ignore[no-untyped-def]
    """Swap the value at `last` with the first partner, the one before it with the next, ..."""
    for number in range(len(partners)):
        place, partner = last - number, partners[number]
        values[place], values[partner] = values[partner], values[place]
