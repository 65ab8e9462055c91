"""Panels by step: the control with its band, and arms with that of their difference from it."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from intervene.analysis.curve import Curve
from intervene.analysis.estimands import Estimand
from intervene.analysis.figures.arms import Cast, Panel, find_dose
from intervene.analysis.figures.grid import Block, Cell, Sheet, lay_out
from intervene.analysis.figures.labels import Label, find_left, find_room
from intervene.analysis.figures.legend import Entry
from intervene.analysis.figures.palette import DASHES, INK, MUTED, SCALE, Look
from intervene.analysis.findings import Contrast, Findings
from intervene.analysis.limits import list_mismatches

HIGH = 1.4  # inches of a panel at least
LABEL_INCHES = 0.1125
FEW_LINES = 4
MARKERS_OF_FEW, MARKERS_OF_MANY = 12, 4
"""So many points of a line have markers at most, the last among them."""


@dataclass(frozen=True)
class Steps:
    """What a figure by step shows.

    Args:
        estimand: whose values.
        heading, y, zero: in words, as of a block.
        name: an arm's words at its line's end, from its last contrast.
    """

    findings: Findings
    estimand: Estimand
    heading: str
    y: str
    zero: str
    name: Callable[[Contrast], str]


def draw_by_step(shown: Steps, cast: Cast) -> Figure:
    """A panel for each trial, in rows."""
    paths = [_list_paths(shown, panel) for panel in cast.panels]
    names = ["control", *(shown.name(path[-1]) for found in paths for path in found)]
    most = max(len({find_dose(p[-1].run) for p in found}) for found in paths)
    cells = [
        Cell(panel.title, _make(shown, cast, panel, found))
        for panel, found in zip(cast.panels, paths, strict=True)
    ]
    high = max(HIGH, LABEL_INCHES * (most + 1) + 0.06)
    block = Block(shown.heading, cells, "optimiser step", shown.y, high, shown.zero)
    starts = sorted({_find_start(panel) for panel in cast.panels})
    resumed = f"resumed at step {starts[0]:,}" if len(starts) == 1 else "step of the resumption"
    legend = (
        Entry("control, with its own 95% band", INK, "o", "-"),
        Entry("arm, with the 95% band of its paired difference", MUTED, "s", "-"),
        Entry(resumed, MUTED, "", "|"),
    )
    left = find_left(shown.zero)
    notes = list_mismatches(cast.trials)
    return lay_out(Sheet([block], (0.8, 3.2), find_room(names), left, legend, notes))


def _list_paths(shown: Steps, panel: Panel) -> list[list[Contrast]]:
    arms = [run[-1].arm for run in panel.trial.arms if run[-1].arm in panel.arms]
    paths = [shown.findings.path(panel.trial.label, arm, shown.estimand) for arm in arms]
    return [path for path in paths if path]


def _find_start(panel: Panel) -> int:
    return min(run[-1].resume_step for run in panel.trial.arms if run[-1].arm in panel.arms)


def _make(
    shown: Steps, cast: Cast, panel: Panel, paths: list[list[Contrast]]
) -> Callable[[Axes], list[Label]]:
    """What draws one panel."""
    curves = find_curves(shown.findings, panel.trial.label, shown.estimand)

    def draw(axes: Axes) -> list[Label]:
        first = _find_start(panel)
        frame_steps(axes, first, max(r.step for r in panel.trial.control))
        axes.axvline(first, color=MUTED, linewidth=0.8, zorder=1)
        axes.axhline(0, color=MUTED, linewidth=0.8, linestyle=DASHES, zorder=1)
        return draw_arms(axes, paths, curves, cast.looks, shown.name)

    return draw


def find_curves(findings: Findings, label: str, estimand: Estimand) -> list[Curve]:
    """A trial's control by step; none where it lacks the estimand."""
    return [c for name, c in findings.controls if (name, c.estimand) == (label, estimand)]


def draw_arms(
    axes: Axes,
    paths: list[list[Contrast]],
    controls: list[Curve],
    looks: dict[str, Look],
    name: Callable[[Contrast], str],
) -> list[Label]:
    """Arms and their control; a label for each dose, at the mean of its seeds, and the control."""
    doses: dict[str, list[Contrast]] = {}
    for path in paths:
        draw_path(axes, path, looks[path[-1].run.arm], len(paths))
        doses.setdefault(find_dose(path[-1].run), []).append(path[-1])
    labels = []
    for ends in doses.values():
        look, mean = looks[ends[0].run.arm], float(np.mean([c.arm.value for c in ends]))
        labels.append(Label(mean, name(ends[0]), look.colour, look.marker))
    for curve in controls:
        values = [e.value for e in curve.estimates]
        axes.fill_between(curve.steps, curve.lows, curve.highs, color=INK, alpha=0.1, lw=0)
        mark_line(axes, curve.steps, values, Look(INK, "o", ""), len(paths))
        labels.append(Label(values[-1], "control", INK, "o"))
    return labels


def frame_steps(axes: Axes, first: int, last: int) -> None:
    """Limits and ticks of steps."""
    span = max(last - first, 1)
    axes.set_xlim(first - 0.04 * span, last + 0.04 * span)
    ticks = sorted({first, last})
    axes.set_xticks(ticks, [f"{step:,}" for step in ticks])


def draw_path(axes: Axes, path: Sequence[Contrast], look: Look, lines: int) -> None:
    """An arm's line, and the band of its difference laid around it."""
    steps = [c.reading.step for c in path]
    base = np.array([c.arm.value - c.difference.value for c in path])
    lows, highs = np.array([c.low for c in path]), np.array([c.high for c in path])
    shade = 0.22 if lines <= FEW_LINES else 0.06
    axes.fill_between(steps, base + lows, base + highs, color=look.colour, alpha=shade, lw=0)
    mark_line(axes, steps, [c.arm.value for c in path], look, lines)


def mark_line(
    axes: Axes, steps: Sequence[int], values: Sequence[float], look: Look, lines: int
) -> None:
    """One of so many lines, with markers every so many steps."""
    few = lines <= FEW_LINES
    each = -(-len(steps) // (MARKERS_OF_FEW if few else MARKERS_OF_MANY))
    wide = (1.1 if few else 0.8) + 0.4 * (look.colour == INK)
    axes.plot(
        steps, values, color=look.colour, linewidth=wide, marker=look.marker,
        markersize=3 * SCALE.get(look.marker, 1), markeredgewidth=0,
        markevery=((len(steps) - 1) % each, each), zorder=4 if look.colour == INK else 3,
    )  # fmt: skip
