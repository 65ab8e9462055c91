"""What explains markers and lines: entries that flow over the lines at the top of a figure."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from intervene.analysis.figures.labels import SMALL, measure


@dataclass(frozen=True)
class Entry:
    """One thing that the legend explains: a marker, a line, or both."""

    words: str
    colour: str
    marker: str = ""
    line: str | tuple[int, tuple[float, ...]] = ""
    hollow: bool = False


def flow(legend: Sequence[Entry], inches: float) -> Iterator[tuple[Entry, int, float]]:
    """Each entry with its line and its place on it, in inches."""
    line, x = 0, 0.0
    for entry in legend:
        wide = (0.26 if entry.line else 0.14) + measure(entry.words, SMALL) + 0.16
        if x and x + wide > inches + 0.16:
            line, x = line + 1, 0.0
        yield entry, line, x
        x += wide


def draw_entry(figure: Figure, entry: Entry, x: float, y: float) -> None:
    """One entry of the legend at a place in inches."""
    long = 0.2 if entry.line else 0.08
    upright = entry.line == "|"
    xs = [x + long / 2] * 2 if upright else [x, x + long]
    ys = [y - 0.045, y + 0.045] if upright else [y, y]
    style: Any = "-" if upright else entry.line
    inches = figure.dpi_scale_trans
    if entry.line:
        figure.add_artist(
            Line2D(xs, ys, color=entry.colour, linestyle=style, linewidth=1.1, transform=inches)
        )
    if entry.marker:
        figure.add_artist(
            Line2D([x + long / 2], [y], color=entry.colour, marker=entry.marker, markersize=4,
                   markerfacecolor="none" if entry.hollow else entry.colour, transform=inches)
        )  # fmt: skip
    write(figure, x + long + 0.06, y, entry.words, va="center")


def write(figure: Figure, x: float, y: float, words: str, **style: Any) -> None:
    """Words at a place in inches from the lower left."""
    wide, high = figure.get_size_inches()
    if words:
        figure.text(x / wide, y / high, words, **{"fontsize": SMALL, **style})
