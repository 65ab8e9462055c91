"""Panels of one size in rows under headings, laid out in inches, with words beside them."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from intervene.analysis.figures.labels import SMALL, Label, measure, place, wrap
from intervene.analysis.figures.legend import Entry, draw_entry, flow, write
from intervene.analysis.figures.palette import MUTED, RULE, STYLE

WIDTH = 7.2  # inches: the text of a page of A4, at which no letter is smaller than SMALL
LARGE = 8.5  # points
LINE = 0.125  # inches of a line of small words
GAP, EDGE = 0.1, 0.08  # between columns; around all
MOST_COLUMNS = 5
DPI = 200
SHEET_STYLE = {**STYLE, "font.size": SMALL, "axes.labelsize": SMALL,
               "xtick.labelsize": SMALL, "ytick.labelsize": SMALL}  # fmt: skip


@dataclass(frozen=True)
class Cell:
    """One panel: its title, lines below that, and what draws it; labels come back."""

    title: str
    draw: Callable[[Axes], list[Label]]
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Block:
    """Panels of one quantity, on one y axis.

    Args:
        heading: over the first row.
        x, y: what the axes are, with units.
        high: of a panel, in inches.
        zero: what a value of zero on the y axis means, in words.
        rows: whether the y axis has rows with names instead of numbers.
        share_x, share_y: whether all panels have one axis.
    """

    heading: str
    cells: Sequence[Cell]
    x: str
    y: str
    high: float
    zero: str = ""
    rows: bool = False
    share_x: bool = False
    share_y: bool = True


@dataclass(frozen=True)
class Sheet:
    """A figure's blocks.

    Args:
        plot: the least and the greatest width of a panel, in inches.
        room: inches right of each panel for its labels.
        left: inches left of the first panel for the names of the ticks and of the axis.
        notes: sentences at the foot.
    """

    blocks: Sequence[Block]
    plot: tuple[float, float]
    room: float
    left: float
    legend: Sequence[Entry] = ()
    notes: Sequence[str] = ()


@dataclass(frozen=True)
class _Frame:
    """The measures of a sheet in inches: panels' width, columns, width of all."""

    plot: float
    columns: int
    wide: float


def lay_out(sheet: Sheet) -> Figure:
    """Draw a sheet: equal panels, wrapped into rows, on the axes that their block shares."""
    frame = _measure(sheet)
    legend = list(flow(sheet.legend, frame.wide - 2 * EDGE))
    notes = [line for n in sheet.notes for line in wrap(n, frame.wide - 2 * EDGE, SMALL)]
    lines = (legend[-1][1] + 1 if legend else 0) + len(notes)
    high = 2 * EDGE + lines * (LINE + 0.02) + sum(_height(sheet, b, frame) for b in sheet.blocks)
    with mpl.rc_context(SHEET_STYLE):
        figure = Figure(figsize=(frame.wide, high), dpi=DPI)
        FigureCanvasAgg(figure)
        top = high - EDGE
        for entry, line, x in legend:
            draw_entry(figure, entry, EDGE + x, top - (line + 0.5) * (LINE + 0.02))
        top -= (legend[-1][1] + 1 if legend else 0) * (LINE + 0.02)
        for block in sheet.blocks:
            top = _draw_block(figure, sheet, block, frame, top)
        for note in notes:
            write(figure, EDGE, top - 0.02, note, color=MUTED, va="top")
            top -= LINE + 0.02
    return figure


