"""What becomes of one pronoun: decided by tables of its neighbours, or by a window of bytes.

The tables decide most cases. A guard or a role that needs text reads a window of bytes. The few
that need the tokenizer are handed back undecided.
"""

import numpy as np

from intervene.compiled import compiled, inlined
from intervene.rewriting.characters import WORD as WORD_CHARACTER
from intervene.rewriting.characters import has, read_after, read_before
from intervene.rewriting.edge_words import UNREAD
from intervene.rewriting.guards import FREE as FREE_TO_SWAP
from intervene.rewriting.guards import REACH, find_guard
from intervene.rewriting.lexicon import Role
from intervene.rewriting.neighbours import (
    APOSTROPHE,
    DECODE,
    GAP,
    LINE,
    NAME,
    POINT,
    QUOTE,
    READ,
    WORD,
)
from intervene.rewriting.role import AFTER, BEFORE, WORDS, is_determiner, rate_tokens
from intervene.rewriting.rules import (
    BEGINS_VERB,
    BEGINS_WORD,
    BEHIND,
    BEYOND,
    BREAKS,
    ENDS_BLANK,
    ENDS_VERB,
    FREE,
)

ELIGIBLE, LENGTH, EDGE, GUARDS = 0, 1, 2, 4
"""Indices in REASONS; the guards follow from GUARDS on."""

HELD, UNDECIDED, UNDECIDED_FOREIGN, NO_WORD = 16, -1, -2, -3
"""Verdicts: a role is its own index, and a reason against it HELD + its index."""

_EIGHT = 8
_U = tuple(np.uint64(step) for step in range(_EIGHT))
_ORIGIN = _EIGHT + REACH  # where the pronoun begins in the window
WINDOW = 2 * _ORIGIN + 2 * _EIGHT
_DETERMINER = tuple(Role).index(Role.determiner)
_UNDERSCORE = ord("_")
assert max(BEFORE, AFTER) <= REACH, "a role looks no further than the window"


@inlined
def match_entry(row, place, sides, tokens, groups, sequences, heads):  # type: ignore[no-untyped-def]
    """The entry that begins at a token and its number of tokens; UNDECIDED or NO_WORD."""
    here = tokens[row[place]]
    if here.group >= 0:
        for at in range(groups[here.group], groups[here.group + 1]):
            size = _match_sequence(row, place, sequences[at], sides, heads)
            if size:
                return np.int64(sequences[at, 0]), size
    last = place + 1 == len(row)
    if here.single >= 0 and (last or not sides[row[place + 1]].after & WORD):
        return np.int64(here.single), 1
    if here.is_odd:
        return UNDECIDED, 1
    if last or not here.beginnings & tokens[row[place + 1]].completions:
        return NO_WORD, 1
    if here.is_bare and place > 0 and sides[row[place - 1]].before & WORD:
        return NO_WORD, 1
    return UNDECIDED, 1


@inlined
def _match_sequence(row, place, sequence, sides, heads):  # type: ignore[no-untyped-def]
    """How many tokens a sequence has, if they stand here and no word character follows; else 0."""
    size = np.int64(sequence[2] - sequence[1])
    if place + size > len(row):
        return 0
    for step in range(1, size):
        if row[place + step] != heads[sequence[1] + step]:
            return 0
    if place + size < len(row) and sides[row[place + size]].after & (WORD | DECODE):
        return 0
    return size


@inlined
def decide(  # type: ignore[no-untyped-def]
    row, place, size, entry, window,
    sides, tokens, spellings, data, letters, firsts, lasts, guards, joined, classes, weights, forms,
):  # fmt: skip
    """What becomes of an entry in English: a verdict."""
    if entry < 0:
        return UNDECIDED
    spelling, spaced = spellings[entry >> 1], entry & 1
    stop = place + size
    at_edge = place == 0 or stop == len(row)
    left = right = np.uint8(0)
    if place > 0:
        left = sides[row[place - 1]].spaced if spaced else sides[row[place - 1]].before
    if stop < len(row):
        right = sides[row[stop]].after
    if (left | right) & DECODE:
        return UNDECIDED
    if (left | right) & WORD:
        return NO_WORD
    if left & APOSTROPHE and spelling.contracts:
        return UNDECIDED
    if spelling.agrees and not at_edge and not _is_verb_plain(row, place, stop, sides, tokens):
        return UNDECIDED
    low, limit = _ORIGIN, 0
    if at_edge or _must_read(row, place, stop, left, right, spelling, sides):
        low, limit = _fill(
            window, row, place, stop, spelling, spaced, REACH, REACH, REACH,
            sides, tokens, data, letters,
        )  # fmt: skip
        if low < 0:
            return UNDECIDED
        held = _read(
            window[low:limit], _ORIGIN - low, entry >> 1, spelling, guards, joined, classes, forms
        )
        if held == NO_WORD:
            return NO_WORD
        if held != FREE_TO_SWAP:
            return HELD + GUARDS + held
    if at_edge:
        return HELD + EDGE
    if spelling.role >= 0:
        return np.int64(spelling.role)
    rated = rate_tokens(
        row, place, stop, spaced, spelling.possessive, firsts, lasts, tokens, data, weights
    )
    if rated != UNREAD:
        return np.int64(_DETERMINER if rated else spelling.other)
    if limit == 0:
        low, limit = _fill(
            window, row, place, stop, spelling, spaced, BEFORE, AFTER, WORDS,
            sides, tokens, data, letters,
        )  # fmt: skip
        if low < 0:
            return UNDECIDED
    begin, text = _ORIGIN - low, window[low:limit]
    if is_determiner(text, begin, begin + spelling.size, len(text), spelling.possessive, weights):
        return _DETERMINER
    return np.int64(spelling.other)


