"""The page: its template, filled with tables, numbers and the libraries that draw them."""

import json
import re
from collections.abc import Sequence
from importlib import resources
from typing import Any

import jinja2
from markupsafe import Markup

from intervene.analysis.figures.palette import Look, choose_looks, darken_colour
from intervene.analysis.findings import Findings
from intervene.analysis.flips import Flips, Texts
from intervene.analysis.origin import Origin
from intervene.analysis.page.charts import CONFIG, list_charts
from intervene.analysis.page.items import collect_items
from intervene.analysis.page.libraries import read_datatables, read_vega
from intervene.analysis.page.numbers import Value, collect_numbers
from intervene.analysis.page.published import list_anomalies, list_published
from intervene.analysis.published.reading import PublishedReading
from intervene.analysis.tables import Table

NAME = re.compile(r"[a-z]+/[0-9a-f]{12}")
"""An artefact's, as tables have it."""
MOST_ROWS = 1_000
"""Rows of a table that the page shows."""
UNQUOTED = "The sentences of {tasks} are not at hand; scoring a checkpoint again notes them."


def render_page(
    findings: Findings,
    facts: dict[str, Any],
    sheets: dict[str, Table],
    captions: dict[str, str],
    flips: list[Flips],
    texts: Texts,
    origins: Sequence[Origin],
    published: Sequence[PublishedReading],
) -> str:
    """The page as text, the same for the same findings.

    Args:
        findings: what is shown.
        facts: the content of summary.json.
        sheets: the tables by name, as they are written beside the page.
        captions: of the figures that were drawn, by name.
        flips, texts: items whose outcome flipped, and what items ask.
        origins: artefacts, with the commands that make them.
        published: the published study's own numbers, or none.
    """
    looks = choose_looks(list({c.run.arm: c.run for c in findings.contrasts}.values()))
    numbers = _gather(findings, looks, flips, texts, published)
    template = _open_environment({o.name for o in origins}).get_template("page.html.j2")
    return template.render(
        facts=facts,
        captions=captions,
        numbers=numbers,
        sheets=sheets,
        contents=CONTENTS,
        flipped=sum(len(f.items) for f in flips),
        unquoted=_name_unquoted(flips, texts),
        released=any(r.released for t in findings.trials for r in t.control),
        origins=origins,
        anomalies=list_anomalies(published),
        colours=[(look.colour, darken_colour(look.colour)) for look in looks.values()],
        styles=Markup(_read("page.css")),
        scripts=_list_scripts(numbers) if numbers["measures"] else {},
    )


def _list_scripts(numbers: Value) -> dict[str, Markup]:
    """What the page runs: its numbers, the libraries with a style sheet, and its own script."""
    datatables, styles = read_datatables()
    return {
        "numbers": _embed(numbers),
        "vega": Markup(read_vega()),
        "datatables": Markup(datatables),
        "datatables_styles": Markup(styles),
        "own": Markup(_read("rows.js") + _read("page.js")),
    }


CONTENTS = (
    ("done", "What was done"), ("check", "Manipulation check"), ("curves", "Curves"),
    ("doses", "Dose–response"), ("sizes", "Sizes"), ("prompts", "Prompts"),
    ("crows", "CrowS-Pairs"), ("retained", "Retention"), ("floor", "Noise floor"),
    ("flipped", "Items"),
    ("table", "Every contrast"), ("limits", "What cannot be concluded"),
    ("published", "The published study"), ("lineage", "Lineage"),
)  # fmt: skip
"""The sections, in the order of the questions that a reader has."""


def _gather(
    findings: Findings,
    looks: dict[str, Look],
    flips: list[Flips],
    texts: Texts,
    published: Sequence[PublishedReading],
) -> Value:
    """Everything that the page's script reads."""
    numbers = collect_numbers(findings, looks)
    places = {
        "models": {model["label"]: i for i, model in enumerate(numbers["models"])},
        "arms": {arm: i for i, arm in enumerate(looks)},
    }
    return {
        "config": CONFIG,
        "charts": list_charts(),
        "items": collect_items(flips, texts, places),
        "published": list_published(findings, published),
        **numbers,
    }


def _name_unquoted(flips: list[Flips], texts: Texts) -> str:
    tasks = sorted({f.task for f in flips} - texts.keys())
    return UNQUOTED.format(tasks=", ".join(tasks)) if tasks else ""


def _open_environment(names: set[str]) -> jinja2.Environment:
    """Templates of this folder; `linked` makes a cell that names an artefact a link to it."""
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("intervene.analysis.page", "."),
        autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True,
    )  # fmt: skip

    def link(cell: str) -> Markup | str:
        if NAME.fullmatch(cell) and cell in names:
            return Markup('<a href="#{0}">{0}</a>').format(cell)
        return cell

    environment.globals |= {"linked": link, "MOST_ROWS": MOST_ROWS}
    return environment


def _embed(value: Value) -> Markup:
    """JSON that cannot end the script element that it stands in."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    return Markup(text.replace("<", "\\u003c"))


def _read(name: str) -> str:
    return (resources.files("intervene.analysis.page") / name).read_text(encoding="utf-8")
