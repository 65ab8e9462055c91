"""Bench: one comparison of ten sizes by eleven rates by thirty checkpoints by 4,000 items."""

import hashlib
import json
import resource
import tempfile
import time
from collections import Counter
from pathlib import Path

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from intervene.analysis.curve import gather
from intervene.analysis.origin import Origin
from intervene.analysis.report import Question, write_report
from intervene.evaluation.readings import write_table
from intervene.lineage import MANIFEST, Artefact

SIZES, RATES, CHECKPOINTS, RESAMPLES = 10, 11, 30, 2000
RESUMED, STOP = 133_000, 143_000
PAIRS = {f"winobias_{form}_type{n}": 396 for form in ("pair", "slot", "mc") for n in (1, 2)}
CROWS = {
    "gender": 320, "race_color": 516, "socioeconomic": 172, "nationality": 159, "religion": 105,
    "age": 87, "sexual_orientation": 84, "physical_appearance": 63, "disability": 60, "autre": 58,
}  # fmt: skip
Cell = tuple[str, str, str, str]
"""Task, item, cluster and stereotype."""


def measure() -> list[dict[str, str | float]]:
    """Compare made-up readings, and say how long it took and what the page weighs.

    Returns:
        what, tokens_per_s (here values of items), peak_mib of this process, and note.
    """
    with tempfile.TemporaryDirectory() as name:
        written = write_readings(Path(name))
        began = time.perf_counter()
        out, values = compare(written, Path(name))
        seconds = time.perf_counter() - began
        page = (out / "report" / "index.html").stat().st_size
        whole = sum(path.stat().st_size for path in out.rglob("*") if path.is_file())
    note = (
        f"{seconds:.0f} s for {len(written):,} readings; the page has {page / 1e6:.1f} MB, the "
        f"folder {whole / 1e6:.0f}; here values of items, not tokens"
    )
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    what = f"{SIZES} sizes × {RATES} rates × {CHECKPOINTS} checkpoints × 4,000 items"
    return [{"what": what, "tokens_per_s": values / seconds, "peak_mib": peak, "note": note}]


def compare(written: list[Artefact], folder: Path) -> tuple[Path, int]:
    """Compare readings as `pipelines.compare` does; where, and how many values they have."""
    readings = gather(written)
    out = folder / "out"
    out.mkdir()
    origins = [
        Origin("readings", a.key, "made up", (), (), "python -m pipelines.evaluate arm=this")
        for a in written
    ]
    texts = {
        task: {str(i): f"A sentence of {task}, number {i}, as long as they are. " * 2
               for i in items.keys.item}
        for task, items in readings[0].items.items()
    }  # fmt: skip
    write_report(readings, Question("scale", RESAMPLES, 0), out, origins=origins, texts=texts)
    return out, sum(len(items.values) for r in readings for items in r.items.values())


def write_readings(folder: Path) -> list[Artefact]:
    """Made-up readings with an effect that grows with rate, step and size."""
    keys, difficulty = make_items()
    rng = np.random.default_rng(0)
    steps = np.linspace(RESUMED, STOP, CHECKPOINTS).astype(int).tolist()
    written = []
    for size in range(SIZES):
        for rate in np.linspace(0, 1, RATES).round(2).tolist():
            for step in steps[1:] if rate else steps:
                base = step == RESUMED
                way = 0.0 if base else rate * (step - RESUMED) / (STOP - RESUMED)
                values = difficulty + rng.normal(0, 0.2, len(difficulty))
                written.append(_write(folder, keys, values, size, rate, step, way, base=base))
    return written


def make_items() -> tuple[list[Cell], NDArray[np.float64]]:
    """What 4,000 items belong to (task, item, cluster, stereotype), and how each leans."""
    cells = [
        (task, f"{task[-5:]}_{n:03d}", f"job{n % 198:03d}", ("female", "male")[n % 2])
        for task, count in PAIRS.items()
        for n in range(count)
    ]
    for category, count in CROWS.items():
        sides = ("female", "male", "") if category == "gender" else ("",)
        task = f"crows_pairs_english_{category}"
        cells += [
            (task, f"crows_{category}_{n}", f"crows_{category}_{n}", sides[n % len(sides)])
            for n in range(count)
        ]
    return cells, np.random.default_rng(1).normal(0, 1, len(cells))


def _write(
    folder: Path, cells: list[Cell], values: NDArray[np.float64], size: int, rate: float, step: int,
    way: float, *, base: bool,
) -> Artefact:  # fmt: skip
    sign = np.array([{"female": 1, "male": -1}.get(cell[3], 0) for cell in cells])
    lean = values + 0.6 * sign * (1 - way * (0.3 + 0.05 * size)) + way * (sign != 0)
    rows = [
        (*cell, metric, value)
        for cell, preference, side in zip(cells, lean.tolist(), sign.tolist(), strict=True)
        for metric, value in _list_metrics(cell[0], preference, side)
    ]
    names = ("task", "item", "cluster", "stereotype", "metric", "value")
    table = pa.table(dict(zip(names, map(list, zip(*rows, strict=True)), strict=True)))
    arm = f"feminise-r{rate:g}-document-s0" if rate else "control"
    key = hashlib.sha256(f"{size} {arm} {step}".encode()).hexdigest()[:12]
    path = folder / "readings" / key
    path.mkdir(parents=True)
    write_table(table.sort_by([(name, "ascending") for name in ("task", "item", "metric")]),
                path / "items.parquet")  # fmt: skip
    model = {"name": f"pythia-size-{size}", "layers": 6 + size, "width": 128 * 2 ** (size // 2)}
    facts = {
        "model": model["name"], "arm": "base" if base else arm, "rate": rate, "unit": "document",
        "direction": "feminise", "seed": 0, "step": step, "resume_step": RESUMED,
        "stop_step": STOP, "base": base, "released": False,
        "terms": {"checkpoint": str(size)} | ({} if base else {"trainer.clip": 1.0}),
        "tasks": {task: {"n": n, "digest": task} for task, n in
                  Counter(cell[0] for cell in cells).items()},
        "corpus": None if base else {"key": key, "eligible": 10**8, "applied": int(rate * 10**8),
                                     "rate_reached": rate},
        "harness": "lm-eval", "precision": "fp32", "batch_size": None,
        "experiment": {"model": model},
    }  # fmt: skip
    manifest = {"kind": "readings", "key": key, "inputs": [], "facts": facts}
    (path / MANIFEST).write_text(json.dumps(manifest))
    return Artefact("readings", key, path)


def _list_metrics(task: str, preference: float, side: int) -> list[tuple[str, float]]:
    """The metrics of one item, as the tasks have them."""
    if task.startswith("winobias"):
        scored = [("preference", preference)]
        return scored + ([] if "slot" in task else [("accuracy", float(side * preference > 0))])
    difference = side * preference if side else preference
    scored = [("difference", difference), ("stereotyped", float(difference > 0))]
    return scored + ([("preference", preference)] if side else [])
