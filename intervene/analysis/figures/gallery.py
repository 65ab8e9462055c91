"""All figures of a comparison, one after the other, and their files."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import matplotlib as mpl
from matplotlib.figure import Figure

from intervene.analysis.contrast import Findings
from intervene.analysis.figures.association import draw_association
from intervene.analysis.figures.captions import WHAT, write_caption
from intervene.analysis.figures.crows_categories import draw_crows_categories
from intervene.analysis.figures.crows_direction import draw_crows_direction
from intervene.analysis.figures.dose_response import draw_dose_response
from intervene.analysis.figures.grid import SHEET_STYLE
from intervene.analysis.figures.manipulation import draw_manipulation
from intervene.analysis.figures.model_size import draw_model_size
from intervene.analysis.figures.noise_floor import draw_noise_floor
from intervene.analysis.figures.overview import draw_overview
from intervene.analysis.figures.published import draw_published
from intervene.analysis.figures.retention import draw_retention
from intervene.analysis.published.reading import PublishedReading

DPI = 200
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
        drawer = DRAWERS.get(name)
        figure = drawer(findings) if drawer else draw_published(findings, published)
        if figure is not None:
            yield name, Drawn(figure, write_caption(name, findings, provenance, published))


def save_figures(
    findings: Findings,
    published: Sequence[PublishedReading],
    provenance: str,
    folder: Path,
) -> dict[str, str]:
    """Write `<name>.png`, `.pdf`, `.svg` and `.txt` (the caption) of each figure.

    Returns:
        The captions by name, in the report's order; a figure that has nothing to show is absent.
    """
    captions = {}
    for name, drawn in draw_figures(findings, published, provenance):
        save(drawn, folder, name)
        captions[name] = drawn.caption
    return captions


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
