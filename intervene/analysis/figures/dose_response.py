"""Dose–response: each endpoint's final contrast against the rate."""

from collections.abc import Callable

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from intervene.analysis.estimands import Estimand
from intervene.analysis.figures.arms import Cast, Family, Panel, cast, find_family
from intervene.analysis.figures.bars import Bar, draw_bars
from intervene.analysis.figures.grid import Block, Cell, Sheet, lay_out
from intervene.analysis.figures.labels import Label, find_left
from intervene.analysis.figures.legend import Entry
from intervene.analysis.figures.palette import DASHES, INK, MUTED, RAMPS
from intervene.analysis.figures.shown import ENDPOINTS, list_shown
from intervene.analysis.findings import Contrast, Findings
from intervene.analysis.limits import list_mismatches
from intervene.analysis.slope import Slope
from intervene.analysis.words import show, show_interval

HIGH = 1.35
SHIFT = 0.022  # of the rate, between arms of one rate
ZERO = "no change"
NO_BREAK = "\u00a0"
TITLES = (
    "WinoBias pairs, A (first endpoint), with the slope per unit of rate",
    "CrowS pronoun pairs, A (second endpoint), with the slope per unit of rate",
)


def draw_dose_response(findings: Findings) -> Figure | None:
    """A panel per size for each endpoint; None where no arm has an endpoint and its control."""
    contrasts = list_shown("dose_response", findings)
    whole = cast(findings, contrasts)
    blocks = []
    for estimand, title in zip(ENDPOINTS, TITLES, strict=True):
        held = {c.label for c in contrasts if c.estimand == estimand}
        cells = [
            _make_cell(findings, estimand, whole, panel)
            for panel in whole.panels
            if panel.trial.label in held
        ]
        if cells:
            what = "rate asked: share of eligible pronouns swapped"
            blocks.append(Block(title, cells, what, "arm − control, nats", HIGH, ZERO))
    if not blocks:
        return None
    legend = [Entry("change at the final step with its 95% interval", MUTED, "o", "-")]
    families = {find_family(c.run): whole.looks[c.run.arm] for c in contrasts}
    if len(families) > 1:
        legend += [Entry(", ".join(f), look.colour, "o", "-") for f, look in families.items()]
    notes = list_mismatches(whole.trials)
    return lay_out(Sheet(blocks, (1.0, 3.2), 0.04, find_left(ZERO), legend, notes))


def _make_cell(findings: Findings, estimand: Estimand, whole: Cast, panel: Panel) -> Cell:
    contrasts = [
        c
        for c in findings.final(estimand)
        if c.label == panel.trial.label and c.run.arm in panel.arms
    ]
    families = {find_family(c.run) for c in contrasts}
    slopes = [
        s
        for s in findings.slopes
        if (s.label, s.estimand) == (panel.trial.label, estimand)
        and (s.direction, s.unit) in families
    ]
    notes = tuple(_describe(s, sorted(families)) for s in slopes)
    return Cell(panel.title, _make_draw(contrasts, slopes, whole), notes)


def _describe(slope: Slope, families: list[Family]) -> str:
    """`−0.52 [−0.70, −0.34]`, after what of direction and unit differs within the panel."""
    own = slope.direction, slope.unit
    varied = [own[i] for i in (0, 1) if len({family[i] for family in families}) > 1]
    start = f"{', '.join(varied)} " if varied else ""
    interval = show_interval(slope.estimate).replace(" ", NO_BREAK)
    return f"{start}{show(slope.estimate.value)} {interval}"


def _make_draw(
    contrasts: list[Contrast], slopes: list[Slope], whole: Cast
) -> Callable[[Axes], list[Label]]:
    families = sorted({(*find_family(c.run), c.run.seed) for c in contrasts})
    middle = (len(families) - 1) / 2

    def draw(axes: Axes) -> list[Label]:
        axes.axhline(0, color=MUTED, linewidth=0.8, linestyle=DASHES, zorder=1)
        for slope in slopes:
            ends, e = np.array([0.0, max(slope.rates)]), slope.estimate
            colour = RAMPS[slope.direction][1]
            axes.fill_between(ends, ends * e.low, ends * e.high, color=colour, alpha=0.12, lw=0)
            axes.plot(ends, ends * e.value, color=colour, linewidth=0.8, zorder=2)
        shift = min(SHIFT, 0.12 / max(len(families), 1))
        bars = [
            Bar(
                c.run.rate + shift * (families.index((*find_family(c.run), c.run.seed)) - middle),
                c.difference,
                whole.looks[c.run.arm],
            )
            for c in contrasts
        ]
        if bars:
            draw_bars(axes, bars)
        axes.plot(0, 0, color=INK, marker="o", markersize=3.6, zorder=5)
        axes.set_xlim(-0.08, 1.08)
        axes.set_xticks([0, 0.5, 1], ["0", "0.5", "1"])
        axes.set_xticks([0.25, 0.75], minor=True)
        return []

    return draw
