"""Retention: capability and what else a swap may break, nats and percentage points apart."""

from collections.abc import Sequence

from matplotlib.figure import Figure

from intervene.analysis.estimands import Estimand
from intervene.analysis.figures.forest import Rows, draw_forest
from intervene.analysis.figures.shown import BROKEN, CAPABLE, SHARES, list_shown
from intervene.analysis.findings import Findings

NAMES = {
    "lambada_logprob": "LAMBADA, log P",
    "lambada_accuracy": "LAMBADA, right",
    "heldout_original": "held-out loss",
    "heldout_swapped": "held-out loss, swapped",
    "heldout_at_swaps_original": "loss at swaps, original",
    "heldout_at_swaps_swapped": "loss at swaps, swapped",
    "blimp_gender_accuracy": "BLiMP gender, right",
    "blimp_gender_difference": "BLiMP gender, log P",
    "cooccurrence_prior": "co-occurrence, G",
    "winogender_accuracy": "Winogender, right",
    "winogender_gap": "Winogender, women − men",
}


def draw_retention(findings: Findings) -> Figure | None:
    """A panel per size for each unit; None where no arm has any of it and its control."""
    contrasts = list_shown("retention", findings)
    if not contrasts:
        return None
    blocks = [
        Rows("Capability", _name(CAPABLE)),
        Rows("What else a swap may break", _name(BROKEN)),
        Rows("Shares of right answers", _name(SHARES)),
    ]
    return draw_forest(findings, blocks, contrasts)


def _name(estimands: Sequence[Estimand]) -> list[tuple[Estimand, str]]:
    return [(e, NAMES.get(e.name, e.title)) for e in estimands]