def _measure(sheet: Sheet) -> _Frame:
    """As many columns as the width takes, but no more than rows of equal length need."""
    least, most = sheet.plot
    free = WIDTH - sheet.left - EDGE + GAP
    count = max(len(block.cells) for block in sheet.blocks)
    fit = max(1, min(MOST_COLUMNS, int(free / (least + sheet.room + GAP))))
    rows = -(-count // fit)
    columns = -(-count // rows)
    plot = max(min(most, free / columns - sheet.room - GAP), 0.6)
    return _Frame(plot, columns, sheet.left + columns * (plot + sheet.room + GAP) - GAP + EDGE)


def _rows(block: Block, frame: _Frame) -> Iterator[list[Cell]]:
    for start in range(0, len(block.cells), frame.columns):
        yield list(block.cells[start : start + frame.columns])


def _head(sheet: Sheet, cell: Cell, frame: _Frame) -> tuple[list[str], list[str]]:
    """A cell's title and notes as lines."""
    inches = frame.plot + sheet.room + 0.03
    notes = [line for note in cell.notes for line in wrap(note, inches, SMALL)]
    return wrap(cell.title, inches, SMALL, "bold"), notes


def _head_lines(sheet: Sheet, row: list[Cell], frame: _Frame) -> int:
    return max(sum(map(len, _head(sheet, cell, frame))) for cell in row)


def _height(sheet: Sheet, block: Block, frame: _Frame) -> float:
    heading = _heading(block, frame)
    rows = list(_rows(block, frame))
    heads = sum(_head_lines(sheet, row, frame) * LINE + 0.06 for row in rows)
    return 0.17 * len(heading) + 0.08 + heads + len(rows) * (block.high + 0.24) + 0.16


def _heading(block: Block, frame: _Frame) -> list[str]:
    return wrap(block.heading, frame.wide - 2 * EDGE, LARGE, "bold")


def _draw_block(figure: Figure, sheet: Sheet, block: Block, frame: _Frame, top: float) -> float:
    """Draw a block from the height `top` (inches) downwards; its foot comes back."""
    wide, high = figure.get_size_inches()
    top -= 0.08
    for line in _heading(block, frame):
        write(figure, EDGE, top, line, fontsize=LARGE, weight="bold", va="top")
        top -= 0.17
    drawn: list[tuple[Axes, list[Label], bool]] = []
    for row in _rows(block, frame):
        top -= _head_lines(sheet, row, frame) * LINE + 0.06
        for column, cell in enumerate(row):
            x = sheet.left + column * (frame.plot + sheet.room + GAP)
            title, notes = _head(sheet, cell, frame)
            foot = top + 0.04 + len(notes) * LINE
            write(figure, x, foot, "\n".join(title), weight="bold", va="bottom")
            write(figure, x, top + 0.04, "\n".join(notes), color=MUTED, va="bottom")
            box = (x / wide, (top - block.high) / high, frame.plot / wide, block.high / high)
            axes = figure.add_axes(box)
            axes.tick_params(length=2.2, width=0.6, pad=2)
            drawn.append((axes, cell.draw(axes), column == 0))
        write(figure, EDGE, top - block.high / 2, block.y, rotation=90, va="center")
        top -= block.high + 0.24
    _share(block, drawn, frame.plot)
    for axes, labels, _ in drawn:
        place(axes, labels, frame.plot, block.high)
    middle = sheet.left + (min(len(block.cells), frame.columns) * (frame.plot + sheet.room + GAP)
                           - GAP - sheet.room) / 2  # fmt: skip
    write(figure, middle, top + 0.06, block.x, ha="center", va="top")
    return top - 0.16


def _share(block: Block, drawn: list[tuple[Axes, list[Label], bool]], plot: float) -> None:
    """Give a block's panels one y axis, rules at its ticks, and names at the first column's."""
    every = [axes for axes, _, _ in drawn]
    if block.share_x:
        limits = np.array([axes.get_xlim() for axes in every])
        low, high = limits[:, 0].min(), limits[:, 1].max()
        ticks = _fit_ticks(low, high, plot)
        for axes in every:
            axes.set_xlim(low, high)
            axes.set_xticks(ticks, show_ticks(ticks))
    if not block.rows:
        for together in [every] if block.share_y else [[axes] for axes in every]:
            _share_y(together, block.zero)
    for axes, _, first in drawn:
        axes.set_axisbelow(True)
        axes.grid(axis="x" if block.rows else "y", color=RULE, linewidth=0.5)
        axes.tick_params(axis="y", labelleft=first or not block.share_y)


def _share_y(every: Sequence[Axes], zero: str) -> None:
    """One y axis, whose tick at 0 says what that means."""
    limits = np.array([axes.get_ylim() for axes in every])
    bottom, top = limits[:, 0].min(), limits[:, 1].max()
    ticks = choose_ticks(bottom, top, 5)
    shown = zip(ticks, show_ticks(ticks), strict=True)
    names = [f"{zero} {name}".strip() if tick == 0 else name for tick, name in shown]
    for axes in every:
        axes.set_ylim(bottom, top)
        axes.set_yticks(ticks, names)


def _fit_ticks(low: float, high: float, inches: float) -> list[float]:
    """As many round numbers as have room for their names beside one another."""
    for most in (5, 4, 3):
        ticks = choose_ticks(low, high, most)
        widest = max((measure(name, SMALL) for name in show_ticks(ticks)), default=0.0)
        if len(ticks) * (widest + 0.1) <= inches:
            return ticks
    return choose_ticks(low, high, 2)


def choose_ticks(low: float, high: float, most: int) -> list[float]:
    """Round numbers between two limits; zero is exactly 0."""
    ticks = MaxNLocator(most, steps=[1, 2, 2.5, 5, 10]).tick_values(low, high)
    least = 1e-9 * (high - low)
    return [0.0 if abs(t) < least else float(t) for t in ticks if low <= t <= high]


def show_ticks(ticks: Sequence[float]) -> list[str]:
    """Ticks with as many decimals as they need, and a true minus sign."""
    digits = next(
        (d for d in range(6) if all(abs(t - round(t, d)) < 1e-6 * (abs(t) or 1) for t in ticks)), 6
    )
    return [f"{t:.{digits}f}".replace("-", "−") for t in ticks]
