"""The rare cases: one candidate decided from decoded text and re-tokenised in place."""

import itertools
from dataclasses import dataclass

import numpy as np
import regex
from numpy.typing import NDArray

from intervene.rewriting.find import Finder, Hit
from intervene.rewriting.guards import REACH
from intervene.rewriting.rules import contracts
from intervene.rewriting.tokens import TokenTable

NEAR, FAR = 24, 4 * (REACH + 2)
"""Tokens decoded on either side: nearly always enough, and always (a token is a byte or more)."""

Tokens = NDArray[np.uint16]

LONGEST_WINDOW = 64
"""Tokens that may be re-tokenised around a pronoun before the swap is given up as irregular."""

_LETTER, _NUMBER = regex.compile(r"\p{L}"), regex.compile(r"\p{N}")
_SPACE = regex.compile(r"\p{White_Space}")
_REPLACEMENT = "\ufffd"


@dataclass(frozen=True)
class Verdict:
    """What becomes of one pronoun.

    Args:
        hit: the pronoun; its characters count from the neighbourhood decoded.
        reason: why it is not swapped: `edge`, `irregular` or a guard; None if it can be.
        start, stop: its tokens in the row.
        after: the tokens to write there.
    """

    hit: Hit
    reason: str | None
    start: int = 0
    stop: int = 0
    after: tuple[int, ...] = ()


def confirm(
    row: Tokens, position: int, table: TokenTable, finder: Finder, *, foreign: bool
) -> list[Verdict]:
    """Decide every pronoun that begins in one token of a row.

    Args:
        row: uint16 [row_tokens], the row.
        position: the token.
        table: the vocabulary.
        finder: the text-level rules.
        foreign: whether its document is not English.
    """
    before, here = _decode_around(row, position, table, NEAR)
    if _is_short(before, here, row, position, table):
        before, here = _decode_around(row, position, table, FAR)
    piece = table.pieces[row[position]]
    lead = _lead(piece)
    inside = len(before) + max(1, len(piece[lead:].decode(errors="replace")))
    text, verdicts = before + here, []
    for hit in finder.iterate(text, len(before), inside):
        if hit.guard is not None or foreign:
            verdicts.append(Verdict(hit, hit.guard or "language"))
            continue
        offset = lead + len(text[len(before) : hit.start].encode())
        verdicts.append(_rule(row, position, offset, text, hit, table))
    return verdicts


def _decode_around(row: Tokens, position: int, table: TokenTable, reach: int) -> tuple[str, str]:
    """The text before the first whole character of a token, and the text from there on."""
    low = max(0, position - reach)
    before = table.join(row[low:position])
    here = table.join(row[position : position + reach])
    lead = _lead(table.pieces[row[position]])
    return (before + here[:lead]).decode(errors="replace"), here[lead:].decode(errors="replace")


def _lead(piece: bytes) -> int:
    """How many bytes at the front of a token continue a character of the token before it."""
    return next((at for at, byte in enumerate(piece) if byte & 0xC0 != 0x80), len(piece))


def _is_short(before: str, here: str, row: Tokens, position: int, table: TokenTable) -> bool:
    """Whether a decision might look past what was decoded; cut characters at the rim count out."""
    need = REACH + 1 + max(map(len, table.lexicon.forms))
    return (len(before) < need and position > NEAR) or (
        len(here) < need + len(table.pieces[row[position]]) and position + NEAR < len(row)
    )


def _rule(
    row: Tokens, position: int, offset: int, text: str, hit: Hit, table: TokenTable
) -> Verdict:
    """The verdict on a hit that begins `offset` bytes into token `position`."""
    word = text[hit.start : hit.stop].encode()
    stop, reached = position, -offset
    while reached < len(word) and stop < len(row):
        reached += len(table.pieces[row[stop]])
        stop += 1
    if _touches_edge(row, position, stop, text, hit):
        return Verdict(hit, "edge")
    own = table.join(row[position:stop])
    if own[offset : offset + len(word)] != word:
        return Verdict(hit, "irregular")
    torn = (
        offset == 0
        and text[: hit.start][-1:] == "'"
        and contracts(table, text[hit.start : hit.stop])
    )
    is_alone = (hit.edit_start, hit.edit_stop) == (hit.start, hit.stop)
    if own == word and table.pieces[row[position - 1]] == b" ":
        is_alone = False  # that space may be the beginning of its pre-token
    if own in (word, b" " + word) and is_alone and not torn:
        after = table.spell(own[: -len(word)].decode() + hit.edit_after)
        return Verdict(hit, None, position, stop, after)
    lead = len(text[hit.edit_start : hit.start].encode())
    length = len(text[hit.edit_start : hit.edit_stop].encode())
    return _retokenise(row, position, offset - lead, hit, table, length)


