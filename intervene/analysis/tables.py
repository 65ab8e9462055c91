"""The tables of the page, cell by cell as text."""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from intervene.analysis.curve import Reading
from intervene.analysis.estimands import PAIR_PRIOR, SECTIONS, SLOT_PRIOR
from intervene.analysis.finals import Finals
from intervene.analysis.findings import Contrast, Findings
from intervene.analysis.ledger import find_dose
from intervene.analysis.spread import Spread
from intervene.analysis.trial import Trial
from intervene.analysis.words import measure, show, show_arm, show_interval, show_p

STEPS = 5
"""Steps of an arm that the manipulation check shows at most; the CSV has all."""

PROMPTS = (  # title, shares, gender prior, association
    ("sentence pairs", ("pair_accuracy",), "pair_prior", "pair_association"),
    ("choice", ("mc_accuracy",), "mc_prior", "mc_association"),
    ("choice, order swapped", ("mc_swapped_accuracy",), "mc_swapped_prior",
     "mc_swapped_association"),
    ("choice, both orders", (), "", "mc_both_association"),
    ("coreference", ("coref_pro_accuracy", "coref_anti_accuracy"), "", "coref_association"),
    ("generation, stand for", ("gen_stand_accuracy",), "", "gen_stand_gap"),
    ("generation, refers to", ("gen_refers_accuracy",), "", "gen_refers_gap"),
)  # fmt: skip
CONTRAST_HEAD = (
    "measure", "in", "model", "arm", "items (clusters)", "control", "arm's own", "difference",
    "95% interval", "smallest detectable", "p",
)  # fmt: skip


@dataclass(frozen=True)
class Table:
    """A table of the page; `numbers` are the columns that are set flush right."""

    caption: str
    head: tuple[str, ...]
    rows: list[tuple[str, ...]]
    numbers: range


def tabulate_arms(trials: tuple[Trial, ...]) -> Table:
    """What each arm read: the rate that was asked for, and the one that was reached."""
    rows: list[tuple[str, ...]] = []
    for trial in trials:
        for run in [r for r in (trial.control, *trial.arms) if r]:
            last, corpus = run[-1], run[-1].corpus or {}
            counts = [corpus.get("eligible"), corpus.get("applied")]
            reached = corpus.get("rate_reached")
            rows.append((
                trial.label, last.arm, "–" if last.is_control else last.direction,
                "–" if last.is_control else last.unit, f"{last.rate:g}",
                *("–" if n is None else f"{n:,}" for n in counts),
                "–" if reached is None else f"{reached:.4f}",
                f"{run[0].step:,} … {last.step:,} ({len(run)})",
            ))  # fmt: skip
    head = ("model", "arm", "direction", "drawn by", "rate", "eligible", "swapped", "rate reached",
            "steps scored")  # fmt: skip
    return Table("Arms, and what was done to the text they read", head, rows, range(4, 9))


def tabulate_checks(findings: Findings) -> Table:
    """The gender prior by step: in the slot, or of pairs where the slot was not scored."""
    rows: list[tuple[str, ...]] = []
    for trial in findings.trials:
        for arm in trial.arms:
            name = arm[-1].arm
            path = findings.path(trial.label, name, SLOT_PRIOR)
            path = path or findings.path(trial.label, name, PAIR_PRIOR)
            for c in _thin(path):
                reached = (c.run.corpus or {}).get("rate_reached")
                rows.append((
                    trial.label, show_arm(c, findings), c.estimand.title,
                    "–" if reached is None else f"{reached:.4f}", f"{c.reading.step:,}",
                    show(c.control.value, 3), show(c.arm.value, 3), show(c.difference.value, 3),
                    show_interval(c.difference, 1, 3), show(c.detectable, 3),
                ))  # fmt: skip
    head = ("model", "arm", "measure", "rate reached", "step", "control", "arm's own",
            "difference", "95% interval", "smallest detectable")  # fmt: skip
    caption = "Gender prior G by step, nats"
    return Table(caption, head, rows, range(3, 10))


