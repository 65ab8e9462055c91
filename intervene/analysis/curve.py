"""Readings, and how what is estimated from them moves along the steps of an arm."""

from dataclasses import dataclass
from typing import Any

import pandas as pd

from intervene.analysis.bootstrap import Estimate, Floats, band, summarise
from intervene.analysis.estimands import Estimand
from intervene.analysis.items import Items, Layout, read_items, tabulate
from intervene.errors import InterveneError
from intervene.lineage import Artefact

Terms = dict[str, Any]


@dataclass(frozen=True)
class Reading:
    """One checkpoint's items: the facts of a readings artefact and its table.

    Args:
        name: the artefact, `readings/key`.
        rate, direction, unit, seed: the arm's; meaningless where `base`. The rate is what was drawn
            with, solved where a share was asked for; the direction may be a published method.
        base: whether the checkpoint is that of the resume step, before any arm.
        released: whether the checkpoint is one that others trained and published.
        terms: what an arm and its control must have in common, flat with dotted keys; a base
            reading has those terms only that hold before any arm.
        tasks: by task: `n` items, and the `digest` of its code and items.
        corpus: counts of the arm's corpus (eligible, applied, rate_reached), or None.
        experiment: the whole experiment, as a JSON value.
        items: by task.
    """

    name: str
    model: str
    arm: str
    rate: float
    direction: str
    unit: str
    seed: int
    step: int
    resume_step: int
    stop_step: int
    base: bool
    released: bool
    terms: Terms
    tasks: dict[str, dict[str, Any]]
    corpus: dict[str, Any] | None
    harness: str
    precision: str
    batch_size: int | None
    experiment: dict[str, Any]
    items: dict[str, Items]

    @property
    def size(self) -> int:
        """A number that grows with the model: layers × width²."""
        model = self.experiment["model"]
        return int(model["layers"]) * int(model["width"]) ** 2

    @property
    def parameters(self) -> int:
        """Parameters of its layers, embeddings left out: 12 × layers × width²."""
        return 12 * self.size

    @property
    def is_control(self) -> bool:
        """Whether nothing was swapped in what the model read after the resume step."""
        return not self.base and self.rate == 0

    def table(self) -> pd.DataFrame:
        """The items as a new table: task, item, metric, cluster, stereotype, value."""
        return tabulate(self.items)


@dataclass(frozen=True)
class Curve:
    """An estimand by step along one arm, the base reading first.

    Args:
        steps: the optimiser steps, rising.
        estimates: one per step, each with its own 95% interval.
        lows, highs: the 95% band that holds at all steps at once.
    """

    model: str
    arm: str
    rate: float
    direction: str
    estimand: Estimand
    steps: tuple[int, ...]
    estimates: tuple[Estimate, ...]
    lows: Floats
    highs: Floats


def gather(artefacts: list[Artefact]) -> list[Reading]:
    """Read readings artefacts: the manifest's facts, and `items.parquet`.

    Errors: InterveneError for values that are not finite, and for repeated items.
    """
    readings = []
    layouts: dict[bytes, Layout] = {}
    for artefact in sorted(artefacts, key=lambda a: a.key):
        facts = artefact.facts
        known = {k: facts[k] for k in Reading.__dataclass_fields__ if k not in ("name", "items")}
        items = read_items(artefact.path / "items.parquet", layouts)
        readings.append(Reading(name=artefact.name, items=items, **known))
    return readings


def trace(readings: list[Reading], estimand: Estimand, resamples: int, seed: int) -> Curve | None:
    """The curve of one arm, or None where its readings do not hold the estimand's items.

    The last reading that holds any says which tasks are pooled; steps that lack one are left out.
    """
    held = [estimand.hold(r.items) for r in readings]
    tasks = next((found for found in reversed(held) if found), ())
    readings = [r for r, found in zip(readings, held, strict=True) if set(tasks) <= set(found)]
    if not tasks or (sample := estimand.sample(readings[0].items, tasks)) is None:
        return None
    require_same_items(readings, tasks)
    points = estimand.values([r.items for r in readings], tasks)
    values, drawn = sample.resample(points, resamples, seed)
    lows, highs = band(values, drawn, sample.degrees)
    last = readings[-1]
    return Curve(
        last.model, last.arm, last.rate, last.direction, estimand,
        tuple(r.step for r in readings),
        tuple(summarise(values, drawn, sample.degrees)),
        lows, highs,
    )  # fmt: skip


def require_same_items(readings: list[Reading], tasks: tuple[str, ...]) -> None:
    """Refuse readings whose items of these tasks are not the same.

    Errors: InterveneError that counts the items that only one has, and names one of them.
    """
    first = readings[0]
    for other in readings[1:]:
        for task in tasks:
            one, two = first.items[task].keys, other.items[task].keys
            if one.equals(two):
                continue
            mine, theirs = (
                set(zip(k.item, k.metric, k.cluster, k.stereotype, strict=True)) for k in (one, two)
            )
            item, metric, *_ = min(mine ^ theirs)
            raise InterveneError(
                f"items differ: {len(mine - theirs):,} only in the first, {len(theirs - mine):,} "
                f"only in the second (such as {metric} of {item}, {task})",
                f"{first.name} against {other.name}",
                "score both on the same items",
            )
