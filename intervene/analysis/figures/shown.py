"""Which contrasts each figure shows."""

from collections.abc import Callable

from intervene.analysis.estimands import (
    ASSOCIATION,
    CROWS_ASSOCIATION,
    ESTIMANDS,
    PAIR_PRIOR,
    SLOT_PRIOR,
    Estimand,
)
from intervene.analysis.findings import Contrast, Findings
from intervene.analysis.retention import CAPABILITY

BY_STEP = ("overview", "manipulation", "association")
ENDPOINTS = (ASSOCIATION, CROWS_ASSOCIATION)
_NAMED = {e.name: e for e in ESTIMANDS}
DIRECTIONS = (
    _NAMED["crows_difference_female"], _NAMED["crows_difference_male"], CROWS_ASSOCIATION,
    _NAMED["crows_prior"],
)  # fmt: skip
CATEGORIES = tuple(e for e in ESTIMANDS if e.section == "negative control" and e.unit == "nats")
RETAINED = tuple(e for e in ESTIMANDS if e.section == "retention")
CAPABLE = tuple(e for e in RETAINED if e.name in CAPABILITY and e.unit == "nats")
BROKEN = tuple(e for e in RETAINED if e.name not in CAPABILITY and e.unit == "nats")
SHARES = tuple(e for e in RETAINED if e.unit == "share")


def choose_prior(findings: Findings) -> Estimand:
    """The slot task where every trial that has a G has it, else the pairs."""
    slot, pair = (
        {c.label for c in findings.contrasts if c.estimand == e} for e in (SLOT_PRIOR, PAIR_PRIOR)
    )
    return SLOT_PRIOR if slot >= pair else PAIR_PRIOR


def list_estimands(name: str, findings: Findings) -> tuple[Estimand, ...]:
    """What a figure is of."""
    chosen: dict[str, Callable[[], tuple[Estimand, ...]]] = {
        "overview": lambda: (choose_prior(findings), ASSOCIATION),
        "manipulation": lambda: (choose_prior(findings),),
        "association": lambda: (ASSOCIATION,),
        "dose_response": lambda: ENDPOINTS,
        "model_size": lambda: ENDPOINTS,
        "crows_direction": lambda: DIRECTIONS,
        "crows_categories": lambda: CATEGORIES,
        "retention": lambda: RETAINED,
        "noise_floor": lambda: ENDPOINTS,
    }
    return chosen[name]()


def list_shown(name: str, findings: Findings) -> list[Contrast]:
    """A figure's contrasts: of every step in those by step, else at the final step."""
    estimands = list_estimands(name, findings)
    if name in BY_STEP:
        names = {e.name for e in estimands}
        return [c for c in findings.contrasts if c.estimand.name in names]
    return [c for e in estimands for c in findings.final(e)]
