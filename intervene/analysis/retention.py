"""What may be said of what a swap should have left alone: capability and negative controls."""

from scipy import stats

from intervene.analysis.estimands import ESTIMANDS, Estimand
from intervene.analysis.finals import Finals
from intervene.analysis.findings import Contrast
from intervene.analysis.words import describe, is_told, join, measure, show, show_arm

ALPHA = 0.05
CAPABILITY = {"lambada_logprob": -1, "lambada_accuracy": -1, "heldout_original": 1}
"""What measures capability, and the sign of a loss of it."""


def summarise_capability(finals: Finals, label: str) -> list[str]:
    """Each measure of capability with its change, then whether any of it was lost."""
    scored = [finals.get(label, name) for name in CAPABILITY]
    sentences = [join(label, c[0].estimand.title, c, finals.findings) for c in scored if c]
    if not sentences:
        return []
    lost: dict[str, list[str]] = {}
    for c in (c for contrasts in scored for c in contrasts):
        if is_told(c) and c.difference.value * CAPABILITY[c.estimand.name] > 0:
            lost.setdefault(show_arm(c, finals.findings), []).append(c.estimand.title)
    if not lost:
        return [
            *sentences,
            f"{label}: no loss of capability was established; one smaller than the smallest "
            "detectable changes would not have been seen.",
        ]
    parts = "; ".join(f"at {arm} ({', '.join(titles)})" for arm, titles in lost.items())
    return [
        *sentences,
        f"{label}: capability fell {parts}, so a change in association there may be part of a "
        "general loss.",
    ]


def summarise_side_effects(finals: Finals, label: str) -> list[str]:
    """What else moved of what was to be retained, and what did not."""
    scored = [
        finals.get(label, e.name)
        for e in ESTIMANDS
        if e.section == "retention" and e.name not in CAPABILITY
    ]
    moved = [c for c in scored if any(is_told(one) for one in c)]
    still = [c for c in scored if c and c not in moved]
    sentences = [join(label, c[0].estimand.title, c, finals.findings) for c in moved]
    if still:
        parts = ", ".join(f"{c[0].estimand.title} ({_reach(c)})" for c in still)
        sentences.append(
            f"{label}: no change was established in {parts}; in brackets is the smallest "
            "detectable change."
        )
    return sentences


def summarise_controls(finals: Finals, label: str) -> list[str]:
    """Whether the negative controls moved: differences in nats, uncorrected."""
    scored = [
        c
        for e in ESTIMANDS
        if e.section == "negative control" and e.unit == "nats"
        for c in finals.get(label, e.name)
    ]
    if not scored:
        return []
    moved = [c for c in scored if c.difference.excludes_zero]
    start = f"{label}, negative controls: "
    if not moved:
        return [
            f"{start}no change was detectable in {_count(scored)}; the smallest detectable change "
            f"was {_reach(scored)}."
        ]
    most = min(moved, key=lambda c: c.p)
    many = stats.binom.sf(len(moved) - 1, len(scored), ALPHA) < ALPHA
    return [
        f"{start}{len(moved)} of {_count(scored)} leave zero out, where "
        f"{show(ALPHA * len(scored), 1)} would by chance; most clearly {most.estimand.title} "
        f"{describe(most, show_arm(most, finals.findings))}. "
        + (
            "More than gender changed, or one training differs from the next by as much."
            if many
            else "Independent ones may be as many by chance."
        )
    ]


def _count(contrasts: list[Contrast]) -> str:
    """`2 differences`."""
    return f"{len(contrasts)} difference{'s' if len(contrasts) > 1 else ''}"


def _reach(contrasts: list[Contrast]) -> str:
    """The range of smallest detectable changes: `0.05 to 0.21 nats`."""
    first: Estimand = contrasts[0].estimand
    scale, digits, unit = measure(first)
    reached = sorted(scale * c.detectable for c in contrasts)
    ends = dict.fromkeys(show(value, digits) for value in (reached[0], reached[-1]))
    return f"{' to '.join(ends)} {unit}"
