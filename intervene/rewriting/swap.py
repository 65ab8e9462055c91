"""Every replacement that a stretch allows, as columns in row order."""

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from tokenizers import Tokenizer

from intervene.arm import Arm, Length, Unit, hash_units
from intervene.rewriting.find import genders_of
from intervene.rewriting.lexicon import PRONOUNS, Gender, Lexicon, Role

if TYPE_CHECKING:
    import pandas as pd

FORMS = PRONOUNS.forms
ROLES = tuple(Role)
GENDERS = tuple(Gender)


@dataclass(frozen=True)
class Swap:
    """One replacement.

    Args:
        row: the training row, counted from row 0 of the whole corpus.
        start, stop: its tokens within the row.
        segment: the first token in the row of the document that it lies in.
        form: the pronoun, or other word of the lexicon, that stands there, lower case.
        role: what it does there.
        gender: the gender that it has before.
        before, after: the tokens of the span; they may differ in number.
    """

    row: int
    start: int
    stop: int
    segment: int
    form: str
    role: Role
    gender: Gender
    before: tuple[int, ...]
    after: tuple[int, ...]


@dataclass(frozen=True)
class EditLog:
    """Columns of n swaps in row order, the same for every rate, unit, seed and length policy.

    Feminise, masculinise and swap select from one log; neutral has another.

    Args:
        row: int64 [n], training row.
        start: int32 [n], first token within the row.
        segment: int32 [n], first token of the document within the row.
        form, role, gender: int8 [n], indices in `lexicon.forms`, ROLES and GENDERS.
        before_offsets: int64 [n + 1], where each swap's tokens lie in `before`.
        after_offsets: int64 [n + 1], the same for `after`.
        before: uint16 [before_offsets[n]], token ids.
        after: uint16 [after_offsets[n]], token ids.
        lexicon: of the scan: which words give way, and whether to neutral forms.
    """

    row: NDArray[np.int64]
    start: NDArray[np.int32]
    segment: NDArray[np.int32]
    form: NDArray[np.int8]
    role: NDArray[np.int8]
    gender: NDArray[np.int8]
    before_offsets: NDArray[np.int64]
    after_offsets: NDArray[np.int64]
    before: NDArray[np.uint16]
    after: NDArray[np.uint16]
    lexicon: Lexicon = PRONOUNS

    @classmethod
    def empty(cls, lexicon: Lexicon = PRONOUNS) -> "EditLog":
        """The log of no swaps."""
        return cls(
            row=np.zeros(0, np.int64),
            start=np.zeros(0, np.int32),
            segment=np.zeros(0, np.int32),
            form=np.zeros(0, np.int8),
            role=np.zeros(0, np.int8),
            gender=np.zeros(0, np.int8),
            before_offsets=np.zeros(1, np.int64),
            after_offsets=np.zeros(1, np.int64),
            before=np.zeros(0, np.uint16),
            after=np.zeros(0, np.uint16),
            lexicon=lexicon,
        )

    def __len__(self) -> int:
        return len(self.row)

    def __getitem__(self, index: int) -> Swap:
        index = range(len(self))[index]
        before, after = (
            tuple(tokens[offsets[index] : offsets[index + 1]].tolist())
            for tokens, offsets in (
                (self.before, self.before_offsets),
                (self.after, self.after_offsets),
            )
        )
        start = int(self.start[index])
        return Swap(
            row=int(self.row[index]),
            start=start,
            stop=start + len(before),
            segment=int(self.segment[index]),
            form=self.lexicon.forms[self.form[index]],
            role=ROLES[self.role[index]],
            gender=GENDERS[self.gender[index]],
            before=before,
            after=after,
        )

    @property
    def stop(self) -> NDArray[np.int32]:
        """int32 [n], the token past the last."""
        return self.start + np.diff(self.before_offsets).astype(np.int32)

    @property
    def changes_length(self) -> NDArray[np.bool_]:
        """Whether the row has more or fewer tokens afterwards, bool [n]."""
        changes: NDArray[np.bool_] = np.diff(self.before_offsets) != np.diff(self.after_offsets)
        return changes

    def table(self, tokenizer: Tokenizer) -> "pd.DataFrame":
        """A row per swap: row, start, form, role, gender, and both texts as they are spelled."""
        import pandas as pd  # half a second, for those alone who look

        swaps = [self[index] for index in range(len(self))]
        texts = {
            name: tokenizer.decode_batch(
                [list(getattr(swap, name)) for swap in swaps], skip_special_tokens=False
            )
            for name in ("before", "after")
        }
        columns = {
            name: [getattr(swap, name) for swap in swaps]
            for name in ("row", "start", "form", "role", "gender")
        }
        return pd.DataFrame({**columns, **texts}).astype({"role": str, "gender": str})

    def eligible(self, arm: Arm) -> NDArray[np.bool_]:
        """The swaps that the arm's direction and length policy allow, bool [n]."""
        allowed = genders_of(arm.direction)
        eligible: NDArray[np.bool_] = np.array([g in allowed for g in GENDERS])[self.gender]
        return eligible & ~self.changes_length if arm.length is Length.skip else eligible

    def draw(self, arm: Arm) -> NDArray[np.float64]:
        """Each swap's keyed draw, float64 [n] in [0, 1), the same for all swaps of a unit."""
        return hash_units(arm.seed, self.row, self._position(arm.unit))

    def select(self, arm: Arm) -> NDArray[np.bool_]:
        """The swaps that the arm makes, bool [n]: eligible, and drawn by its keyed hash."""
        return self.eligible(arm) & arm.takes(self.row, self._position(arm.unit))

    def _position(self, unit: Unit) -> NDArray[np.int64]:
        """int64 [n], the token that names each swap's unit within its row."""
        if unit is Unit.row:
            return np.zeros(len(self), np.int64)
        return (self.start if unit is Unit.occurrence else self.segment).astype(np.int64)

    def take(self, chosen: NDArray[np.bool_] | NDArray[np.int64]) -> "EditLog":
        """The swaps where `chosen` (bool [n]) is true, or those of these indices."""
        index = np.flatnonzero(chosen) if chosen.dtype == np.bool_ else chosen.astype(np.int64)
        before_offsets, before = _gather(self.before_offsets, self.before, index)
        after_offsets, after = _gather(self.after_offsets, self.after, index)
        return EditLog(
            self.row[index], self.start[index], self.segment[index], self.form[index],
            self.role[index], self.gender[index], before_offsets, after_offsets, before, after,
            self.lexicon,
        )  # fmt: skip

    @classmethod
    def join(cls, logs: list["EditLog"]) -> "EditLog":
        """The swaps of several logs of one lexicon, one after another."""
        lexicons = {log.lexicon for log in logs if len(log)} or {logs[0].lexicon}
        assert len(lexicons) == 1
        columns: dict[str, Any] = {"lexicon": lexicons.pop()}
        for name in (field.name for field in fields(cls) if field.name != "lexicon"):
            parts = [getattr(log, name) for log in logs]
            if name.endswith("_offsets"):
                firsts = np.cumsum([0, *(part[-1] for part in parts)])
                parts = [part[:-1] + first for part, first in zip(parts, firsts, strict=False)]
                parts.append(firsts[-1:])
            columns[name] = np.concatenate(parts)
        return cls(**columns)


def _gather(
    offsets: NDArray[np.int64], tokens: NDArray[np.uint16], index: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.uint16]]:
    """Offsets and tokens of the swaps of these indices alone."""
    chosen = np.zeros(len(index) + 1, np.int64)
    np.cumsum(np.diff(offsets)[index], out=chosen[1:])
    place = np.arange(chosen[-1]) + np.repeat(offsets[index] - chosen[:-1], np.diff(chosen))
    return chosen, tokens[place]
