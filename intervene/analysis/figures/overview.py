"""The overview: gender prior and association by step, then dose–response; a column per model."""

import math
import textwrap
from dataclasses import dataclass
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator
from numpy.typing import NDArray

from intervene.analysis.curve import Curve
from intervene.analysis.estimands import ASSOCIATION, PAIR_PRIOR, SLOT_PRIOR, Estimand
from intervene.analysis.figures.labels import Label, spread, wrap
from intervene.analysis.figures.palette import (
    DASHES,
    INK,
    MUTED,
    PAPER,
    RAMPS,
    RULE,
    STYLE,
    Look,
    choose_looks,
)
from intervene.analysis.figures.shown import choose_prior
from intervene.analysis.findings import Contrast, Findings
from intervene.analysis.limits import list_mismatches
from intervene.analysis.trial import Trial

PLOT_INCHES, LABEL_INCHES, LETTER_INCHES = 2.05, 1.05, 0.062  # of a column: lines; their labels
ROW_INCHES = (2.05, 2.45, 2.05)
NOTE_INCHES, NOTE_LETTERS = 0.14, 19  # the height of a line of notes; letters to an inch of it
NAME_INCHES, NAME_POINTS = 0.17, 10.5  # the height of a line of models' names; their letters
MOST_MODELS, MOST_ARMS = 4, 12
"""More models make it too wide, and more arms of one model have no room for their labels."""


@dataclass(frozen=True)
class Panel:
    """What one panel by step shows.

    Args:
        control: the control's own curve.
        paths: each arm's contrasts by step.
        zero: the words at the line of zero.
        room: of the steps' span, kept free on the right for labels.
    """

    trial: Trial
    estimand: Estimand
    control: Curve | None
    paths: list[list[Contrast]]
    zero: str
    room: float

    @property
    def steps(self) -> tuple[int, int]:
        """The resume step of the arms, and the last one that the control has."""
        first = min(arm[-1].resume_step for arm in self.trial.arms)
        return first, max(r.step for r in self.trial.control)


def draw_overview(findings: Findings) -> Figure | None:
    """The figure; None where no arm has its control or neither G nor A, and where arms are many."""
    drawn = (SLOT_PRIOR, PAIR_PRIOR, ASSOCIATION)
    shown = {c.label for c in findings.contrasts if c.estimand in drawn}
    trials = [t for t in findings.trials if t.label in shown]
    most = max((len(trial.arms) for trial in trials), default=0)
    if not 1 <= len(trials) <= MOST_MODELS or most > MOST_ARMS:
        return None
    prior = choose_prior(findings)
    looks = choose_looks(list({c.run.arm: c.run for c in findings.contrasts}.values()))
    with mpl.rc_context(STYLE):
        letters = max(len(look.words) for look in looks.values())
        beside = max(LABEL_INCHES, 0.35 + LETTER_INCHES * letters)
        wide = 0.8 + max((PLOT_INCHES + beside) * len(trials), 3.8)
        room = beside / PLOT_INCHES
        notes = _wrap_mismatches(trials, wide)
        names = [wrap(t.label, PLOT_INCHES + beside - 0.1, NAME_POINTS, "bold") for t in trials]
        named = NAME_INCHES * (max(map(len, names)) - 1)
        noted = NOTE_INCHES * len(notes) + named
        high = sum(ROW_INCHES) + 1.75 + noted
        figure = Figure(figsize=(wide, high))
        FigureCanvasAgg(figure)
        grid = figure.subplots(
            3, len(trials), sharey="row", squeeze=False, height_ratios=ROW_INCHES
        )
        figure.subplots_adjust(
            left=0.72 / wide, right=1 - 0.12 / wide, bottom=0.56 / high,
            top=1 - (0.66 + noted) / high, hspace=0.42, wspace=0.09,
        )  # fmt: skip
        panels = [
            [
                _arrange(findings, trial, estimand, zero, room)
                for estimand, zero in ((prior, "no preference"), (ASSOCIATION, "no association"))
            ]
            for trial in trials
        ]
        for column, trial in enumerate(trials):
            for row in range(2):
                _draw_steps(grid[row, column], panels[column][row], looks)
            grid[1, column].set_xlabel("optimiser step", x=0.5 / (1 + room))
            _draw_doses(grid[2, column], trial, findings, looks)
        _title(figure, grid, ["\n".join(lines) for lines in names], prior, notes, named)
        for column in range(len(trials)):  # when every panel has been drawn, the limits stand
            for row in range(2):
                points = grid[row, column].get_position().height * high * 72
                _place_labels(grid[row, column], panels[column][row], looks, points)
    return figure


