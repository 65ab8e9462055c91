"""Words and marks around a pronoun, hashed from UTF-8 bytes as the role model reads them."""

import numpy as np
from numpy.typing import NDArray

from intervene.compiled import compiled, inlined

MARK, SPACE, LETTER, CAPITAL, DIGIT = range(5)

KIND = np.full(256, LETTER, np.uint8)
"""What a byte is; those of characters outside ASCII are letters (but see `is_wide_mark`)."""
KIND[:128] = MARK
KIND[list(b" \t\n\v\f\r")] = SPACE
KIND[list(b"_abcdefghijklmnopqrstuvwxyz")] = LETTER
KIND[list(b"ABCDEFGHIJKLMNOPQRSTUVWXYZ")] = CAPITAL
KIND[list(b"0123456789")] = DIGIT

_FOLDED = np.arange(256, dtype=np.uint32)
"""A byte in lower case; every digit alike."""
_FOLDED[KIND == CAPITAL] += 32
_FOLDED[KIND == DIGIT] = ord("0")

_END_OF_TEXT = np.frombuffer(b"<|endoftext|>", np.uint8)

_STOP, _CUT, _BLANK_LINE = np.uint32(1), np.uint32(2), np.uint32(3)
"""What stands for a word: the text ends, the word is cut off, a blank line follows."""

OVER = -1
"""Where reading goes on after one of these three."""

_LOWER, CAPITALISED, CAPITALS, _NUMBER, _OTHER = range(5)
"""The shapes of a word."""

_MULTIPLIER, _FINISHER = np.uint32(0x9E3779B1), np.uint32(0x85EBCA6B)
_FIRST_SHIFT, _LAST_SHIFT = np.uint32(15), np.uint32(13)
_FNV_START, _FNV_PRIME = np.uint32(2166136261), np.uint32(16777619)
_BYTE, THREE_BYTES = np.uint32(8), np.uint32(0xFFFFFF)
_FOUR, _MORE = np.uint32(1 << 24), np.uint32(2 << 24)


@compiled
def read_after(
    window: NDArray[np.uint8], at: int, high: int, cut: int
) -> tuple[np.uint32, np.uint32, int, int]:
    """The next word or mark: its hash, ending and shape, and where reading goes on."""
    if at == OVER:
        return _STOP, _STOP, _OTHER, OVER
    lines = 0
    while at < high and KIND[window[at]] == SPACE:
        lines += window[at] == 10
        at += 1
    if lines > 1:
        return _BLANK_LINE, _BLANK_LINE, _OTHER, OVER
    if at >= cut:
        return _CUT, _CUT, _OTHER, OVER
    if at >= high or _is_end_of_text(window, at, high):
        return _STOP, _STOP, _OTHER, OVER
    if is_wide_mark(window, at, high):
        return mix(window[at + 2], 1), mix(window[at + 2], 1), _OTHER, at + 3
    if KIND[window[at]] == MARK:
        return mix(window[at], 0), mix(window[at], 0), _OTHER, at + 1
    first, capitals, word, ending = at, 0, _FNV_START, np.uint32(0)
    while at < high and KIND[window[at]] >= LETTER and not is_wide_mark(window, at, high):
        capitals += KIND[window[at]] == CAPITAL
        word, ending = add_letter(word, ending, window[at])
        at += 1
    if at >= cut:
        return _CUT, _CUT, _OTHER, OVER
    shape, length = _LOWER, at - first
    if KIND[window[first]] == CAPITAL:
        shape = CAPITALS if capitals == length > 1 else CAPITALISED
    elif KIND[window[first]] == DIGIT:
        shape = _NUMBER
    return word, close_ending(ending, length), shape, at


@compiled
def read_before(
    window: NDArray[np.uint8], at: int, low: int, cut: int
) -> tuple[np.uint32, np.uint32, int]:
    """The word or mark before: its hash and ending, read backwards, and where reading goes on."""
    if at == OVER:
        return _STOP, _STOP, OVER
    lines = 0
    while at > low and KIND[window[at - 1]] == SPACE:
        at -= 1
        lines += window[at] == 10
    if lines > 1:
        return _BLANK_LINE, _BLANK_LINE, OVER
    if at <= cut:
        return _CUT, _CUT, OVER
    if at <= low or _is_end_of_text(window, at - len(_END_OF_TEXT), at):
        return _STOP, _STOP, OVER
    if at - 3 >= low and is_wide_mark(window, at - 3, at):
        return mix(window[at - 1], 1), mix(window[at - 1], 1), at - 3
    if KIND[window[at - 1]] == MARK:
        return mix(window[at - 1], 0), mix(window[at - 1], 0), at - 1
    last, word, ending = at, _FNV_START, np.uint32(0)
    while (
        at > low
        and KIND[window[at - 1]] >= LETTER
        and not (at - 3 >= low and is_wide_mark(window, at - 3, at))
    ):
        at -= 1
        word, longer = add_letter(word, ending, window[at])
        ending = longer if last - at <= 3 else ending
    if at <= cut:
        return _CUT, _CUT, OVER
    return word, close_ending(ending, last - at), at


@inlined
def add_letter(word: np.uint32, ending: np.uint32, byte: np.uint8) -> tuple[np.uint32, np.uint32]:
    """A word's hash and its ending with one more letter."""
    letter = _FOLDED[byte]
    return np.uint32((word ^ letter) * _FNV_PRIME), np.uint32((ending << _BYTE) | letter)


@inlined
def close_ending(ending: np.uint32, length: int) -> np.uint32:
    """Three letters, marked where the word has four letters, and where it has more."""
    if length <= 3:
        return ending
    return np.uint32((ending & THREE_BYTES) | (_FOUR if length == 4 else _MORE))


@inlined
def mix(first: int | np.unsignedinteger, second: int | np.unsignedinteger) -> np.uint32:
    """One hash of two."""
    seed = np.uint32(first)
    value = np.uint32((seed ^ (seed >> _FIRST_SHIFT)) * _MULTIPLIER + np.uint32(second))
    return np.uint32((value ^ (value >> _LAST_SHIFT)) * _FINISHER)


@inlined
def is_wide_mark(window: NDArray[np.uint8], at: int, high: int) -> bool:
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
