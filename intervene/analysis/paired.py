"""Two readings of the same items, one against the other, as estimands or as tables."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from intervene.analysis.bootstrap import DECIMALS, Estimate, find_p, summarise
from intervene.analysis.estimands import Estimand, list_estimands
from intervene.analysis.items import KEYS, Items, Keys
from intervene.analysis.mcnemar import mcnemar
from intervene.errors import InterveneError


@dataclass(frozen=True)
class Pair:
    """What two readings show of one estimand.

    Args:
        n, clusters: items, and clusters of items that were resampled.
        ours, theirs: their own values.
        difference: ours − theirs, paired.
        p: exact McNemar of a share, else of the bootstrap's standard error.
    """

    n: int
    clusters: int
    ours: Estimate
    theirs: Estimate
    difference: Estimate
    p: float


def contrast(
    arm: pd.DataFrame, control: pd.DataFrame, *, resamples: int = 2000, seed: int = 0
) -> pd.DataFrame:
    """An arm minus its control, item by item, for everything that both were asked.

    Args:
        arm, control: task, item, metric, cluster, stereotype and value (nats, or 0 and 1), a row
            per item and metric, as `items.parquet` and `Reading.table` have them.
        resamples: bootstrap draws of clusters.
        seed: of the draws.

    Returns:
        A row per estimand: its name, section and unit, `n` items and their `clusters`, the values
        of `arm` and `control`, the `difference` with its 95% interval `low` to `high`, and `p`
        (exact McNemar for shares, else Student's t of the bootstrap's standard error), which is
        not corrected for the number of estimands.

    Errors: InterveneError for tables that lack a column, repeat an item, hold values that are not
        finite, or are of different items, and for tables without anything to contrast.
    """
    ours, theirs = _index(arm, "arm"), _index(control, "control")
    shared = ours.keys() & theirs.keys()
    for task in sorted(shared):
        _require_same(task, ours[task].keys, theirs[task].keys)
    found = []
    for estimand in list_estimands([ours]):
        tasks = estimand.hold(shared)
        if tasks and (change := pair(estimand, tasks, ours, theirs, resamples, seed)):
            found.append(_describe(estimand, change))
    if not found:
        raise InterveneError(
            "nothing that both tables hold can be contrasted",
            "arm, control",
            "give tables of one task whose items lie in several clusters",
        )
    return pd.DataFrame(found)


def pair(
    estimand: Estimand,
    tasks: tuple[str, ...],
    ours: Mapping[str, Items],
    theirs: Mapping[str, Items],
    resamples: int,
    seed: int,
) -> Pair | None:
    """One estimand over the same items of two readings; None where there is nothing to take.

    Args:
        estimand, tasks: what is estimated, over the items of which tasks.
        ours, theirs: by task; the keys of these tasks are equal.
        resamples, seed: of the bootstrap.
    """
    sample = estimand.sample(ours, tasks)
    if sample is None:
        return None
    values = estimand.values([ours, theirs], tasks)
    point, drawn = sample.resample(values, resamples, seed)
    mine, other = summarise(point, drawn, sample.degrees)
    gap, gaps = (np.round(x[:1] - x[1:], DECIMALS) for x in (point, drawn))
    (difference,) = summarise(gap, gaps, sample.degrees)
    if estimand.binary:
        changed = values[0] - values[1]
        p = mcnemar(*(np.array([(side * changed > 0).sum()]) for side in (1, -1)))
    else:
        p = find_p([difference], sample.degrees)
    return Pair(values.shape[1], sample.clusters, mine, other, difference, float(p[0]))


def _describe(estimand: Estimand, found: Pair) -> dict[str, object]:
    """One estimand's row."""
    return {
        "estimand": estimand.name,
        "section": estimand.section,
        "unit": estimand.unit,
        "n": found.n,
        "clusters": found.clusters,
        "arm": found.ours.value,
        "control": found.theirs.value,
        "difference": found.difference.value,
        "low": found.difference.low,
        "high": found.difference.high,
        "p": found.p,
    }


def _index(table: pd.DataFrame, where: str) -> dict[str, Items]:
    """A table's items, by task."""
    missing = [name for name in (*KEYS, "value") if name not in table]
    if missing:
        raise InterveneError(
            f"no column {', '.join(missing)}", where, "give what items.parquet holds"
        )
    frame = table.sort_values(KEYS)
    lost = int((~np.isfinite(frame["value"].to_numpy(np.float64))).sum())
    if lost:
        raise InterveneError(f"{lost:,} values are not finite", where, "score the model again")
    repeated = frame[frame.duplicated(["task", "item", "metric"])]
    if len(repeated):
        task, item, metric = repeated.iloc[0][["task", "item", "metric"]]
        raise InterveneError(f"{metric} of {item}, {task}, is there twice", where, "keep one")
    return {
        str(task): Items(
            Keys(*(part[name].to_numpy(object) for name in KEYS[1:])),
            part["value"].to_numpy(np.float64),
        )
        for task, part in frame.groupby("task", sort=True)
    }


def _require_same(task: str, ours: Keys, theirs: Keys) -> None:
    if not ours.equals(theirs):
        raise InterveneError(
            f"items of {task} differ ({len(ours.item):,} against {len(theirs.item):,} values)",
            "arm, control",
            "score both on the same items",
        )
