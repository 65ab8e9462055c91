"""What may be said of findings, in plain sentences that never claim more than the tests allow."""

from intervene.analysis.estimands import (
    ASSOCIATION,
    CROWS_ASSOCIATION,
    PAIR_PRIOR,
    SLOT_PRIOR,
    Estimand,
)
from intervene.analysis.finals import Finals, gather_finals
from intervene.analysis.findings import Contrast, Findings
from intervene.analysis.retention import (
    summarise_capability,
    summarise_controls,
    summarise_side_effects,
)
from intervene.analysis.slope import Slope
from intervene.analysis.spread import Spread
from intervene.analysis.words import join, show, show_arm, show_interval

EXPECTED = {  # where G should go; a swap both ways and singular they have no sign
    "feminise": 1,
    "masculinise": -1,
    "original_token_map": 1,
    "original_string length_checked": 1,
    "original_string as_committed": 1,
    "original_string as_meant": 1,
}
WHAT = {
    SLOT_PRIOR.name: "gender prior in the pronoun's slot",
    PAIR_PRIOR.name: "gender prior of whole sentences",
    ASSOCIATION.name: "association of occupations with gender in WinoBias pairs",
    CROWS_ASSOCIATION.name: "association in CrowS pronoun pairs",
}


def summarise_findings(findings: Findings) -> list[str]:
    """The report's sentences, model by model.

    The manipulation check, both endpoints, dose–response and seeds, then what was retained.
    """
    if not findings.contrasts:
        return [
            "No arm could be compared: none has a control scored at the same step on the same "
            "tasks."
        ]
    finals = gather_finals(findings)
    sentences = []
    for label in dict.fromkeys(c.label for c in findings.contrasts):
        checks = finals.get(label, SLOT_PRIOR.name) or finals.get(label, PAIR_PRIOR.name)
        if checks:
            sentences.append(join(label, WHAT[checks[0].estimand.name], checks, findings))
            sentences += _verdict(label, checks, findings)
        for estimand in (ASSOCIATION, CROWS_ASSOCIATION):
            contrasts = finals.get(label, estimand.name)
            if contrasts:
                sentences.append(join(label, WHAT[estimand.name], contrasts, findings))
                sentences += _caveats(label, contrasts, findings)
        sentences += [
            _describe_slope(s)
            for s in findings.slopes
            if (s.label, s.estimand) == (label, ASSOCIATION)
        ]
        sentences += [
            _describe_spread(s)
            for s in findings.spreads
            if s.label == label and s.estimand in (ASSOCIATION, CROWS_ASSOCIATION)
        ]
        sentences += _summarise_rest(finals, label)
    return sentences


def _summarise_rest(finals: Finals, label: str) -> list[str]:
    return [
        *summarise_capability(finals, label),
        *summarise_side_effects(finals, label),
        *summarise_controls(finals, label),
    ]


def _describe_slope(slope: Slope) -> str:
    e, start = slope.estimate, f"{slope.label}, {slope.direction}"
    if e.excludes_zero:
        return (
            f"{start}: the association changed by {show(e.value)} nats {show_interval(e)} per "
            "unit of rate."
        )
    return (
        f"{start}: no dose–response was detectable ({show(e.value)} nats per unit of rate "
        f"{show_interval(e)}; the smallest detectable slope was {show(e.detectable)})."
    )


def _describe_spread(spread: Spread) -> str:
    seeds, values = (
        ", ".join(parts)
        for parts in (map(str, spread.seeds), (show(value) for value in spread.values))
    )
    told = (
        f"{spread.label}, {spread.direction} at rate {spread.rate:g}, seeds {seeds}: "
        f"{spread.estimand.title} changed by {values} nats; over seeds, mean {show(spread.mean)} "
        f"[{show(spread.low)}, {show(spread.high)}], standard deviation {show(spread.sd)}"
    )
    if not spread.excludes_zero:
        told += (
            " (which does not establish a change; the smallest detectable was "
            f"{show(spread.detectable)})"
        )
    return f"{told}."


def fails_check(c: Contrast) -> bool:
    """Whether a gender prior did not detectably move the way of the swap, where that has one."""
    way = EXPECTED.get(c.run.direction)
    return way is not None and not (c.difference.excludes_zero and c.difference.value * way > 0)


def _verdict(label: str, checks: list[Contrast], findings: Findings) -> list[str]:
    failed = [show_arm(c, findings) for c in checks if fails_check(c)]
    if not failed:
        return []
    return [
        f"{label}: the manipulation check fails at {', '.join(failed)} (the gender prior did not "
        "detectably move the way of the swap), so no result there can be put down to it."
    ]


def _caveats(label: str, contrasts: list[Contrast], findings: Findings) -> list[str]:
    first: Estimand = contrasts[0].estimand
    said = []
    if not any(c.control.low > 0 for c in contrasts):
        said.append(
            f"{label}: the control itself shows no stereotypical association by {first.title}, so "
            "there was none to reduce."
        )
    turned = [show_arm(c, findings) for c in contrasts if c.established and c.arm.high < 0]
    if turned:
        said.append(
            f"{label}: at {', '.join(turned)} the association is reversed ({first.title}), which "
            "is not less bias."
        )
    return said
