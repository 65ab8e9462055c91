"""Classes of Unicode characters, and how compiled code reads them from UTF-8 bytes."""

from functools import cache

import numpy as np
import regex
from numpy.typing import NDArray

from intervene.compiled import compiled

LETTER, WORD, NUMBER, SPACE, UPPER, LOWER = 1, 2, 4, 8, 16, 32
"""Bits of a class; a word character is a letter, a mark, a number or `_`."""

_PATTERNS = {
    LETTER: r"\p{L}",
    WORD: r"[\p{L}\p{M}\p{N}_]",
    NUMBER: r"\p{N}",
    SPACE: r"\s",
    UPPER: r"[\p{Lu}\p{Lt}]",
    LOWER: r"\p{Ll}",
}
_CODE_POINTS = 0x110000
NO_CHARACTER = -1


@cache
def classify() -> NDArray[np.uint8]:
    """uint8 [0x110000], the class of every code point."""
    every = np.arange(_CODE_POINTS, dtype="<u4").tobytes().decode("utf-32-le", "surrogatepass")
    classes = np.zeros(_CODE_POINTS, np.uint8)
    for bit, pattern in _PATTERNS.items():
        for run in regex.finditer(f"{pattern}+", every):
            classes[run.start() : run.end()] |= bit
    return classes


@compiled
def read_after(text, at, limit):  # type: ignore[no-untyped-def]
    """The code point at byte `at` and the byte after it; NO_CHARACTER at or cut by `limit`."""
    if at >= limit:
        return NO_CHARACTER, limit
    lead = np.int64(text[at])
    if lead < 0x80:
        return lead, at + 1
    size = 2 if lead < 0xE0 else 3 if lead < 0xF0 else 4
    if lead < 0xC0 or at + size > limit:
        return NO_CHARACTER, limit
    point = lead & (0x7F >> size)
    for place in range(at + 1, at + size):
        point = (point << 6) | (np.int64(text[place]) & 0x3F)
    return point, at + size


@compiled
def read_before(text, at):  # type: ignore[no-untyped-def]
    """The code point before byte `at` and the byte that it begins at; NO_CHARACTER at byte 0."""
    first = at - 1
    while first >= 0 and at - first < 4 and (text[first] & 0xC0) == 0x80:
        first -= 1
    if first < 0 or (text[first] & 0xC0) == 0x80:
        return NO_CHARACTER, 0
    point, stop = read_after(text, first, at)
    if stop != at:
        return NO_CHARACTER, 0
    return point, first


@compiled
def has(bit, point, classes):  # type: ignore[no-untyped-def]
    """Whether a code point has a class; NO_CHARACTER has none."""
    return point != NO_CHARACTER and (classes[point] & bit) != 0


@compiled
def skip_gap_after(text, at, limit, classes):  # type: ignore[no-untyped-def]
    """The byte after white space that holds no blank line."""
    lines = 0
    while True:
        point, beyond = read_after(text, at, limit)
        lines += point == ord("\n")
        if lines > 1 or not has(SPACE, point, classes):
            return at
        at = beyond


@compiled
def skip_gap_before(text, at, classes):  # type: ignore[no-untyped-def]
    """The byte before which such white space begins."""
    lines = 0
    while True:
        point, first = read_before(text, at)
        lines += point == ord("\n")
        if lines > 1 or not has(SPACE, point, classes):
            return at
        at = first


@compiled
def is_ascii_letter(byte):  # type: ignore[no-untyped-def]
    """Whether a byte is A to Z or a to z."""
    return ord("a") <= byte | 0x20 <= ord("z")
