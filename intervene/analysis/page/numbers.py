"""What the page's charts and table of items are made of: the findings as one JSON value."""

import math
from collections.abc import Iterable
from itertools import groupby
from typing import Any

from intervene.analysis.curve import Curve
from intervene.analysis.estimands import Estimand
from intervene.analysis.figures.palette import Look
from intervene.analysis.figures.shown import list_estimands
from intervene.analysis.findings import Contrast, Findings
from intervene.analysis.trial import Trial
from intervene.analysis.words import show_arm

DIGITS = 4
"""Significant digits of a number on the page; the tables have six."""
SHAPES = {
    "o": ("circle", "●"), "s": ("square", "■"), "D": ("diamond", "◆"), "^": ("triangle-up", "▲"),
    "v": ("triangle-down", "▼"), "P": ("cross", "✚"), "*": ("star", "★"), "X": ("x", "✖"),
}  # fmt: skip
"""By matplotlib's marker: Vega's shape, and a letter for the list of arms."""
Value = dict[str, Any]


def collect_numbers(findings: Findings, looks: dict[str, Look]) -> Value:
    """Models, arms, measures, paths by step, controls, slopes and floors, as a JSON value.

    Models, arms and measures are named by their places in these lists everywhere else.

    Args:
        findings: of which there is at least one contrast.
        looks: of every arm.
    """
    trials = list_shown(findings)
    models = {trial.label: i for i, trial in enumerate(trials)}
    arms = {arm: i for i, arm in enumerate(looks)}
    held = list_measures(findings)
    measures = {e.name: i for i, e in enumerate(held)}
    paths = [list(path) for _, path in groupby(findings.contrasts, key=_name_path)]
    counts = {(path[0].label, path[0].estimand.name): path[0].n for path in paths}
    return {
        "models": [_describe_model(trial) for trial in trials],
        "arms": _describe_arms(findings, looks),
        "measures": [
            {"title": e.title, "unit": e.unit, "symbol": e.symbol, "section": e.section}
            for e in held
        ],
        "paths": _list_paths(paths, models, arms, measures),
        "controls": _list_controls(findings, counts, models, measures),
        "slopes": _list_slopes(findings, models, arms, measures),
        "floors": _list_floors(findings, models, measures),
        "figures": list_figures(findings, measures),
    }


def list_shown(findings: Findings) -> list[Trial]:
    """The trials of which anything is contrasted, in order."""
    having = {c.label for c in findings.contrasts}
    return [trial for trial in findings.trials if trial.label in having]


def list_measures(findings: Findings) -> list[Estimand]:
    """The estimands of which anything is contrasted, in the report's order."""
    having = {c.estimand.name for c in findings.contrasts}
    return [e for e in findings.estimands if e.name in having]


def list_figures(findings: Findings, measures: dict[str, int]) -> dict[str, Value]:
    """The page's charts by name: their kind, and the measures that they show.

    One without measures shows what the reader chooses.
    """

    def pick(estimands: Iterable[Estimand], unit: str = "nats") -> list[int]:
        return [measures[e.name] for e in estimands if e.name in measures and e.unit == unit]

    own = [e for e in findings.estimands if e.section == "other"]
    retained = list_estimands("retention", findings)
    shown = {
        "chart-check": ("curves", pick(list_estimands("manipulation", findings))),
        "chart-curves": ("curves", []),
        "chart-doses": ("doses", []),
        "chart-sizes": ("sizes", []),
        "chart-crows": ("forest", pick(list_estimands("crows_direction", findings))),
        "chart-controls": ("forest", pick(list_estimands("crows_categories", findings))),
        "chart-retained": ("forest", pick(retained)),
        "chart-retained-shares": ("forest", pick(retained, "share")),
        "chart-own": ("forest", pick(own)),
        "chart-own-shares": ("forest", pick(own, "share")),
        "chart-published": ("published", []),
        "chart-floor": ("forest", pick(list_estimands("noise_floor", findings))),
    }
    return {name: {"chart": kind, "measures": which} for name, (kind, which) in shown.items()}


Places = dict[str, int]


def _list_paths(
    paths: list[list[Contrast]], models: Places, arms: Places, measures: Places
) -> list[Value]:
    return [
        {
            "model": models[path[0].label],
            "arm": arms[path[0].run.arm],
            "measure": measures[path[0].estimand.name],
            **_describe_path(path),
        }
        for path in paths
    ]


