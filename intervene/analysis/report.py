"""The report of a comparison: a page that needs nothing else, the figure, a table, a summary."""

import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import jinja2
from markupsafe import Markup

from intervene.analysis import tables
from intervene.analysis.contrast import Findings, compare
from intervene.analysis.curve import Reading
from intervene.analysis.figures import overview
from intervene.analysis.figures.palette import darken
from intervene.analysis.finals import gather_finals
from intervene.analysis.ledger import write_ledger
from intervene.analysis.limits import list_gaps, list_limits, list_mismatches
from intervene.analysis.summary import summarise_findings
from intervene.analysis.trial import assemble
from intervene.errors import InterveneError

TEMPLATE = Path(__file__).with_name("report.html.j2")


def write_report(
    readings: list[Reading],
    lineage_tree: list[str],
    commands: list[str],
    folder: Path,
    *,
    name: str,
    resamples: int,
    seed: int,
    missing: list[str],
    allow_mismatch: Sequence[str] = (),
) -> dict[str, Any]:
    """Write the page, figure.{png,pdf,svg}, contrasts.csv and summary.json, the same bytes always.

    Args:
        readings: what is compared; arms without a control are listed and not shown.
        lineage_tree: the lines that draw where the readings come from.
        commands: the exact commands that rebuild them.
        folder: where to write; it exists.
        name: of the comparison.
        resamples, seed: of the bootstrap.
        missing: sentences on arms that were asked for and have no readings.
        allow_mismatch: terms in which an arm may differ from its control; every such difference is
            told on the figure, the page, the table and the summary.

    Returns:
        The content of summary.json: name, models, counts, and sentences: `summary`, `limits`,
        `missing`, `refused` and `mismatches`.

    Errors: InterveneError where there are no readings, and where none may be contrasted.
    """
    if not readings:
        raise InterveneError(
            "there are no readings to compare", f"name={name}", "evaluate an arm first"
        )
    findings = compare(assemble(readings, allow_mismatch), resamples=resamples, seed=seed)
    facts: dict[str, Any] = {
        "name": name,
        "models": [t.label for t in findings.trials],
        "readings": len(readings),
        "contrasts": len(findings.contrasts),
        "resamples": resamples,
        "seed": seed,
        "summary": summarise_findings(findings),
        "limits": list_limits(findings, resamples),
        "missing": [*missing, *list_gaps(findings)],
        "refused": list(findings.refused),
        "mismatches": list_mismatches(findings.trials),
    }
    figure = overview.draw(findings)
    svg = None if figure is None else overview.save(figure, folder)
    write_ledger(findings, folder / "contrasts.csv")
    (folder / "summary.json").write_text(json.dumps(facts, indent=1, ensure_ascii=False) + "\n")
    width = 0 if figure is None else round(100 * figure.get_figwidth())
    page = _render(findings, facts, svg, width, lineage_tree, commands)
    (folder / "index.html").write_text(page, encoding="utf-8")
    return facts


def _render(
    findings: Findings,
    facts: dict[str, Any],
    svg: str | None,
    width: int,
    tree: list[str],
    commands: list[str],
) -> str:
    environment = jinja2.Environment(
        autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    dark = {} if svg is None else darken(svg)
    finals = gather_finals(findings)
    crows = [c for c in finals.section("endpoint", "crows") if c.estimand.name.startswith("crows")]
    controls = finals.section("negative control")
    return environment.from_string(TEMPLATE.read_text(encoding="utf-8")).render(
        facts=facts,
        figure=None if svg is None else _inline(svg, dark),
        width=width,
        shades=[(f"--figure-{i}", *pair) for i, pair in enumerate(dark.items())],
        arms=tables.tabulate_arms(findings.trials),
        checks=tables.tabulate_checks(findings),
        doses=tables.tabulate_slopes(findings),
        seeds=tables.tabulate_spreads(findings),
        prompts=tables.tabulate_prompts(finals),
        crows=tables.tabulate_contrasts(crows, findings, "CrowS-Pairs gender at the final step"),
        controls=tables.tabulate_contrasts(
            controls, findings, "Negative controls: the other categories of CrowS-Pairs"
        ),
        chance=f"{0.05 * len(controls):.1f}",
        retained=tables.tabulate_contrasts(
            finals.section("retention"), findings, "Capability and what else a swap may break"
        ),
        everything=tables.tabulate_everything(finals),
        provenance=tables.tabulate_readings(findings.trials),
        released=any(r.released for t in findings.trials for r in t.control),
        tree=tree,
        commands=commands,
    )


def _inline(svg: str, dark: dict[str, str]) -> Markup:
    """The SVG as an element of the page: no prolog, metadata or size; colours as variables."""
    svg = re.sub(r"<metadata>.*?</metadata>", "", svg[svg.index("<svg") :], flags=re.DOTALL)
    svg = re.sub(r'(<svg[^>]*?) width="[^"]*"', r"\1", svg, count=1)
    svg = re.sub(r'(<svg[^>]*?) height="[^"]*"', r"\1", svg, count=1)
    svg = svg.replace("<svg", '<svg role="img" aria-labelledby="figure-caption"', 1)
    for i, colour in enumerate(dark):
        svg = svg.replace(colour, f"var(--figure-{i})")
    return Markup(svg)
