"""A comparison in three lines: whether the swap arrived, what changed, and how sure that is."""

from intervene.analysis.estimands import (
    ASSOCIATION,
    CROWS_ASSOCIATION,
    PAIR_PRIOR,
    SLOT_PRIOR,
    Estimand,
)
from intervene.analysis.finals import gather_finals
from intervene.analysis.findings import Contrast, Findings
from intervene.analysis.summary import EXPECTED, fails_check
from intervene.analysis.words import show, show_arm

NOTHING = "No arm could be compared: none has a control scored at the same step on the same tasks."


def write_headline(findings: Findings) -> list[str]:
    """Three sentences; of a comparison without contrasts one that says so.

    The manipulation check, the first endpoint (of CrowS where WinoBias was not scored), and what
    the numbers cannot carry. No change is told that its test does not establish.
    """
    if not findings.contrasts:
        return [NOTHING]
    finals = gather_finals(findings)
    checks = [
        c
        for label in finals.labels
        for c in finals.get(label, SLOT_PRIOR.name) or finals.get(label, PAIR_PRIOR.name)
    ]
    failed = [c for c in checks if fails_check(c)]
    endpoint = next((e for e in (ASSOCIATION, CROWS_ASSOCIATION) if findings.final(e)), None)
    return [
        _tell_check(checks, failed, findings),
        "Association: neither endpoint was scored."
        if endpoint is None
        else _tell_endpoint(endpoint, findings),
        _tell_doubt(failed, findings),
    ]


def _tell_check(checks: list[Contrast], failed: list[Contrast], findings: Findings) -> str:
    if not checks:
        return "Manipulation: no gender prior was scored, so nothing says that the swap arrived."
    if failed:
        more = ", …" if len(failed) > 1 else ""
        return (
            f"Manipulation: the check fails in {len(failed)} of {_count(checks)} "
            f"({_name(failed[0], findings)}{more}), of which nothing can be concluded."
        )
    moved = sorted((c.difference.value for c in checks), key=abs)
    ends = " to ".join(dict.fromkeys(show(value) for value in (moved[0], moved[-1])))
    told = f"Manipulation: the gender prior G moved by {ends} nats in {_count(checks)}"
    ways = all(c.run.direction in EXPECTED for c in checks)
    return f"{told}, the way of the swap." if ways else f"{told}."


def _tell_endpoint(endpoint: Estimand, findings: Findings) -> str:
    finals = findings.final(endpoint)
    parts = []
    for verb, sign in (("fell", -1), ("rose", 1)):
        told = [c for c in finals if c.established and sign * c.difference.value > 0]
        if told:
            most = max(told, key=lambda c: abs(c.difference.value))
            d = most.difference
            low, high = sorted((sign * d.low, sign * d.high))
            parts.append(
                f"{verb} in {len(told)} of {_count(finals)} after Holm's correction, most by "
                f"{show(abs(d.value))} nats [{show(low)}, {show(high)}] at "
                f"{_name(most, findings)} ({show(most.control.value)} in its control)"
            )
    still = [c for c in finals if not c.established]
    if still:
        reach = sorted(c.detectable for c in still)
        ends = " to ".join(dict.fromkeys(show(value) for value in (reach[0], reach[-1])))
        parts.append(
            f"no change was established in {len(still)} of {_count(finals)} (smallest detectable "
            f"{ends} nats)"
        )
    return f"Association ({endpoint.title.removesuffix(', A')}): {'; '.join(parts)}."


def _tell_doubt(failed: list[Contrast], findings: Findings) -> str:
    turned = [c for c in findings.final(ASSOCIATION) if c.established and c.arm.high < 0]
    spreads = [s for s in findings.spreads if s.estimand == ASSOCIATION]
    doubts = []
    if failed:
        doubts.append("arms that fail the manipulation check show nothing of the swap")
    if turned:
        doubts.append(f"in {_count(turned)} the association is reversed, which is not less bias")
    if spreads:
        most = max(spreads, key=lambda s: s.sd)
        doubts.append(f"seeds differ by {show(most.sd)} nats (standard deviation) in {most.label}")
    else:
        doubts.append("each arm was trained once, and another training may differ by more")
    doubts.append("intervals are over items of these benchmarks, which are not bias in use")
    return f"Not shown: {'; '.join(doubts)}."


def _count(contrasts: list[Contrast]) -> str:
    """`1 arm`, `6 arms`."""
    return f"{len(contrasts)} arm{'s' if len(contrasts) > 1 else ''}"


def _name(c: Contrast, findings: Findings) -> str:
    return f"{show_arm(c, findings)} in {c.label}"