def tabulate_slopes(findings: Findings) -> Table:
    """Dose–response of the endpoints."""
    rows: list[tuple[str, ...]] = [
        (
            s.estimand.title, s.label, s.direction, s.unit, ", ".join(f"{r:g}" for r in s.rates),
            show(s.estimate.value, 3), show_interval(s.estimate, 1, 3),
            show(s.estimate.detectable, 3), _show_p(s.p),
        )
        for s in findings.slopes
    ]  # fmt: skip
    head = ("measure", "model", "direction", "drawn by", "rates", "nats per unit rate",
            "95% interval", "smallest detectable", "p")  # fmt: skip
    return Table("Slope of the final change on the rate", head, rows, range(4, 9))


def tabulate_spreads(findings: Findings) -> Table:
    """How the seeds of one arm differ, for the endpoints and the gender prior."""
    rows: list[tuple[str, ...]] = [
        (
            s.estimand.title, s.label, s.direction, s.unit, f"{s.rate:g}",
            ", ".join(str(seed) for seed in s.seeds), ", ".join(show(v, 3) for v in s.values),
            show(s.mean, 3), show(s.sd, 3), f"[{show(s.low, 3)}, {show(s.high, 3)}]",
            show(s.detectable, 3),
        )
        for s in findings.spreads
        if s.estimand.section in ("endpoint", "manipulation")
    ]  # fmt: skip
    head = ("measure", "model", "direction", "drawn by", "rate", "seeds", "changes, nats", "mean",
            "standard deviation", "95% interval over seeds", "smallest detectable")  # fmt: skip
    return Table("Final changes by seed", head, rows, range(4, 11))


def tabulate_trends(findings: Findings) -> Table:
    """How the final change of an endpoint goes with the model's size, by arm."""
    rows: list[tuple[str, ...]] = [
        (
            t.estimand.title, t.direction, t.unit, f"{t.rate:g}", str(t.seed), ", ".join(t.labels),
            show(t.estimate.value, 3), show_interval(t.estimate, 1, 3),
            show(t.estimate.detectable, 3), _show_p(t.p),
        )
        for t in findings.trends
    ]  # fmt: skip
    head = ("measure", "direction", "drawn by", "rate", "seed", "models",
            "nats per tenfold of parameters", "95% interval", "smallest detectable",
            "p")  # fmt: skip
    return Table("Slope of the final change on the model's size, exploratory", head, rows,
                 range(6, 10))  # fmt: skip


def tabulate_floors(findings: Findings) -> Table:
    """The control minus the released checkpoint, where nothing was swapped in either."""
    rows: list[tuple[str, ...]] = []
    for f in findings.floors:
        scale, digits, unit = measure(f.estimand)
        digits += unit == "nats"
        rows.append((
            f.estimand.title, "%" if unit == "points" else unit, f.label, f"{f.step:,}",
            f"{f.n:,} ({f.clusters:,})", show(scale * f.released.value, digits),
            show(scale * f.control.value, digits), show(scale * f.difference.value, digits),
            show_interval(f.difference, scale, digits), show(scale * f.detectable, digits),
            _show_p(f.p),
        ))  # fmt: skip
    head = ("measure", "in", "model", "step", "items (clusters)", "released", "control",
            "difference", "95% interval", "smallest detectable", "p")  # fmt: skip
    return Table("The control minus the released checkpoint", head, rows, range(3, 11))


def tabulate_prompts(finals: Finals) -> Table:
    """WinoBias by prompt: every share beside G and A of the same prompt."""
    rows: list[tuple[str, ...]] = []
    for title, shares, prior, association in PROMPTS:
        for label in finals.labels:
            associations = {c.run.arm: c for c in finals.get(label, association)}
            priors = {c.run.arm: c for c in finals.get(label, prior)}
            for arm, change in associations.items():
                beside = [
                    _show_change(priors[arm]) if arm in priors else "–",
                    _show_change(change),
                ]
                found: list[Contrast | None] = [
                    c for s in shares for c in finals.get(label, s) if c.run.arm == arm
                ]
                for share in found or [None]:
                    rows.append((
                        title, label, show_arm(change, finals.findings), f"{change.n:,}", *beside,
                        "–" if share is None else share.estimand.title.partition(", ")[2],
                        "–" if share is None else _show_path(share),
                        "–" if share is None else _show_change(share),
                    ))  # fmt: skip
    head = ("prompt", "model", "arm", "items", "change in G", "change in A", "share",
            "control → arm, %", "change in the share")  # fmt: skip
    return Table("WinoBias by prompt at the final step", head, rows, range(3, 6))


