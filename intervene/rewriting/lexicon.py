"""The lexicon: which words give way to which, by role, gender and casing."""

import hashlib
import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property

import regex

from intervene.errors import InterveneError
from intervene.experiment import Words

WORD_CHARACTERS = r"\p{L}\p{M}\p{N}_"
SHORTEST, LONGEST = 2, 16
"""Letters of a form: a single one has two casings alone, and the scan's window holds 16."""
MOST = 127
"""Forms of a lexicon: the edit log numbers them in an int8."""
_FORM = regex.compile(r"[a-z]+")


class Role(StrEnum):
    """What a pronoun does in its clause; `word`: no pronoun, whatever it does."""

    subject = "subject"
    object = "object"
    determiner = "determiner"
    possessive = "possessive"
    reflexive = "reflexive"
    word = "word"


class Gender(StrEnum):
    """Which series a pronoun belongs to."""

    masculine = "masculine"
    feminine = "feminine"

    @property
    def other(self) -> "Gender":
        """The gender that a swap leads to."""
        return Gender.feminine if self is Gender.masculine else Gender.masculine


class Target(StrEnum):
    """What a pronoun gives way to: the other gender's form, or singular they."""

    partner = "partner"
    neutral = "neutral"


class Casing(StrEnum):
    """The three spellings of a form that count; any other mix of cases is left alone."""

    plain = "plain"
    capitalised = "capitalised"
    capitals = "capitals"

    def spell(self, form: str) -> str:
        """A lower-case form in this casing."""
        if self is Casing.capitals:
            return form.upper()
        return form.capitalize() if self is Casing.capitalised else form


@dataclass(frozen=True)
class Spelling:
    """One cased form: its lower-case form, casing, gender and the roles that it can have."""

    form: str
    casing: Casing
    gender: Gender
    roles: tuple[Role, ...]


@dataclass(frozen=True)
class Lexicon:
    """The forms of one role side by side, role by role.

    Args:
        series: (role, masculine form, feminine form, neutral form), lower case.
        target: which form a pronoun gives way to.

    Errors: InterveneError for a form that is not 2 to 16 letters from a to z or that stands twice,
        for more than 127 forms, and for a lexicon that leads to neutral forms and lacks one.
    """

    series: tuple[tuple[Role, str, str, str], ...]
    target: Target

    def __post_init__(self) -> None:
        where, words = "lexicon.pairs", [e for e in self.series if e[0] is Role.word]
        forms = [form for entry in words for form in entry[1:] if form]
        odd = [f for f in forms if not _FORM.fullmatch(f) or not SHORTEST <= len(f) <= LONGEST]
        if odd:
            raise InterveneError(
                f"{odd[0]!r} is not {SHORTEST} to {LONGEST} letters from a to z",
                where,
                "write the lower-case form of one word; its other casings follow from it",
            )
        others = {form for entry in self.series if entry not in words for form in entry[1:3]}
        given = Counter([*others, *(form for entry in words for form in entry[1:3])])
        twice = [form for form, count in given.items() if count > 1]
        if twice:
            raise InterveneError(f"{twice[0]!r} stands twice", where, "give each form one partner")
        if not 0 < len(given) <= MOST:
            raise InterveneError(
                f"need 1 to {MOST} forms, got {len(given)}", where, "name fewer pairs, or some"
            )
        missing = [entry[1] for entry in self.series if not entry[3]]
        if missing and self.target is Target.neutral:
            raise InterveneError(
                f"{missing[0]!r} has no neutral form", where, "give one: `father mother parent`"
            )

    @classmethod
    def of(cls, words: Words, target: Target = Target.partner) -> "Lexicon":
        """The lexicon that an experiment names: pronouns, pairs of other words, or both."""
        series = cls.english(target).series if words.pronouns else ()
        return cls((*series, *(_enter(pair.split()) for pair in words.pairs)), target)

    @classmethod
    def from_pairs(
        cls, pairs: Sequence[Sequence[str]], target: Target = Target.partner
    ) -> "Lexicon":
        """A lexicon of other words than pronouns.

        Args:
            pairs: (masculine, feminine) or (masculine, feminine, neutral), lower case.
            target: which form a word gives way to.
        """
        return cls(tuple(map(_enter, pairs)), target)

    def lead_to(self, target: Target) -> "Lexicon":
        """The same forms, giving way to this target's."""
        return Lexicon(self.series, target)

    @classmethod
    def english(cls, target: Target = Target.partner) -> "Lexicon":
        """The subject, object, possessive and reflexive forms of he, she and singular they.

        Themselves rather than themself: it changes a row's length nine times less often.
        """
        return cls(
            (
                (Role.subject, "he", "she", "they"),
                (Role.object, "him", "her", "them"),
                (Role.determiner, "his", "her", "their"),
                (Role.possessive, "his", "hers", "theirs"),
                (Role.reflexive, "himself", "herself", "themselves"),
            ),
            target,
        )

    @property
    def digest(self) -> str:
        """sha256 of the forms and the target, hexadecimal."""
        return hashlib.sha256(self.to_json().encode()).hexdigest()

    def to_json(self) -> str:
        """The forms and the target as JSON."""
        return json.dumps([self.series, self.target])

    @classmethod
    def from_json(cls, text: str) -> "Lexicon":
        """The inverse of `to_json`."""
        series, target = json.loads(text)
        return cls(tuple((Role(role), *forms) for role, *forms in series), Target(target))

    @cached_property
    def forms(self) -> tuple[str, ...]:
        """Every lower-case form that gives way, once: the masculine first, in order of role."""
        every = [entry[1] for entry in self.series] + [entry[2] for entry in self.series]
        return tuple(dict.fromkeys(every))

    @cached_property
    def spellings(self) -> dict[str, Spelling]:
        """Every cased form that counts as a pronoun."""
        return {
            casing.spell(form): Spelling(form, casing, self.gender(form), self.roles(form))
            for form in self.forms
            for casing in Casing
        }

    def gender(self, form: str) -> Gender:
        """The gender of a lower-case form."""
        is_masculine = any(form == entry[1] for entry in self.series)
        return Gender.masculine if is_masculine else Gender.feminine

    def roles(self, form: str) -> tuple[Role, ...]:
        """The roles that a lower-case form can have; two of them make it ambiguous."""
        return tuple(entry[0] for entry in self.series if form in entry[1:3])

    def partner(self, spelling: str, role: Role) -> str:
        """The cased form that a spelling gives way to in this role."""
        known = self.spellings[spelling]
        _, masculine, feminine, neutral = next(
            entry for entry in self.series if entry[0] is role and known.form in entry[1:3]
        )
        if self.target is Target.neutral:
            return known.casing.spell(neutral)
        return known.casing.spell(feminine if known.gender is Gender.masculine else masculine)

    def alternatives(self, gender: Gender | None = None) -> str:
        """A regular expression for any cased form, or any of one gender, longest first."""
        chosen = [s for s, known in self.spellings.items() if gender in (None, known.gender)]
        return "|".join(regex.escape(s) for s in sorted(chosen, key=lambda s: (-len(s), s)))


def _enter(pair: Sequence[str]) -> tuple[Role, str, str, str]:
    """A pair of words as an entry of a series."""
    if len(pair) not in (2, 3):
        raise InterveneError(
            f"need two forms or three, got {' '.join(pair)!r}",
            "lexicon.pairs",
            "give `masculine feminine` or `masculine feminine neutral`",
        )
    masculine, feminine, neutral = (*pair, "")[:3]
    return Role.word, masculine, feminine, neutral


PRONOUNS = Lexicon.english()
"""What is swapped unless another lexicon is named."""
