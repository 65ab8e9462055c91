"""Dots with their 95% intervals, upright or lying, as few artists as can be."""

from collections.abc import Sequence
from dataclasses import dataclass

from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.transforms import Bbox

from intervene.analysis.bootstrap import Estimate
from intervene.analysis.figures.palette import SCALE, Look


@dataclass(frozen=True)
class Bar:
    """A dot at `place` on the other axis, with its interval."""

    place: float
    estimate: Estimate
    look: Look


def draw_bars(
    axes: Axes, bars: Sequence[Bar], *, lying: bool = False, wide: float = 1.1, dot: float = 3.6
) -> None:
    """Draw intervals of all bars at once, and the dots of each look at once.

    Args:
        axes: whose limits take the intervals in.
        bars: in any order.
        lying: whether values run along x.
        wide, dot: points, of an interval's line and of a dot.
    """
    ends = [[(b.place, b.estimate.low), (b.place, b.estimate.high)] for b in bars]
    if lying:
        ends = [[(y, x) for x, y in end] for end in ends]
    colours = [b.look.colour for b in bars]
    axes.add_collection(
        LineCollection(ends, colors=colours, linewidths=wide, zorder=3), autolim=False
    )
    corners = [corner for end in ends for corner in end]
    axes.update_datalim(Bbox([[min(c[i] for c in corners) for i in (0, 1)],
                              [max(c[i] for c in corners) for i in (0, 1)]]))  # fmt: skip
    groups: dict[tuple[str, str], list[tuple[float, float]]] = {}
    for b in bars:
        point = (b.estimate.value, b.place) if lying else (b.place, b.estimate.value)
        groups.setdefault((b.look.colour, b.look.marker), []).append(point)
    for (colour, marker), points in groups.items():
        xs, ys = zip(*points, strict=True)
        axes.plot(
            xs, ys, linestyle="", color=colour, marker=marker, zorder=4,
            markeredgewidth=1.1 if marker == "x" else 0, markersize=dot * SCALE.get(marker, 1),
        )  # fmt: skip
    axes.autoscale_view()
