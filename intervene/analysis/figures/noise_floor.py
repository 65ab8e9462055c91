"""The noise floor: effects beside what two trainings without a swap differ by."""

from collections.abc import Callable

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from intervene.analysis.bootstrap import Estimate
from intervene.analysis.estimands import Estimand
from intervene.analysis.figures.arms import Cast, Panel, cast, find_dose
from intervene.analysis.figures.bars import Bar, draw_bars
from intervene.analysis.figures.grid import Block, Cell, Sheet, lay_out
from intervene.analysis.figures.labels import Label, find_left
from intervene.analysis.figures.legend import Entry
from intervene.analysis.figures.palette import INK, MUTED, Look
from intervene.analysis.figures.shown import ENDPOINTS, list_shown
from intervene.analysis.findings import Contrast, Findings
from intervene.analysis.floor import Floor
from intervene.analysis.limits import list_mismatches
from intervene.analysis.spread import Spread

HIGH = 1.35
TITLES = ("WinoBias pairs, A (first endpoint)", "CrowS pronoun pairs, A (second endpoint)")
FLOOR_PLACE = -0.22  # where a rate would be
SPREAD_LOOK = Look(INK, "D", "")


def draw_noise_floor(findings: Findings) -> Figure | None:
    """A panel per size for each endpoint; None where no arm has an endpoint and its control."""
    contrasts = list_shown("noise_floor", findings)
    whole, floored = cast(findings, contrasts), bool(findings.floors)
    blocks = []
    for estimand, title in zip(ENDPOINTS, TITLES, strict=True):
        cells = []
        for panel in whole.panels:
            mine = [
                c
                for c in contrasts
                if (c.label, c.estimand) == (panel.trial.label, estimand)
                and c.run.arm in panel.arms
            ]
            if mine:
                floor = find_floor(findings, panel.trial.label, estimand)
                spreads = _find_spreads(findings, panel, mine)
                cells.append(Cell(panel.title, _make_draw(mine, floor, spreads, whole, floored)))
        if cells:
            what = "released: control − released checkpoint; then by rate asked"
            what = what if findings.floors else "rate asked: share of eligible pronouns swapped"
            blocks.append(Block(title, cells, what, "|difference|, nats", HIGH))
    if not blocks:
        return None
    legend = [
        Entry("|arm − control| at the final step with its 95% interval", MUTED, "o", "-"),
        Entry("smallest detectable change", INK, "_"),
    ]
    if findings.floors:
        legend.append(Entry("|control − released|, 95%", INK, "s", "-"))
    if findings.spreads:
        legend.append(Entry("standard deviation over seeds", INK, "D", hollow=True))
    notes = list_mismatches(whole.trials)
    return lay_out(Sheet(blocks, (1.05, 3.2), 0.04, find_left(""), legend, notes))


def find_floor(findings: Findings, label: str, estimand: Estimand) -> Floor | None:
    """A trial's floor at the last step that has one."""
    found = [f for f in findings.floors if (f.label, f.estimand) == (label, estimand)]
    return max(found, key=lambda f: f.step, default=None)


def _find_spreads(findings: Findings, panel: Panel, contrasts: list[Contrast]) -> list[Spread]:
    """Over seeds, of the arms that a panel shows."""
    doses = {(c.run.direction, c.run.unit, c.run.rate, c.estimand.name) for c in contrasts}
    return [
        s
        for s in findings.spreads
        if s.label == panel.trial.label and (s.direction, s.unit, s.rate, s.estimand.name) in doses
    ]


def fold(e: Estimate) -> Estimate:
    """The size of a difference: an interval that holds zero begins there."""
    low = 0.0 if e.low <= 0 <= e.high else min(abs(e.low), abs(e.high))
    return Estimate(abs(e.value), low, max(abs(e.low), abs(e.high)), e.se)


def _make_draw(
    contrasts: list[Contrast],
    floor: Floor | None,
    spreads: list[Spread],
    whole: Cast,
    floored: bool,
) -> Callable[[Axes], list[Label]]:
    doses = sorted({(c.run.rate, find_dose(c.run), c.run.seed) for c in contrasts})
    rates = sorted({rate for rate, _, _ in doses})

    def place(c: Contrast) -> float:
        peers = [d for d in doses if d[0] == c.run.rate]
        at = peers.index((c.run.rate, find_dose(c.run), c.run.seed))
        return c.run.rate + min(0.025, 0.1 / len(peers)) * (at - (len(peers) - 1) / 2)

    def draw(axes: Axes) -> list[Label]:
        bars = [Bar(place(c), fold(c.difference), whole.looks[c.run.arm]) for c in contrasts]
        draw_bars(axes, bars, wide=0.9, dot=3.2)
        axes.plot(
            [place(c) for c in contrasts], [c.detectable for c in contrasts], linestyle="",
            color=INK, marker="_", markersize=5, markeredgewidth=1, zorder=5,
        )  # fmt: skip
        if floor is not None:
            e = fold(floor.difference)
            axes.axhspan(e.low, e.high, color=INK, alpha=0.07, lw=0)
            axes.axhline(e.value, color=INK, linewidth=0.6, linestyle=":")
            draw_bars(axes, [Bar(FLOOR_PLACE, e, Look(INK, "s", ""))], dot=3.6)
        if spreads:
            axes.plot(
                [s.rate for s in spreads], [s.sd for s in spreads], linestyle="", color=INK,
                marker="D", markersize=3.4, markerfacecolor="none", markeredgewidth=0.8,
                zorder=6, clip_on=False,
            )  # fmt: skip
        axes.set_xlim(FLOOR_PLACE - 0.16 if floored else -0.08, 1.08)
        start = [] if floor is None else [(FLOOR_PLACE, "released")]
        ends = [(r, f"{r:g}") for r in (rates if len(rates) <= 3 else (0.5, 1.0))]
        ticks = [*start, *ends]
        axes.set_xticks([place for place, _ in ticks], [name for _, name in ticks])
        axes.set_ylim(bottom=0)
        return []

    return draw
