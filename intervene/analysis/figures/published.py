"""The published curves beside ours, where both are of one quantity; doubtful points marked."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from intervene.analysis.curve import Curve
from intervene.analysis.estimands import ESTIMANDS, Estimand
from intervene.analysis.figures.arms import Cast, cast, find_family
from intervene.analysis.figures.bars import Bar, draw_bars
from intervene.analysis.figures.grid import Block, Cell, Sheet, lay_out
from intervene.analysis.figures.labels import Label, find_left, find_room
from intervene.analysis.figures.legend import Entry
from intervene.analysis.figures.lines import draw_arms, find_curves, frame_steps
from intervene.analysis.figures.palette import INK, MUTED, RAMPS, Look
from intervene.analysis.findings import Contrast, Findings
from intervene.analysis.limits import list_mismatches
from intervene.analysis.published.anomalies import (
    IDENTICAL,
    JUMP,
    REGIME,
    SHARED,
    STRIPPED,
    Anomaly,
    find_anomalies,
)
from intervene.analysis.published.curves import ARMS, FORMS, trace_published
from intervene.analysis.published.reading import BASELINE, CROWS, WINOBIAS, PublishedReading
from intervene.analysis.published.series import OTHER_RUNS, find_run

HIGH = 1.2
TICKS_INCHES = 0.3  # for the names of the ticks of the next panel
QUANTITIES = (
    "crows_stereotyped", "lambada_logprob", "lambada_accuracy", "gen_stand_gap", "gen_refers_gap",
    "gen_stand_accuracy", "gen_refers_accuracy",
)  # fmt: skip
RELEASED = ARMS[BASELINE][0]
LOOKS = {
    RELEASED: Look(MUTED, "o", "published"),
    "published-feminise": Look(RAMPS["original_token_map"][1], "s", "last 7%"),
    "published-feminise-long": Look(RAMPS["original_token_map"][0], "D", "last 21%"),
}
DOUBT = "x"
FIRST_SUITE = "-v0"

Doubts = dict[tuple[str, str, str], dict[int, set[str]]]
"""By model, arm and estimand: the kinds of anomaly at each step that has one."""


def draw_published(findings: Findings, published: Sequence[PublishedReading]) -> Figure | None:
    """A panel per size for each quantity; None where nothing published is of a quantity of ours."""
    names = list_quantities(findings, published)
    if not names:
        return None
    shown = list_highest(findings, names)
    whole, theirs = cast(findings, shown), group_published(trace_published(published))
    doubts = find_doubts(published, find_anomalies(published))
    blocks, labels = [], ["control", *(look.words for look in LOOKS.values())]
    labels += list(whole.words.values())
    for estimand in (e for e in ESTIMANDS if e.name in names):
        cells = _list_cells(findings, estimand, whole, theirs, doubts)
        unit = "share" if estimand.unit == "share" else estimand.unit
        blocks.append(Block(estimand.title, cells, "optimiser step", unit, HIGH, share_y=False))
    legend = [
        Entry("control (ours), with its 95% band", INK, "o", "-"),
        Entry("arm (ours), with the band of its paired difference", MUTED, "s", "-"),
        Entry("published, with 95% of each checkpoint alone", MUTED, "o", ":"),
        Entry("an anomaly stands against the point", INK, DOUBT),
    ]
    notes = list_mismatches(whole.trials)
    room = find_room(labels) + TICKS_INCHES
    return lay_out(Sheet(blocks, (0.9, 3.0), room, find_left(""), legend, notes))


def list_quantities(findings: Findings, published: Sequence[PublishedReading]) -> list[str]:
    """The estimands that were published with a baseline and an intervention, and are ours too."""
    if not published:
        return []
    theirs = {
        name for curves in group_published(trace_published(published)).values() for name in curves
    }
    ours = {c.estimand.name for c in findings.contrasts}
    return [name for name in QUANTITIES if name in theirs and name in ours]


def list_highest(findings: Findings, names: Sequence[str]) -> list[Contrast]:
    """The contrasts of these quantities at the highest rate: what was published swapped all."""
    shown = [c for c in findings.contrasts if c.estimand.name in names]
    highest = {
        key: max(c.run.rate for c in shown if (c.label, find_family(c.run)) == key)
        for key in {(c.label, find_family(c.run)) for c in shown}
    }
    return [c for c in shown if c.run.rate == highest[c.label, find_family(c.run)]]


def group_published(curves: Iterable[Curve]) -> dict[str, dict[str, list[Curve]]]:
    """By model and estimand: the baseline and its interventions, where there are both.

    Of the second suite alone where it has any: the first has other steps and batch sizes.
    """
    curves = list(curves)
    curves = [c for c in curves if not c.model.endswith(FIRST_SUITE)] or curves
    grouped: dict[str, dict[str, list[Curve]]] = defaultdict(lambda: defaultdict(list))
    for curve in curves:
        grouped[curve.model][curve.estimand.name].append(curve)
    found: dict[str, dict[str, list[Curve]]] = {}
    for model, named in grouped.items():
        for name, members in named.items():
            if {RELEASED} < {c.arm for c in members}:
                found.setdefault(model, {})[name] = members
    return found


def find_doubts(published: Sequence[PublishedReading], anomalies: Sequence[Anomaly]) -> Doubts:
    """Which published points an anomaly stands against, in the file they are from or their run."""
    kinds: dict[str, set[str]] = defaultdict(set)
    for anomaly in anomalies:
        kinds[anomaly.source].add(anomaly.kind)
    doubts: Doubts = defaultdict(lambda: defaultdict(set))
    seen: set[tuple[str, str, str, int]] = set()
    for r in sorted(published, key=lambda r: (OTHER_RUNS in r.name, r.name)):
        run = find_run(r)
        tasks = {v.task for v in r.values}
        own, arm = kinds[r.name], ARMS[run.arm][0]
        for name in QUANTITIES:
            prefix, of_file, source = _about(name)
            key = (run.model, arm, name, r.step)
            if not any(task.startswith(prefix) for task in tasks) or key in seen:
                continue
            seen.add(key)
            found = (own & of_file) | (kinds[f"{run.model} {run.arm} {source}"] & {JUMP, SHARED})
            if found:
                doubts[key[:3]][r.step] |= found
    return {key: dict(steps) for key, steps in doubts.items()}


def _about(name: str) -> tuple[str, set[str], str]:
    """A quantity's tasks, the kinds that speak of its files, and what its runs are called."""
    if name.startswith("crows"):
        return CROWS, {REGIME, IDENTICAL}, "CrowS-Pairs"
    if name.startswith("gen"):
        return WINOBIAS, {STRIPPED}, f"WinoBias [{FORMS[name.split('_')[1]]}]"
    return "lambada_openai", set(), "LAMBADA"


