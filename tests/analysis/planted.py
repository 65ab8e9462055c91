"""Items of further tasks beside those of a synthetic reading."""

import numpy as np
import pandas as pd

from intervene.analysis.contrast import compare
from intervene.analysis.curve import gather
from intervene.analysis.findings import Findings
from intervene.analysis.trial import assemble


def plant(
    items: pd.DataFrame,
    task: str,
    metric: str,
    mean: float,
    *,
    salt: int = 0,
    n: int = 80,
    share: bool = False,
    stereotypes: tuple[str, ...] = ("",),
) -> pd.DataFrame:
    """The table with n more items: one difficulty each for all, and small noise by `salt`.

    Of a share, the first items are 1: so many that it is `mean`.
    """
    shared, own = np.random.default_rng(5), np.random.default_rng([13, salt])
    values = mean + shared.normal(0, 1, n) + own.normal(0, 0.1, n)
    if share:
        values = (np.arange(n) < round(mean * n)).astype(float)
    names = [f"{task}_{i:03d}" for i in range(n)]
    more = pd.DataFrame(
        {
            "task": task,
            "item": names,
            "metric": metric,
            "cluster": names,
            "stereotype": [stereotypes[i % len(stereotypes)] for i in range(n)],
            "value": values,
        }
    )
    return pd.concat([items, more[items.columns]], ignore_index=True)


def find(bench, resamples: int = 400, allow_mismatch: tuple[str, ...] = ()) -> Findings:
    """What is found in a bench's readings."""
    readings = gather(bench.written)
    return compare(assemble(readings, allow_mismatch), resamples=resamples, seed=0)


def write_pair(bench, control: pd.DataFrame, arm: pd.DataFrame, **facts: object) -> None:
    """A control and an arm of rate 1, at one step."""
    bench.write(control)
    bench.write(arm, rate=1.0, **facts)