def _arrange(findings: Findings, trial: Trial, estimand: Estimand, zero: str, room: float) -> Panel:
    own = [c for label, c in findings.controls if (label, c.estimand) == (trial.label, estimand)]
    paths = [findings.path(trial.label, arm[-1].arm, estimand) for arm in trial.arms]
    return Panel(trial, estimand, own[0] if own else None, [p for p in paths if p], zero, room)


def _draw_steps(axes: Axes, panel: Panel, looks: dict[str, Look]) -> None:
    """Lines by step: the control with its own band, arms with that of their difference from it."""
    first, last = panel.steps
    span = max(last - first, 1)
    left = first - 0.05 * span
    axes.plot([left, last], [0, 0], color=MUTED, linewidth=0.8, linestyle=DASHES, zorder=1)
    axes.axvline(first, color=MUTED, linewidth=0.8, zorder=1)
    control = panel.control
    if control is not None:
        axes.fill_between(control.steps, control.lows, control.highs, color=INK, alpha=0.09, lw=0)
    for path in panel.paths:
        look = looks[path[0].run.arm]
        steps = [c.reading.step for c in path]
        base = np.array([c.arm.value - c.difference.value for c in path])
        lows, highs = np.array([c.low for c in path]), np.array([c.high for c in path])
        axes.fill_between(steps, base + lows, base + highs, color=look.colour, alpha=0.2, lw=0)
        axes.plot(
            steps, [c.arm.value for c in path], color=look.colour, linewidth=1.5, zorder=3,
            marker=look.marker, markersize=4, markeredgecolor=PAPER, markeredgewidth=0.5,
        )  # fmt: skip
    if control is not None:
        values = [e.value for e in control.estimates]
        axes.plot(
            control.steps, values, color=INK, marker="o", markersize=3.2, linewidth=1.8, zorder=4
        )
    axes.set_xlim(left, last + panel.room * span)
    axes.set_xticks(sorted({first, (first + last) // 2, last}))
    axes.spines["bottom"].set_bounds(left, last)
    axes.xaxis.set_major_formatter(FuncFormatter(lambda step, _: f"{step:,.0f}"))
    axes.annotate(
        f"resumed at {first:,}", (first, 1), xycoords=("data", "axes fraction"), xytext=(3, 1),
        textcoords="offset points", color=MUTED, fontsize=6.8, va="bottom",
    )  # fmt: skip


def _draw_doses(axes: Axes, trial: Trial, findings: Findings, looks: dict[str, Look]) -> None:
    """Final contrasts in association against rate, with 95% bars and the fitted line."""
    axes.axhline(0, color=MUTED, linewidth=0.8, linestyle=DASHES, zorder=1)
    finals = [c for c in findings.final(ASSOCIATION) if c.label == trial.label]
    slopes = [s for s in findings.slopes if (s.label, s.estimand) == (trial.label, ASSOCIATION)]
    for slope in slopes:
        ends = np.array([0.0, max(slope.rates)])
        e, colour = slope.estimate, RAMPS[slope.direction][1]
        axes.fill_between(ends, ends * e.low, ends * e.high, color=colour, alpha=0.1, lw=0)
        axes.plot(ends, ends * e.value, color=colour, linewidth=1, zorder=2)
    families = sorted({(c.run.direction, c.run.unit, c.run.seed) for c in finals})
    for c in finals:
        look, d = looks[c.run.arm], c.difference
        place = families.index((c.run.direction, c.run.unit, c.run.seed))
        axes.errorbar(
            c.run.rate + 0.018 * (place - (len(families) - 1) / 2), d.value,
            yerr=[[max(d.value - d.low, 0)], [max(d.high - d.value, 0)]], elinewidth=1.4, zorder=3,
            color=look.colour, marker=look.marker, markersize=5, markeredgecolor=PAPER,
            markeredgewidth=0.5,
        )  # fmt: skip
    axes.plot(0, 0, color=INK, marker="o", markersize=4.5, zorder=4)
    axes.set_xlim(-0.06, 1.1)
    axes.set_xticks([0, 0.25, 0.5, 0.75, 1], ["0\ncontrol", "0.25", "0.5", "0.75", "1"])
    axes.set_xlabel("rate: share of eligible pronouns swapped")
    if len(slopes) == 1:
        e = slopes[0].estimate
        words = f"slope {e.value:+.2f} nats per unit rate [{e.low:+.2f}, {e.high:+.2f}]"
        axes.text(
            0, 1.01, words.replace("-", "−"), transform=axes.transAxes, fontsize=6.8, color=MUTED,
            va="bottom",
        )  # fmt: skip


def _wrap_mismatches(trials: list[Trial], inches: float) -> list[str]:
    """The differences between arms and controls that were allowed, as lines of a figure so wide."""
    said = list_mismatches(tuple(trials))
    return [line for text in said for line in textwrap.wrap(text, int(inches * NOTE_LETTERS))]


def _title(
    figure: Figure,
    grid: NDArray[Any],
    names: list[str],
    prior: Estimand,
    notes: list[str],
    named: float,
) -> None:
    """Model names over the columns, notes below them, a heading over each row, units and rules.

    Args:
        named: inches that names take beyond their first line.
    """
    titles = (
        f"Manipulation check: gender prior G ({'slot' if prior == SLOT_PRIOR else 'pairs'})",
        "Association A (WinoBias pairs)",
        "Dose–response: final change in A",
    )
    units = (
        "G, nats\n(feminine − masculine)",
        "A, nats\n(female − male jobs)",
        "arm − control, nats",
    )
    width, height = figure.get_size_inches()
    for row in range(3):
        top = grid[row, 0].get_position().y1 + 0.22 / height
        figure.text(0.12 / width, top, titles[row], weight="bold", fontsize=9)
        grid[row, 0].set_ylabel(units[row], linespacing=1.35)
        for axes in grid[row]:
            axes.tick_params(length=2.5, width=0.6)
            axes.yaxis.set_major_locator(MaxNLocator(5))
    for axes in grid.flat:
        _rule(axes)
    for axes, name in zip(grid[0], names, strict=True):
        figure.text(
            axes.get_position().x0, 1 - 0.1 / height, name, weight="bold", fontsize=NAME_POINTS,
            va="top",
        )  # fmt: skip
    figure.text(
        0.12 / width, 1 - (0.3 + named) / height, "\n".join(notes), fontsize=6.8, color=MUTED,
        va="top",
    )  # fmt: skip


def _rule(axes: Axes) -> None:
    """Grid lines at the ticks of y, as far as the bottom spine goes: labels stand free of them."""
    limits = axes.get_ylim()
    left, right = axes.spines["bottom"].get_bounds() or axes.get_xlim()
    ticks = [y for y in axes.get_yticks() if limits[0] <= y <= limits[1]]
    axes.hlines(ticks, left, right, color=RULE, linewidth=0.5, zorder=0)
    axes.set_ylim(limits)


def _place_labels(axes: Axes, panel: Panel, looks: dict[str, Look], points: float) -> None:
    """Words at the ends of the lines, moved apart just as far as they would overlap.

    Args:
        axes: where.
        panel: whose lines.
        looks: by arm.
        points: how high the panel is.
    """
    labels = [Label(0.0, panel.zero, MUTED, "")]
    if panel.control is not None:
        labels.append(Label(panel.control.estimates[-1].value, "control", INK, "o"))
    for path in panel.paths:
        look = looks[path[0].run.arm]
        labels.append(Label(path[-1].arm.value, look.words, look.colour, look.marker))
    labels.sort(key=lambda label: label.y)
    bottom, top = axes.get_ylim()
    last = panel.steps[1]
    reach = axes.get_xlim()[1] - last
    for label, height in zip(labels, spread(labels, bottom, top, points), strict=True):
        if not math.isclose(height, label.y, abs_tol=1e-6 * (top - bottom)):
            ends = [last + 0.05 * reach, last + 0.15 * reach]
            axes.plot(ends, [label.y, height], color=label.colour, linewidth=0.6, clip_on=False)
        if label.marker:
            axes.plot(
                last + 0.2 * reach, height, color=label.colour, marker=label.marker, markersize=4,
                clip_on=False,
            )  # fmt: skip
        axes.text(
            last + (0.29 if label.marker else 0.17) * reach, height, label.words, fontsize=7.5,
            color=INK if label.marker else MUTED, va="center",
        )  # fmt: skip
