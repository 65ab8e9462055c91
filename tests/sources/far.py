"""A small corpus that lies far away, as tests of it need."""

from pathlib import Path
from typing import Any

import numpy as np

from intervene.data import Data
from intervene.lineage import Store
from intervene.sources.backend import open_rows
from intervene.sources.index import write_index
from intervene.sources.remote.fetched import fetch_rows
from intervene.stretch import Stretch

ROW_TOKENS, ROWS_PER_STEP, ROWS = 9, 4, 400
TOKENS = np.random.default_rng(0).integers(0, 300, (ROWS, ROW_TOKENS), dtype=np.uint16)
ROW_BYTES = ROW_TOKENS * 2
CUT_BYTES = 2501
"""Shards end inside a token: 7,200 bytes in three files."""


def write_corpus(folder: Path) -> dict[str, bytes]:
    """Write shards and their index; gives the bytes of each by name."""
    folder.mkdir(parents=True, exist_ok=True)
    raw = TOKENS.tobytes()
    parts = [raw[at : at + CUT_BYTES] for at in range(0, len(raw), CUT_BYTES)]
    for number, part in enumerate(parts):
        (folder / f"document-{number:05d}-of-{len(parts) - 1:05d}.bin").write_bytes(part)
    write_index(folder / "document.idx", np.full(ROWS, ROW_TOKENS, np.int32))
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


def describe_data(address: str | None, steps: tuple[int, int], **changes: Any) -> Data:
    """The corpus behind an address, and the steps that are wanted of it."""
    known: dict[str, Any] = {"repo": None, "revision": None, "checksums": None, **changes}
    return Data(
        name="far",
        path=address,
        tokenizer=None,
        row_tokens=ROW_TOKENS,
        rows_per_step=ROWS_PER_STEP,
        stretch=Stretch(*steps),
        **known,
    )


def read_steps(store: Store, data: Data) -> bytes:
    """The bytes of the stretch, fetched if they are absent."""
    artefact = fetch_rows(store, data, data.rows)
    left = {p.name for p in artefact.path.iterdir()}
    assert left == {"rows.bin", "rows.idx", "span.json", "manifest.json"}, left
    rows = open_rows(artefact.path, ROW_TOKENS)
    assert len(rows) == ROWS
    return rows.read(data.rows.start, data.rows.stop).tobytes()


def truth(start: int, stop: int) -> bytes:
    """What steps `[start, stop)` hold."""
    return TOKENS[start * ROWS_PER_STEP : stop * ROWS_PER_STEP].tobytes()
