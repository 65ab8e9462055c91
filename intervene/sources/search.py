"""A search for text in rows: every place where the decoded row holds it, however it is cut."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from intervene.compiled import compiled, inlined
from intervene.console import Progress
from intervene.errors import InterveneError
from intervene.sources.rows import END_OF_DOCUMENT, Rows, iterate_chunks

IDS = 1 << 16
ANCHORS = 64
"""How many of the text's first bytes its anchor is chosen from."""
BATCH = 1 << 12
"""Places handed on at once."""
COLUMNS = 4
"""Of a place: training row, first token, token past the last, and the byte of the first token at
which the text begins."""


@dataclass(frozen=True)
class Spelling:
    """The bytes that every token id stands for.

    Args:
        data: uint8, those of all ids one after another.
        offsets: int64 [65537], where each id's begin.
    """

    data: NDArray[np.uint8]
    offsets: NDArray[np.int64]

    def join(self, tokens: NDArray[np.uint16]) -> bytes:
        """The bytes of tokens, uint16 [n]."""
        spans = [self.data[self.offsets[token] : self.offsets[token + 1]] for token in tokens]
        return b"".join(span.tobytes() for span in spans)


def search_rows(
    rows: Rows, span: range, spelling: Spelling, text: str
) -> Iterator[NDArray[np.int64]]:
    """Every place in rows `span` where a document's text holds `text`, read once, in order.

    The bytes that tokens stand for are compared, so that neither the way in which the text is cut
    into tokens nor a token that it shares with other text matters. A place never leaves its row or
    document, and none overlaps the one before: as many are found as `str.count` counts.

    Args:
        rows: where.
        span: training rows.
        spelling: the tokenizer's.
        text: what is looked for, case and white space included.

    Returns:
        Batches int64 [n, COLUMNS], of up to `BATCH` places; none is empty.

    Errors: what `encode_text` refuses.
    """
    needle = encode_text(text)
    covering = np.zeros((min(len(needle), ANCHORS), IDS), np.bool_)
    mark_covering(spelling.data, spelling.offsets, needle, covering)
    longest = int(np.diff(spelling.offsets).max())
    out = np.empty((max(BATCH, longest), COLUMNS), np.int64)
    anchor = -1
    with Progress("search", len(span), "rows") as progress:
        for first, chunk in iterate_chunks(rows, span.start, span.stop):
            if anchor < 0:
                anchor = _choose_anchor(covering, chunk)
            at = np.zeros(COLUMNS, np.int64)
            while at[0] < len(chunk):
                found = find_places(
                    chunk, spelling.data, spelling.offsets, needle, anchor, covering[anchor], at,
                    out,
                )  # fmt: skip
                if found:
                    out[:found, 0] += first
                    yield out[:found].copy()
            progress.advance(len(chunk))


def cut_documents(tokens: NDArray[np.uint16]) -> list[tuple[int, int]]:
    """The spans `[start, stop)` of a row's documents that hold a token, without the ends.

    Args:
        tokens: uint16 [row_tokens].
    """
    stops = [*np.flatnonzero(tokens == END_OF_DOCUMENT).tolist(), len(tokens)]
    starts = [0, *(stop + 1 for stop in stops)]
    return [(start, stop) for start, stop in zip(starts, stops, strict=False) if start < stop]


def encode_text(text: str) -> NDArray[np.uint8]:
    """The bytes of a text that can be searched for, uint8.

    Errors: InterveneError for an empty text, and one that is no Unicode.
    """
    try:
        needle = np.frombuffer(text.encode(), np.uint8)
    except UnicodeEncodeError as problem:
        raise InterveneError(
            f"character {problem.start:,} is no Unicode", "search", "give text in UTF-8"
        ) from problem
    if not len(needle):
        raise InterveneError("no text is given", "search", 'give some, such as search="he said"')
    return needle


def _choose_anchor(covering: NDArray[np.bool_], chunk: NDArray[np.uint16]) -> int:
    """The byte of the text whose tokens are rarest in some rows: few places are looked at twice."""
    frequency = np.bincount(chunk.reshape(-1), minlength=IDS)
    return int(np.argmin([frequency[tokens].sum() for tokens in covering]))


