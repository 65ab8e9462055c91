"""The one linguistic decision: whether `her` is him or his, and whether `his` is her or hers."""

from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from intervene.compiled import compiled, inlined
from intervene.rewriting.lexicon import Role

BEFORE, AFTER = 32, 40
"""How many bytes on either side of a pronoun its role may depend on."""

WORDS = 3
"""Words that begin with a space on either side: of more text than that nothing is read."""

HER_SLOTS, HIS_SLOTS = 1 << 20, 1 << 16
"""How many weights each form has; its features share them by hash."""

MODEL = Path(__file__).with_name("roles.npz")

_MARK, _SPACE, _LETTER, _CAPITAL, _DIGIT = range(5)

_KIND = np.full(256, _LETTER, np.uint8)
"""What a byte is; those of characters outside ASCII are letters (but see `_is_wide_mark`)."""
_KIND[:128] = _MARK
_KIND[list(b" \t\n\v\f\r")] = _SPACE
_KIND[list(b"_abcdefghijklmnopqrstuvwxyz")] = _LETTER
_KIND[list(b"ABCDEFGHIJKLMNOPQRSTUVWXYZ")] = _CAPITAL
_KIND[list(b"0123456789")] = _DIGIT

_FOLDED = np.arange(256, dtype=np.uint32)
"""A byte in lower case; every digit alike."""
_FOLDED[_KIND == _CAPITAL] += 32
_FOLDED[_KIND == _DIGIT] = ord("0")

_END_OF_TEXT = np.frombuffer(b"<|endoftext|>", np.uint8)

_STOP, _CUT, _BLANK_LINE = np.uint32(1), np.uint32(2), np.uint32(3)
"""What stands for a word: the text ends, the word is cut off, a blank line follows."""

_OVER = -1
"""Where reading goes on after one of these three."""

_LOWER, _CAPITALISED, _CAPITALS, _NUMBER, _OTHER = range(5)
"""The shapes of a word."""

_MULTIPLIER, _FINISHER = np.uint32(0x9E3779B1), np.uint32(0x85EBCA6B)
_FIRST_SHIFT, _LAST_SHIFT = np.uint32(15), np.uint32(13)
_FNV_START, _FNV_PRIME = np.uint32(2166136261), np.uint32(16777619)
_BYTE, _THREE_BYTES = np.uint32(8), np.uint32(0xFFFFFF)
_FOUR, _MORE = np.uint32(1 << 24), np.uint32(2 << 24)


@cache
def load_roles() -> NDArray[np.int8]:
    """The weights of the decision, int8 [HER_SLOTS + HIS_SLOTS]; `make roles` makes them."""
    with np.load(MODEL) as model:
        weights: NDArray[np.int8] = model["weights"]
    return weights


def choose_role(roles: tuple[Role, ...], before: str, after: str) -> Role:
    """The role of a pronoun in its context.

    Args:
        roles: what the form can be; one role leaves nothing to decide.
        before, after: the text on either side; where it ends, the text ends.
    """
    if len(roles) == 1:
        return roles[0]
    other = other_role(roles)
    left, right = before[-BEFORE:].encode(), after[:AFTER].encode()
    window, at = np.frombuffer(bytearray(left + right), np.uint8), len(left)
    possessive = other is Role.possessive
    if is_determiner(window, at, at, len(window), possessive, load_roles()):
        return Role.determiner
    return other


def other_role(roles: tuple[Role, ...]) -> Role:
    """What an ambiguous form is where it is no possessive determiner."""
    return next(role for role in roles if role is not Role.determiner)


@compiled
def is_determiner(
    window: NDArray[np.uint8],
    start: int,
    stop: int,
    limit: int,
    possessive: bool,
    weights: NDArray[np.int8],
) -> bool:
    """Whether a pronoun is a possessive determiner.

    Args:
        window: uint8, UTF-8 text; it begins there, unless more than BEFORE bytes precede.
        start, stop: the pronoun's bytes.
        limit: where the text ends, unless more than AFTER bytes follow.
        possessive: the form is `his` (else a possessive) rather than `her` (else an object).
        weights: int8, as `load_roles` gives them.
    """
    total = 0
    if possessive:
        for feature in hash_around_his(window, start, stop, limit):
            total += weights[HER_SLOTS + (feature & np.uint32(HIS_SLOTS - 1))]
    else:
        for feature in hash_around_her(window, start, stop, limit):
            total += weights[feature & np.uint32(HER_SLOTS - 1)]
    return total > 0


