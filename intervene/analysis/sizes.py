"""Effect against model size: how a final contrast changes from model to larger model."""

from dataclasses import dataclass

import numpy as np

from intervene.analysis.bootstrap import Estimate, Floats, find_p, summarise
from intervene.analysis.curve import Reading
from intervene.analysis.estimands import Estimand
from intervene.analysis.items import Keys

MATRICES = 12  # of width²: 4 in attention, 8 in the feed-forward part, in each layer


@dataclass(frozen=True)
class SizeTrend:
    """The change of one arm's final contrast per tenfold of the model's parameters.

    Exploratory and uncorrected. Each size is one model that was trained once: intervals are over
    benchmark items and not over trainings, and of two sizes the slope is their difference.

    Args:
        labels: the trials that it was fitted to, small models first.
        parameters: of each, as `count_parameters`.
        estimate: per decade of parameters, in the estimand's unit.
    """

    direction: str
    unit: str
    seed: int
    rate: float
    estimand: Estimand
    labels: tuple[str, ...]
    parameters: tuple[int, ...]
    estimate: Estimate
    p: float


@dataclass(frozen=True)
class Ending:
    """One arm's contrast at its trial's final step, on the items and on every resample.

    Args:
        label: the trial's.
        run: the arm's last reading.
        items: what it was taken over: a digest and keys by task.
        value: the contrast.
        drawn: float64 [draws].
        degrees: of freedom, as `Sample.degrees`.
    """

    label: str
    run: Reading
    estimand: Estimand
    items: tuple[tuple[str, Keys], ...]
    value: float
    drawn: Floats
    degrees: float

    def pairs_with(self, other: "Ending") -> bool:
        """Whether both are over the same items, so that their draws are the same too."""
        return len(self.items) == len(other.items) and all(
            mine == theirs and one.equals(two)
            for (mine, one), (theirs, two) in zip(self.items, other.items, strict=True)
        )


def count_parameters(reading: Reading) -> int:
    """The model's parameters without embeddings, biases and norms: 12 × layers × width²."""
    return MATRICES * reading.size


def fit_sizes(endings: list[Ending]) -> list[SizeTrend]:
    """Least squares of each arm's contrast on log10 of the parameters, where two sizes have it.

    Items and seed are the same over sizes, so the draws pair and each resample is fitted anew.
    Models whose items differ from those of most are left out, as are arms of one size only.
    """
    families: dict[tuple[str, str, str], list[Ending]] = {}
    for ending in endings:
        variant = ending.label.removeprefix(ending.run.model)  # what tells a model's trials apart
        key = ending.estimand.name, ending.run.arm, variant
        families.setdefault(key, []).append(ending)
    fitted = (_fit(_keep_equal(family)) for family in families.values())
    return [trend for trend in fitted if trend]


def _keep_equal(family: list[Ending]) -> list[Ending]:
    """The most endings that are over the same items; of as many, the first."""
    groups: list[list[Ending]] = []
    for ending in family:
        home = next((group for group in groups if group[0].pairs_with(ending)), None)
        if home is None:
            groups.append([ending])
        else:
            home.append(ending)
    return max(groups, key=len)


def _fit(family: list[Ending]) -> SizeTrend | None:
    family = sorted(family, key=lambda e: (e.run.size, e.label))
    parameters = [count_parameters(e.run) for e in family]
    if len(set(parameters)) < 2:
        return None
    decades = np.log10(parameters)
    decades -= decades.mean()
    weights = decades / (decades**2).sum()
    first = family[0]
    point = weights @ np.array([e.value for e in family])
    drawn = weights @ np.stack([e.drawn for e in family])
    estimates = summarise(np.array([point]), drawn[None], first.degrees)
    (p,) = find_p(estimates, first.degrees).tolist()
    run = first.run
    return SizeTrend(
        run.direction, run.unit, run.seed, run.rate, first.estimand,
        tuple(e.label for e in family), tuple(parameters), estimates[0], p,
    )  # fmt: skip
