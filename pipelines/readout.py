"""Rows as they stand, and places that a search found in them, as lines or as JSON."""

import json
import os
import shutil
import sys
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from intervene.data import Data
from intervene.rewriting.account import Document, classify, spell_row
from intervene.rewriting.language import is_english
from intervene.rewriting.tokens import TokenTable
from intervene.sources.search import cut_documents
from pipelines.spread import LEAST_WIDTH, emphasise, measure, show, wrap

NEARBY = 60
"""Tokens on either side of a place from which its context is taken."""


@dataclass(frozen=True)
class Place:
    """Where a text was found, and what stands around it in its document.

    Args:
        row: the training row.
        start, stop: the tokens that hold the text.
        left, text, right: the context and the text.
    """

    row: int
    start: int
    stop: int
    left: str
    text: str
    right: str


def measure_terminal() -> tuple[int, bool]:
    """Cells of a line on standard output, and whether it may be coloured."""
    width = max(LEAST_WIDTH, shutil.get_terminal_size((100, 24)).columns)
    return width, sys.stdout.isatty() and not os.environ.get("NO_COLOR")


def print_lines(lines: list[str]) -> None:
    """Print lines at once, where progress may stand on the same terminal."""
    if sys.stderr.isatty():
        print("\r\x1b[K", end="", file=sys.stderr, flush=True)
    print("\n".join(lines), flush=True)


def print_json(value: dict[str, Any]) -> None:
    """Print one JSON object on a line of its own."""
    print_lines([json.dumps(value)])


def locate(row: int, data: Data) -> dict[str, int]:
    """A training row's place for programs."""
    step, place = divmod(row, data.rows_per_step)
    return {"row": row, "step": step, "row_in_step": place}


def show_place(row: int, data: Data) -> str:
    """A training row's place for people."""
    at = locate(row, data)
    return f"row {row:,} · step {at['step']:,}, its row {at['row_in_step']:,}"


def describe_row(
    table: TokenTable, tokens: NDArray[np.uint16], row: int, data: Data
) -> dict[str, Any]:
    """A row for programs: its place, documents, tokens (uint16 [row_tokens]) and text."""
    return {
        **locate(row, data),
        "documents": [
            {
                "start": document.start,
                "stop": document.stop,
                "kind": str(document.kind),
                "english": document.english,
            }
            for document in list_documents(table, tokens)
        ],
        "tokens": tokens.tolist(),
        "text": spell_row(table, tokens).text,
    }


def show_row(table: TokenTable, tokens: NDArray[np.uint16], row: int, data: Data) -> list[str]:
    """The lines of a row, uint16 [row_tokens]: a heading, and every document under its own."""
    width, _ = measure_terminal()
    documents = list_documents(table, tokens)
    lines = [f"{show_place(row, data)} · {len(tokens):,} tokens, {len(documents):,} documents"]
    for document in documents:
        lines.append(f"── {show_document(document)}")
        lines += wrap(_decode(table, tokens[document.start : document.stop]), width)
    return [*lines, ""]


def show_document(document: Document) -> str:
    """A document's tokens, kind and language in words."""
    language = "" if document.english else ", foreign"
    return f"tokens [{document.start:,}, {document.stop:,}) {document.kind}{language}"


def list_documents(table: TokenTable, tokens: NDArray[np.uint16]) -> list[Document]:
    """The documents of a row, uint16 [row_tokens], without empty ones."""
    texts = {span: _decode(table, tokens[slice(*span)]) for span in cut_documents(tokens)}
    return [Document(*span, classify(text), is_english(text)) for span, text in texts.items()]


def find_context(
    table: TokenTable, tokens: NDArray[np.uint16], place: NDArray[np.int64], text: str
) -> Place:
    """What stands around a place.

    Args:
        table: the tokenizer's.
        tokens: uint16 [row_tokens], the row.
        place: int64 [COLUMNS], as `search_rows` gives it.
        text: what was searched for.
    """
    row, start, stop, byte = place.tolist()
    (span,) = (span for span in cut_documents(tokens) if span[0] <= start < span[1])
    low, high = max(span[0], start - NEARBY), min(span[1], stop + NEARBY)
    begin = len(table.join(tokens[low:start])) + byte
    around = table.join(tokens[low:high])
    left, right = around[:begin], around[begin + len(text.encode()) :]
    return Place(
        row, start, stop, left.decode(errors="replace"), text, right.decode(errors="replace")
    )


def describe_place(place: Place, data: Data) -> dict[str, Any]:
    """A place for programs."""
    return {
        **locate(place.row, data),
        "start": place.start,
        "stop": place.stop,
        "left": place.left,
        "text": place.text,
        "right": place.right,
    }


def show_found(place: Place, data: Data) -> list[str]:
    """The lines of a place: where it is, and as much of its context as a line holds."""
    width, coloured = measure_terminal()
    text = emphasise(show(place.text), coloured)
    room = max(0, width - 6 - measure(show(place.text))) // 2
    left, right = show(place.left[-room:] if room else ""), show(place.right[:room])
    return [
        f"{show_place(place.row, data)} · tokens [{place.start:,}, {place.stop:,})",
        f"  {_clip(left[::-1], room)[::-1]}{text}{_clip(right, room)}",
    ]


def _clip(shown: str, cells: int) -> str:
    """As much of a shown text as so many cells hold."""
    taken = 0
    for place, character in enumerate(shown):
        taken += measure(character)
        if taken > cells:
            return shown[:place]
    return shown


def _decode(table: TokenTable, tokens: NDArray[np.uint16]) -> str:
    return table.join(tokens).decode(errors="replace")
