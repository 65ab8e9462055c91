"""CrowS-Pairs with its sign: pairs on women and on men, and the pronoun pairs' A and G."""

from matplotlib.figure import Figure

from intervene.analysis.figures.forest import Rows, draw_forest
from intervene.analysis.figures.shown import DIRECTIONS, list_shown
from intervene.analysis.findings import Findings

NAMES = ("pairs on women", "pairs on men", "association A", "gender prior G")


def draw_crows_direction(findings: Findings) -> Figure | None:
    """A panel per size; None where no arm has CrowS-Pairs' gender items and its control."""
    contrasts = list_shown("crows_direction", findings)
    if not contrasts:
        return None
    rows = Rows(
        "CrowS-Pairs, gender: log P of the stereotyping sentence − the other",
        list(zip(DIRECTIONS, NAMES, strict=True)),
    )
    return draw_forest(findings, [rows], contrasts)