@compiled
def mark_covering(data, offsets, needle, covering):  # type: ignore[no-untyped-def]
    """Mark the tokens that can hold each byte of a text where the text stands.

    Args:
        data, offsets: of a `Spelling`.
        needle: uint8, the text.
        covering: bool [anchors, ids], where `covering[p, t]` is set if token t can hold byte p.
    """
    for token in range(covering.shape[1]):
        low, size = offsets[token], offsets[token + 1] - offsets[token]
        if token == END_OF_DOCUMENT:
            continue
        for shift in range(1 - size, len(needle)):  # the byte of the text at which the token begins
            start, stop = max(shift, 0), min(shift + size, len(needle))
            place = start
            while place < stop and data[low + place - shift] == needle[place]:
                place += 1
            if place == stop:
                for anchor in range(start, min(stop, covering.shape[0])):
                    covering[anchor, token] = True


@compiled
def find_places(tokens, data, offsets, needle, anchor, covers, at, out):  # type: ignore[no-untyped-def]
    """Write places from `at` on until the rows or `out` end, and return how many.

    Args:
        tokens: uint16 [n, row_tokens].
        data, offsets: of a `Spelling`.
        needle: uint8, the text.
        anchor: the byte of it that is looked for first.
        covers: bool [ids], the tokens that can hold that byte.
        at: int64 [4], where to go on: row of `tokens`, its token, and the token and its byte before
            which nothing may begin, since the place before reaches there.
        out: int64 [n, COLUMNS], with room for as many places as a token has bytes, or more.
    """
    row, token, free_token, free_byte = at[0], at[1], at[2], at[3]
    width, found = tokens.shape[1], 0
    while row < tokens.shape[0]:
        line = tokens[row]
        while token < width:
            while token + 8 <= width and not (
                covers[line[token]] | covers[line[token + 1]]
                | covers[line[token + 2]] | covers[line[token + 3]]
                | covers[line[token + 4]] | covers[line[token + 5]]
                | covers[line[token + 6]] | covers[line[token + 7]]
            ):  # fmt: skip
                token += 8
            if token == width:
                break
            if covers[line[token]]:
                low, high = offsets[line[token]], offsets[line[token] + 1]
                if found + high - low > len(out):
                    at[0], at[1], at[2], at[3] = row, token, free_token, free_byte
                    return found
                for byte in range(high - low):
                    if data[low + byte] != needle[anchor]:
                        continue
                    start, start_byte = _walk_back(line, token, byte, data, offsets, needle, anchor)
                    if start < free_token or (start == free_token and start_byte < free_byte):
                        continue
                    last, stop_byte = _walk_on(line, token, byte, data, offsets, needle, anchor)
                    if last < 0:
                        continue
                    free_token, free_byte = last, stop_byte
                    out[found, 0], out[found, 1] = row, start
                    out[found, 2], out[found, 3] = last + 1, start_byte
                    found += 1
            token += 1
        row, token, free_token, free_byte = row + 1, 0, 0, 0
    at[0] = row
    return found


@inlined
def _walk_back(line, token, byte, data, offsets, needle, place):  # type: ignore[no-untyped-def]
    """Token and byte at which the text begins whose byte `place` stands there, or token -1."""
    while place > 0:
        if byte == 0:
            token -= 1
            if token < 0 or line[token] == END_OF_DOCUMENT:
                return -1, 0
            byte = offsets[line[token] + 1] - offsets[line[token]]
        else:
            byte, place = byte - 1, place - 1
            if data[offsets[line[token]] + byte] != needle[place]:
                return -1, 0
    return token, byte


@inlined
def _walk_on(line, token, byte, data, offsets, needle, place):  # type: ignore[no-untyped-def]
    """Token that holds the last byte of the text, and the byte after it, or token -1."""
    while True:
        if byte == offsets[line[token] + 1] - offsets[line[token]]:
            token += 1
            if token == len(line) or line[token] == END_OF_DOCUMENT:
                return -1, 0
            byte = 0
        else:
            if data[offsets[line[token]] + byte] != needle[place]:
                return -1, 0
            byte, place = byte + 1, place + 1
            if place == len(needle):
                return token, byte
