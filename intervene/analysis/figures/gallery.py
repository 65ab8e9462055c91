"""All figures of a comparison, one after the other, and their files."""

import multiprocessing
import os
import signal
import sys
import warnings
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import matplotlib as mpl
from matplotlib.figure import Figure

from intervene.analysis.figures.association import draw_association
from intervene.analysis.figures.captions import WHAT, write_caption
from intervene.analysis.figures.crows_categories import draw_crows_categories
from intervene.analysis.figures.crows_direction import draw_crows_direction
from intervene.analysis.figures.dose_response import draw_dose_response
from intervene.analysis.figures.grid import DPI, SHEET_STYLE
from intervene.analysis.figures.manipulation import draw_manipulation
from intervene.analysis.figures.model_size import draw_model_size
from intervene.analysis.figures.noise_floor import draw_noise_floor
from intervene.analysis.figures.overview import draw_overview
from intervene.analysis.figures.published import draw_published
from intervene.analysis.figures.retention import draw_retention
from intervene.analysis.findings import Findings
from intervene.analysis.published.reading import PublishedReading
from intervene.child import die_with

DRAWERS: dict[str, Callable[[Findings], Figure | None]] = {
    "overview": draw_overview,
    "manipulation": draw_manipulation,
    "association": draw_association,
    "dose_response": draw_dose_response,
    "model_size": draw_model_size,
    "crows_direction": draw_crows_direction,
    "crows_categories": draw_crows_categories,
    "retention": draw_retention,
    "noise_floor": draw_noise_floor,
}
"""The figures that need the findings alone."""


@dataclass(frozen=True)
class Drawn:
    """A figure and its caption."""

    figure: Figure
    caption: str


def draw_figures(
    findings: Findings, published: Sequence[PublishedReading] = (), provenance: str = ""
) -> Iterator[tuple[str, Drawn]]:
    """Each figure that has anything to show, by name, in the report's order.

    Args:
        findings: what is shown.
        published: the published numbers; without any, there is no figure of them.
        provenance: the last sentence of every caption, which names the data by key.
    """
    for name in WHAT:
        drawn = draw(name, findings, published, provenance)
        if drawn is not None:
            yield name, drawn


def draw(
    name: str, findings: Findings, published: Sequence[PublishedReading], provenance: str
) -> Drawn | None:
    """One figure; None where it has nothing to show."""
    drawer = DRAWERS.get(name)
    figure = drawer(findings) if drawer else draw_published(findings, published)
    if figure is None:
        return None
    return Drawn(figure, write_caption(name, findings, provenance, published))


def save_figures(
    findings: Findings,
    published: Sequence[PublishedReading],
    provenance: str,
    folder: Path,
    processes: int = 2,
) -> dict[str, str]:
    """Write `<name>.png`, `.pdf`, `.svg` and `.txt` (the caption) of each figure.

    Args:
        findings, published, provenance: as of `draw_figures`.
        folder: where to write; it exists.
        processes: that draw at once, where processes can be forked; the bytes are the same.

    Returns:
        The captions by name, in the report's order; a figure that has nothing to show is absent.
    """
    work = _Work(findings, published, provenance, folder)
    if processes > 1 and sys.platform == "linux":
        captions = _save_in_parallel(work, processes)
    else:
        captions = {name: _save_one(name, work) for name in WHAT}
    return {name: caption for name in WHAT if (caption := captions[name]) is not None}


@dataclass(frozen=True)
class _Work:
    """What every figure is made from, and where it goes."""

    findings: Findings
    published: Sequence[PublishedReading]
    provenance: str
    folder: Path


def _save_in_parallel(work: _Work, processes: int) -> dict[str, str | None]:
    """Forked processes share the findings, which may be gigabytes; they draw and do no more."""
    with warnings.catch_warnings():
        # Python 3.12 warns of forks beside threads, whose locks a child could wait for: those of
        # arrow and BLAS, which drawing does not call.
        warnings.simplefilter("ignore", DeprecationWarning)
        with ProcessPoolExecutor(
            processes, multiprocessing.get_context("fork"), _hold, (work, os.getpid())
        ) as pool:
            jobs = {name: pool.submit(_save_held, name) for name in reversed(WHAT)}
            return {name: job.result() for name, job in jobs.items()}


_held: list[_Work] = []


def _hold(work: _Work, parent: int) -> None:
    """In a forked process: keep what it draws from.

    A fork holds the store's lock too, and would keep it for ever if it outlived a killed parent.
    """
    die_with(parent, signal.SIGKILL)
    _held.append(work)


def _save_held(name: str) -> str | None:
    return _save_one(name, _held[-1])


def _save_one(name: str, work: _Work) -> str | None:
    drawn = draw(name, work.findings, work.published, work.provenance)
    if drawn is None:
        return None
    save(drawn, work.folder, name)
    return drawn.caption


def save(drawn: Drawn, folder: Path, name: str) -> None:
    """Write one figure's files: the same bytes again, without dates or versions."""
    caption = drawn.caption
    metadata: dict[str, dict[str, str | None]] = {
        "png": {"Software": None, "Description": caption},
        "pdf": {"Creator": None, "Producer": None, "CreationDate": None, "Subject": caption},
        "svg": {"Creator": None, "Date": None, "Description": caption},
    }
    with mpl.rc_context(SHEET_STYLE):
        for kind, facts in metadata.items():
            drawn.figure.savefig(folder / f"{name}.{kind}", dpi=DPI, metadata=facts)
    (folder / f"{name}.txt").write_text(f"{caption}\n", encoding="utf-8")