def _list_cells(
    findings: Findings,
    estimand: Estimand,
    whole: Cast,
    theirs: dict[str, dict[str, list[Curve]]],
    doubts: Doubts,
) -> list[Cell]:
    """Our panels of the models that were published; without any, all of ours and all of theirs."""
    cells = []
    for panel in whole.panels:
        paths = [findings.path(panel.trial.label, arm, estimand) for arm in sorted(panel.arms)]
        paths = [path for path in paths if path]
        if paths:
            curves = theirs.get(panel.trial.label, {}).get(estimand.name, [])
            controls = find_curves(findings, panel.trial.label, estimand)
            draw = _make_draw(whole, paths, controls, curves, doubts)
            cells.append((Cell(panel.title, draw), bool(curves)))
    if any(both for _, both in cells):
        return [cell for cell, both in cells if both]
    alone = [
        Cell(f"{model}\npublished", _make_draw(whole, [], [], named[estimand.name], doubts))
        for model, named in theirs.items()
        if estimand.name in named
    ]
    return [*(cell for cell, _ in cells), *alone]


def _make_draw(
    whole: Cast,
    paths: list[list[Contrast]],
    controls: list[Curve],
    curves: list[Curve],
    doubts: Doubts,
) -> Callable[[Axes], list[Label]]:
    began = min((c.steps[0] for c in curves if c.arm != RELEASED), default=0)

    def draw(axes: Axes) -> list[Label]:
        labels = []
        steps = [c.reading.step for path in paths for c in path]
        for curve in curves:
            labels.append(_draw_theirs(axes, curve, began, doubts))
            steps += [step for step in curve.steps if step >= began]
        labels += draw_arms(axes, paths, controls, whole.looks, lambda c: whole.words[c.run.arm])
        frame_steps(axes, min(steps), max(steps))
        return labels

    return draw


def _draw_theirs(axes: Axes, curve: Curve, began: int, doubts: Doubts) -> Label:
    """A published curve from the step at which an intervention begins; its label comes back."""
    look = LOOKS[curve.arm]
    doubted = doubts.get((curve.model, curve.arm, curve.estimand.name), {})
    points = [p for p in zip(curve.steps, curve.estimates, strict=True) if p[0] >= began]
    bars = [
        Bar(step, e, Look(look.colour, DOUBT if step in doubted else look.marker, ""))
        for step, e in points
    ]
    draw_bars(axes, bars, wide=0.6, dot=2.8)
    axes.plot(
        [step for step, _ in points], [e.value for _, e in points], color=look.colour,
        linestyle=":", linewidth=0.9, zorder=2,
    )  # fmt: skip
    return Label(points[-1][1].value, look.words, look.colour, look.marker)
