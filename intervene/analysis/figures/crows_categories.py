"""The negative controls: CrowS-Pairs' other categories, which a swap of pronouns should leave."""

from matplotlib.figure import Figure

from intervene.analysis.figures.forest import Rows, draw_forest
from intervene.analysis.figures.shown import CATEGORIES, list_shown
from intervene.analysis.findings import Findings


def draw_crows_categories(findings: Findings) -> Figure | None:
    """A panel per size; None where no arm has another category and its control."""
    contrasts = list_shown("crows_categories", findings)
    if not contrasts:
        return None
    named = [(e, e.title.removeprefix("CrowS ").removesuffix(", difference")) for e in CATEGORIES]
    heading = "Negative controls: CrowS-Pairs' other categories, log P difference of the sentences"
    return draw_forest(findings, [Rows(heading, named)], contrasts)
