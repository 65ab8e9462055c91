"""How fast rows are scanned for swaps on one core, per density of pronouns."""

import resource
import tempfile
import time
from pathlib import Path
from typing import Any

from bench.text import draw_rows, find_tokenizer, name_text
from intervene.experiment import Guards
from intervene.rewriting.scan import open_scanner

ROWS = 4_096
DENSITIES = (0.0, 0.005, 0.014, 0.03)
"""Of 81 MB of varied text 1.4% of the tokens are pronouns (issue 3); of novels, 3% and more."""

CHUNK_TOKENS = 1 << 20
"""Scanned at once, as they are read from a file."""

REPEATS = 30


def measure() -> list[dict[str, Any]]:
    """Every density under the default guards, and the reference's density without them."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        cases = [("default", Guards(), density) for density in DENSITIES]
        cases.append(("none", Guards.none(), 0.014))
        return [time_scan(folder, *case) for case in cases]


def time_scan(folder: Path, name: str, guards: Guards, density: float) -> dict[str, Any]:
    """The fastest of some scans of rows in memory, as many at a time as are read from a file."""
    rows = draw_rows(folder, ROWS, density)
    scanner = open_scanner(find_tokenizer(folder), guards)
    step = CHUNK_TOKENS // rows.shape[1]
    seconds, swaps = [], 0
    for _ in range(REPEATS):
        began, swaps = time.perf_counter(), 0
        for low in range(0, len(rows), step):
            swaps += len(scanner.scan_rows(rows[low : low + step], low)[0])
        seconds.append(time.perf_counter() - began)
    return {
        "what": f"scan, guards {name}, {swaps / rows.size:.2%} of tokens swappable",
        "tokens_per_s": rows.size / min(seconds),
        "peak_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
        "note": f"{rows.size / 1e6:.0f}M tokens of {name_text()} in memory",
    }
