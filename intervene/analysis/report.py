"""A comparison as one folder: page, figures, tables, all readings in one table, and a summary."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from intervene.analysis import tables
from intervene.analysis.collection import write_collection
from intervene.analysis.contrast import compare
from intervene.analysis.curve import Reading
from intervene.analysis.figures.gallery import save_figures
from intervene.analysis.finals import gather_finals
from intervene.analysis.findings import Findings
from intervene.analysis.flips import Texts, find_flips, write_flips
from intervene.analysis.headline import write_headline
from intervene.analysis.ledger import write_ledger
from intervene.analysis.limits import list_gaps, list_limits, list_mismatches
from intervene.analysis.origin import Origin, describe_data
from intervene.analysis.page.render import render_page
from intervene.analysis.published.reading import PublishedReading
from intervene.analysis.sheets import write_sheets
from intervene.analysis.summary import summarise_findings
from intervene.analysis.tables import Table
from intervene.analysis.trial import assemble
from intervene.errors import InterveneError


@dataclass(frozen=True)
class Question:
    """What is asked of readings.

    Args:
        name: of the comparison.
        resamples, seed: of the bootstrap.
        missing: sentences on arms that were asked for and have no readings.
        commands: those that rebuild everything.
        allow_mismatch: terms in which an arm may differ from its control; every such difference is
            told on figures, page, tables and summary.
        published: the published study's own numbers, or none.
    """

    name: str
    resamples: int
    seed: int
    missing: Sequence[str] = ()
    commands: Sequence[str] = ()
    allow_mismatch: Sequence[str] = ()
    published: Sequence[PublishedReading] = ()


def write_report(
    readings: list[Reading],
    question: Question,
    folder: Path,
    *,
    origins: Sequence[Origin] = (),
    texts: Texts | None = None,
) -> dict[str, Any]:
    """Write the folder, the same bytes always.

    `report/index.html`, `figures/*.{png,pdf,svg,txt}`, `tables/*.{csv,tex}`, `readings.parquet`
    and `summary.json`.

    Args:
        readings: what is compared; arms without a control are listed and not shown.
        question: how.
        folder: where to write; it exists.
        origins: the artefacts that the readings rest on.
        texts: by task and item, what was asked, where it is known.

    Returns:
        The content of summary.json: name, models, counts, `endpoints` with their numbers, `files`,
        and sentences: `headline` (three), `summary`, `limits`, `missing`, `refused`, `mismatches`.

    Errors: InterveneError where there are no readings, and where none may be contrasted.
    """
    if not readings:
        raise InterveneError(
            "there are no readings to compare", f"name={question.name}", "evaluate an arm first"
        )
    assembly = assemble(readings, question.allow_mismatch)
    findings = compare(assembly, resamples=question.resamples, seed=question.seed)
    for part in ("report", "figures", "tables"):
        (folder / part).mkdir()
    captions = save_figures(
        findings, question.published, describe_data(list(origins)), folder / "figures"
    )
    sheets, flips = list_sheets(findings), find_flips(findings)
    write_sheets(sheets, folder / "tables")
    write_ledger(findings, folder / "tables" / "contrasts.csv")
    write_flips(flips, texts or {}, folder / "tables" / "flipped_items.csv")
    write_collection(readings, folder / "readings.parquet")
    facts = state_facts(findings, question, len(readings))
    page = render_page(
        findings, facts, sheets, captions, flips, texts or {}, origins, question.published,
    )  # fmt: skip
    (folder / "report" / "index.html").write_text(page, encoding="utf-8")
    facts["files"] = sorted(p.relative_to(folder).as_posix() for p in folder.rglob("*.*"))
    (folder / "summary.json").write_text(json.dumps(facts, indent=1, ensure_ascii=False) + "\n")
    return facts


def list_sheets(findings: Findings) -> dict[str, Table]:
    """The tables of the page by name, some of them without rows."""
    finals = gather_finals(findings)
    crows = [c for c in finals.section("endpoint", "crows") if c.estimand.name.startswith("crows")]
    return {
        "arms": tables.tabulate_arms(findings.trials),
        "manipulation": tables.tabulate_checks(findings),
        "dose_response": tables.tabulate_slopes(findings),
        "seeds": tables.tabulate_spreads(findings),
        "model_size": tables.tabulate_trends(findings),
        "prompts": tables.tabulate_prompts(finals),
        "crows_gender": tables.tabulate_contrasts(
            crows, findings, "CrowS-Pairs gender at the final step"
        ),
        "negative_controls": tables.tabulate_contrasts(
            finals.section("negative control"), findings,
            "Negative controls: the other categories of CrowS-Pairs",
        ),
        "retention": tables.tabulate_contrasts(
            finals.section("retention"), findings, "Capability and what else a swap may break"
        ),
        "own_tasks": tables.tabulate_contrasts(
            finals.section("other"), findings, "Tasks of one's own at the final step"
        ),
        "noise_floor": tables.tabulate_floors(findings),
        "final_contrasts": tables.tabulate_everything(finals),
        "readings": tables.tabulate_readings(findings.trials),
    }  # fmt: skip


def state_facts(findings: Findings, question: Question, readings: int) -> dict[str, Any]:
    """What summary.json says, but for the files."""
    return {
        "name": question.name,
        "models": [t.label for t in findings.trials],
        "readings": readings,
        "contrasts": len(findings.contrasts),
        "resamples": question.resamples,
        "seed": question.seed,
        "headline": write_headline(findings),
        "endpoints": [
            {
                "model": c.label, "arm": c.run.arm, "rate": c.run.rate, "step": c.reading.step,
                "measure": c.estimand.name, "unit": c.estimand.unit, "n": c.n,
                "clusters": c.clusters, "control": c.control.value, "arm_value": c.arm.value,
                "difference": c.difference.value, "low": c.difference.low,
                "high": c.difference.high, "p": c.p, "p_holm": c.holm,
                "detectable": c.detectable, "established": c.established,
            }
            for c in findings.contrasts
            if c.final and c.estimand.endpoint
        ],
        "summary": summarise_findings(findings),
        "limits": list_limits(findings, question.resamples),
        "missing": [*question.missing, *list_gaps(findings)],
        "refused": list(findings.refused),
        "mismatches": list_mismatches(findings.trials),
        "commands": list(question.commands),
    }  # fmt: skip
