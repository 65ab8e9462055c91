"""The first and the last word of every token, as the role model reads them from the bytes."""

import numpy as np
from numpy.typing import NDArray

from intervene.compiled import compiled, inlined
from intervene.rewriting.role_words import (
    CAPITAL,
    CAPITALISED,
    CAPITALS,
    KIND,
    LETTER,
    OVER,
    SPACE,
    THREE_BYTES,
    add_letter,
    close_ending,
    is_wide_mark,
    read_after,
    read_before,
)
from intervene.rewriting.tokens import IDS, TokenTable

UNREAD = -2
"""Where reading goes on if tokens do not tell."""

BLANK, WHOLE, OPEN, MORE, UNKNOWN = range(5)
"""What a token is, read from one side. BLANK: white space. WHOLE: white space, and then one word
or mark that nothing beyond can change; OPEN: a word that may go on in the token beyond; MORE: a
word or mark, and then others. UNKNOWN: its bytes must be read."""

_SIDES = [
    ("word", np.uint32),  # its first word or mark from this side: hash
    ("ending", np.uint32),  # and ending
    ("shape", np.uint8),  # and shape, from the front alone
    ("kind", np.uint8),  # BLANK and so on
    ("lines", np.uint8),  # how many lines end in the white space before that word
    ("size", np.uint8),  # the token's bytes; 255 if there are more
    ("length", np.uint8),  # that word's bytes, as far as they lie in the token; 255 as above
    ("joins", np.bool_),  # whether a word in the token beyond goes on in this one, or may
    ("is_spaced", np.bool_),  # whether its first byte is white space, from the front alone
]
EDGE_WORD = np.dtype(_SIDES, align=True)

_LARGEST, _OPENING, _CLOSING = 255, ord("<"), ord(">")  # the marks of an end of text


def tabulate_edges(table: TokenTable) -> tuple[NDArray[np.void], NDArray[np.void]]:
    """Every token read from the front and from the back, each EDGE_WORD [65536]."""
    firsts, lasts = np.zeros(IDS, EDGE_WORD), np.zeros(IDS, EDGE_WORD)
    for edges in (firsts, lasts):
        edges["size"] = np.minimum(np.diff(table.offsets), _LARGEST)
    _read_edges(table.data, table.offsets, table.partial, firsts, lasts)
    return firsts, lasts


@compiled
def _read_edges(data, offsets, partial, firsts, lasts):  # type: ignore[no-untyped-def]
    for token in range(len(firsts)):
        piece = data[offsets[token] : offsets[token + 1]]
        firsts[token].kind = lasts[token].kind = UNKNOWN
        firsts[token].joins = lasts[token].joins = True
        if len(piece) > 0 and not partial[token]:
            _read_first(piece, firsts[token])
            _read_last(piece, lasts[token])


@compiled
def _read_first(piece, known):  # type: ignore[no-untyped-def]
    size = len(piece)
    known.is_spaced = KIND[piece[0]] == SPACE
    known.joins = _is_word(piece, 0, size)
    begin = lines = 0
    while begin < size and KIND[piece[begin]] == SPACE:
        lines += piece[begin] == ord("\n")
        begin += 1
    known.lines = lines
    if begin == size:
        known.kind = BLANK
        return
    known.word, known.ending, known.shape, at = read_after(piece, begin, size, size + 1)
    known.length = min(at - begin, _LARGEST)
    if at == OVER or piece[begin] == _OPENING:
        known.kind = UNKNOWN
    elif at < size:
        known.kind = MORE
    else:
        known.kind = OPEN if _is_word(piece, begin, size) else WHOLE


@compiled
def _read_last(piece, known):  # type: ignore[no-untyped-def]
    size = stop = len(piece)
    known.joins = KIND[piece[size - 1]] >= LETTER and not (
        size >= 3 and is_wide_mark(piece, size - 3, size)
    )
    lines = 0
    while stop > 0 and KIND[piece[stop - 1]] == SPACE:
        stop -= 1
        lines += piece[stop] == ord("\n")
    known.lines = lines
    if stop == 0:
        known.kind = BLANK
        return
    known.word, known.ending, at = read_before(piece, stop, 0, -1)
    known.length = min(stop - at, _LARGEST)
    begin = at
    while begin > 0 and KIND[piece[begin - 1]] == SPACE and piece[begin - 1] != ord("\n"):
        begin -= 1
    if at == OVER or piece[stop - 1] == _CLOSING:
        known.kind = UNKNOWN
    elif begin > 0:
        known.kind = MORE
    else:
        known.kind = OPEN if at == 0 and _is_word(piece, 0, size) else WHOLE