def tabulate_contrasts(contrasts: Iterable[Contrast], findings: Findings, caption: str) -> Table:
    """Contrasts, one a row."""
    rows = [_list_cells(c, findings) for c in contrasts]
    return Table(caption, CONTRAST_HEAD, rows, range(4, 11))


def tabulate_everything(finals: Finals) -> Table:
    """Every final contrast, with its correction, its seeds, and what it was scored with."""
    findings = finals.findings
    spreads = {(s.label, s.direction, s.unit, s.rate, s.estimand.name): s for s in findings.spreads}
    rows: list[tuple[str, ...]] = []
    for c in finals.section(*SECTIONS):
        spread = spreads.get(find_dose(c))
        rows.append((
            *_list_cells(c, findings), "" if c.holm is None else _show_p(c.holm),
            "" if spread is None else _show_deviation(spread), c.run.harness, c.run.precision,
            str((c.run.corpus or {}).get("key", "–")),
        ))  # fmt: skip
    head = (*CONTRAST_HEAD, "Holm p", "SD over seeds (seeds)", "harness", "dtype", "corpus")
    return Table("Every contrast at the final step", head, rows, range(4, 13))


def tabulate_readings(trials: tuple[Trial, ...]) -> Table:
    """Where each number was read."""
    readings = [r for t in trials for run in (t.control, *t.arms) for r in run]
    rows: dict[str, tuple[str, ...]] = {r.name: _list_origin(r) for r in readings}
    head = ("reading", "model", "arm", "step", "harness", "dtype", "tasks", "corpus")
    return Table("Readings", head, sorted(rows.values()), range(3, 4))


def _list_origin(r: Reading) -> tuple[str, ...]:
    return (
        r.name, r.model, "base" if r.base else r.arm, f"{r.step:,}", r.harness, r.precision,
        str(len(r.tasks)), str((r.corpus or {}).get("key", "–")),
    )  # fmt: skip


def _list_cells(c: Contrast, findings: Findings) -> tuple[str, ...]:
    scale, digits, unit = measure(c.estimand)
    digits += unit == "nats"
    d = c.difference
    return (
        f"{c.estimand.title}{' ★' if c.estimand.endpoint else ''}",
        "%" if unit == "points" else unit, c.label, show_arm(c, findings),
        f"{c.n:,} ({c.clusters:,})", show(scale * c.control.value, digits),
        show(scale * c.arm.value, digits), show(scale * d.value, digits),
        show_interval(d, scale, digits), show(scale * c.detectable, digits),
        f"{_show_p(c.p)}{' (M)' if c.discordant is not None else ''}",
    )  # fmt: skip


def _thin(path: list[Contrast]) -> list[Contrast]:
    """At most STEPS contrasts of an arm, spread evenly, the last among them; none of the base."""
    own = [c for c in path if not c.reading.base]
    places = np.linspace(0, len(own) - 1, min(STEPS, len(own)))
    return [own[round(place)] for place in places]


def _show_change(c: Contrast) -> str:
    """`−0.51 [−0.62, −0.40]`, of shares in points."""
    scale, digits, unit = measure(c.estimand)
    d = c.difference
    value = f"{show(scale * d.value, digits)} {show_interval(d, scale, digits)}"
    return f"{value} {unit}" if unit == "points" else value


def _show_deviation(spread: Spread) -> str:
    """`0.12 (3)`: the standard deviation over so many seeds."""
    scale, digits, unit = measure(spread.estimand)
    return f"{show(scale * spread.sd, digits + (unit == 'nats'))} ({len(spread.seeds)})"


def _show_path(c: Contrast) -> str:
    """`81.0 → 51.2`."""
    return f"{show(100 * c.control.value, 1)} → {show(100 * c.arm.value, 1)}"


def _show_p(p: float) -> str:
    return show_p(p).removeprefix("= ")
