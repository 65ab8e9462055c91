"""Inspect: rows before and after, side by side, with the reason beside every pronoun that stays."""

import os
import shutil
import signal
import sys
import textwrap
from collections import Counter
from dataclasses import dataclass, replace

import numpy as np
from hydra.core.config_store import ConfigStore
from numpy.typing import NDArray

from intervene.arm import Arm, Length, Method
from intervene.data import Data
from intervene.errors import InterveneError
from intervene.experiment import Experiment
from intervene.rewriting.account import LENGTH, Account, give_account
from intervene.rewriting.audit import sample_rows
from intervene.rewriting.changes import find_changes
from intervene.rewriting.corpus import demand_corpus
from intervene.rewriting.find import genders_of
from intervene.rewriting.guards import GUARD_NAMES
from intervene.rewriting.jobs import find_target
from intervene.rewriting.original import swap_string, swap_token_map
from intervene.rewriting.scan import Scanner, open_scanner
from intervene.sources.rows import Rows
from intervene.sources.source import Source, open_source
from pipelines.spread import GUTTER, LEAST_WIDTH, Mark, lay_out
from pipelines.stage import stage, thaw
from pipelines.trial import Trial

PATIENCE = 10_000
"""Sampled rows that are searched for pronouns at most."""

NOT_DRAWN = "not drawn"
MEANINGS = {
    NOT_DRAWN: "could be swapped, and was not drawn",
    LENGTH: "a swap would change the row's number of tokens; intervention.length=shift makes it",
    "edge": "touches the row's edge, beyond which its word may go on",
    "irregular": "tokenised as the tokenizer would not, or bound to a pronoun beside it",
    **{name: f"held back by guards.{name}" for name in GUARD_NAMES},
}


@dataclass(frozen=True)
class View:
    """Which rows are shown, and how much of them.

    Args:
        rows: training rows; if none is named, rows with pronouns are drawn by a keyed hash.
        number: how many are drawn.
        seed: names the draw.
        whole: show whole rows, not only the lines around pronouns.
    """

    rows: tuple[int, ...] = ()
    number: int = 3
    seed: int = 0
    whole: bool = False

    def __post_init__(self) -> None:
        object.__setattr__(self, "rows", tuple(self.rows))
        for key, least in (("number", 1), ("seed", 0)):
            if getattr(self, key) < least:
                raise InterveneError(
                    f"need {least} or more, got {getattr(self, key)}", f"inspect.{key}", "raise it"
                )


@dataclass(frozen=True)
class InspectExperiment(Experiment):
    """An experiment and what of it is shown."""

    inspect: View = View()


@dataclass(frozen=True)
class Page:
    """A row's account and what the arm makes of its pronouns.

    Args:
        account: every pronoun of the row.
        marks: those of the arm's direction.
        grown: tokens that its swaps add to the row: so many are dropped at its end.
    """

    account: Account
    marks: list[Mark]
    grown: int


def inspect(trial: Trial) -> None:
    """Print rows as the arm rewrites them, and a legend with counts.

    Errors: InterveneError for rows outside the stretch, rows drawn of which nothing changes or
    could, and a share whose corpus, which has the rate solved from it, is not built.
    """
    experiment = trial.experiment
    assert isinstance(experiment, InspectExperiment)
    view, data = experiment.inspect, experiment.data
    check_rows(view, data.rows)
    source = open_source(trial.store, data)
    arm = settle_arm(trial, source)
    scanner = open_scanner(source.tokenizer, experiment.guards, find_target(experiment))
    pages = draw_pages(scanner, source.rows, data.rows, arm, view)
    width = shutil.get_terminal_size((100, 24)).columns
    coloured = sys.stdout.isatty() and not os.environ.get("NO_COLOR")
    for page in pages:
        print("\n".join(describe(page, data, width)))
        lines = lay_out(
            page.account.text, page.marks, width=width, whole=view.whole, coloured=coloured
        )
        print("\n".join([*lines, ""]))
    print("\n".join(explain(pages, arm)))


def check_rows(view: View, span: range) -> None:
    """Refuse rows outside the stretch before any work."""
    for row in view.rows:
        if row not in span:
            raise InterveneError(
                f"row {row:,} is not in the stretch, rows [{span.start:,}, {span.stop:,})",
                "inspect.rows",
                "name rows of the stretch, or none",
            )


def settle_arm(trial: Trial, source: Source) -> Arm:
    """The arm, with the rate that its corpus recorded in a share's place."""
    arm = trial.experiment.intervention
    if arm.share is None:
        return arm
    overrides = tuple(o for o in trial.overrides if not o.startswith("inspect."))
    command = replace(trial, overrides=overrides).command("rewrite")
    corpus = demand_corpus(trial.store, trial.experiment, source, command)
    return replace(arm, share=None, rate=corpus.facts["rate"])