@inlined
def _is_word(piece, at, size):  # type: ignore[no-untyped-def]
    """Whether a letter of a word begins at a byte."""
    return KIND[piece[at]] >= LETTER and not is_wide_mark(piece, at, size)


@inlined
def read_tokens_after(row, at, left, firsts, tokens, data):  # type: ignore[no-untyped-def]
    """The next word or mark, as `read_after` reads it from bytes.

    Args:
        row: uint16 [row_tokens].
        at: the token to begin with, or OVER.
        left: more than the bytes that may be read.
        firsts: as `tabulate_edges` gives them.
        tokens, data: as `Rules` has them.

    Returns:
        Its hash, ending and shape; the token to go on with, OVER in the middle of one, or UNREAD
        if the bytes must be read instead; and `left` less the bytes of the tokens up to there.
    """
    lines = np.int64(0)
    while 0 <= at < len(row):
        known = firsts[row[at]]
        left -= np.int64(known.size)
        lines += np.int64(known.lines)
        at += 1
        if left <= 0 or lines > 1 or known.kind == UNKNOWN:
            break
        if known.kind == OPEN:
            if at == len(row):
                break
            if firsts[row[at]].joins:
                return _read_on(row, at, left, known, firsts, tokens, data)
        if known.kind != BLANK:
            beyond = OVER if known.kind == MORE else at
            return known.word, known.ending, np.int64(known.shape), beyond, left
    return np.uint32(0), np.uint32(0), 0, UNREAD, 0


@compiled
def _read_on(row, at, left, known, firsts, tokens, data):  # type: ignore[no-untyped-def]
    """Go on with a word that began in the token before `at`, whose first word is `known`."""
    word, ending, length = known.word, known.ending & THREE_BYTES, np.int64(known.length)
    shape = np.int64(known.shape)
    is_upper = shape == CAPITALS or (shape == CAPITALISED and length == 1)
    while at < len(row) and firsts[row[at]].joins:
        token = tokens[row[at]]
        left -= np.int64(token.size)
        if left <= 0 or firsts[row[at]].kind != OPEN:
            return word, ending, shape, UNREAD, 0
        for place in range(token.offset, token.offset + token.size):
            word, ending = add_letter(word, ending, data[place])
            is_upper &= KIND[data[place]] == CAPITAL
        length += np.int64(token.size)
        at += 1
    if at == len(row):
        return word, ending, shape, UNREAD, 0
    if shape in (CAPITALISED, CAPITALS):
        shape = np.int64(CAPITALS if is_upper else CAPITALISED)
    return word, close_ending(ending, length), shape, at, left


@inlined
def read_tokens_before(row, at, left, lasts, tokens, data):  # type: ignore[no-untyped-def]
    """The word or mark before token `at` + 1, as `read_before` reads it: as `read_tokens_after`."""
    lines = np.int64(0)
    while at >= 0:
        known = lasts[row[at]]
        left -= np.int64(known.size)
        lines += np.int64(known.lines)
        at -= 1
        if left <= 0 or lines > 1 or known.kind == UNKNOWN:
            break
        if known.kind == OPEN:
            if at < 0:
                break
            if lasts[row[at]].joins:
                return _read_back(row, at, left, known, lasts, tokens, data)
        if known.kind != BLANK:
            return known.word, known.ending, OVER if known.kind == MORE else at, left
    return np.uint32(0), np.uint32(0), UNREAD, 0


@compiled
def _read_back(row, at, left, known, lasts, tokens, data):  # type: ignore[no-untyped-def]
    """Go on backwards with a word that ends in the token after `at`, whose last word is `known`."""
    word, ending, length = known.word, known.ending & THREE_BYTES, np.int64(known.length)
    kind = np.int64(OPEN)
    while at >= 0 and kind == OPEN and lasts[row[at]].joins:
        token, kind = tokens[row[at]], np.int64(lasts[row[at]].kind)
        left -= np.int64(token.size)
        if left <= 0 or (kind != OPEN and kind != WHOLE):
            return word, ending, UNREAD, 0
        stop = np.int64(token.offset + token.size)
        for place in range(stop - 1, stop - 1 - np.int64(lasts[row[at]].length), -1):
            word, longer = add_letter(word, ending, data[place])
            ending = longer if length < 3 else ending
            length += 1
        at -= 1
    if at < 0 and kind == OPEN:
        return word, ending, UNREAD, 0
    return word, close_ending(ending, length), at, left
