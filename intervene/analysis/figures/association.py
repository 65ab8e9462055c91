"""Association by step: the first endpoint's own value in every arm and its control."""

from matplotlib.figure import Figure

from intervene.analysis.estimands import ASSOCIATION
from intervene.analysis.figures.arms import cast
from intervene.analysis.figures.lines import Steps, draw_by_step
from intervene.analysis.figures.shown import list_shown
from intervene.analysis.findings import Findings


def draw_association(findings: Findings) -> Figure | None:
    """A by step, a panel per size; None where no arm has WinoBias pairs and its control."""
    shown = cast(findings, list_shown("association", findings))
    if not shown.panels:
        return None
    steps = Steps(
        findings,
        ASSOCIATION,
        "Association A of occupations with gender, WinoBias pairs; at the lines' ends, the rate",
        "A, nats\n(women's − men's jobs)",
        "no association",
        lambda c: shown.words[c.run.arm].removeprefix("rate "),
    )
    return draw_by_step(steps, shown)
