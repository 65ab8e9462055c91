"""Pronouns in plain text, strings in and strings out: the oracle of the token path."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache

import numpy as np
import regex

from intervene.arm import Direction
from intervene.experiment import Guards
from intervene.rewriting.agreement import agree
from intervene.rewriting.characters import classify
from intervene.rewriting.guards import FREE, GUARD_NAMES, REACH, find_guard, pack_guards
from intervene.rewriting.lexicon import (
    PRONOUNS,
    WORD_CHARACTERS,
    Gender,
    Lexicon,
    Role,
    Spelling,
    Target,
)
from intervene.rewriting.pairs import pack_forms
from intervene.rewriting.role import choose_role

FINDER_VERSION = 2
"""Bumped whenever the same text comes to give other hits, roles or guards."""

_GENDERS = {
    Direction.feminise: frozenset({Gender.masculine}),
    Direction.masculinise: frozenset({Gender.feminine}),
    Direction.swap: frozenset(Gender),
}


@dataclass(frozen=True)
class Hit:
    """One pronoun in a text.

    Args:
        start, stop: its characters.
        spelling: what it is.
        role: what it does here.
        guard: the guard that holds it back, or None.
        edit_start, edit_stop: the characters that change: its own, and a verb's that agrees.
        edit_after: what they give way to.
    """

    start: int
    stop: int
    spelling: Spelling
    role: Role
    guard: str | None
    edit_start: int
    edit_stop: int
    edit_after: str


@dataclass(frozen=True)
class Finder:
    """A lexicon and guards, compiled.

    Args:
        lexicon: the forms.
        guards: what is held back.
        pattern: any pronoun as a word of its own.
    """

    lexicon: Lexicon
    guards: Guards
    pattern: regex.Pattern[str]

    def iterate(self, text: str, start: int, stop: int) -> Iterator[Hit]:
        """The pronouns that begin at characters `[start, stop)`; the rest is their context."""
        for match in self.pattern.finditer(text, pos=start):
            if match.start() >= stop:
                return
            yield self._judge(text, match.start(), match.end())

    def _judge(self, text: str, start: int, stop: int) -> Hit:
        word = text[start:stop]
        spelling = self.lexicon.spellings[word]
        before, after = text[max(0, start - REACH) : start], text[stop : stop + REACH]
        guard = self._find_guard(word, before.encode()[-REACH:], after.encode()[:REACH])
        role = choose_role(spelling.roles, before, after)
        partner = self.lexicon.partner(word, role)
        verb = None
        if self.lexicon.target is Target.neutral and role is Role.subject:
            verb = agree(before, after)
        if verb is None:
            edit = start, stop, partner
        elif verb.start < 0:
            low, high = start + verb.start, start + verb.stop
            edit = low, stop, verb.after + text[high:start] + partner
        else:
            low, high = stop + verb.start, stop + verb.stop
            edit = start, high, partner + text[stop:low] + verb.after
        return Hit(start, stop, spelling, role, guard, *edit)

    def _find_guard(self, word: str, before: bytes, after: bytes) -> str | None:
        window = np.frombuffer(bytearray(before + word.encode() + after), np.uint8)
        found = find_guard(
            window,
            len(before),
            len(before) + len(word),
            len(window),
            list(self.lexicon.spellings).index(word),
            pack_guards(self.guards),
            classify(),
            pack_forms(self.lexicon),
        )
        return None if found == FREE else GUARD_NAMES[found]


@cache
def compile_finder(guards: Guards, lexicon: Lexicon = PRONOUNS) -> Finder:
    """The finder of a lexicon under these guards.

    A word is a form with no letter, mark, number or `_` beside it; with the guard `joined` on,
    `_him_` is emphasis and counts as a word.
    """
    forms, w = lexicon.alternatives(), f"[{WORD_CHARACTERS}]"
    pattern = rf"(?<!{w})(?:{forms})(?!{w})"
    if guards.joined:
        pattern += rf"|(?<=(?<!{w})_)(?:{forms})(?=_(?!{w}))"
    return Finder(lexicon, guards, regex.compile(pattern))


def find(text: str, guards: Guards, lexicon: Lexicon = PRONOUNS) -> list[Hit]:
    """Every pronoun in a text, those held back by a guard too; `language` counts as off."""
    return list(compile_finder(guards, lexicon).iterate(text, 0, len(text)))


def genders_of(direction: Direction) -> frozenset[Gender]:
    """Which pronouns give way in this direction."""
    return _GENDERS.get(direction, frozenset(Gender))


def target_of(direction: Direction) -> Target:
    """What pronouns give way to in this direction."""
    return Target.neutral if direction is Direction.neutral else Target.partner


def swap_text(text: str, direction: Direction, guards: Guards, lexicon: Lexicon = PRONOUNS) -> str:
    """The text with every pronoun that gives way replaced by its partner."""
    genders, parts, at = genders_of(direction), [], 0
    for hit in find(text, guards, lexicon.lead_to(target_of(direction))):
        if hit.guard is None and hit.spelling.gender in genders:
            parts += [text[at : hit.edit_start], hit.edit_after]
            at = hit.edit_stop
    return "".join([*parts, text[at:]])
