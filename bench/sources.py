"""How fast rows are read from each source, beside a plain memory map of the same rows."""

import resource
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench.text import DENSITY, ROW_TOKENS, draw_rows, find_tokenizer, name_text
from intervene.data import Data, Order
from intervene.lineage import Store
from intervene.sources.backend import open_rows
from intervene.sources.index import write_index
from intervene.sources.rows import Rows
from intervene.sources.source import find_rows
from intervene.sources.toy import write_shards
from intervene.stretch import Stretch
from tests.web import Web, serve

STEPS, ROWS_PER_STEP = 64, 1_024
REPEATS = 5
DOCUMENT_TOKENS = 1_150
"""Tokens of a document on average; lengths are log-normal with a spread of a factor of e^1.2."""

Tokens = NDArray[np.uint16]


def measure() -> list[dict[str, Any]]:
    """The first batch from each source, then all batches in order."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        tokens = draw_rows(folder, STEPS * ROWS_PER_STEP, DENSITY)
        (folder / "rows").mkdir()
        write_shards(folder / "rows", tokens)
        tokens.tofile(folder / "merged.bin")
        steps = write_documents(folder, tokens.reshape(-1))
        served = {f"rows/{path.name}": path.read_bytes() for path in (folder / "rows").iterdir()}
        with serve(Web(served, marks=False)) as web:
            sources = {
                "preshuffled shards": describe(folder, folder / "rows", STEPS),
                "one merged .bin": describe(folder, folder / "merged.bin", STEPS),
                "documents, order built": describe(folder, folder / "documents.bin", steps, steps),
                "documents, order cached": describe(folder, folder / "documents.bin", steps, steps),
                "byte ranges over HTTP": describe(folder, f"{web.url}/rows/", STEPS),
                "byte ranges, cached": describe(folder, f"{web.url}/rows/", STEPS),
            }
            opened = [time_first(folder, what, data) for what, data in sources.items()]
            kept = ("preshuffled shards", "one merged .bin", "documents, order cached")
            read = [time_rows(folder, what, sources[what]) for what in kept]
    return [*opened, *read]


def write_documents(folder: Path, tokens: Tokens) -> int:
    """Write the same tokens as documents, each closed by 0; how many steps they are enough for."""
    rng = np.random.default_rng(0)
    spread = 1.2
    drawn = rng.lognormal(np.log(DOCUMENT_TOKENS) - spread**2 / 2, spread, len(tokens) // 500)
    stops = np.cumsum(np.maximum(drawn.astype(np.int64), 1))
    stops = np.append(stops[stops < len(tokens)], len(tokens))
    tokens[stops - 1] = 0
    tokens.tofile(folder / "documents.bin")
    write_index(folder / "documents.idx", np.diff(stops, prepend=0).astype(np.int32))
    return int((len(tokens) - 1) // (ROW_TOKENS - 1) / 1.006 // ROWS_PER_STEP)


def describe(folder: Path, path: Path | str, steps: int, ordered: int | None = None) -> Data:
    """The data that a command line with this path would name."""
    return Data(
        name="local", path=str(path), repo=None, revision=None,
        tokenizer=str(find_tokenizer(folder)), row_tokens=ROW_TOKENS, rows_per_step=ROWS_PER_STEP,
        stretch=Stretch(steps - 1, steps), order=ordered and Order(ordered, 1234),
    )  # fmt: skip


def time_first(folder: Path, what: str, data: Data) -> dict[str, Any]:
    """Seconds from the data's name to the first batch of its last step."""
    store, span = Store(folder / "store"), data.rows

    def read() -> None:
        _, rows = find_rows(store, data, span)
        rows.read(span.start, span.stop)

    seconds = clock(read)
    note = f"{seconds * 1e3:,.0f} ms to the first {ROWS_PER_STEP:,} rows of {name_text()}"
    return to_row(f"first batch: {what}", len(span) / seconds, note)


def time_rows(folder: Path, what: str, data: Data) -> dict[str, Any]:
    """All batches in order into the same memory, against a map of these rows laid out.

    Each is opened anew and read twice: a training reads each row once, and then no page of a map
    is at hand; the second time all are.
    """
    count = data.stretch.stop * ROWS_PER_STEP
    path, rows = find_rows(Store(folder / "store"), data, range(count))
    laid_out, shape = folder / "laid_out.bin", (count, ROW_TOKENS)
    rows.read(0, count).tofile(laid_out)
    batch = np.empty((ROWS_PER_STEP, ROW_TOKENS), np.uint16)
    plain, ours = [], []
    for _ in range(REPEATS):
        mapped = np.memmap(laid_out, np.uint16, "r", shape=shape)
        plain.append([clock(lambda m=mapped: read_plainly(m, batch)) for _ in range(2)])
        opened = open_rows(path, ROW_TOKENS)
        ours.append([clock(lambda o=opened: read_batches(o, batch, count)) for _ in range(2)])
    once, again = (min(p[n] for p in plain) / min(o[n] for o in ours) for n in range(2))
    note = f"{once:.2f} × a plain memory map of the same rows, {again:.2f} × when read again"
    return to_row(f"rows: {what}", count / min(o[0] for o in ours), note)


def read_plainly(mapped: Tokens, batch: Tokens) -> None:
    """Copy every batch out of a map."""
    for first in range(0, len(mapped), len(batch)):
        np.copyto(batch, mapped[first : first + len(batch)])


def read_batches(rows: Rows, batch: Tokens, count: int) -> None:
    """Read every batch."""
    for first in range(0, count, len(batch)):
        rows.read_into(first, batch)


def to_row(what: str, rows_per_s: float, note: str) -> dict[str, Any]:
    """One row of the table."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    speed = rows_per_s * ROW_TOKENS
    return {"what": what, "tokens_per_s": speed, "peak_mib": peak, "note": note}


def clock(run: Callable[[], object]) -> float:
    """Seconds that a call takes."""
    began = time.perf_counter()
    run()
    return time.perf_counter() - began
