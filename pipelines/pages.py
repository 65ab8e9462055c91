"""Rows before and after an arm's swaps, with the reason beside every pronoun that stays."""

import textwrap
from collections import Counter
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from intervene.arm import Arm, Length, Method
from intervene.data import Data
from intervene.errors import InterveneError
from intervene.rewriting.account import LENGTH, Account, give_account
from intervene.rewriting.audit import sample_rows
from intervene.rewriting.changes import find_changes
from intervene.rewriting.find import genders_of
from intervene.rewriting.guards import GUARD_NAMES
from intervene.rewriting.original import swap_string, swap_token_map
from intervene.rewriting.scan import Scanner
from intervene.rewriting.tokens import TokenTable
from intervene.sources.rows import Rows
from pipelines.readout import measure_terminal, show_document, show_place
from pipelines.spread import GUTTER, LEAST_WIDTH, Mark, lay_out

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
class Page:
    """A row's account and what the arm makes of its pronouns.

    Args:
        table: the vocabulary.
        tokens: uint16 [row_tokens], the row.
        account: every pronoun of it.
        marks: those of the arm's direction.
        grown: tokens that its swaps add to the row: so many are dropped at its end.
    """

    table: TokenTable
    tokens: NDArray[np.uint16]
    account: Account
    marks: list[Mark]
    grown: int


def draw_pages(
    scanner: Scanner, rows: Rows, span: range, arm: Arm, number: int, seed: int
) -> list[Page]:
    """So many rows of `span`, drawn by a keyed hash, in which anything changes or could.

    Errors: InterveneError if there is none among the first PATIENCE.
    """
    found: list[Page] = []
    for row in sample_rows(span, min(PATIENCE, len(span)), seed):
        page = turn_page(scanner, rows, row, arm)
        if page.marks:
            found.append(page)
        if len(found) == number:
            break
    if not found:
        raise InterveneError(
            f"nothing changes or could in {min(PATIENCE, len(span)):,} rows drawn",
            "inspect.seed",
            "name rows with row=[...], or another step or stretch",
        )
    return sorted(found, key=lambda page: page.account.row)


def turn_page(scanner: Scanner, rows: Rows, row: int, arm: Arm) -> Page:
    """One row, scanned and drawn as the arm does."""
    tokens = rows.read(row, row + 1)
    log, _ = scanner.scan_rows(tokens, row)
    account = give_account(scanner, tokens[0], row, log)
    if arm.method is not Method.exact and not arm.is_control:
        return Page(scanner.table, tokens[0], account, list_changes(scanner, tokens, arm), 0)
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
    return Page(scanner.table, tokens[0], account, marks, len(made.after) - len(made.before))


def list_changes(scanner: Scanner, tokens: NDArray[np.uint16], arm: Arm) -> list[Mark]:
    """What a method of the published study makes of a row: it knows no pronouns that stay."""
    if arm.variant is None:
        rewritten, _ = swap_token_map(tokens, scanner.table)
    else:
        rewritten, _ = swap_string(tokens, scanner.table, arm.variant)
    changes = find_changes(scanner.table, tokens[0], rewritten[0])
    return [Mark(change.start, change.stop, change.after, None) for change in changes]


def show_page(page: Page, data: Data, *, whole: bool) -> list[str]:
    """A page's lines: where the row stands, its documents, and its text in two columns."""
    width, coloured = measure_terminal()
    documents = " · ".join(map(show_document, page.account.documents))
    changes = sum(mark.label is None for mark in page.marks)
    column, end = max(LEAST_WIDTH, (width - len(GUTTER)) // 2), ""
    if page.grown:
        end = (
            f" · {abs(page.grown):,} tokens {'dropped' if page.grown > 0 else 'filled'} at its end"
        )
    return [
        f"{show_place(page.account.row, data)} · "
        f"{len(page.account.pronouns):,} pronouns, {changes:,} changes{end}",
        *textwrap.wrap(documents, width, break_on_hyphens=False),
        f"{'before':<{column}}{GUTTER}after",
        *lay_out(page.account.text, page.marks, width=width, whole=whole, coloured=coloured),
        "",
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


def list_marks(page: Page) -> list[dict[str, Any]]:
    """A page's marks for programs: characters of the row's text, and why those stay that do."""
    return [
        {
            "start": mark.start,
            "stop": mark.stop,
            "before": page.account.text[mark.start : mark.stop],
            "after": mark.after if mark.label is None else None,
            "stays": mark.label,
        }
        for mark in page.marks
    ]
