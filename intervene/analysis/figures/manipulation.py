"""The manipulation check: the gender prior by step, with the rates asked for and reached."""

from matplotlib.figure import Figure

from intervene.analysis.estimands import SLOT_PRIOR
from intervene.analysis.figures.arms import cast
from intervene.analysis.figures.lines import Steps, draw_by_step
from intervene.analysis.figures.shown import choose_prior, list_shown
from intervene.analysis.findings import Contrast, Findings


def draw_manipulation(findings: Findings) -> Figure | None:
    """G by step, a panel per size; None where no arm has a G and its control."""
    shown = cast(findings, list_shown("manipulation", findings))
    if not shown.panels:
        return None
    prior = choose_prior(findings)
    where = "in the pronoun's slot" if prior == SLOT_PRIOR else "of whole sentences"

    def name(c: Contrast) -> str:
        reached = (c.run.corpus or {}).get("rate_reached")
        words = shown.words[c.run.arm].removeprefix("rate ")
        return words if reached is None else f"{words} → {100 * float(reached):.1f}%"

    steps = Steps(
        findings, prior, f"Gender prior G {where}; at the lines' ends, rate asked → reached",
        "G, nats\n(feminine − masculine)", "no preference", name,
    )  # fmt: skip
    return draw_by_step(steps, shown)
