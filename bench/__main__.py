"""`make bench`: run every bench in a fresh process and print one table with the machine named."""

import argparse
import json
import os
import platform
import subprocess
import sys
from pathlib import Path
from typing import Any

from intervene.console import say, show_rate

BENCHES = ("sources", "overlay", "scan", "rewrite", "original", "step")
LONG = ("compare", "evaluate", "order", "replay")
"""Only when named: they take minutes, or gigabytes."""


def main() -> None:
    known, parser = (*BENCHES, *LONG), argparse.ArgumentParser(prog="python -m bench")
    parser.add_argument("names", nargs="*", metavar="BENCH", help=", ".join(known))
    parser.add_argument("--table", type=Path, metavar="FILE", help="what `step` measured, as CSV")
    asked = parser.parse_args()
    names, measured = asked.names or list(BENCHES), list[dict[str, Any]]()
    if unknown := [name for name in names if name not in known]:
        sys.exit(f"error: bench: no bench named {unknown[0]}; choose from {', '.join(known)}")
    if asked.table and "step" not in names:
        sys.exit("error: bench --table: only the bench of steps writes a table; name step too")
    if asked.table and not asked.table.parent.is_dir():
        sys.exit(f"error: bench --table={asked.table}: no such folder; make it first")
    print(f"{name_machine()}\n")
    print("| bench | what | tokens/s | peak MiB | note |\n|---|---|---:|---:|---|")
    for name in names:
        say(f"bench {name}")
        code = f"import json, sys; import bench.{name} as b; json.dump(b.measure(), sys.stdout)"
        done = subprocess.run(
            [sys.executable, "-c", code], stdout=subprocess.PIPE, text=True, check=True
        )
        for row in json.loads(done.stdout.splitlines()[-1]):
            measured += [row["measured"]] if "measured" in row else []
            print(f"| {name} | {row['what']} | {show_rate(row['tokens_per_s'])} | "
                  f"{row['peak_mib']:,.0f} | {row['note']} |", flush=True)  # fmt: skip
    if asked.table:
        write_table(asked.table, measured)


def write_table(path: Path, measured: list[dict[str, Any]]) -> None:
    """Write what the bench of steps measured, for `hardware.table` of `pipelines.plan`."""
    from intervene.experiment import from_json
    from pipelines.planning.speed import (  # seconds to import, and only here
        Measurement,
        write_speeds,
    )

    write_speeds(path, [from_json(Measurement, json.dumps(each)) for each in measured])
    say(f"table: {path}")


def name_machine() -> str:
    """Processor, cores and Python, for the head of the table."""
    with open("/proc/cpuinfo") as file:
        models = [line.split(":", 1)[1].strip() for line in file if line.startswith("model name")]
    cpu = models[0] if models else platform.machine()
    return f"{cpu}, {len(os.sched_getaffinity(0))} cores, Python {platform.python_version()}"


if __name__ == "__main__":
    main()