def _touches_edge(row: Tokens, start: int, stop: int, text: str, hit: Hit) -> bool:
    """Whether the pronoun, or a character cut by the row's edge beside it, lies at the edge."""
    if start == 0 or stop >= len(row):
        return True
    reaches_start, reaches_stop = start <= NEAR, stop + NEAR >= len(row)
    return (reaches_start and not text[: hit.start].strip(_REPLACEMENT)) or (
        reaches_stop and not text[hit.stop :].strip(_REPLACEMENT)
    )


def _retokenise(
    row: Tokens, position: int, offset: int, hit: Hit, table: TokenTable, length: int
) -> Verdict:
    """Edit `length` bytes that begin `offset` bytes from a token's first.

    The smallest window that the tokenizer cuts out, whatever surrounds it, is encoded before and
    after; the span holds every token that changes. If that is more than the edit's own tokens, the
    window must have been canonical before.
    """
    low = max(0, position - LONGEST_WINDOW)
    pieces = [table.pieces[token] for token in row[low : position + LONGEST_WINDOW].tolist()]
    data, cuts = b"".join(pieces), [0, *itertools.accumulate(len(piece) for piece in pieces)]
    begin = cuts[position - low] + offset
    finish = begin + length
    first = _find_cut(data, cuts, row, low, table, begin, -1)
    last = _find_cut(data, cuts, row, low, table, finish, 1)
    if first is None or last is None:
        is_edge = (first is None and low == 0) or (last is None and low + len(pieces) == len(row))
        return Verdict(hit, "edge" if is_edge else "irregular")
    try:
        prefix, suffix = data[cuts[first] : begin].decode(), data[finish : cuts[last]].decode()
        own = data[begin:finish].decode()
    except UnicodeDecodeError:
        return Verdict(hit, "irregular")
    before = row[low + first : low + last].tolist()
    after = table.encode(prefix + hit.edit_after + suffix)
    own_start = next(place for place, cut in enumerate(cuts) if cut > begin) - 1 - first
    own_stop = next(place for place, cut in enumerate(cuts) if cut >= finish) - first
    start, stop = _trim(before, after, own_start, own_stop)
    if (start, stop) != (own_start, own_stop) and table.encode(prefix + own + suffix) != before:
        return Verdict(hit, "irregular")
    changed = tuple(after[start : len(after) - (len(before) - stop)])
    return Verdict(hit, None, low + first + start, low + first + stop, changed)


def _trim(before: list[int], after: list[int], start: int, stop: int) -> tuple[int, int]:
    """The smallest span of `before` that holds [start, stop) and every token that changes."""
    shortest = min(len(before), len(after))
    head = 0
    while head < min(start, shortest) and before[head] == after[head]:
        head += 1
    tail = 0
    while tail < min(len(before) - stop, shortest - head) and before[-1 - tail] == after[-1 - tail]:
        tail += 1
    return head, len(before) - tail


def _find_cut(
    data: bytes, cuts: list[int], row: Tokens, low: int, table: TokenTable, at: int, step: int
) -> int | None:
    """The nearest token boundary from byte `at`, going by `step`, where the tokenizer must cut."""
    for place in range(len(cuts))[::step]:
        if (at - cuts[place]) * step > 0:
            continue
        beside = [low + place - 1, low + place]
        inside = [token for token in beside if low <= token < low + len(cuts) - 1]
        if len(inside) < 2:
            continue
        if any(table.added[row[token]] for token in inside) or _always_cuts(data, cuts[place]):
            return place
    return None


def _always_cuts(data: bytes, at: int) -> bool:
    """Whether GPT-2's pre-tokenizer cuts at a byte whatever lies further away.

    It does where white space begins, and between letters, numbers and other characters, unless
    an apostrophe stands before a letter (`'s`).
    """
    left = data[max(0, at - 4) : at].decode(errors="replace")[-1:]
    right = data[at : at + 4].decode(errors="replace")[:1]
    if _REPLACEMENT in (left, right) or _SPACE.match(left) or left.isspace():
        return False
    if _SPACE.match(right):
        return True
    kinds = [2 * bool(_LETTER.match(c)) + bool(_NUMBER.match(c)) for c in (left, right)]
    return kinds[0] != kinds[1] and not (left == "'" and kinds[1] == 2)
