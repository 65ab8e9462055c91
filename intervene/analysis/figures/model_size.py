"""Effect against model size: each endpoint's final contrast over the parameters."""

from collections.abc import Callable, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from intervene.analysis.estimands import Estimand
from intervene.analysis.figures.arms import Cast, cast, find_family
from intervene.analysis.figures.bars import Bar, draw_bars
from intervene.analysis.figures.grid import Block, Cell, Sheet, lay_out
from intervene.analysis.figures.labels import SMALL, Label, find_left, find_room, measure
from intervene.analysis.figures.legend import Entry
from intervene.analysis.figures.palette import DASHES, MUTED
from intervene.analysis.figures.shown import ENDPOINTS, list_shown
from intervene.analysis.findings import Contrast, Findings
from intervene.analysis.limits import list_mismatches
from intervene.analysis.sizes import count_parameters
from intervene.analysis.words import show, show_interval

HIGH, WIDEST = 1.6, 4.2
LABEL_INCHES = 0.1125
SHIFT = 0.02  # of the axis, between arms of one size
ZERO = "no change"
TITLES = {"pair_association": "WinoBias pairs, A", "crows_association": "CrowS pronoun pairs, A"}


def draw_model_size(findings: Findings) -> Figure | None:
    """A panel for each endpoint, and for direction and unit; None with fewer than two sizes."""
    if not findings.trends:
        return None
    shown = [c for c in list_shown("model_size", findings) if _is_fitted(c, findings)]
    whole = cast(findings, shown)
    words = {c.run.arm: f"{c.run.rate:g}" for c in shown}
    several = len({c.run.seed for c in shown}) > 1
    if several:
        words = {c.run.arm: f"{words[c.run.arm]} seed {c.run.seed}" for c in shown}
    blocks, names = [], []
    for estimand in ENDPOINTS:
        mine = [c for c in shown if c.estimand == estimand]
        cells = []
        for family in dict.fromkeys(find_family(c.run) for c in mine):
            drawn = [c for c in mine if find_family(c.run) == family]
            told = {c.run.arm: _tell(c, words[c.run.arm], findings) for c in drawn}
            names += list(told.values())
            cells.append(Cell(", ".join(family), _make_draw(drawn, told, whole)))
        if cells:
            heading = f"{TITLES[estimand.name]}; at the right, rate and slope per tenfold of size"
            high = max(HIGH, LABEL_INCHES * (len(set(words.values())) + 1))
            what = "parameters without embeddings (logarithmic)"
            blocks.append(Block(heading, cells, what, "arm − control, nats", high, ZERO))
    legend = [Entry("change at the final step with its 95% interval", MUTED, "o", "-")]
    notes = list_mismatches(whole.trials)
    return lay_out(Sheet(blocks, (1.3, WIDEST), find_room(names), find_left(ZERO), legend, notes))


def _is_fitted(c: Contrast, findings: Findings) -> bool:
    return any(c.label in t.labels and _matches(c, t.estimand, t.direction, t.unit, t.seed, t.rate)
               for t in findings.trends)  # fmt: skip


def _matches(
    c: Contrast, estimand: Estimand, direction: str, unit: str, seed: int, rate: float
) -> bool:
    mine = c.run.direction, c.run.unit, c.run.seed, c.run.rate
    return c.estimand == estimand and mine == (direction, unit, seed, rate)


def _tell(c: Contrast, words: str, findings: Findings) -> str:
    """`0.5: −0.12 [−0.30, 0.06]`: the slope per decade."""
    trend = next(t for t in findings.trends if c.label in t.labels and _matches(
        c, t.estimand, t.direction, t.unit, t.seed, t.rate))  # fmt: skip
    return f"{words}: {show(trend.estimate.value)} {show_interval(trend.estimate)}"


def _make_draw(
    contrasts: list[Contrast], told: dict[str, str], whole: Cast
) -> Callable[[Axes], list[Label]]:
    def draw(axes: Axes) -> list[Label]:
        sizes = sorted({count_parameters(c.run) for c in contrasts})
        span = np.log10(sizes[-1] / sizes[0])
        order = sorted(told, key=lambda a: next(
            (c.run.rate, c.run.seed) for c in contrasts if c.run.arm == a))  # fmt: skip
        gaps = np.diff(np.log10(sizes))
        shift = min(SHIFT * span, 0.5 * float(gaps.min()) / len(order), 0.25 * span / len(order))
        axes.axhline(0, color=MUTED, linewidth=0.8, linestyle=DASHES, zorder=1)
        labels = []
        for place, arm in enumerate(order):
            mine = sorted(
                (c for c in contrasts if c.run.arm == arm), key=lambda c: count_parameters(c.run)
            )
            look = whole.looks[arm]
            xs = np.log10([count_parameters(c.run) for c in mine])
            xs += shift * (place - (len(order) - 1) / 2)
            bars = [Bar(float(x), c.difference, look) for x, c in zip(xs, mine, strict=True)]
            draw_bars(axes, bars, wide=0.8, dot=3)
            heights = [np.mean([b.estimate.value for b in bars if b.place == x]) for x in xs]
            axes.plot(xs, heights, color=look.colour, linewidth=0.8, zorder=2)
            labels.append(Label(float(heights[-1]), told[arm], look.colour, look.marker))
        _frame(axes, sizes, 0.06 * span + shift * len(order) / 2)
        return labels

    return draw


def _frame(axes: Axes, sizes: Sequence[int], pad: float) -> None:
    """Ticks at the models' own sizes, as many names as do not touch."""
    low, high = np.log10(sizes[0]) - pad, np.log10(sizes[-1]) + pad
    figure = axes.get_figure()
    assert figure is not None
    inches = axes.bbox.width / figure.dpi
    axes.set_xlim(low, high)
    ticks, names, reached = [], [], -np.inf
    for size in sizes:
        name = show_count(size)
        half = measure(name, SMALL) / 2 + 0.03
        place = (np.log10(size) - low) / (high - low) * inches
        ticks.append(float(np.log10(size)))
        free = place - half > reached
        names.append(name if free else "")
        reached = place + half if free else reached
    axes.set_xticks(ticks, names)


def show_count(number: int) -> str:
    """`300M`, `85k`, `1.2B`: two digits."""
    for unit, name in ((1e9, "B"), (1e6, "M"), (1e3, "k")):
        if number >= 0.995 * unit:
            return f"{float(format(number / unit, '.2g')):g}{name}"
    return f"{number}"
