"""Contrasts: an arm minus its control on the same items at the same step, with their tests."""

import dataclasses
import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np

from intervene.analysis.bootstrap import (
    DECIMALS,
    Estimate,
    Floats,
    Sample,
    band,
    find_p,
    summarise,
)
from intervene.analysis.curve import Curve, Reading, require_same_items, trace
from intervene.analysis.estimands import Estimand, list_estimands
from intervene.analysis.findings import Contrast, Findings
from intervene.analysis.floor import measure_floors
from intervene.analysis.mcnemar import mcnemar
from intervene.analysis.sizes import Ending, fit_sizes
from intervene.analysis.slope import Slope, fit_slopes
from intervene.analysis.spread import Spread, spread_seeds
from intervene.analysis.trial import Assembly, Trial

Path = list[tuple[Reading, Reading]]
"""An arm's readings and the control's, by step."""


@dataclass(frozen=True)
class _Part:
    """What one estimand shows in one trial, on one set of tasks."""

    contrasts: list[Contrast]
    slopes: list[Slope]
    spreads: list[Spread]
    endings: list[Ending]


def compare(assembly: Assembly, *, resamples: int, seed: int) -> Findings:
    """Every contrast of every trial, with Holm's correction over an endpoint's final contrasts.

    The family of each endpoint is size × rate: all of its contrasts at the final steps.
    """
    runs = [run for trial in assembly.trials for run in (trial.control, *trial.arms)]
    estimands = list_estimands(reading.items for run in runs for reading in run)
    # Most of it is sorting and products of arrays, which leave the interpreter to other threads.
    with ThreadPoolExecutor(len(os.sched_getaffinity(0))) as pool:
        examined = list(
            pool.map(lambda t: _examine(t, estimands, resamples, seed), assembly.trials)
        )
    parts = [part for found, _ in examined for part in found]
    controls = [control for _, found in examined for control in found]
    found = [c for part in parts for c in part.contrasts]
    for estimand in [e for e in estimands if e.endpoint]:
        family = [i for i, c in enumerate(found) if c.final and c.estimand == estimand]
        for i, p in zip(family, holm([found[i].p for i in family]), strict=True):
            found[i] = dataclasses.replace(found[i], holm=p)
    order = [e.name for e in estimands]
    slopes = [slope for part in parts for slope in part.slopes]
    spreads = [spread for part in parts for spread in part.spreads]
    trends = fit_sizes([ending for part in parts for ending in part.endings])
    return Findings(
        assembly.trials,
        tuple(found),
        tuple(controls),
        tuple(sorted(slopes, key=lambda s: order.index(s.estimand.name))),
        resamples,
        seed,
        spreads=tuple(sorted(spreads, key=lambda s: order.index(s.estimand.name))),
        trends=tuple(sorted(trends, key=lambda t: order.index(t.estimand.name))),
        floors=tuple(measure_floors(assembly.trials, resamples, seed)),
        refused=assembly.refused,
        estimands=estimands,
    )


def _examine(
    trial: Trial, estimands: tuple[Estimand, ...], resamples: int, seed: int
) -> tuple[list[_Part], list[tuple[str, Curve]]]:
    """What each estimand shows in one trial, and the control's own curves."""
    parts, controls = list[_Part](), list[tuple[str, Curve]]()
    for estimand in estimands:
        for tasks, paths in _gather_paths(trial, estimand).items():
            part = _contrast(trial, estimand, tasks, paths, resamples, seed)
            parts += [part] if part else []
        if trial.control and (curve := trace(list(trial.control), estimand, resamples, seed)):
            controls.append((trial.label, curve))
    return parts, controls


def holm(ps: list[float]) -> list[float]:
    """Holm's step-down correction, in the order given."""
    # Two seconds to import, which only a comparison should pay.
    from statsmodels.stats.multitest import multipletests

    return [float(p) for p in multipletests(ps, method="holm")[1]] if ps else []


