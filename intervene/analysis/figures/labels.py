"""Words beside the ends of lines, moved apart just as far as they would overlap."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import isotonic_regression

LINE_POINTS = 10.5  # the height of a line of labels


@dataclass(frozen=True)
class Label:
    """Words at a line's end, at the height y in data units; no marker for the line of zero."""

    y: float
    words: str
    colour: str
    marker: str


def spread(labels: list[Label], bottom: float, top: float, points: float) -> NDArray[np.float64]:
    """Heights (data units) as near to the labels' own as a line's height between them allows.

    Least squares under minimal gaps is isotonic regression of the heights minus a staircase.

    Args:
        labels: by rising y.
        bottom, top: the limits of the axis.
        points: how high the axis is.
    """
    scale = points / (top - bottom)
    wanted = np.array([(label.y - bottom) * scale for label in labels])
    stairs = np.arange(len(labels)) * LINE_POINTS
    placed = isotonic_regression(wanted - stairs).x + stairs
    placed = placed + max(0.0, 4 - placed[0])
    placed = placed - max(0.0, placed[-1] - (points - 4))
    heights: NDArray[np.float64] = bottom + placed / scale
    return heights
