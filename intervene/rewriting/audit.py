"""The audit: the pronouns of sampled rows, counted, and a few of every kind to be judged."""

import csv
import heapq
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from intervene.arm import hash_units
from intervene.console import Progress
from intervene.rewriting.account import IN_LOG, Account, Pronoun, give_account
from intervene.rewriting.agreement import leaves_disagreement
from intervene.rewriting.guards import GUARD_NAMES
from intervene.rewriting.lexicon import Role
from intervene.rewriting.scan import REASONS, Scanner
from intervene.rewriting.sheet import Line
from intervene.rewriting.swap import FORMS
from intervene.sources.rows import Rows

CONTEXT = 80
"""Characters on either side of a pronoun on the sheet."""

COUNTED = ("form", "role", "reason", "gender", "kind", "language", "verb")

AGREES, DISAGREES = "agrees", "disagrees"
"""What singular they does to the verb of a subject: brings it along, or (an estimate) leaves it."""


@dataclass(frozen=True)
class Findings:
    """What an audit found.

    Args:
        counts: pronouns by the values of COUNTED.
        lines: the sample, by stratum.
    """

    counts: Counter[tuple[str, ...]]
    lines: list[Line]


def sample_rows(span: range, number: int, seed: int) -> list[int]:
    """So many rows in the order of their keyed draws: fewer rows are the first of more."""
    rows = np.arange(span.start, span.stop, dtype=np.int64)
    draws = hash_units(seed, rows, np.zeros(1, np.int64))
    if number < len(rows):
        rows = rows[np.argpartition(draws, number)[:number]]
        draws = draws[rows - span.start]
    chosen: list[int] = rows[np.argsort(draws)].tolist()
    return chosen


def account_for(scanner: Scanner, rows: Rows, row: int) -> Account:
    """The account of one row, scanned for it."""
    tokens = rows.read(row, row + 1)
    log, _ = scanner.scan_rows(tokens, row)
    return give_account(scanner, tokens[0], row, log)


def audit_rows(scanner: Scanner, rows: Rows, chosen: list[int], per: int, seed: int) -> Findings:
    """Count every pronoun of some rows, and sample `per` of each stratum by a keyed hash.

    A stratum is a form and role of what can be swapped, or a form and the guard that holds it.
    What stays at a row's edge or is irregularly tokenised is counted and not sampled.
    """
    counts: Counter[tuple[str, ...]] = Counter()
    strata: dict[tuple[str, str], list[tuple[float, int, int, Line]]] = {}
    with Progress("audit", len(chosen), "rows") as progress:
        for row in sorted(chosen):
            account = account_for(scanner, rows, row)
            draws = _draw(account, seed)
            for pronoun, draw in zip(account.pronouns, draws, strict=True):
                counts[*_describe(pronoun), _judge_verb(account, pronoun)] += 1
                if pronoun.reason in (*IN_LOG, *GUARD_NAMES):
                    line = _write_line(account, pronoun)
                    _keep(strata.setdefault(line.stratum, []), per, (-draw, row, line.token, line))
            progress.advance(1)
    ordered = sorted(strata.items(), key=lambda item: (scanner.forms.index(item[0][0]), item[0]))
    lines = [kept[-1] for _, heap in ordered for kept in sorted(heap, key=lambda kept: kept[1:3])]
    return Findings(counts, lines)


def write_counts(path: Path, counts: Counter[tuple[str, ...]]) -> None:
    """Write counts as CSV, one line for every combination that occurs."""
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow([*COUNTED, "count"])
        writer.writerows([*key, number] for key, number in sorted(counts.items()))


def show_counts(counts: Counter[tuple[str, ...]], forms: tuple[str, ...] = FORMS) -> list[str]:
    """Lines of two tables: reasons by form, then kinds of document by language; then verbs."""
    by_reason: Counter[tuple[str, str]] = Counter()
    by_kind: Counter[tuple[str, str]] = Counter()
    verbs: Counter[str] = Counter()
    for (form, _, reason, _, kind, language, verb), number in counts.items():
        by_reason[reason, form] += number
        by_kind[kind, language] += number
        verbs[verb] += number
    kinds, languages = ({key[place] for key in by_kind} for place in (0, 1))
    return [
        *_draw_table("reason", REASONS, forms, by_reason),
        "",
        *_draw_table("document", sorted(kinds), sorted(languages), by_kind),
        *_show_verbs(verbs),
    ]


def _show_verbs(verbs: Counter[str]) -> list[str]:
    """What singular they did to verbs, if it did anything."""
    if not verbs[AGREES] + verbs[DISAGREES]:
        return []
    return [
        "",
        f"verbs of he and she: {verbs[AGREES]:,} agree with they, {verbs[DISAGREES]:,} stay in -s "
        "and do not (an estimate)",
    ]


def _draw_table(
    corner: str, rows: Iterable[str], columns: Iterable[str], counts: Counter[tuple[str, str]]
) -> list[str]:
    """A table with totals, without the rows that are all zero."""
    names = list(columns)
    lines = [f"{corner:<12}" + "".join(f"{name:>10}" for name in [*names, "all"])]
    for row in rows:
        cells = [counts[row, name] for name in names]
        if any(cells):
            lines.append(f"{row:<12}" + "".join(f"{cell:>10,}" for cell in [*cells, sum(cells)]))
    return lines


def _draw(account: Account, seed: int) -> list[float]:
    """Each pronoun's keyed draw."""
    tokens = np.array([pronoun.token for pronoun in account.pronouns], np.int64)
    draws: list[float] = hash_units(seed, np.full(1, account.row, np.int64), tokens).tolist()
    return draws


def _describe(pronoun: Pronoun) -> tuple[str, ...]:
    """The values of COUNTED but the last."""
    document = pronoun.document
    language = "english" if document.english else "foreign"
    return (
        pronoun.form, str(pronoun.role), pronoun.reason, str(pronoun.gender), str(document.kind),
        language,
    )  # fmt: skip


def _judge_verb(account: Account, pronoun: Pronoun) -> str:
    """What becomes of a subject's verb where pronouns give way to they, or nothing."""
    if (pronoun.edit_start, pronoun.edit_stop) != (pronoun.start, pronoun.stop):
        return AGREES
    is_subject = pronoun.role is Role.subject and pronoun.edit_after.lower() == "they"
    return DISAGREES if is_subject and leaves_disagreement(account.text[pronoun.stop :]) else ""


def _keep(
    heap: list[tuple[float, int, int, Line]], per: int, entry: tuple[float, int, int, Line]
) -> None:
    """Keep the entries with the smallest draws, whose negatives the heap is ordered by."""
    if len(heap) < per:
        heapq.heappush(heap, entry)
    else:
        heapq.heappushpop(heap, entry)


def _write_line(account: Account, pronoun: Pronoun) -> Line:
    text = account.text
    return Line(
        row=account.row,
        token=pronoun.token,
        form=pronoun.form,
        role=str(pronoun.role),
        reason=pronoun.reason,
        before=text[pronoun.edit_start : pronoun.edit_stop],
        left=text[max(0, pronoun.start - CONTEXT) : pronoun.start],
        pronoun=text[pronoun.start : pronoun.stop],
        right=text[pronoun.stop : pronoun.stop + CONTEXT],
        after=pronoun.edit_after,
    )