@compiled
def hash_around_her(
    window: NDArray[np.uint8], start: int, stop: int, limit: int
) -> tuple[np.uint32, ...]:
    """The features of a context, hashed: two words on either side, alone and together.

    A word counts by its letters, by its ending (the last three) and by its shape; a mark is a word
    of its own. The last feature is the same in every context. Arguments as for `is_determiner`.
    """
    cut, cut_before = stop + AFTER, start - BEFORE
    high, low = min(limit, cut), max(0, cut_before)
    a, a_end, a_shape, at = _read_after(window, stop, high, cut)
    c, c_end, c_shape, _ = _read_after(window, at, high, cut)
    b, b_end, at = _read_before(window, start, low, cut_before)
    z, _, _ = _read_before(window, at, low, cut_before)
    a = _join_spacing(a, window, stop, high)
    shapes = 5 * a_shape + c_shape
    ac, zb, ba, b_a_end = _mix(a, c), _mix(z, b), _mix(b, a), _mix(b, a_end)
    return (
        _mix(a, 1),
        _mix(a_end, 2),
        _mix(c, 3),
        _mix(shapes, 4),
        _mix(ac, 5),
        _mix(_mix(a_end, c_end), 6),
        _mix(_mix(a_end, c), 7),
        _mix(_mix(a, c_end), 8),
        _mix(b, 9),
        _mix(b_end, 10),
        _mix(z, 11),
        _mix(zb, 12),
        _mix(ba, 13),
        _mix(b_a_end, 14),
        _mix(_mix(b_end, a), 15),
        _mix(_mix(b_end, a_end), 16),
        _mix(_mix(b, shapes), 17),
        _mix(_mix(b, c), 18),
        _mix(_mix(b, ac), 19),
        _mix(_mix(b_a_end, c), 20),
        _mix(_mix(zb, a), 21),
        _mix(0, 22),
    )


@compiled
def hash_around_his(
    window: NDArray[np.uint8], start: int, stop: int, limit: int
) -> tuple[np.uint32, ...]:
    """The features of a context of `his`, which mostly needs the next word: as for `her`."""
    cut, cut_before = stop + AFTER, start - BEFORE
    high, low = min(limit, cut), max(0, cut_before)
    a, a_end, a_shape, at = _read_after(window, stop, high, cut)
    c, _, c_shape, _ = _read_after(window, at, high, cut)
    b, _, _ = _read_before(window, start, low, cut_before)
    a = _join_spacing(a, window, stop, high)
    shapes = 5 * a_shape + c_shape
    return (
        _mix(a, 31),
        _mix(a_end, 32),
        _mix(shapes, 33),
        _mix(_mix(a, c), 34),
        _mix(b, 35),
        _mix(_mix(b, a), 36),
        _mix(_mix(b, a_end), 37),
        _mix(0, 38),
    )


@inlined
def _join_spacing(word: np.uint32, window: NDArray[np.uint8], stop: int, high: int) -> np.uint32:
    """The next word together with whether white space precedes it."""
    joined: np.uint32 = _mix(word, stop < high and _KIND[window[stop]] == _SPACE)
    return joined


