"""Words beside the ends of lines, moved apart just as far as they would overlap."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from matplotlib.axes import Axes
from matplotlib.font_manager import FontProperties
from matplotlib.lines import Line2D
from matplotlib.textpath import TextPath
from numpy.typing import NDArray
from scipy.optimize import isotonic_regression

from intervene.analysis.figures.palette import INK, SCALE

LINE_POINTS = 10.5  # the height of a line of labels
FONT = "DejaVu Sans"  # comes with matplotlib: the same bytes everywhere
POINTS_PER_INCH = 72
HINTED = 1.02  # letters that are placed on whole pixels take up to so much more
SMALL = 6.5  # points: no letter is smaller


@dataclass(frozen=True)
class Label:
    """Words at a line's end, at the height y in data units; no marker for the line of zero."""

    y: float
    words: str
    colour: str
    marker: str


def spread(
    labels: list[Label], bottom: float, top: float, points: float, line: float = LINE_POINTS
) -> NDArray[np.float64]:
    """Heights (data units) as near to the labels' own as a line's height between them allows.

    Least squares under minimal gaps is isotonic regression of the heights minus a staircase.

    Args:
        labels: by rising y.
        bottom, top: the limits of the axis.
        points: how high the axis is.
        line: the height of a line of labels, in points.
    """
    scale = points / (top - bottom)
    wanted = np.array([(label.y - bottom) * scale for label in labels])
    stairs = np.arange(len(labels)) * line
    placed = isotonic_regression(wanted - stairs).x + stairs
    placed = placed + max(0.0, 4 - placed[0])
    placed = placed - max(0.0, placed[-1] - (points - 4))
    heights: NDArray[np.float64] = bottom + placed / scale
    return heights


def measure(words: str, points: float, weight: str = "normal") -> float:
    """How wide words are at most, in inches, at a font size in points."""
    if not words.strip():
        return 0.0
    return _measure_ten(words, weight) * HINTED * points / 10 / POINTS_PER_INCH


@lru_cache(maxsize=4096)
def _measure_ten(words: str, weight: str) -> float:
    """The width in points at a size of 10 points."""
    path = TextPath((0, 0), words, size=10, prop=FontProperties(family=FONT, weight=weight))
    return float(path.vertices[:, 0].max())


def wrap(words: str, inches: float, points: float, weight: str = "normal") -> list[str]:
    """Words as lines no wider than so many inches: cut at blanks and hyphens, else anywhere."""
    if "\n" in words:
        return [line for part in words.split("\n") for line in wrap(part, inches, points, weight)]
    lines = [""]
    for piece in re.findall(r"[^ \-/_]*[\-/_]? *", words):
        if measure(lines[-1] + piece.rstrip(), points, weight) <= inches:
            lines[-1] += piece
            continue
        lines += [""] if lines[-1] else []
        for letter in piece:
            if lines[-1] and measure(lines[-1] + letter, points, weight) > inches:
                lines.append("")
            lines[-1] += letter
    return [line.strip() for line in lines if line.strip()]


def place(axes: Axes, labels: list[Label], plot: float, high: float) -> None:
    """Words right of a panel, each with its marker and, where it was moved, a line to its end."""
    labels = sorted(labels, key=lambda label: label.y)
    if not labels:
        return
    bottom, top = axes.get_ylim()
    heights = spread(labels, bottom, top, high * 72, SMALL + 1.6)
    beside = axes.get_yaxis_transform()  # x as a share of the panel's width
    for label, height in zip(labels, heights, strict=True):
        if abs(height - label.y) > 1e-6 * (top - bottom):
            ends = [1 + 0.02 / plot, 1 + 0.09 / plot]
            axes.add_line(
                Line2D(ends, [label.y, height], color=label.colour, linewidth=0.6,
                       clip_on=False, transform=beside)
            )  # fmt: skip
        axes.add_line(
            Line2D([1 + 0.14 / plot], [height], color=label.colour, marker=label.marker,
                   markersize=3.4 * SCALE.get(label.marker, 1), clip_on=False, transform=beside)
        )  # fmt: skip
        axes.text(
            1 + 0.2 / plot, height, label.words, fontsize=SMALL, color=INK, va="center",
            transform=beside,
        )  # fmt: skip


def find_room(labels: Sequence[str]) -> float:
    """Inches that labels need right of a panel."""
    return 0.24 + max((measure(words, SMALL) for words in labels), default=0.0)


def find_left(zero: str) -> float:
    """Inches that the y axis's name and ticks need left of a panel."""
    return 0.47 + max(measure(f"{zero} 0.0".strip(), SMALL), measure("−0.00", SMALL))
