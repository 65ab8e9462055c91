"""The backend that a path holds: files of rows, or a folder that says what it is."""

import json
from pathlib import Path

from intervene.sources.documents import ORDER, open_order
from intervene.sources.overlay import OVERLAY, open_overlay
from intervene.sources.rows import Rows, ShardedRows, SpanRows, check_rows
from intervene.sources.stream import open_stream

SPAN = "span.json"
"""Beside the rows of a part of a corpus: `{"first": training row, "count": rows of the whole}`."""


def open_rows(path: Path, row_tokens: int) -> Rows:
    """Open rows in place, checked against the `.idx` beside them if there is one.

    `path` is a folder of `*-000NN-of-000LL.bin` shards (LL is the last index), a folder with one
    `.bin`, a `.bin`, or an artefact of this project that holds rows.

    Errors: InterveneError for a missing path or shard, bytes that are no whole number of rows, an
    index of another dtype, row length or total.
    """
    if (path / ORDER).exists():
        return open_order(path, row_tokens)
    if (path / OVERLAY).exists():
        return open_overlay(path, row_tokens, open_rows)
    held = ShardedRows(open_stream(path), row_tokens)
    check_rows(held)
    if (path / SPAN).exists():
        span = json.loads((path / SPAN).read_text())
        return SpanRows(held, span["first"], span["count"])
    return held
