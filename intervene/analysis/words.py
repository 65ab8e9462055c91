"""How numbers, arms and single contrasts are put into words."""

from intervene.analysis.bootstrap import Estimate
from intervene.analysis.estimands import Estimand
from intervene.analysis.findings import Contrast, Findings


def show(value: float, digits: int = 2) -> str:
    """A number with a true minus sign, and no minus before a zero; `∞` for infinity."""
    text = f"{value:.{digits}f}".replace("inf", "∞")
    return (text.lstrip("-") if round(value, digits) == 0 else text).replace("-", "−")


def show_p(p: float) -> str:
    """`= 0.012`, or `< 0.001`."""
    return "< 0.001" if p < 0.001 else f"= {p:.3f}"


def show_interval(e: Estimate, scale: float = 1, digits: int = 2) -> str:
    """`[−0.12, 0.05]`."""
    return f"[{show(scale * e.low, digits)}, {show(scale * e.high, digits)}]"


def measure(estimand: Estimand) -> tuple[float, int, str]:
    """How an estimand is shown: what its values are multiplied by, digits, and the unit."""
    return (100, 1, "points") if estimand.unit == "share" else (1, 2, "nats")


def show_arm(c: Contrast, findings: Findings) -> str:
    """`rate 0.5`, with direction, unit and seed where the arms differ in them.

    Released models have no rate that this project drew with; they go by their names.
    """
    if c.run.released:
        return c.run.arm
    runs = [arm[-1] for trial in findings.trials for arm in trial.arms if not arm[-1].released]
    words = [f"rate {c.run.rate:g}"]
    for name, text in (
        ("direction", c.run.direction), ("unit", f"by {c.run.unit}"), ("seed", f"seed {c.run.seed}")
    ):  # fmt: skip
        if len({getattr(run, name) for run in runs}) > 1:
            words.append(text)
    return " ".join(words)


def show_detectable(c: Contrast) -> str:
    """`0.12 nats`: the smallest change that would have been found."""
    scale, digits, unit = measure(c.estimand)
    return f"{show(scale * c.detectable, digits)} {unit}"


def is_told(c: Contrast) -> bool:
    """Whether a contrast that nobody fixed beforehand is told as a change.

    Its interval leaves zero out; of shares exact McNemar has to agree.
    """
    return c.difference.excludes_zero and (c.discordant is None or c.p < 0.05)


def describe(c: Contrast, arm: str) -> str:
    """What a contrast shows: a change with its interval, or the smallest detectable one."""
    scale, digits, unit = measure(c.estimand)
    d = c.difference
    if c.discordant is None and d.value == 0 and d.se == 0:
        return f"not the least change at {arm}"
    if not d.excludes_zero:
        return (
            f"no change was detectable at {arm} ({show(scale * d.value, digits)} {unit} "
            f"{show_interval(d, scale, digits)}; the smallest detectable change was "
            f"{show_detectable(c)})"
        )
    low, high = (d.low, d.high) if d.value > 0 else (-d.high, -d.low)
    change = (
        f"{'rose' if d.value > 0 else 'fell'} by {show(scale * abs(d.value), digits)} {unit} "
        f"[{show(scale * low, digits)}, {show(scale * high, digits)}] at {arm}"
    )
    if c.holm is not None:
        verdict, sure = f"Holm p {show_p(c.holm)}", c.established
    elif c.discordant is not None:
        verdict, sure = f"McNemar p {show_p(c.p)}", c.p < 0.05
    else:
        return change
    return f"{change} ({verdict}{'' if sure else ', which does not establish it'})"


def join(label: str, what: str, contrasts: list[Contrast], findings: Findings) -> str:
    """One sentence on the arms of one model for one estimand.

    Args:
        label: the trial's.
        what: what is measured, in words.
        contrasts: of one estimand, one per arm.
        findings: that they are of.
    """
    scale, digits, unit = measure(contrasts[0].estimand)
    own = show(scale * contrasts[0].control.value, digits)
    own += "%" if unit == "points" else f" {unit}"
    parts = "; ".join(describe(c, show_arm(c, findings)) for c in contrasts)
    return f"{label}, {what} ({own} in the control): {parts}."
