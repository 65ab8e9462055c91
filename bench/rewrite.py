"""How fast a stretch is rewritten from file to file, beside `cp` of the same file."""

import os
import resource
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf

from bench.text import DENSITY, ROW_TOKENS, SHARED, draw_rows, find_tokenizer, name_text
from intervene.experiment import Experiment
from intervene.lineage import Store
from intervene.rewriting.corpus import obtain_corpus, obtain_scan
from intervene.rewriting.original import swap_string
from intervene.rewriting.tokens import tabulate
from intervene.sources.backend import open_rows
from intervene.sources.source import Source, open_source
from pipelines.stage import ROOT

ROWS = 131_072
REPEATS = 3
STRING_ROWS = 256


def measure() -> list[dict[str, Any]]:
    """Each part on one core; then workers on all cores. Every time is the best of a few."""
    with tempfile.TemporaryDirectory(dir=ROOT) as name:
        folder = Path(name)
        path = folder / "source.bin"
        draw_rows(folder, ROWS, DENSITY).tofile(path)
        cores = os.sched_getaffinity(0)
        os.sched_setaffinity(0, {min(cores)})
        alone = time_parts(folder, path, 1)
        slow = time_string_method(folder, path) if SHARED.is_dir() else None
        os.sched_setaffinity(0, cores)
        spread = {workers: time_parts(folder, path, workers) for workers in (1, len(cores))}
    return [*describe(alone, slow), *compare_workers(spread)]


def time_parts(folder: Path, path: Path, workers: int) -> dict[str, float]:
    """Seconds of `cp`, of the scan with its log, and of writing a corpus."""
    best: dict[str, float] = {}
    for _ in range(REPEATS):
        shutil.rmtree(folder / "store", ignore_errors=True)
        seconds = time_once(folder, path, workers)
        best = {part: min(s, best.get(part, s)) for part, s in seconds.items()}
    return best


def time_once(folder: Path, path: Path, workers: int) -> dict[str, float]:
    experiment = compose_experiment(folder, path, workers, 1.0)
    store, copy = Store(experiment.paths.store), folder / "copy.bin"
    source = open_source(store, experiment.data)
    seconds = {"cp": clock(lambda: subprocess.run(["cp", path, copy], check=True))}
    copy.unlink()
    seconds["scan"] = clock(lambda: obtain_scan(store, experiment, source))
    second = compose_experiment(folder, path, workers, 0.5)
    seconds["rate 1"] = clock(lambda: write_corpus(store, experiment, source))
    seconds["rate 0.5"] = clock(lambda: write_corpus(store, second, source))
    return seconds


def write_corpus(store: Store, arm: Experiment, source: Source) -> None:
    """The arm's corpus from the scan that is there."""
    obtain_corpus(store, arm, source, obtain_scan(store, arm, source))


def time_string_method(folder: Path, path: Path) -> float:
    """Seconds that the published study's string method would take for all rows, from a few."""
    rows = open_rows(path, ROW_TOKENS).read(0, STRING_ROWS)
    table = tabulate(find_tokenizer(folder))
    swap_string(rows[:8], table, "length_checked")
    return clock(lambda: swap_string(rows, table, "length_checked")) * ROWS / STRING_ROWS


def compose_experiment(
    folder: Path, path: Path, workers: int, rate: float, *changes: str
) -> Experiment:
    """The experiment that a command line with these choices would run."""
    overrides = [
        "data=local", f"data.path={path}", f"data.tokenizer={find_tokenizer(folder)}",
        "data.rows_per_step=1024", "data.stretch.start=0", f"data.stretch.stop={ROWS // 1024}",
        "intervention=feminise", f"intervention.rate={rate}", f"corpus.workers={workers}",
        f"paths.store={folder / 'store'}", *changes,
    ]  # fmt: skip
    with initialize_config_dir(str(ROOT / "conf"), version_base="1.3"):
        experiment = OmegaConf.to_object(compose("config", overrides))
    assert isinstance(experiment, Experiment)
    return experiment


def describe(parts: dict[str, float], slow: float | None) -> list[dict[str, Any]]:
    """One core: each part, and file to file, against `cp` and the string method."""
    copying, scanning, writing = parts["cp"], parts["scan"], parts["rate 1"]
    named = {
        "cp": copying,
        "scan and edit log, from a file": scanning,
        "corpus from the log, with sha256": writing,
        "file to file: scan, log and corpus": scanning + writing,
        "a second rate": parts["rate 0.5"],
    }
    if slow is not None:
        named["the original string method (B1)"] = slow
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    size = f"one core, {ROWS * ROW_TOKENS * 2 / 2**20:,.0f} MiB of {name_text()}"
    rows = []
    for what, seconds in named.items():
        note = f"{seconds / copying:.2f} × cp"
        if slow is not None:
            note += f", {slow / seconds:,.0f} × as fast as B1"
        rows.append(to_row(what, seconds, peak, f"{size}: {note}"))
    return rows


def compare_workers(spread: dict[int, dict[str, float]]) -> list[dict[str, Any]]:
    """All cores: file to file by the number of workers."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    totals = {workers: parts["scan"] + parts["rate 1"] for workers, parts in spread.items()}
    return [
        to_row(
            f"file to file, corpus.workers={workers}",
            seconds,
            peak,
            f"{totals[1] / seconds:.2f} × one worker, {seconds / spread[workers]['cp']:.2f} × cp",
        )
        for workers, seconds in totals.items()
    ]


def to_row(what: str, seconds: float, peak: float, note: str) -> dict[str, Any]:
    """One row of the table."""
    speed = ROWS * ROW_TOKENS / seconds
    return {"what": what, "tokens_per_s": speed, "peak_mib": peak, "note": note}


def clock(run: Callable[[], object]) -> float:
    """Seconds that a call takes."""
    began = time.perf_counter()
    run()
    return time.perf_counter() - began