@compiled
def _read_after(
    window: NDArray[np.uint8], at: int, high: int, cut: int
) -> tuple[np.uint32, np.uint32, int, int]:
    """The next word or mark: its hash, ending and shape, and where reading goes on."""
    if at == _OVER:
        return _STOP, _STOP, _OTHER, _OVER
    lines = 0
    while at < high and _KIND[window[at]] == _SPACE:
        lines += window[at] == 10
        at += 1
    if lines > 1:
        return _BLANK_LINE, _BLANK_LINE, _OTHER, _OVER
    if at >= cut:
        return _CUT, _CUT, _OTHER, _OVER
    if at >= high or _is_end_of_text(window, at, high):
        return _STOP, _STOP, _OTHER, _OVER
    if _is_wide_mark(window, at, high):
        return _mix(window[at + 2], 1), _mix(window[at + 2], 1), _OTHER, at + 3
    if _KIND[window[at]] == _MARK:
        return _mix(window[at], 0), _mix(window[at], 0), _OTHER, at + 1
    first, capitals, word, ending = at, 0, _FNV_START, np.uint32(0)
    while at < high and _KIND[window[at]] >= _LETTER and not _is_wide_mark(window, at, high):
        letter = _FOLDED[window[at]]
        capitals += _KIND[window[at]] == _CAPITAL
        word = np.uint32((word ^ letter) * _FNV_PRIME)
        ending = np.uint32((ending << _BYTE) | letter)
        at += 1
    if at >= cut:
        return _CUT, _CUT, _OTHER, _OVER
    shape, length = _LOWER, at - first
    if _KIND[window[first]] == _CAPITAL:
        shape = _CAPITALS if capitals == length > 1 else _CAPITALISED
    elif _KIND[window[first]] == _DIGIT:
        shape = _NUMBER
    return word, _close_ending(ending, length), shape, at


@compiled
def _read_before(
    window: NDArray[np.uint8], at: int, low: int, cut: int
) -> tuple[np.uint32, np.uint32, int]:
    """The word or mark before: its hash and ending, read backwards, and where reading goes on."""
    if at == _OVER:
        return _STOP, _STOP, _OVER
    lines = 0
    while at > low and _KIND[window[at - 1]] == _SPACE:
        at -= 1
        lines += window[at] == 10
    if lines > 1:
        return _BLANK_LINE, _BLANK_LINE, _OVER
    if at <= cut:
        return _CUT, _CUT, _OVER
    if at <= low or _is_end_of_text(window, at - len(_END_OF_TEXT), at):
        return _STOP, _STOP, _OVER
    if at - 3 >= low and _is_wide_mark(window, at - 3, at):
        return _mix(window[at - 1], 1), _mix(window[at - 1], 1), at - 3
    if _KIND[window[at - 1]] == _MARK:
        return _mix(window[at - 1], 0), _mix(window[at - 1], 0), at - 1
    last, word, ending = at, _FNV_START, np.uint32(0)
    while (
        at > low
        and _KIND[window[at - 1]] >= _LETTER
        and not (at - 3 >= low and _is_wide_mark(window, at - 3, at))
    ):
        at -= 1
        letter = _FOLDED[window[at]]
        word = np.uint32((word ^ letter) * _FNV_PRIME)
        if last - at <= 3:
            ending = np.uint32((ending << _BYTE) | letter)
    if at <= cut:
        return _CUT, _CUT, _OVER
    return word, _close_ending(ending, last - at), at


@inlined
def _close_ending(ending: np.uint32, length: int) -> np.uint32:
    """Three letters, marked where the word has four letters, and where it has more."""
    if length <= 3:
        return ending
    return np.uint32((ending & _THREE_BYTES) | (_FOUR if length == 4 else _MORE))


@inlined
def _mix(first: int | np.unsignedinteger, second: int | np.unsignedinteger) -> np.uint32:
    """One hash of two."""
    seed = np.uint32(first)
    value = np.uint32((seed ^ (seed >> _FIRST_SHIFT)) * _MULTIPLIER + np.uint32(second))
    return np.uint32((value ^ (value >> _LAST_SHIFT)) * _FINISHER)


@inlined
def _is_wide_mark(window: NDArray[np.uint8], at: int, high: int) -> bool:
    """Whether a dash, curly quote or ellipsis, U+2010 to U+2027, begins at a byte."""
    return bool(
        window[at] == 0xE2
        and at + 2 < high
        and window[at + 1] == 0x80
        and 0x90 <= window[at + 2] <= 0xA7
    )


@compiled
def _is_end_of_text(window: NDArray[np.uint8], at: int, high: int) -> bool:
    """Whether an end-of-text mark lies at a byte."""
    if at < 0 or at + len(_END_OF_TEXT) > high or window[at] != _END_OF_TEXT[0]:
        return False
    for place in range(len(_END_OF_TEXT)):  # noqa: SIM110 (compiled: a generator would not be)
        if window[at + place] != _END_OF_TEXT[place]:
            return False
    return True
