"""The figure of a census: pronouns by form, feminine share and documents, by step."""

import csv
from pathlib import Path

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator
from numpy.typing import NDArray

from intervene.analysis.figures.labels import Label, spread
from intervene.analysis.figures.palette import INK, MARKERS, PAPER, RAMPS, RULE, STYLE

POINTS = 100
"""Points of a line at most: a longer stretch is cut into as many parts, whose steps are summed."""

WIDTH_INCHES, ROW_INCHES = 6.4, (2.6, 1.5, 1.5)
TITLES = (
    "Pronouns by form, per million tokens (logarithmic)",
    "Feminine pronouns, share of pronouns",
    "Documents with a pronoun, share of documents",
)
HUES = ("masculinise", "feminise")
ROOM = 0.2  # of the steps' span, kept free on the right for labels

Column = NDArray[np.float64]


def draw_census(path: Path, genders: list[tuple[str, ...]], name: str) -> Figure:
    """The figure of a census that was written as CSV.

    Args:
        path: the CSV.
        genders: the columns of the masculine forms, and those of the feminine.
        name: the experiment's, for the title.
    """
    counts, parts = sum_parts(read_columns(path))
    masculine, feminine = (np.sum([counts[form] for form in forms], axis=0) for forms in genders)
    with mpl.rc_context(STYLE):
        high = sum(ROW_INCHES) + 1.5
        figure = Figure(figsize=(WIDTH_INCHES, high))
        FigureCanvasAgg(figure)
        grid = figure.subplots(3, 1, sharex=True, height_ratios=ROW_INCHES)
        figure.subplots_adjust(
            left=0.75 / WIDTH_INCHES, right=1 - 0.1 / WIDTH_INCHES, top=1 - 0.75 / high,
            bottom=0.5 / high, hspace=0.4,
        )  # fmt: skip
        _draw_forms(grid[0], counts, genders)
        _draw_share(grid[1], counts["step"], feminine, masculine + feminine)
        _draw_share(grid[2], counts["step"], counts["documents_with_pronouns"], counts["documents"])
        for axes, title in zip(grid, TITLES, strict=True):
            axes.set_title(title, loc="left", weight="bold", fontsize=9)
            axes.tick_params(length=2.5, width=0.6)
        words = "optimiser step" if parts == 1 else f"optimiser step (points: {parts:g} steps)"
        grid[2].set_xlabel(words, x=0.5 / (1 + ROOM))
        figure.text(
            0.12 / WIDTH_INCHES, 1 - 0.1 / high, f"{name}: pronouns that can be swapped",
            weight="bold", fontsize=10.5, va="top",
        )  # fmt: skip
    return figure


def save_census(figure: Figure, path: Path) -> None:
    """Write a PNG without a date: the same bytes again."""
    with mpl.rc_context(STYLE):
        figure.savefig(path, dpi=200, metadata={"Software": None})


def read_columns(path: Path) -> dict[str, Column]:
    """The columns of a census, float64 [steps]; an empty cell is not a number."""
    with path.open(encoding="utf-8", newline="") as file:
        lines = list(csv.DictReader(file))
    return {name: np.array([float(line[name] or "nan") for line in lines]) for name in lines[0]}


def sum_parts(columns: dict[str, Column]) -> tuple[dict[str, Column], int]:
    """The columns summed over up to POINTS parts of as many steps each (the last may have fewer).

    Returns:
        The sums, with each part's middle as `step`, and how many steps a part has.
    """
    steps = len(columns["step"])
    each = -(-steps // POINTS)
    starts = np.arange(0, steps, each)
    sums = {name: np.add.reduceat(column, starts) for name, column in columns.items()}
    sizes = np.diff(np.append(starts, steps))
    return sums | {"step": sums["step"] / sizes}, each


def _draw_forms(axes: Axes, counts: dict[str, Column], genders: list[tuple[str, ...]]) -> None:
    """A line a form on a logarithmic axis; where it does not occur, the line has a gap."""
    labels = []
    for hue, forms in zip(HUES, genders, strict=True):
        for rank, form in enumerate(forms):
            rates = 1e6 * counts[form] / counts["tokens"]
            heights = np.log10(rates, where=rates > 0, out=np.full(len(rates), np.nan))
            colour, marker = RAMPS[hue][rank % 2], MARKERS[rank]
            _draw_line(axes, counts["step"], heights, colour, marker)
            if (rates > 0).any():
                last = float(heights[rates > 0][-1])
                labels.append(Label(last, form, colour, marker))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda y, _: f"{10**y:,g}"))
    ticks = np.log10([digit * 10.0**power for power in range(-3, 6) for digit in (1, 3)])
    _finish(axes, counts["step"], labels, ROW_INCHES[0] * 72, ticks)


def _draw_share(axes: Axes, steps: Column, part: Column, whole: Column) -> None:
    """One share by step, in percent, with the last in words."""
    shares = np.divide(100 * part, whole, where=whole > 0, out=np.full(len(part), np.nan))
    _draw_line(axes, steps, shares, INK, "o")
    known = shares[np.isfinite(shares)]
    labels = [Label(float(known[-1]), f"{known[-1]:.1f}%", INK, "o")] if len(known) else []
    axes.yaxis.set_major_formatter(FuncFormatter(lambda y, _: f"{y:g}%"))
    _finish(axes, steps, labels, ROW_INCHES[1] * 72)


def _draw_line(axes: Axes, steps: Column, heights: Column, colour: str, marker: str) -> None:
    axes.plot(
        steps, heights, color=colour, linewidth=1.2, marker=marker, markersize=3,
        markeredgecolor=PAPER, markeredgewidth=0.4, zorder=3,
    )  # fmt: skip


def _finish(
    axes: Axes, steps: Column, labels: list[Label], points: float, ticks: Column | None = None
) -> None:
    """Limits, rules at the ticks, and labels beside the lines' ends.

    Args:
        axes: where the lines are drawn.
        steps: of the lines' points.
        labels: in any order.
        points: how high the panel is.
        ticks: rules are drawn at those of them that lie in the panel; by default at round numbers.
    """
    first, last = steps[0], steps[-1]
    pad = 0.03 * (last - first) or 0.5
    left, right = first - pad, last + pad
    axes.set_xlim(left, left + (right - left) * (1 + ROOM))
    axes.spines["bottom"].set_bounds(left, right)
    axes.xaxis.set_major_formatter(FuncFormatter(lambda step, _: f"{step:,.0f}"))
    axes.set_xticks(np.unique([first, (first + last) // 2, last][:: 1 if last - first > 1 else 2]))
    bottom, top = axes.get_ylim()
    chosen = np.array(MaxNLocator(5).tick_values(bottom, top)) if ticks is None else ticks
    axes.set_yticks(chosen[(bottom <= chosen) & (chosen <= top)])
    axes.hlines(axes.get_yticks(), left, right, color=RULE, linewidth=0.5, zorder=0)
    axes.set_ylim(bottom, top)
    labels = sorted(labels, key=lambda label: label.y)
    heights = spread(labels, bottom, top, points) if labels else np.zeros(0)
    beside = axes.get_yaxis_transform()  # x as a share of the panel's width
    for label, height in zip(labels, heights, strict=True):
        axes.plot(
            1 / (1 + ROOM) + 0.02, height, color=label.colour, marker=label.marker, markersize=4,
            transform=beside,
        )  # fmt: skip
        x = 1 / (1 + ROOM) + 0.04
        axes.text(x, height, label.words, fontsize=7.5, va="center", transform=beside)
