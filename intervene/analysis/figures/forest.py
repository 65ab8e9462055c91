"""Forests: a row per measure with a dot and interval per arm, a panel per size."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from intervene.analysis.bootstrap import Estimate
from intervene.analysis.estimands import Estimand
from intervene.analysis.figures.arms import Cast, cast
from intervene.analysis.figures.bars import Bar, draw_bars
from intervene.analysis.figures.grid import Block, Cell, Sheet, lay_out
from intervene.analysis.figures.labels import SMALL, Label, measure
from intervene.analysis.figures.legend import Entry
from intervene.analysis.figures.palette import DASHES, MUTED, RULE, Look
from intervene.analysis.findings import Contrast, Findings
from intervene.analysis.limits import list_mismatches
from intervene.analysis.words import measure as show_unit

PITCH_INCHES, LEAST_PITCH = 0.055, 0.022  # between the bars of a row
ROW_INCHES, LEAST_ROW = 0.08, 0.19  # added to the bars of a row; no row is lower


@dataclass(frozen=True)
class Rows:
    """One block of a forest: measures in one unit, with a short name each."""

    heading: str
    named: Sequence[tuple[Estimand, str]]


def draw_forest(findings: Findings, blocks: Sequence[Rows], contrasts: list[Contrast]) -> Figure:
    """Draw what there is of these blocks; at least one of them has contrasts."""
    whole = cast(findings, contrasts)
    made, names = [], []
    for rows in blocks:
        held = {c.estimand.name for c in contrasts}
        named = [(e, name) for e, name in rows.named if e.name in held]
        if named:
            made.append(_make_block(rows.heading, named, contrasts, whole))
            names += [name for _, name in named]
    legend = [Entry("no change from the control", MUTED, "", DASHES)]
    legend += _list_doses(whole, contrasts)
    left = 0.16 + max(measure(name, SMALL) for name in names)
    notes = list_mismatches(whole.trials)
    return lay_out(Sheet(made, (0.95, 3.4), 0.04, left, legend, notes))


def _list_doses(whole: Cast, contrasts: list[Contrast]) -> list[Entry]:
    """An entry per dose, seeds together; grey where panels have it in colours of their own."""
    looks: dict[str, list[Look]] = {}
    for arm in _order(frozenset(whole.words), contrasts):
        looks.setdefault(whole.words[arm], []).append(whole.looks[arm])
    return [
        Entry(
            words,
            mine[0].colour if len({look.colour for look in mine}) == 1 else MUTED,
            mine[0].marker,
        )
        for words, mine in looks.items()
    ]


def _order(arms: frozenset[str], contrasts: list[Contrast]) -> list[str]:
    """Slugs by direction and unit, rate and seed."""
    runs = {c.run.arm: c.run for c in contrasts if c.run.arm in arms}
    return sorted(runs, key=lambda a: (runs[a].direction, runs[a].unit, runs[a].rate, runs[a].seed))


def _make_block(
    heading: str, named: list[tuple[Estimand, str]], contrasts: list[Contrast], whole: Cast
) -> Block:
    most = max(len(panel.arms) for panel in whole.panels)
    pitch = max(LEAST_PITCH, min(PITCH_INCHES, 0.34 / most))
    row = max(LEAST_ROW, most * pitch + ROW_INCHES)
    scale, _, unit = show_unit(named[0][0])
    unit = "percentage points" if unit == "points" else unit
    cells = []
    for panel in whole.panels:
        mine = [c for c in contrasts if c.label == panel.trial.label and c.run.arm in panel.arms]
        places = [e.name for e, _ in named]
        if any(c.estimand.name in places for c in mine):
            draw = _make_draw(mine, named, whole, scale, pitch / row)
            cells.append(Cell(panel.title, draw))
    return Block(
        heading, cells, f"arm − control at the final step, {unit}", "", row * len(named),
        rows=True, share_x=True,
    )  # fmt: skip


def _make_draw(
    contrasts: list[Contrast],
    named: list[tuple[Estimand, str]],
    whole: Cast,
    scale: float,
    pitch: float,
) -> Callable[[Axes], list[Label]]:
    """What draws one panel; `pitch` is between bars, as a share of a row."""
    order = _order(frozenset(c.run.arm for c in contrasts), contrasts)
    places = {e.name: -i for i, (e, _) in enumerate(named)}
    middle = (len(order) - 1) / 2

    def draw(axes: Axes) -> list[Label]:
        axes.axvline(0, color=MUTED, linewidth=0.8, linestyle=DASHES, zorder=1)
        bars = []
        for c in contrasts:
            if c.estimand.name in places:
                d = c.difference
                scaled = Estimate(scale * d.value, scale * d.low, scale * d.high, scale * d.se)
                place = places[c.estimand.name] - pitch * (order.index(c.run.arm) - middle)
                bars.append(Bar(place, scaled, whole.looks[c.run.arm]))
        thin = len(order) > 4
        draw_bars(axes, bars, lying=True, wide=0.7 if thin else 1.1, dot=2.2 if thin else 3.4)
        axes.set_ylim(0.5 - len(named), 0.5)
        axes.set_yticks([-i for i in range(len(named))], [name for _, name in named])
        axes.tick_params(axis="y", length=0)
        axes.hlines(
            [-i - 0.5 for i in range(len(named) - 1)], 0, 1, color=RULE, linewidth=0.5,
            transform=axes.get_yaxis_transform(), zorder=0,
        )  # fmt: skip
        return []

    return draw