def draw_pages(scanner: Scanner, rows: Rows, span: range, arm: Arm, view: View) -> list[Page]:
    """The rows that are asked for, or the first drawn in which anything changes or could."""
    if view.rows:
        return [turn_page(scanner, rows, row, arm) for row in view.rows]
    found: list[Page] = []
    for row in sample_rows(span, min(PATIENCE, len(span)), view.seed):
        page = turn_page(scanner, rows, row, arm)
        if page.marks:
            found.append(page)
        if len(found) == view.number:
            break
    if not found:
        raise InterveneError(
            f"nothing changes or could in {min(PATIENCE, len(span)):,} rows drawn",
            "inspect.number",
            "name rows with inspect.rows=[...], or another stretch",
        )
    return sorted(found, key=lambda page: page.account.row)


def turn_page(scanner: Scanner, rows: Rows, row: int, arm: Arm) -> Page:
    """One row, scanned and drawn as the arm does."""
    tokens = rows.read(row, row + 1)
    log, _ = scanner.scan_rows(tokens, row)
    account = give_account(scanner, tokens[0], row, log)
    if arm.method is not Method.exact and not arm.is_control:
        return Page(account, list_changes(scanner, tokens, arm), 0)
    drawn, marks = log.select(arm), []
    for pronoun in account.pronouns:
        if pronoun.gender not in genders_of(arm.direction):
            continue
        if pronoun.swap is not None and drawn[pronoun.swap]:
            mark = Mark(pronoun.edit_start, pronoun.edit_stop, pronoun.edit_after, None)
        else:
            is_long = pronoun.reason == LENGTH and arm.length is Length.skip
            label = NOT_DRAWN if pronoun.swap is not None and not is_long else pronoun.reason
            mark = Mark(pronoun.start, pronoun.stop, "", label)
        marks.append(mark)
    made = log.take(drawn)
    return Page(account, marks, len(made.after) - len(made.before))


def list_changes(scanner: Scanner, tokens: NDArray[np.uint16], arm: Arm) -> list[Mark]:
    """What a method of the published study makes of a row: it knows no pronouns that stay."""
    if arm.variant is None:
        rewritten, _ = swap_token_map(tokens, scanner.table)
    else:
        rewritten, _ = swap_string(tokens, scanner.table, arm.variant)
    changes = find_changes(scanner.table, tokens[0], rewritten[0])
    return [Mark(change.start, change.stop, change.after, None) for change in changes]


def describe(page: Page, data: Data, width: int) -> list[str]:
    """A row's heading: where it stands, what documents it holds, and the two columns' names."""
    row, step = page.account.row, page.account.row // data.rows_per_step
    changes = sum(mark.label is None for mark in page.marks)
    documents = " · ".join(
        f"tokens [{document.start:,}, {document.stop:,}) {document.kind}"
        + ("" if document.english else ", foreign")
        for document in page.account.documents
    )
    column, end = max(LEAST_WIDTH, (width - len(GUTTER)) // 2), ""
    if page.grown:
        end = (
            f" · {abs(page.grown):,} tokens {'dropped' if page.grown > 0 else 'filled'} at its end"
        )
    return [
        f"row {row:,} · step {step:,}, its row {row % data.rows_per_step:,} · "
        f"{len(page.account.pronouns):,} pronouns, {changes:,} changes{end}",
        *textwrap.wrap(documents, max(LEAST_WIDTH, width), break_on_hyphens=False),
        f"{'before':<{column}}{GUTTER}after",
    ]


def explain(pages: list[Page], arm: Arm) -> list[str]:
    """The legend: every label that was shown, with how often."""
    counts = Counter(mark.label for page in pages for mark in page.marks)
    pronouns = sum(len(page.account.pronouns) for page in pages)
    dose = f"{arm.family} at rate {arm.rate:g}, by {arm.unit}, seed {arm.seed}"
    lines = [
        f"{len(pages):,} rows, {pronouns:,} pronouns; {dose}",
        f"{counts[None]:>7,}  changed",
    ]
    for label, meaning in MEANINGS.items():
        if counts[label]:
            lines.append(f"{counts[label]:>7,}  ⟨{label}⟩ {meaning}")
    staying = (
        pronoun.gender not in genders_of(arm.direction)
        for page in pages
        for pronoun in page.account.pronouns
    )
    if others := sum(staying):
        lines.append(f"{others:>7,}  of the gender that stays in this direction")
    return lines


def main() -> None:
    """Run the stage, whose config has an `inspect` node."""
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)  # a pager that is closed early is no mistake
    ConfigStore.instance().store(name="schema", node=thaw(InspectExperiment))
    stage(inspect)()


if __name__ == "__main__":
    main()
