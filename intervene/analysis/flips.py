"""Items whose outcome is another in an arm than in its control at the final step."""

import csv
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from intervene.analysis.curve import Reading
from intervene.analysis.findings import Findings
from intervene.analysis.items import Items, Keys

OUTCOMES = ("accuracy", "stereotyped")
"""Metrics of 0 and 1, of which an item has one at most."""
SHIFTS = ("difference", "preference", "logprob")
"""Metrics in nats, of which the first that an item has is its shift."""
COLUMNS = ("trial", "arm", "step", "task", "item", "stereotype", "control", "value", "shift_nats",
           "text")  # fmt: skip

Texts = Mapping[str, Mapping[str, str]]
"""By task, the text of each item."""


@dataclass(frozen=True)
class Flips:
    """The flipped items of one arm and one task.

    Args:
        label: the trial's.
        run: the arm's last reading, at the trial's final step.
        items, stereotypes: str [n].
        after: bool [n], the arm's outcome; the control's is the other.
        shift: float64 [n], arm minus control of the item's metric in nats; NaN where it has none.
    """

    label: str
    run: Reading
    task: str
    items: list[str]
    stereotypes: list[str]
    after: NDArray[np.bool_]
    shift: NDArray[np.float64]


def find_flips(findings: Findings) -> list[Flips]:
    """Every flipped item, the largest shifts of an arm's task first."""
    found = []
    for trial in findings.trials:
        for arm in trial.arms:
            for reading, control in trial.paired(arm):
                if reading.step == trial.final and not reading.base:
                    for task in sorted(reading.items.keys() & control.items.keys()):
                        pair = reading.items[task], control.items[task]
                        flips = _compare(trial.label, reading, task, *pair)
                        found += [flips] if flips else []
    return found


def _compare(label: str, run: Reading, task: str, mine: Items, theirs: Items) -> Flips | None:
    keys = mine.keys
    rows = np.flatnonzero(np.isin(keys.metric, OUTCOMES))
    if not len(rows) or not keys.equals(theirs.keys):
        return None
    changed = rows[mine.values[rows] != theirs.values[rows]]
    if not len(changed):
        return None
    shift = _find_shifts(keys, mine.values - theirs.values, changed)
    order = np.lexsort((keys.item[changed].astype(str), -np.abs(np.nan_to_num(shift))))
    changed, shift = changed[order], shift[order]
    return Flips(
        label, run, task, keys.item[changed].tolist(), keys.stereotype[changed].tolist(),
        mine.values[changed] > theirs.values[changed], shift,
    )  # fmt: skip


def _find_shifts(
    keys: Keys, change: NDArray[np.float64], rows: NDArray[np.int64]
) -> NDArray[np.float64]:
    """The change in nats of the items of these rows: float64 [rows], NaN where there is none."""
    for metric in SHIFTS:
        beside = np.flatnonzero(keys.metric == metric)
        if len(beside):
            places = np.searchsorted(keys.item[beside], keys.item[rows])
            places = np.minimum(places, len(beside) - 1)
            same = keys.item[beside][places] == keys.item[rows]
            return np.where(same, change[beside][places], np.nan)
    return np.full(len(rows), np.nan)


def write_flips(flips: list[Flips], texts: Texts, path: Path) -> None:
    """Write every flipped item as CSV; `text` is empty where the benchmark is not at hand."""
    with path.open("w", newline="", encoding="utf-8") as file:
        table = csv.writer(file, lineterminator="\n")
        table.writerow(COLUMNS)
        for f in flips:
            known = texts.get(f.task, {})
            for item, stereotype, after, shift in zip(
                f.items, f.stereotypes, f.after.tolist(), f.shift.tolist(), strict=True
            ):
                table.writerow((
                    f.label, f.run.arm, f.run.step, f.task, item, stereotype, int(not after),
                    int(after), "" if np.isnan(shift) else f"{shift:.6g}", known.get(item, ""),
                ))  # fmt: skip
