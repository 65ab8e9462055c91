"""How fast an overlay is read, and how large it is, beside the same rows materialised."""

import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from bench.rewrite import compose_experiment
from bench.sources import REPEATS, clock, read_batches, to_row
from bench.text import DENSITY, ROW_TOKENS, draw_rows, name_text
from intervene.lineage import Store
from intervene.rewriting.corpus import obtain_corpus, obtain_scan
from intervene.sources.backend import open_rows
from intervene.sources.source import open_source

ROWS, BATCH = 65_536, 1_024


def measure() -> list[dict[str, Any]]:
    """Feminise and swap at rate 1, read in batches into the same memory."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        draw_rows(folder, ROWS, DENSITY).tofile(folder / "source.bin")
        return [time_arm(folder, direction) for direction in ("feminise", "swap")]


def time_arm(folder: Path, direction: str) -> dict[str, Any]:
    """One arm in both forms; each is opened anew and read once, many times over."""
    paths, size = {}, 0.0
    for form in ("materialised", "overlay"):
        experiment = compose_experiment(
            folder, folder / "source.bin", 2, 1.0, f"intervention={direction}",
            f"corpus.form={form}", f"data.stretch.stop={ROWS // BATCH}",
        )  # fmt: skip
        store = Store(experiment.paths.store)
        source = open_source(store, experiment.data)
        scanned = obtain_scan(store, experiment, source)
        corpus = obtain_corpus(store, experiment, source, scanned)
        assert corpus is not None
        paths[form] = corpus.path / "rows.bin" if form == "materialised" else corpus.path
        size = corpus.facts["overlay"]["share_of_rows"] if form == "overlay" else 0.0
    batch = np.empty((BATCH, ROW_TOKENS), np.uint16)
    seconds: dict[str, list[list[float]]] = {form: [] for form in paths}
    for _ in range(2 * REPEATS):
        for form, path in paths.items():
            rows = open_rows(path, ROW_TOKENS)
            seconds[form].append([clock(lambda r=rows: read_batches(r, batch, ROWS)) for _ in "12"])
    once, again = (
        min(s[n] for s in seconds["overlay"]) / min(s[n] for s in seconds["materialised"])
        for n in range(2)
    )
    note = (
        f"takes {once:.2f} × as long as the rows themselves, {again:.2f} × when read again, "
        f"and {size:.2%} of their space; {name_text()}"
    )
    return to_row(f"overlay: {direction}", ROWS / min(s[0] for s in seconds["overlay"]), note)
