"""The published curves beside ours, as rows of the page's last chart."""

from collections.abc import Iterator, Sequence
from typing import Any

from intervene.analysis.bootstrap import Estimate
from intervene.analysis.curve import Curve
from intervene.analysis.estimands import ESTIMANDS, Estimand
from intervene.analysis.figures.palette import Look, darken_colour
from intervene.analysis.figures.published import (
    LOOKS,
    RELEASED,
    find_doubts,
    group_published,
    list_quantities,
)
from intervene.analysis.findings import Findings
from intervene.analysis.published.anomalies import find_anomalies
from intervene.analysis.published.curves import trace_published
from intervene.analysis.published.reading import PublishedReading
from intervene.analysis.published.words import KINDS
from intervene.analysis.words import measure, show, show_arm

Row = dict[str, Any]

THEIRS = {RELEASED: "published: released"} | {
    arm: f"published: {look.words}" for arm, look in LOOKS.items() if arm != RELEASED
}


def list_published(findings: Findings, published: Sequence[PublishedReading]) -> list[Row]:
    """A row per point of each curve, published or ours, by quantity and model.

    Of ours, the control and the arms of the highest rate. Published points start where the first
    intervention does; each has its own 95% interval, and no difference, since nothing can be paired
    with it.
    """
    names = list_quantities(findings, published)
    theirs = group_published(trace_published(published))
    doubts = find_doubts(published, find_anomalies(published)) if names else {}
    rows: list[Row] = []
    for estimand in (e for e in ESTIMANDS if e.name in names):
        ours = {c.label for c in findings.contrasts if c.estimand == estimand}
        common = ours & theirs.keys() or ours | theirs.keys()
        for model in sorted(common):
            unit = "%" if estimand.unit == "share" else estimand.unit
            panel = f"{estimand.title}, {unit} · {model}"
            place = len({row["panel"] for row in rows} | {panel})
            curves = theirs.get(model, {}).get(estimand.name, [])
            found = [*_list_theirs(curves, doubts), *_list_ours(findings, model, estimand)]
            rows += [row | {"panel": panel, "place": place, "model": model} for row in found]
    return rows


def list_anomalies(published: Sequence[PublishedReading]) -> list[str]:
    """What is wrong in the published numbers, a sentence a kind."""
    found = find_anomalies(published) if published else []
    counts = {kind: [a for a in found if a.kind == kind] for kind in KINDS}
    return [
        f"{kind}, {len(each):,} times: {KINDS[kind]}; such as {each[0].source}."
        for kind, each in counts.items()
        if each
    ]


def _list_theirs(curves: list[Curve], doubts: Any) -> Iterator[Row]:
    began = min((c.steps[0] for c in curves if c.arm != RELEASED), default=0)
    for curve in curves:
        look = LOOKS[curve.arm]
        doubted = doubts.get((curve.model, curve.arm, curve.estimand.name), {})
        for step, e in zip(curve.steps, curve.estimates, strict=True):
            if step >= began:
                row = _make_row(curve.estimand, THEIRS[curve.arm], step, e, look)
                kinds = ", ".join(sorted(doubted.get(step, ())))
                yield row | {"shape": "x" if kinds else row["shape"], "p": kinds or "–"}


def _list_ours(findings: Findings, model: str, estimand: Estimand) -> Iterator[Row]:
    for label, curve in findings.controls:
        if label == model and curve.estimand == estimand:
            for step, e in zip(curve.steps, curve.estimates, strict=True):
                yield _make_row(estimand, "ours: control", step, e, Look("var(--ink)", "o", ""))
    runs = {c.run.arm: c.run for c in findings.contrasts}
    highest = max(run.rate for run in runs.values())
    for i, (arm, run) in enumerate(runs.items()):
        for c in findings.path(model, arm, estimand) if run.rate == highest else ():
            look = Look(f"var(--arm-{i})", "o", "")
            yield _make_row(estimand, f"ours: {show_arm(c, findings)}", c.reading.step, c.arm, look)


def _make_row(estimand: Estimand, arm: str, step: int, e: Estimate, look: Look) -> Row:
    scale, digits, unit = measure(estimand)
    digits += unit == "nats"
    return {
        "kind": "control", "step": step, "arm": arm, "colour": _shade(look.colour),
        "shape": {"s": "square", "D": "diamond"}.get(look.marker, "circle"),
        "value": _round(scale * e.value), "low": _round(scale * e.low),
        "high": _round(scale * e.high), "measure": estimand.title, "at": f"step {step:,}",
        "own": f"{show(scale * e.value, digits)} {'%' if unit == 'points' else unit}",
        "interval": f"[{show(scale * e.low, digits)}, {show(scale * e.high, digits)}]",
        "change": "–", "band": "–", "items": "–", "detectable": "–", "p": "–",
    }  # fmt: skip


def _shade(colour: str) -> str:
    """A colour (hex) for light and dark pages; a variable is both already."""
    return colour if colour.startswith("var") else f"light-dark({colour}, {darken_colour(colour)})"


def _round(value: float) -> float:
    return float(f"{value:.4g}")
