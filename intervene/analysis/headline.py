"""A comparison in three lines: whether the swap arrived, what changed, and how sure that is."""

from intervene.analysis.contrast import Contrast, Findings
from intervene.analysis.estimands import ASSOCIATION, CROWS_ASSOCIATION, PAIR_PRIOR, SLOT_PRIOR
from intervene.analysis.finals import gather_finals
from intervene.analysis.summary import fails_check
from intervene.analysis.words import show, show_arm, show_interval

NOTHING = (
    "No arm could be compared: none has a control scored at the same step on the same tasks."
)


def write_headline(findings: Findings) -> list[str]:
    """Three sentences; of a comparison without contrasts one that says so.

    The manipulation check, the first endpoint (of CrowS where WinoBias was not scored), and what
    the numbers cannot carry. No change is told that its test does not establish.
    """
    if not findings.contrasts:
        return [NOTHING]
    return [_tell_check(findings), _tell_endpoint(findings), _tell_doubt(findings)]


def _tell_check(findings: Findings) -> str:
    finals = gather_finals(findings)
    checks = [
        c
        for label in finals.labels
        for c in finals.get(label, SLOT_PRIOR.name) or finals.get(label, PAIR_PRIOR.name)
    ]
    if not checks:
        return "Manipulation: no gender prior was scored, so nothing says that the swap arrived."
    failed = [c for c in checks if fails_check(c)]
    least, most = (
        pick(checks, key=lambda c: abs(c.difference.value)).difference.value for pick in (min, max)
    )
    moved = (
        f"the gender prior G moved by {show(most)} nats"
        if len(checks) == 1
        else f"the gender prior G moved by {show(least)} to {show(most)} nats in {len(checks)} arms"
    )
    if not failed:
        return f"Manipulation: {moved}, as the swap should move it."
    return (
        f"Manipulation: the check fails in {len(failed)} of {len(checks)} arms "
        f"({_name(failed[0], findings)}{', …' if len(failed) > 1 else ''}), of which nothing can be "
        "concluded."
    )


def _tell_endpoint(findings: Findings) -> str:
    for endpoint in (ASSOCIATION, CROWS_ASSOCIATION):
        finals = findings.final(endpoint)
        if finals:
            break
    else:
        return "Association: neither endpoint was scored."
    start = f"Association ({endpoint.title.removesuffix(', A')})"
    parts = []
    for verb, sign in (("fell", -1), ("rose", 1)):
        told = [c for c in finals if c.established and sign * c.difference.value > 0]
        if told:
            most = max(told, key=lambda c: abs(c.difference.value))
            d = most.difference
            low, high = sorted((sign * d.low, sign * d.high))
            parts.append(
                f"{verb} in {len(told)} of {len(finals)} arms after Holm's correction, most by "
                f"{show(abs(d.value))} nats [{show(low)}, {show(high)}] at "
                f"{_name(most, findings)} ({show(most.control.value)} in the control)"
            )
    still = [c for c in finals if not c.established]
    if still:
        reach = sorted(c.detectable for c in still)
        ends = " to ".join(dict.fromkeys(show(value) for value in (reach[0], reach[-1])))
        parts.append(
            f"no change was established in {len(still)} of {len(finals)} arms (smallest "
            f"detectable {ends} nats)"
        )
    return f"{start}: {'; '.join(parts)}."


def _tell_doubt(findings: Findings) -> str:
    finals = gather_finals(findings)
    reversed_ = [
        c for c in findings.final(ASSOCIATION) if c.established and c.arm.high < 0
    ]
    doubts = []
    if any(fails_check(c) for c in finals.section("manipulation")):
        doubts.append("arms that fail the manipulation check show nothing about the swap")
    if reversed_:
        doubts.append(
            f"in {len(reversed_)} arms the association is reversed, which is not less bias"
        )
    if not findings.spreads:
        doubts.append("each arm was trained once, and another training may differ by more")
    else:
        most = max(findings.spreads, key=lambda s: s.sd)
        doubts.append(
            f"seeds differ by up to {show(most.sd)} nats (standard deviation, {most.label})"
        )
    doubts.append("intervals are over items of these benchmarks, which are not bias in use")
    return f"Not shown: {'; '.join(doubts)}."


def _name(c: Contrast, findings: Findings) -> str:
    return f"{show_arm(c, findings)} in {c.label}"