def _list_controls(
    findings: Findings, counts: dict[tuple[str, str], int], models: Places, measures: Places
) -> list[Value]:
    """The controls' own curves; `counts` has the items of what is contrasted with them."""
    return [
        {
            "model": models[label],
            "measure": measures[curve.estimand.name],
            "n": counts[label, curve.estimand.name],
            **_describe_control(curve),
        }
        for label, curve in findings.controls
        if (label, curve.estimand.name) in counts
    ]


def _list_slopes(findings: Findings, models: Places, arms: Places, measures: Places) -> list[Value]:
    return [
        {
            "model": models[s.label],
            "measure": measures[s.estimand.name],
            "family": f"{s.direction} {s.unit}",
            "rate": max(s.rates),
            "colour": _find_colour(s.label, s.direction, s.unit, findings, arms),
            **_round_each(value=s.estimate.value, low=s.estimate.low, high=s.estimate.high),
        }
        for s in findings.slopes
    ]


def _list_floors(findings: Findings, models: Places, measures: Places) -> list[Value]:
    """Of each model and measure the last step that has one."""
    last = {(f.label, f.estimand.name): f for f in findings.floors}
    return [
        {
            "model": models[f.label],
            "measure": measures[f.estimand.name],
            "step": f.step,
            "n": f.n,
            "clusters": f.clusters,
            **_round_each(
                value=f.difference.value, low=f.difference.low, high=f.difference.high, p=f.p
            ),
        }
        for f in last.values()
        if f.label in models and f.estimand.name in measures
    ]


def _name_path(c: Contrast) -> tuple[str, str, str]:
    return c.label, c.run.arm, c.estimand.name


def _describe_model(trial: Trial) -> Value:
    first = (trial.control or trial.arms[0])[-1]
    resumed = first.resume_step if not first.released else None
    return {"label": trial.label, "parameters": first.parameters, "resume": resumed}


def _describe_arms(findings: Findings, looks: dict[str, Look]) -> list[Value]:
    named = {c.run.arm: c for c in findings.contrasts}
    return [
        {
            "slug": arm,
            "words": show_arm(named[arm], findings),
            "rate": named[arm].run.rate,
            "shape": SHAPES[look.marker][0],
            "glyph": SHAPES[look.marker][1],
        }
        for arm, look in looks.items()
    ]


def _describe_path(path: list[Contrast]) -> Value:
    last = path[-1]
    return {
        "n": last.n,
        "clusters": last.clusters,
        "final": last.final,
        "holm": None if last.holm is None else round_off(last.holm),
        "steps": [c.reading.step for c in path],
        **_list_columns(
            own=(c.arm.value for c in path),
            change=(c.difference.value for c in path),
            low=(c.difference.low for c in path),
            high=(c.difference.high for c in path),
            bandLow=(c.low for c in path),
            bandHigh=(c.high for c in path),
            detectable=(c.detectable for c in path),
            p=(c.p for c in path),
        ),
    }


def _describe_control(curve: Curve) -> Value:
    return {
        "steps": list(curve.steps),
        **_list_columns(
            value=(e.value for e in curve.estimates),
            low=(e.low for e in curve.estimates),
            high=(e.high for e in curve.estimates),
            bandLow=curve.lows.tolist(),
            bandHigh=curve.highs.tolist(),
        ),
    }


def _find_colour(
    label: str, direction: str, unit: str, findings: Findings, arms: dict[str, int]
) -> str:
    """The colour of the family's strongest arm."""
    runs = [arm[-1] for t in findings.trials if t.label == label for arm in t.arms]
    mine = [run for run in runs if (run.direction, run.unit) == (direction, unit)]
    return f"var(--arm-{arms[max(mine, key=lambda run: run.rate).arm]})"


def _list_columns(**columns: Iterable[float]) -> Value:
    return {name: [round_off(value) for value in column] for name, column in columns.items()}


def _round_each(**values: float) -> Value:
    return {name: round_off(value) for name, value in values.items()}


def round_off(value: float) -> float | None:
    """A number with few digits; None for what is none."""
    return float(f"{value:.{DIGITS}g}") + 0.0 if math.isfinite(value) else None
