"""The rate that leads to a target share of feminine pronouns, solved from the edit log."""

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from intervene.arm import Arm, Direction
from intervene.errors import InterveneError
from intervene.rewriting.edits import Counts
from intervene.rewriting.lexicon import PRONOUNS, Gender, Lexicon
from intervene.rewriting.swap import EditLog

NOT_PRONOUNS = frozenset({"hyphens", "joined", "surnames", "quoted", "language"})
"""Guards whose verdict is that no pronoun stands there; all others are counted."""

BINS = 1 << 20
"""Bins of the draws: the log is read twice, and only the swaps of one bin are held in memory."""


@dataclass(frozen=True)
class Solution:
    """What a target share asks for.

    Args:
        asked: the share asked for.
        before: the share of feminine pronouns in the source.
        reached: the share after the rewrite, the nearest that whole units allow.
        rate: the rate that reaches it.
    """

    asked: float
    before: float
    reached: float
    rate: float


def solve_share(
    arm: Arm, counts: Counts, read: Callable[[], Iterable[EditLog]], lexicon: Lexicon = PRONOUNS
) -> Solution:
    """Find the smallest set of units, in the order of their draws, that comes nearest to the share.

    Args:
        arm: its share is the target.
        counts: pronouns by reason and form; all but NOT_PRONOUNS are what the share is taken of.
        read: gives the log of all rows, in pieces; called twice.
        lexicon: of the scan.

    Errors: InterveneError for a share that the direction leads away from, or cannot reach.
    """
    assert arm.share is not None
    chosen = [by_form for reason, by_form in counts.items() if reason not in NOT_PRONOUNS]
    total = sum(sum(by_form.values()) for by_form in chosen)
    feminine = sum(
        number
        for by_form in chosen
        for form, number in by_form.items()
        if lexicon.gender(form) is Gender.feminine
    )
    sign = 1 if arm.direction is Direction.feminise else -1
    wanted = sign * (arm.share * total - feminine)
    swaps = np.zeros(BINS, np.int64)
    for log in read():
        swaps += np.bincount(_place(log, arm), minlength=BINS)
    upto = np.cumsum(swaps)
    _check_reach(arm, feminine, total, sign * int(upto[-1]))
    wanted = min(wanted, float(upto[-1]))  # what rounding adds is out of reach
    place = int(np.searchsorted(upto, wanted))  # the bin in which so many swaps are reached
    below = int(upto[place] - swaps[place])
    draws = np.sort(np.concatenate([_pick(log, arm, place) for log in read()]))
    last = np.flatnonzero(np.append(draws[1:] != draws[:-1], True))  # of each unit
    made = np.concatenate([[below], below + 1 + last])
    rates = np.concatenate([[place / BINS], np.nextafter(draws[last], 1.0)])
    nearest = int(np.abs(made - wanted).argmin())
    reached = (feminine + sign * int(made[nearest])) / total
    return Solution(arm.share, feminine / total, reached, float(rates[nearest]))


def settle(arm: Arm, solution: Solution) -> Arm:
    """The arm with the solved rate in the share's place."""
    return replace(arm, share=None, rate=solution.rate)


def _place(log: EditLog, arm: Arm) -> NDArray[np.int64]:
    """int64 [eligible], the bin of each eligible swap's draw."""
    return (log.draw(arm)[log.eligible(arm)] * BINS).astype(np.int64)


def _pick(log: EditLog, arm: Arm, place: int) -> NDArray[np.float64]:
    """The draws of the eligible swaps of one bin."""
    draws = log.draw(arm)[log.eligible(arm)]
    picked: NDArray[np.float64] = draws[(draws * BINS).astype(np.int64) == place]
    return picked


def _check_reach(arm: Arm, feminine: int, total: int, gain: int) -> None:
    """Refuse a share on the wrong side of the source's, or beyond what swapping all would reach."""
    where = f"intervention.share={arm.share:g}"
    if total == 0:
        raise InterveneError("the stretch has no pronouns", where, "choose another stretch")
    before, limit = feminine / total, (feminine + gain) / total
    share, feminises = arm.share or 0.0, arm.direction is Direction.feminise
    if share <= before if feminises else share >= before:
        other = Direction.masculinise if feminises else Direction.feminise
        raise InterveneError(
            f"{before:.4f} of the pronouns are feminine already", where, f"use intervention={other}"
        )
    if share > limit if feminises else share < limit:
        shown = (math.floor if feminises else math.ceil)(limit * 1e6) / 1e6
        raise InterveneError(
            f"swapping every eligible pronoun leads to {shown:.6f}",
            where,
            f"ask for {'at most' if feminises else 'at least'} that",
        )
