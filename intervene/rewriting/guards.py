"""What is held back though it looks like a pronoun, one guard at a time, on UTF-8 bytes.

Compiled, so that the scan decides as the text oracle does, by the same code. In every function
`text` is uint8, the pronoun is its bytes [start, stop), `limit` is where the text or its window
ends, and `classes` is `characters.classify()`.
"""

from dataclasses import fields

from intervene.compiled import compiled
from intervene.experiment import Guards
from intervene.rewriting.characters import (
    LETTER,
    LOWER,
    NO_CHARACTER,
    NUMBER,
    SPACE,
    UPPER,
    WORD,
    has,
    is_ascii_letter,
    read_after,
    read_before,
)
from intervene.rewriting.lexicon import Casing
from intervene.rewriting.pairs import holds_pair
from intervene.rewriting.words import hash_bytes, hash_words

REACH = 64
"""Bytes on either side of a pronoun that a guard may look at."""

GUARD_NAMES = tuple(field.name for field in fields(Guards))
FREE = -1

_CASINGS = len(Casing)
_PLAIN, _CAPITALISED, _CAPITALS = range(_CASINGS)
_PAIRS, _HYPHENS, _JOINED, _CAPITALS_GUARD, _SURNAMES, _QUOTED, _TITLES = (
    1 << GUARD_NAMES.index(name)
    for name in ("pairs", "hyphens", "joined", "capitals", "surnames", "quoted", "titles")
)
_POINT, _AT, _SLASH, _COMMA, _PLUS, _BLANK = (ord(mark) for mark in ".@/,+ ")
_DOUBLE, _SINGLE, _BACKTICK = (ord(mark) for mark in "\"'`")
_HYPHEN, _HYPHEN_2010, _HYPHEN_2011, _CURLY, _SUPER_PLUS = (ord(mark) for mark in "-‐‑’⁺")
_LONGEST_GAP = 8  # characters between two words in capitals

_OPENERS_TEXT = """
    a after ah all also although and are as at because before both but by can could did do does
    each even every for from had has hence here how i if in indeed is it just later let like may
    maybe might must never no nor not now o of oh on once only or perhaps said say says shall she
    should since so some soon still that the then there these this those though thus till to
    today unless until upon was we well were what whatever when whenever where wherever whether
    which while who whoever whom whose why will with would yes yet you
"""
_OPENERS = hash_words(_OPENERS_TEXT.split())
"""Capitalised, these stand before He without being a name: they open a sentence or a heading."""

_TITLES_TEXT = """
    beatitude eminence excellency excellencies grace highness holiness honor honour imperial
    ladyship lordship majesty majesties reverence royal serene worship
"""
_TITLE_WORDS = hash_words(_TITLES_TEXT.split())


def pack_guards(guards: Guards) -> int:
    """The guards that are on, bit by bit in the order of GUARD_NAMES."""
    return sum(getattr(guards, name) << place for place, name in enumerate(GUARD_NAMES))


@compiled
def find_guard(text, start, stop, limit, spelling, guards, classes, forms):  # type: ignore[no-untyped-def]
    """The index in GUARD_NAMES of the guard that holds a pronoun back, or FREE.

    Args:
        text, start, stop, limit, classes: as the module says.
        spelling: the pronoun's index among the lexicon's spellings.
        guards: the guards that are on (`pack_guards`); `language` is not decided here.
        forms: the lexicon's (`pack_forms`).
    """
    form, casing = spelling // _CASINGS, spelling % _CASINGS
    if guards & _PAIRS and holds_pair(text, start, stop, limit, form, classes, forms):
        return 0
    if guards & _HYPHENS and _holds_hyphenated(text, start, stop, limit, classes):
        return 1
    if guards & _JOINED and _holds_joined(text, start, stop, limit, casing, classes):
        return 2
    if guards & _CAPITALS_GUARD and casing == _CAPITALS:
        before = _is_capitals_before(text, start, classes)
        if not (before or _is_capitals_after(text, stop, limit, classes)):
            return 3
    if guards & _SURNAMES and form == forms.he and casing == _CAPITALISED:
        before = _is_name_before(text, start, classes)
        if before or _is_name_after(text, stop, limit, classes):
            return 4
    if guards & _QUOTED and _is_quoted(text, start, stop, limit, classes):
        return 5
    if guards & _TITLES and (form == forms.his or form == forms.her):
        return 6 if _is_title_after(text, stop, limit, classes) else FREE
    return FREE


@compiled
def _holds_hyphenated(text, start, stop, limit, classes):  # type: ignore[no-untyped-def]
    """`she-wolf`, `what's-his-name`."""
    point, at = read_before(text, start)
    if _is_hyphen(point) and has(LETTER, read_before(text, at)[0], classes):
        return True
    point, at = read_after(text, stop, limit)
    return _is_hyphen(point) and has(LETTER, read_after(text, at, limit)[0], classes)


