"""What is done to a trial's text: which share of the swaps, in which direction, which seed."""

from dataclasses import dataclass, replace
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from intervene.errors import InterveneError

_INCREMENT, _FIRST, _SECOND = (
    np.uint64(0x9E3779B97F4A7C15), np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB)
)  # fmt: skip


class Direction(StrEnum):
    """Which pronouns give way to which; `neutral`: both genders' to singular they."""

    feminise = "feminise"
    masculinise = "masculinise"
    swap = "swap"
    neutral = "neutral"


class Unit(StrEnum):
    """What is drawn as one: a pronoun, all pronouns of a document within a row, or a row's.

    Where the source is document level, all pronouns of the whole document.
    """

    occurrence = "occurrence"
    document = "document"
    row = "row"


class Length(StrEnum):
    """What becomes of a swap that changes its row's number of tokens.

    `skip` never draws it. The others draw it as any other. `shift`: the rest of the row moves, what
    no longer fits is dropped at the row's end, and what is missing there is filled with the end of
    document. `reindex`, where the source is document level: each row starts where it started in its
    document, and reads on from there in the rewritten documents.
    """

    skip = "skip"
    shift = "shift"
    reindex = "reindex"


class Method(StrEnum):
    """How the text is rewritten: by this project's edit log, or as the published study did it."""

    exact = "exact"
    original_token_map = "original_token_map"
    original_string = "original_string"


class Variant(StrEnum):
    """Which version of the published study's string method."""

    length_checked = "length_checked"
    as_committed = "as_committed"
    as_meant = "as_meant"


def hash_units(
    seed: int, row: NDArray[np.int64], position: NDArray[np.int64]
) -> NDArray[np.float64]:
    """A uniform number in [0, 1) per unit, from a keyed hash (splitmix64) of (seed, row, position).

    It depends on nothing else: not on workers, shards, block size or order.

    Args:
        seed: the arm's seed.
        row: int64 [n], the training row of each unit, counted from row 0 of the whole corpus.
        position: int64 [n], the token position in the row that names the unit.
    """
    state = np.zeros(1, np.uint64)
    for word in (np.full(1, seed, np.int64), row, position):
        state = state ^ word.view(np.uint64)
        state += _INCREMENT
        for shift, factor in ((30, _FIRST), (27, _SECOND)):
            state ^= state >> np.uint64(shift)
            state *= factor
        state ^= state >> np.uint64(31)
    return (state >> np.uint64(11)).astype(np.float64) * 2.0**-53


@dataclass(frozen=True)
class Arm:
    """One arm of a trial.

    Arms that differ in the rate alone are nested: what 0.25 swaps, 0.5 swaps too.

    Args:
        direction: which pronouns give way.
        rate: the share of eligible units swapped, in [0, 1]; rate 0 is the control.
        unit: what is drawn as one.
        seed: names the draw.
        share: the share of feminine pronouns asked for after the rewrite, in [0, 1], or None; it
            stands in the rate's place, which is solved from the scan, and stays 1 meanwhile.
        length: what becomes of swaps that change their row's length.
        method: how the text is rewritten; the published study's methods feminise at rate 1.
        variant: of `original_string`, and of nothing else.
    """

    direction: Direction = Direction.feminise
    rate: float = 1.0
    unit: Unit = Unit.document
    seed: int = 0
    share: float | None = None
    length: Length = Length.skip
    method: Method = Method.exact
    variant: Variant | None = None

    def __post_init__(self) -> None:
        if not 0.0 <= self.rate <= 1.0:
            raise InterveneError(
                f"need a share in [0, 1], got {self.rate:g}",
                "intervention.rate",
                "0 is the control, 1 swaps every eligible pronoun",
            )
        if self.seed < 0:
            raise InterveneError(
                f"need a seed of 0 or more, got {self.seed}",
                "intervention.seed",
                "choose another seed",
            )
        if self.share is not None:
            self._check_share(self.share)
        if (self.variant is None) == (self.method is Method.original_string):
            raise InterveneError(
                f"{self.method} has {'no variant' if self.variant else 'three variants'}",
                f"intervention.variant={self.variant}",
                f"choose {', '.join(Variant)} with intervention=original_string, null otherwise",
            )
        if self.method is not Method.exact:
            self._check_original()

    def _check_share(self, share: float) -> None:
        where = f"intervention.share={share:g}"
        if not 0.0 <= share <= 1.0:
            raise InterveneError("need a share in [0, 1]", where, "0.5 is parity")
        if self.direction not in (Direction.feminise, Direction.masculinise):
            raise InterveneError(
                f"{self.direction} does not lead to a share",
                where,
                "use intervention=feminise to raise it, intervention=masculinise to lower it",
            )
        if self.rate != 1.0:
            raise InterveneError(
                f"the rate is solved from the share, got intervention.rate={self.rate:g} too",
                where,
                "give one of the two",
            )

    def _check_original(self) -> None:
        if self.direction is not Direction.feminise:
            raise InterveneError(
                f"the published study's methods feminise only, got {self.direction}",
                f"intervention.method={self.method}",
                "use intervention.method=exact",
            )
        if self.share is not None or self.rate not in (0.0, 1.0):
            raise InterveneError(
                "the published study's methods swap everything",
                f"intervention.method={self.method}",
                "leave intervention.rate at 1 and intervention.share at null",
            )

    @property
    def is_control(self) -> bool:
        """Whether nothing is swapped."""
        return self.rate == 0

    @property
    def control(self) -> "Arm":
        """The arm that swaps nothing: the published study's methods have the same one."""
        return replace(self, rate=0.0, share=None, method=Method.exact, variant=None)

    @property
    def slug(self) -> str:
        """A name for files and tables: `control`, or what sets the arm apart."""
        if self.is_control:
            return "control"
        if self.method is not Method.exact:
            return self.family.replace(" ", "-")
        dose = f"r{self.rate:g}" if self.share is None else f"share{self.share:g}"
        parts = [self.direction, dose, self.unit, f"s{self.seed}"]
        return "-".join(parts if self.length is Length.skip else [*parts, self.length])

    @property
    def family(self) -> str:
        """What arms of several doses have in common: the direction, or the study's method."""
        if self.method is Method.exact:
            return str(self.direction)
        return str(self.method) if self.variant is None else f"{self.method} {self.variant}"

    def identity(self) -> dict[str, object]:
        """What of the arm changes the corpus: nothing but the rate for the control."""
        if self.is_control:
            return {"rate": 0.0}
        if self.method is not Method.exact:
            return {"method": str(self.method), "variant": self.variant and str(self.variant)}
        return {
            "direction": str(self.direction),
            **({"rate": self.rate} if self.share is None else {"share": self.share}),
            "unit": str(self.unit),
            "seed": self.seed,
            "length": str(self.length),
        }

    def takes(self, row: NDArray[np.int64], position: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Which units this arm swaps: keyed hash < rate.

        Args:
            row: int64 [n], the training row of each unit.
            position: int64 [n], the token that names the unit within its row: the swap's first
                for `occurrence`, the document segment's first for `document`, 0 for `row`.
        """
        assert self.share is None, "solve the share first"
        taken: NDArray[np.bool_] = hash_units(self.seed, row, position) < self.rate
        return taken
