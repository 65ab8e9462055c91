"""Every contrast at every step as `contrasts.csv`."""

import csv
from pathlib import Path

from intervene.analysis.findings import Contrast, Findings

COLUMNS = (
    "trial", "model", "arm", "direction", "rate", "unit", "seed", "step", "final", "section",
    "estimand", "n", "clusters", "measure", "control", "control_low", "control_high", "value",
    "value_low", "value_high", "difference", "low", "high", "band_low", "band_high", "se",
    "detectable", "test", "gained", "lost", "p", "p_holm", "seeds", "seed_sd", "harness",
    "precision", "corpus", "reading", "control_reading", "mismatches",
)  # fmt: skip

Dose = tuple[str, str, str, float, str]


def write_ledger(findings: Findings, path: Path) -> None:
    """Write the table: in the estimand's own unit, nats or a share of 0 to 1."""
    seeds = {
        (s.label, s.direction, s.unit, s.rate, s.estimand.name): (len(s.seeds), f"{s.sd:.6g}")
        for s in findings.spreads
    }
    with path.open("w", newline="", encoding="utf-8") as file:
        table = csv.writer(file, lineterminator="\n")
        table.writerow(COLUMNS)
        table.writerows(_list_cells(c, seeds) for c in findings.contrasts)


def find_dose(c: Contrast) -> Dose:
    """What the contrasts of several seeds share."""
    return c.label, c.run.direction, c.run.unit, c.run.rate, c.estimand.name


def _list_cells(c: Contrast, seeds: dict[Dose, tuple[int, str]]) -> list[object]:
    run, d = c.run, c.difference
    numbers = (
        c.control.value, c.control.low, c.control.high, c.arm.value, c.arm.low, c.arm.high,
        d.value, d.low, d.high, c.low, c.high, d.se, c.detectable,
    )  # fmt: skip
    return [
        c.label, run.model, run.arm, run.direction, f"{run.rate:g}", run.unit, run.seed,
        c.reading.step, int(c.final), c.estimand.section, c.estimand.name, c.n, c.clusters,
        c.estimand.unit, *(f"{round(x, 9) + 0.0:.6g}" for x in numbers), c.test,
        *(c.discordant or ("", "")), f"{c.p:.4g}", "" if c.holm is None else f"{c.holm:.4g}",
        *(seeds.get(find_dose(c), ("", "")) if c.final else ("", "")), run.harness, run.precision,
        (run.corpus or {}).get("key", ""), c.reading.name, c.control_reading.name,
        "; ".join(c.mismatches),
    ]  # fmt: skip