@inlined
def _is_verb_plain(row, place, stop, sides, tokens):  # type: ignore[no-untyped-def]
    """Whether the verb that agrees with a subject is the next token, or certainly none does."""
    if tokens[row[stop]].plural >= 0:
        return stop + 1 < len(row) and sides[row[stop + 1]].flags & FREE
    if sides[row[stop]].flags & BEGINS_VERB:
        return False
    at = place - 1
    while at >= 0 and sides[row[at]].flags & ENDS_BLANK:
        at -= 1
    return at >= 0 and not sides[row[at]].flags & ENDS_VERB


@inlined
def _must_read(row, place, stop, left, right, spelling, sides):  # type: ignore[no-untyped-def]
    """Whether the text around a pronoun must be read: a guard may hold it back, or it is `_he_`."""
    if (left | right) & READ or left & right & QUOTE or spelling.is_read:
        return True
    if right & (POINT | GAP):
        if stop + 1 == len(row):
            return True
        beyond = sides[row[stop + 1]].flags
        if (right & POINT and not beyond & FREE) or (right & GAP and beyond & BEYOND):
            return True
    if left & GAP:
        if place < 2:
            return True
        behind = sides[row[place - 2]].flags
        if behind & BEHIND and not (left & LINE and behind & BREAKS):
            return True
    return (left | right) & NAME and spelling.is_name


@inlined
def _fill(  # type: ignore[no-untyped-def]
    window, row, place, stop, spelling, spaced, behind, ahead, words,
    sides, tokens, data, letters,
):  # fmt: skip
    """Spell a pronoun at the window's origin with the text on either side.

    Args:
        behind, ahead: bytes on either side that are enough.
        words: tokens that begin a word with a space, on either side, that are enough too.

    Returns:
        The first byte of the window and the byte past its last; -1, -1 beside a piece of a
        character.
    """
    low = _ORIGIN
    if spaced:
        low -= 1
        window[low] = ord(" ")
    token, left = place - 1, words
    while token >= 0 and left > 0 and _ORIGIN - low < behind:
        known = tokens[row[token]]
        if known.is_partial:
            return -1, -1
        size = min(known.size, behind - (_ORIGIN - low))
        low -= size
        begin = known.offset + known.size - size
        for back in range(0, size, _EIGHT):
            _copy_eight(window, low + size - back - _EIGHT, data, begin + size - back - _EIGHT)
        left -= (sides[row[token]].flags & BEGINS_WORD) != 0
        token -= 1
    for step in range(0, spelling.size, _EIGHT):
        _copy_eight(window, _ORIGIN + step, letters, spelling.offset + step)
    limit = _ORIGIN + spelling.size
    end = limit + ahead
    token, left = stop, words
    while token < len(row) and left > 0 and limit < end:
        known = tokens[row[token]]
        if known.is_partial:
            return -1, -1
        size = min(known.size, end - limit)
        for step in range(0, size, _EIGHT):
            _copy_eight(window, limit + step, data, known.offset + step)
        limit += size
        left -= (sides[row[token]].flags & BEGINS_WORD) != 0
        token += 1
    return low, limit


@inlined
def _copy_eight(window, to, data, at):  # type: ignore[no-untyped-def]
    """Copy eight bytes, the rest of which is written over or not read: one load and one store.

    Unsigned indices are not checked for counting from the end.
    """
    to, at = np.uint64(to), np.uint64(at)
    a, b, c, d = data[at], data[at + _U[1]], data[at + _U[2]], data[at + _U[3]]
    e, f, g, h = data[at + _U[4]], data[at + _U[5]], data[at + _U[6]], data[at + _U[7]]
    window[to], window[to + _U[1]], window[to + _U[2]], window[to + _U[3]] = a, b, c, d
    window[to + _U[4]], window[to + _U[5]], window[to + _U[6]], window[to + _U[7]] = e, f, g, h


@compiled
def _read(text, start, number, spelling, guards, joined, classes, forms):  # type: ignore[no-untyped-def]
    """The guard that holds a window's pronoun back, or none; NO_WORD beside an underscore."""
    stop = start + spelling.size
    left, first = read_before(text, start)
    right, beyond = read_after(text, stop, len(text))
    if left == _UNDERSCORE or right == _UNDERSCORE:
        if left != right or not joined:
            return NO_WORD
        left, _ = read_before(text, first)
        right, _ = read_after(text, beyond, len(text))
        if has(WORD_CHARACTER, left, classes) or has(WORD_CHARACTER, right, classes):
            return NO_WORD
    return find_guard(text, start, stop, len(text), number, guards, classes, forms)
