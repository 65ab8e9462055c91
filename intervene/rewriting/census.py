"""The census: pronouns by form, and the documents that they stand in, for every step."""

import csv
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from intervene.console import Progress
from intervene.rewriting.lexicon import PRONOUNS, Gender
from intervene.rewriting.scan import REASONS, Scanner
from intervene.rewriting.swap import FORMS, EditLog
from intervene.sources.rows import END_OF_DOCUMENT, Rows, iterate_chunks
from intervene.stretch import Stretch

FORMS_OF = {
    gender: tuple(form for form in FORMS if PRONOUNS.gender(form) is gender)
    for gender in (Gender.masculine, Gender.feminine)
}
PARTS = 10
"""Lines of the printed table at most, but for the last, which is the sum."""
_IN_LOG = [REASONS.index(reason) for reason in ("eligible", "length")]


@dataclass(frozen=True)
class StepCount:
    """What the rows of one step hold.

    Args:
        step: the optimiser step that reads them.
        tokens: tokens, ends of document included.
        documents: parts of documents, one for every row that a document reaches into.
        with_pronouns: those of them in which a pronoun can be swapped.
        by_form: pronouns that can be swapped, whether or not the row's length changes with it.
        held_back: pronouns that cannot: at a row's edge, irregularly tokenised, or by a guard.
        feminine: which of the forms are feminine.
    """

    step: int
    tokens: int
    documents: int
    with_pronouns: int
    by_form: dict[str, int]
    held_back: int
    feminine: tuple[str, ...] = FORMS_OF[Gender.feminine]

    @property
    def feminine_share(self) -> float | None:
        """The share of feminine ones among the pronouns that can be swapped, None without any."""
        feminine = sum(self.by_form[form] for form in self.feminine)
        pronouns = sum(self.by_form.values())
        return feminine / pronouns if pronouns else None

    def describe(self) -> dict[str, Any]:
        """Columns of the table, in order."""
        return {
            "step": self.step,
            "tokens": self.tokens,
            "documents": self.documents,
            "documents_with_pronouns": self.with_pronouns,
            **self.by_form,
            "held_back": self.held_back,
            "feminine_share": self.feminine_share,
        }


def take_census(
    scanner: Scanner, rows: Rows, stretch: Stretch, rows_per_step: int, workers: int
) -> list[StepCount]:
    """Scan every row of a stretch, step by step, in `workers` threads."""
    count = partial(_count_step, scanner, rows, rows_per_step)
    counts = []
    with (
        Progress("counting", len(stretch), "steps") as progress,
        ThreadPoolExecutor(workers) as pool,
    ):
        try:
            for counted in pool.map(count, range(stretch.start, stretch.stop)):
                counts.append(counted)
                progress.advance(1)
        finally:
            pool.shutdown(cancel_futures=True)
    return counts


def write_census(path: Path, counts: list[StepCount]) -> None:
    """Write one line a step as CSV; the share is empty where no pronoun stands."""
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(counts[0].describe()), lineterminator="\n")
        writer.writeheader()
        writer.writerows(count.describe() for count in counts)


def show_census(counts: list[StepCount]) -> list[str]:
    """Lines of a table: up to PARTS parts of the steps, and all of them."""
    each = -(-len(counts) // PARTS)
    parts = [counts[low : low + each] for low in range(0, len(counts), each)]
    if len(parts) > 1:
        parts.append(counts)
    forms = list(counts[0].by_form)
    table = [["steps", "tokens", "documents", "with any", *forms, "held back", "feminine"]]
    for part in parts:
        whole = _join(part)
        cells = [whole.tokens, whole.documents, whole.with_pronouns]
        cells += [*(whole.by_form[form] for form in forms), whole.held_back]
        share = "–" if whole.feminine_share is None else f"{whole.feminine_share:.1%}"
        steps = f"[{part[0].step:,}, {part[-1].step + 1:,})"
        table.append([steps, *(f"{cell:,}" for cell in cells), share])
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    return ["  ".join(map(str.rjust, line, widths)) for line in table]


def _join(counts: list[StepCount]) -> StepCount:
    """The sums of several steps, under the first's number."""
    return StepCount(
        counts[0].step,
        sum(count.tokens for count in counts),
        sum(count.documents for count in counts),
        sum(count.with_pronouns for count in counts),
        {form: sum(count.by_form[form] for count in counts) for form in counts[0].by_form},
        sum(count.held_back for count in counts),
        counts[0].feminine,
    )


def _count_step(scanner: Scanner, rows: Rows, rows_per_step: int, step: int) -> StepCount:
    found = scanner.no_counts()
    documents = with_pronouns = tokens = 0
    for first, chunk in iterate_chunks(rows, step * rows_per_step, (step + 1) * rows_per_step):
        log, counts = scanner.scan_rows(chunk, first)
        found += counts
        tokens += chunk.size
        documents += count_documents(chunk)
        with_pronouns += _count_segments(log)
    in_log = found[_IN_LOG].sum(0)
    by_form = dict(zip(scanner.forms, in_log.tolist(), strict=True))
    held_back = int(found.sum() - in_log.sum())
    gender = scanner.table.lexicon.gender
    feminine = tuple(form for form in scanner.forms if gender(form) is Gender.feminine)
    return StepCount(step, tokens, documents, with_pronouns, by_form, held_back, feminine)


def count_documents(tokens: NDArray[np.uint16]) -> int:
    """Parts of documents that hold a token, in rows, uint16 [n, row_tokens]."""
    inside = tokens != END_OF_DOCUMENT
    return int(inside[:, 0].sum() + (inside[:, 1:] & ~inside[:, :-1]).sum())


def _count_segments(log: EditLog) -> int:
    """Parts of documents that a log's swaps lie in."""
    differs = (np.diff(log.row) != 0) | (np.diff(log.segment) != 0)
    return int(differs.sum()) + 1 if len(log) else 0