@compiled
def _holds_joined(text, start, stop, limit, casing, classes):  # type: ignore[no-untyped-def]
    """`he.po`, `he@debian.org`; but `end.She` is a sentence that lacks its space."""
    point, at = read_after(text, stop, limit)
    if _is_joint(point) and has(WORD, read_after(text, at, limit)[0], classes):
        return True
    point, at = read_before(text, start)
    if not _is_joint(point) or not has(WORD, read_before(text, at)[0], classes):
        return False
    return not (point == _POINT and casing == _CAPITALISED)


@compiled
def _is_capitals_before(text, start, classes):  # type: ignore[no-untyped-def]
    """Whether the word before is in capitals."""
    at = start
    for _ in range(_LONGEST_GAP):
        point, first = read_before(text, at)
        if point == NO_CHARACTER or has(WORD, point, classes):
            break
        at = first
    upper = 0
    if at == start:
        return False
    while True:
        point, at = read_before(text, at)
        if not (has(WORD, point, classes) or point in (_SINGLE, _CURLY)):
            return upper > 1
        if has(LOWER, point, classes):
            return False
        upper += has(UPPER, point, classes)


@compiled
def _is_capitals_after(text, stop, limit, classes):  # type: ignore[no-untyped-def]
    """Whether the word after is in capitals; `'s`, `'LL` and the like are passed over."""
    at = _skip_clitic(text, stop, limit, classes)
    begin = at
    for _ in range(_LONGEST_GAP):
        point, beyond = read_after(text, at, limit)
        if point == NO_CHARACTER or has(WORD, point, classes):
            break
        at = beyond
    upper = 0
    if at == begin:
        return False
    while True:
        point, at = read_after(text, at, limit)
        if not (has(WORD, point, classes) or point in (_SINGLE, _CURLY)):
            return upper > 1
        if has(LOWER, point, classes):
            return False
        upper += has(UPPER, point, classes)


@compiled
def _skip_clitic(text, stop, limit, classes):  # type: ignore[no-untyped-def]
    point, at = read_after(text, stop, limit)
    if point != _SINGLE and point != _CURLY:
        return stop
    for letters in range(3):
        point, beyond = read_after(text, at, limit)
        if not has(WORD, point, classes):
            return at if letters > 0 else stop
        if not has(LETTER, point, classes):
            return stop
        at = beyond
    return stop


@compiled
def _is_name_before(text, start, classes):  # type: ignore[no-untyped-def]
    """`Kaiming He`, `4-He`: a capitalised word that opens no sentence, or a number, before it."""
    point, at = read_before(text, start)
    if _is_hyphen(point):
        return has(NUMBER, read_before(text, at)[0], classes)
    if point != _BLANK:
        return False
    stop = first = at
    lower = 0
    while True:
        point, before = read_before(text, first)
        if not has(LETTER, point, classes):
            return False
        first = before
        if has(UPPER, point, classes):
            break
        lower += 1
    if lower == 0 or has(WORD, read_before(text, first)[0], classes):
        return False
    return not _is_among(hash_bytes(text, first, stop), _OPENERS)


@compiled
def _is_name_after(text, stop, limit, classes):  # type: ignore[no-untyped-def]
    """`He, Horace`, `He, K.`, `He+`, `He-4`."""
    point, at = read_after(text, stop, limit)
    if point in (_PLUS, _SUPER_PLUS):
        return True
    if _is_hyphen(point):
        return has(NUMBER, read_after(text, at, limit)[0], classes)
    if point != _COMMA:
        return False
    point, at = read_after(text, at, limit)
    if point != _BLANK:
        return False
    point, at = read_after(text, at, limit)
    if not has(UPPER, point, classes):
        return False
    point, at = read_after(text, at, limit)
    return point == _POINT or has(LOWER, point, classes)


@compiled
def _is_quoted(text, start, stop, limit, classes):  # type: ignore[no-untyped-def]
    """`'he'`, as code names a word; not `'he's ill'`, whose second mark is an apostrophe."""
    if start == 0 or stop == limit or text[start - 1] != text[stop]:
        return False
    if has(WORD, read_before(text, start - 1)[0], classes):
        return False
    is_mark = text[stop] in (_DOUBLE, _SINGLE, _BACKTICK)
    return is_mark and not has(WORD, read_after(text, stop + 1, limit)[0], classes)


@compiled
def _is_title_after(text, stop, limit, classes):  # type: ignore[no-untyped-def]
    """`Majesty`, `Royal` and the like, capitalised, after one white space character."""
    point, at = read_after(text, stop, limit)
    if not has(SPACE, point, classes) or not has(UPPER, read_after(text, at, limit)[0], classes):
        return False
    end = at
    while end < limit and is_ascii_letter(text[end]):
        end += 1
    return _is_among(hash_bytes(text, at, end), _TITLE_WORDS)


@compiled
def _is_among(word, words):  # type: ignore[no-untyped-def]
    for known in words:  # noqa: SIM110 (any() of a generator cannot be compiled)
        if known == word:
            return True
    return False


@compiled
def _is_hyphen(point):  # type: ignore[no-untyped-def]
    return point in (_HYPHEN, _HYPHEN_2010, _HYPHEN_2011)


@compiled
def _is_joint(point):  # type: ignore[no-untyped-def]
    return point in (_POINT, _AT, _SLASH)
