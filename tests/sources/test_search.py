"""A search finds what the decoded text holds, and nothing across documents or rows."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from intervene.errors import InterveneError
from intervene.sources.rows import ArrayRows
from intervene.sources.search import (
    BATCH,
    COLUMNS,
    IDS,
    Spelling,
    cut_documents,
    search_rows,
)

PIECES = [b"<|endoftext|>", b"", b"a", b"b", b"ab", b"ba", b"aba", b"bab", b" ", b" a", b"\xc3",
          b"\xa9", b"\xc3\xa9", b"\xa9a", b"b\xc3", b"a a", b"\xff"]  # fmt: skip


def spell(pieces: list[bytes]) -> Spelling:
    sizes = [*map(len, pieces), *[0] * (IDS - len(pieces))]
    offsets = np.cumsum([0, *sizes], dtype=np.int64)
    return Spelling(np.frombuffer(b"".join(pieces), np.uint8), offsets)


SPELLING = spell(PIECES)


def search(
    rows: NDArray[np.uint16], text: str, spelling: Spelling = SPELLING
) -> list[tuple[int, ...]]:
    batches = list(search_rows(ArrayRows(rows), range(len(rows)), spelling, text))
    assert all(0 < len(batch) <= BATCH for batch in batches)
    return [tuple(place) for batch in batches for place in batch.tolist()]


def find_plainly(rows: NDArray[np.uint16], text: str) -> list[tuple[int, ...]]:
    """The same, by decoding every document and `bytes.find`."""
    found = []
    for number, row in enumerate(rows):
        start = 0
        for stop in [*np.flatnonzero(row == 0), len(row)]:
            pieces = [PIECES[token] for token in row[start:stop]]
            holder = [(start + at, byte) for at, p in enumerate(pieces) for byte in range(len(p))]
            data, at = b"".join(pieces), -len(text.encode())
            while (at := data.find(text.encode(), at + len(text.encode()))) >= 0:
                first, last = holder[at], holder[at + len(text.encode()) - 1]
                found.append((number, first[0], last[0] + 1, first[1]))
            start = stop + 1
    return found


rows_of_tokens = st.integers(2, 40).flatmap(
    lambda width: st.lists(
        st.lists(st.integers(0, len(PIECES) - 1), min_size=width, max_size=width),
        min_size=1,
        max_size=6,
    )
)


@settings(max_examples=600, deadline=None)
@given(rows_of_tokens, st.text("ab é", min_size=1, max_size=9))
def test_places_are_those_of_the_decoded_text(tokens: list[list[int]], text: str) -> None:
    rows = np.array(tokens, np.uint16)
    assert search(rows, text) == find_plainly(rows, text)


def test_a_text_cut_over_several_tokens_is_found() -> None:
    rows = np.array([[2, 8, 3, 10, 11, 2, 8, 8]], np.uint16)  # a| |b|é in two|a| |
    assert search(rows, " béa") == [(0, 1, 6, 0)]


def test_a_text_is_found_inside_one_token() -> None:
    assert search(np.array([[8, 7, 8]], np.uint16), "a") == [(0, 1, 2, 1)]


def test_a_row_is_searched_up_to_its_edges() -> None:
    rows = np.array([[2, 3, 8, 8, 8, 8, 8, 8, 8, 2, 3]], np.uint16)
    assert search(rows, "ab") == [(0, 0, 2, 0), (0, 9, 11, 0)]


def test_nothing_is_found_across_documents() -> None:
    assert search(np.array([[2, 0, 3, 2, 3]], np.uint16), "ab") == [(0, 3, 5, 0)]


def test_nothing_is_found_across_rows() -> None:
    assert search(np.array([[8, 2], [3, 8]], np.uint16), "ab") == []


def test_the_end_of_a_document_is_no_text() -> None:
    assert search(np.array([[2, 0, 2]], np.uint16), "endoftext") == []


def test_places_do_not_overlap() -> None:
    rows = np.full((1, 5), 2, np.uint16)
    assert search(rows, "aa") == [(0, 0, 2, 0), (0, 2, 4, 0)]


def test_every_place_is_found_when_there_are_more_than_a_batch() -> None:
    rows = np.full((700, 64), 6, np.uint16)  # aba aba …: each token holds two
    assert len(search(rows, "a")) == 700 * 64 * 2


def test_rows_are_numbered_as_in_the_corpus() -> None:
    rows = np.full((9, 4), 8, np.uint16)
    rows[[2, 7], 1] = 2
    (batch,) = search_rows(ArrayRows(rows), range(5, 9), SPELLING, "a")
    assert batch.tolist() == [[7, 1, 2, 0]]
    assert batch.shape[1] == COLUMNS


def test_tokens_outside_the_vocabulary_are_no_text() -> None:
    assert search(np.array([[2, 60_000, 3]], np.uint16), "ab") == [(0, 0, 3, 0)]


@pytest.mark.parametrize("text", ["", "\udc80"])
def test_what_is_no_text_is_refused(text: str) -> None:
    with pytest.raises(InterveneError, match="search"):
        search(np.zeros((1, 4), np.uint16), text)


def test_documents_of_a_row_leave_out_empty_ones() -> None:
    row = np.array([0, 5, 6, 0, 0, 7, 0], np.uint16)
    assert cut_documents(row) == [(1, 3), (5, 6)]