def _gather_paths(trial: Trial, estimand: Estimand) -> dict[tuple[str, ...], list[Path]]:
    """Each arm's path, by the tasks that its last pair of readings shares.

    Steps that lack one of these tasks are left out, so that a path is over the same items.
    """
    gathered: dict[tuple[str, ...], list[Path]] = {}
    for arm in trial.arms:
        held = [
            (pair, estimand.hold(pair[0].items.keys() & pair[1].items.keys()))
            for pair in trial.paired(arm)
        ]
        tasks = next((tasks for _, tasks in reversed(held) if tasks), ())
        path = [pair for pair, found in held if set(tasks) <= set(found)]
        if tasks and not all(reading.base for reading, _ in path):
            gathered.setdefault(tasks, []).append(path)
    return gathered


def _contrast(
    trial: Trial,
    estimand: Estimand,
    tasks: tuple[str, ...],
    paths: list[Path],
    resamples: int,
    seed: int,
) -> _Part | None:
    """The contrasts of all paths, every reading resampled once; None where there are no items."""
    readings = list({r.name: r for path in paths for pair in path for r in pair}.values())
    require_same_items(readings, tasks)
    sample = estimand.sample(readings[0].items, tasks)
    if sample is None:
        return None
    values = estimand.values([r.items for r in readings], tasks)
    point, drawn = sample.resample(values, resamples, seed)
    own = summarise(point, drawn, sample.degrees)
    place = {r.name: i for i, r in enumerate(readings)}
    final, made = trial.final, list[Contrast]()
    finals: list[tuple[Reading, float, Floats]] = []
    for path in paths:
        arms, controls = (
            np.array([place[r.name] for r in side]) for side in zip(*path, strict=True)
        )
        gap = np.round(point[arms] - point[controls], DECIMALS)
        gaps = np.round(drawn[arms] - drawn[controls], DECIMALS)
        changed = values[arms] - values[controls] if estimand.binary else None
        tested = _test(sample, gap, gaps, changed)
        for pair, i, j, (difference, low, high, discordant, p) in zip(
            path, arms, controls, tested, strict=True
        ):
            made.append(
                Contrast(
                    trial.label, estimand, path[-1][0], *pair,
                    pair[0].step == final and not pair[0].base, values.shape[1], sample.clusters,
                    own[i], own[j], difference, low, high, discordant, p, trial.mismatches,
                )
            )  # fmt: skip
        if made[-1].final:
            finals.append((path[-1][0], float(gap[-1]), gaps[-1]))
    if not finals:
        return _Part(made, [], [], [])
    runs = [run for run, _, _ in finals]
    change, spread = np.array([g for _, g, _ in finals]), np.stack([g for _, _, g in finals])
    slopes = fit_slopes(trial.label, estimand, runs, change, spread, sample.degrees)
    spreads = spread_seeds(trial.label, estimand, runs, change)
    if not estimand.endpoint:
        return _Part(made, [], spreads, [])
    items = tuple((runs[0].tasks[t]["digest"], readings[0].items[t].keys) for t in tasks)
    endings = [
        Ending(trial.label, run, estimand, items, value, draws.copy(), sample.degrees)
        for run, value, draws in finals
    ]
    return _Part(made, slopes, spreads, endings)


def _test(
    sample: Sample, gap: Floats, gaps: Floats, changed: Floats | None
) -> Iterator[tuple[Estimate, float, float, tuple[int, int] | None, float]]:
    """The end of each contrast of a path: difference, band, discordant items and p.

    Args:
        sample: the items.
        gap, gaps: float64 [steps] and [steps, draws].
        changed: float64 [steps, n] of −1, 0 and 1 for a binary estimand, else None.
    """
    differences = summarise(gap, gaps, sample.degrees)
    lows, highs = (side.tolist() for side in band(gap, gaps, sample.degrees))
    if changed is None:
        discordant: list[tuple[int, int] | None] = [None] * len(differences)
        ps = find_p(differences, sample.degrees).tolist()
    else:
        gained, lost = (changed > 0).sum(axis=1), (changed < 0).sum(axis=1)
        discordant = list(zip(gained.tolist(), lost.tolist(), strict=True))
        ps = mcnemar(gained, lost).tolist()
    yield from zip(differences, lows, highs, discordant, ps, strict=True)
