"""A text on a terminal: in one column, or before and after in two with what changed marked."""

import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from itertools import zip_longest

import regex

LEAST_WIDTH = 30
"""Cells of a column at least; a narrower terminal breaks the lines itself."""

GUTTER, GAP = " │ ", "⋮"
_END = r"<\|endoftext\|>"
_RED, _GREEN, _UNDERLINED, _DIM, _PLAIN = (
    f"\x1b[{code}m" for code in ("31", "1;32", "4", "2", "0")
)
_PIECES = regex.compile(rf"(?P<break>\r?\n|{_END})|[^\S\r\n]+|(?:(?!{_END})\S)+|\r")
_SHOWN = {"\n": "⏎", "\t": "⇥", "\x7f": "␡"}
_HIDDEN = {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}


@dataclass(frozen=True)
class Mark:
    """Characters of a text that change, or that could have.

    Args:
        start, stop: the characters.
        after: what stands there afterwards.
        label: why they stay, or None for a change.
    """

    start: int
    stop: int
    after: str
    label: str | None


@dataclass(frozen=True)
class Piece:
    """What is never broken over two lines: a word, white space, an end of line, or a mark.

    Args:
        before, after: as shown in the two columns, without colour.
        styles: what colours them, or None where nothing does.
        label: shown after the second, or empty.
        is_mark: whether it is a mark.
        breaks: whether a new line begins after it.
    """

    before: str
    after: str
    styles: tuple[str, str] = ("", "")
    label: str = ""
    is_mark: bool = False
    breaks: bool = False

    @property
    def cells(self) -> tuple[int, int]:
        """Its width in the two columns."""
        return measure(self.before), measure(self.after) + measure(self.label)


def lay_out(text: str, marks: list[Mark], *, width: int, whole: bool, coloured: bool) -> list[str]:
    """The lines of both columns.

    Args:
        text: what stands there before; control characters in it are made visible.
        marks: in order, without overlap.
        width: cells of the terminal.
        whole: show all lines, not only those with marks and one on either side.
        coloured: mark with colours; otherwise with `[-he-]` and `{+she+}`.
    """
    column = max(LEAST_WIDTH, (width - len(GUTTER)) // 2)
    lines = list(_wrap(_cut(text, marks, column, coloured), column))
    shown = range(len(lines))
    marked = [at for at in shown if any(piece.is_mark for piece in lines[at])]
    kept = set(shown) if whole else {near for at in marked for near in (at - 1, at, at + 1)}
    drawn, last = [], -1
    for at in sorted(kept & set(shown)):
        if at > last + 1:
            drawn.append(GAP)
        drawn.append(_draw(lines[at], column))
        last = at
    return [*drawn, GAP] if last < len(lines) - 1 else drawn


def wrap(text: str, width: int) -> list[str]:
    """The lines of a text in one column of so many cells."""
    lines = _wrap(_cut_plain(text, width), width)
    return ["".join(piece.before for piece in line) for line in lines]


def emphasise(shown: str, coloured: bool) -> str:
    """A shown text that stands out from what is beside it."""
    return _paint(shown, _GREEN) if coloured else f"[{shown}]"


def show(text: str) -> str:
    """A text that cannot steer a terminal: control and invisible characters as symbols or codes."""
    return "".join(map(_show_character, text))


def measure(text: str) -> int:
    """Cells that a shown text takes on a terminal."""
    return sum(map(_measure_character, text))


def _cut(text: str, marks: list[Mark], column: int, coloured: bool) -> Iterator[Piece]:
    at = 0
    for mark in marks:
        yield from _cut_plain(text[at : mark.start], column)
        yield from _cut_mark(text[mark.start : mark.stop], mark, column, coloured)
        at = mark.stop
    yield from _cut_plain(text[at:], column)


def _cut_plain(text: str, column: int) -> Iterator[Piece]:
    """The pieces between two marks; a line ends at a line break and at the end of a document."""
    for match in _PIECES.finditer(text):
        shown = show(match[0])
        if match["break"]:
            yield Piece(shown, shown, breaks=True)
            continue
        yield from (Piece(part, part) for part in _chop(shown, column))


def _cut_mark(own: str, mark: Mark, column: int, coloured: bool) -> Iterator[Piece]:
    """A mark in one piece, or as many as the wider side of a change needs."""
    before, after = show(own), show(mark.after)
    if mark.label is not None:
        style = _UNDERLINED if coloured else ""
        yield Piece(before, before, (style, style), f"⟨{mark.label}⟩", is_mark=True)
        return
    if not coloured:
        before, after = before and f"[-{before}-]", after and f"{{+{after}+}}"
    styles = (_RED, _GREEN) if coloured else ("", "")
    parts = zip_longest(_chop(before, column), _chop(after, column), fillvalue="")
    yield from (Piece(left, right, styles, is_mark=True) for left, right in parts)


def _chop(shown: str, column: int) -> list[str]:
    """A shown text in pieces that are no wider than a column."""
    parts, width = [""], 0
    for character in shown:
        cells = _measure_character(character)
        if width + cells > column:
            parts, width = [*parts, ""], 0
        parts[-1] += character
        width += cells
    return parts


def _wrap(pieces: Iterator[Piece], column: int) -> Iterator[list[Piece]]:
    """Lines of pieces of which neither column is wider than it may be."""
    line: list[Piece] = []
    widths = [0, 0]
    for piece in pieces:
        grown = [width + more for width, more in zip(widths, piece.cells, strict=True)]
        if max(grown) > column and line:
            if piece.breaks:
                grown = [0, 0]  # the sign of a line break may stand outside
            else:
                yield line
                line, grown = [], list(piece.cells)
                if piece.before == " ":
                    grown, piece = [0, 0], Piece("", "")
        line.append(piece)
        widths = grown
        if piece.breaks:
            yield line
            line, widths = [], [0, 0]
    if line:
        yield line


def _draw(line: list[Piece], column: int) -> str:
    """One line of both columns, the first padded to its width."""
    left = "".join(_paint(piece.before, piece.styles[0]) for piece in line)
    right = "".join(
        _paint(piece.after, piece.styles[1])
        + _paint(piece.label, _DIM if any(piece.styles) else "")
        for piece in line
    )
    cells = sum(piece.cells[0] for piece in line)
    return left + " " * (column - cells) + GUTTER.rstrip() + (" " + right).rstrip(" ")


def _paint(text: str, style: str) -> str:
    return f"{style}{text}{_PLAIN}" if style and text else text


@cache
def _show_character(character: str) -> str:
    code = ord(character)
    if character in _SHOWN:
        return _SHOWN[character]
    if code < 0x20:
        return chr(0x2400 + code)  # Unicode's pictures of control characters
    return f"‹U+{code:04X}›" if unicodedata.category(character) in _HIDDEN else character


@cache
def _measure_character(character: str) -> int:
    if unicodedata.category(character) in ("Mn", "Me"):
        return 0
    return 2 if unicodedata.east_asian_width(character) in ("W", "F") else 1
