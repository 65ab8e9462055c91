"""The scan: every eligible swap of rows, found over token ids without decoding them."""

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from intervene.compiled import find_cache
from intervene.console import say
from intervene.experiment import Guards
from intervene.rewriting import kernel
from intervene.rewriting.confirm import Verdict, confirm
from intervene.rewriting.decide import UNDECIDED_FOREIGN, WINDOW
from intervene.rewriting.find import Finder, compile_finder
from intervene.rewriting.guards import GUARD_NAMES
from intervene.rewriting.lexicon import PRONOUNS, Lexicon
from intervene.rewriting.rules import Columns, Rules, build_rules
from intervene.rewriting.swap import GENDERS, ROLES, EditLog
from intervene.rewriting.tokens import TokenTable, tabulate
from intervene.sources.rows import END_OF_DOCUMENT

REASONS = ("eligible", "length", "edge", "irregular", *GUARD_NAMES)
"""What becomes of a pronoun. `eligible` and `length` are in the log; the latter change the row's
number of tokens. The others stay: at the row's `edge`, too `irregular`ly tokenised, or held back
by a guard."""

ROOM = Path(__file__).parent
TOKENS_PER_SWAP = 64
"""Room is made for one swap in so many tokens, and for more where there are more."""

Counts = NDArray[np.int64]
"""int64 [REASONS, forms], pronouns by what becomes of them and form."""


@dataclass(frozen=True)
class Scanner:
    """A vocabulary and guards, ready for rows; any number of threads may scan with it."""

    table: TokenTable
    rules: Rules
    finder: Finder

    @property
    def forms(self) -> tuple[str, ...]:
        """The lower-case forms that give way, as logs and counts number them."""
        return self.table.lexicon.forms

    def no_counts(self) -> Counts:
        """Counts of nothing yet."""
        return np.zeros((len(REASONS), len(self.forms)), np.int64)

    def scan_rows(self, tokens: NDArray[np.uint16], first_row: int) -> tuple[EditLog, Counts]:
        """The swaps of rows, and what became of their pronouns.

        Args:
            tokens: uint16 [n, row_tokens].
            first_row: the training row of the first.
        """
        tokens, row_tokens = np.ascontiguousarray(tokens), tokens.shape[1]
        window, hits = np.empty(WINDOW, np.uint8), np.empty((row_tokens, kernel.COLUMNS), np.int32)
        marks = np.zeros(row_tokens // 8 * 8 + 8, np.uint8)
        counts, filled = self.no_counts(), np.zeros(3, np.int64)
        room = max(tokens.size // TOKENS_PER_SWAP, row_tokens)
        out, undecided = _allocate(room), np.empty((room, kernel.COLUMNS), np.int32)
        while not kernel.fill_columns(
            tokens, first_row, self.rules, marks, marks.view(np.uint64), window, hits, out, counts,
            undecided, filled,
        ):  # fmt: skip
            room *= 2
            out, undecided = _enlarge(out, room), np.resize(undecided, (room, kernel.COLUMNS))
        log = _cut(out, int(filled[kernel.SWAPS]), self.table.lexicon)
        undecided = undecided[: filled[kernel.LEFT]]
        return self._decode(log, tokens, first_row, undecided, counts), counts

    def _decode(
        self,
        log: EditLog,
        tokens: NDArray[np.uint16],
        first_row: int,
        hits: NDArray[np.int32],
        counts: Counts,
    ) -> EditLog:
        """The log with the hits that the tokenizer must decide, one by one."""
        found: list[tuple[int, Verdict]] = []
        for hit in hits.tolist():
            number, column = divmod(hit[kernel.PLACE], tokens.shape[1])
            foreign = hit[kernel.VERDICT] == UNDECIDED_FOREIGN
            for verdict in confirm(
                tokens[number], column, self.table, self.finder, foreign=foreign
            ):
                reason = verdict.reason or _rate_length(verdict)
                counts[REASONS.index(reason), self.forms.index(verdict.hit.spelling.form)] += 1
                if verdict.reason is None:
                    found.append((number, verdict))
        if not found:
            return log
        log = EditLog.join([log, _tabulate_verdicts(tokens, first_row, found, self.table.lexicon)])
        log = log.take(np.argsort(log.row * tokens.shape[1] + log.start, kind="stable"))
        return _drop_overlaps(log, counts)


def open_scanner(tokenizer: Path, guards: Guards, lexicon: Lexicon = PRONOUNS) -> Scanner:
    """The scanner of a `tokenizer.json`.

    Errors: InterveneError for a tokenizer that is not byte-level BPE as GPT-NeoX's is.
    """
    return build_scanner(tabulate(tokenizer, lexicon), guards)


@lru_cache(maxsize=8)
def build_scanner(table: TokenTable, guards: Guards) -> Scanner:
    """The scanner of a vocabulary, remembered."""
    if not any(find_cache(ROOM).rglob("kernel.*.nbc")):
        say("compiling the scan's loops, once: half a minute")
    finder = compile_finder(guards, table.lexicon)
    return Scanner(table, build_rules(table, guards), finder)


def name_counts(counts: Counts, forms: tuple[str, ...]) -> dict[str, dict[str, int]]:
    """Counts by reason, then by form, as they are recorded."""
    return {
        reason: dict(zip(forms, by_form, strict=True))
        for reason, by_form in zip(REASONS, counts.tolist(), strict=True)
    }


def _allocate(swaps: int) -> Columns:
    """Room for so many swaps, most of them of one token."""
    return Columns(
        row=np.empty(swaps, np.int64),
        start=np.empty(swaps, np.int32),
        segment=np.empty(swaps, np.int32),
        form=np.empty(swaps, np.int8),
        role=np.empty(swaps, np.int8),
        gender=np.empty(swaps, np.int8),
        before_offsets=_begin_offsets(swaps),
        after_offsets=_begin_offsets(swaps),
        before=np.empty(2 * swaps, np.uint16),
        after=np.empty(2 * swaps, np.uint16),
    )


def _begin_offsets(swaps: int) -> NDArray[np.int64]:
    offsets = np.empty(swaps + 1, np.int64)
    offsets[0] = 0
    return offsets


def _enlarge(columns: Columns, swaps: int) -> Columns:
    """The same with room for more."""
    larger = _allocate(swaps)
    for name, column in columns._asdict().items():
        getattr(larger, name)[: len(column)] = column
    return larger


def _cut(columns: Columns, swaps: int, lexicon: Lexicon) -> EditLog:
    """The log of the first swaps."""
    before_offsets = columns.before_offsets[: swaps + 1]
    after_offsets = columns.after_offsets[: swaps + 1]
    return EditLog(
        columns.row[:swaps],
        columns.start[:swaps],
        columns.segment[:swaps],
        columns.form[:swaps],
        columns.role[:swaps],
        columns.gender[:swaps],
        before_offsets,
        after_offsets,
        columns.before[: before_offsets[-1]],
        columns.after[: after_offsets[-1]],
        lexicon,
    )


def _rate_length(verdict: Verdict) -> str:
    return "eligible" if len(verdict.after) == verdict.stop - verdict.start else "length"


def _tabulate_verdicts(
    tokens: NDArray[np.uint16],
    first_row: int,
    found: list[tuple[int, Verdict]],
    lexicon: Lexicon,
) -> EditLog:
    """The log of swaps that were decided one by one."""
    verdicts = [verdict for _, verdict in found]
    spellings = [verdict.hit.spelling for verdict in verdicts]
    before = [tokens[number, v.start : v.stop].tolist() for number, v in found]
    after = [list(verdict.after) for verdict in verdicts]
    return EditLog(
        row=np.array([first_row + number for number, _ in found], np.int64),
        start=np.array([verdict.start for verdict in verdicts], np.int32),
        segment=np.array([_find_segment(tokens[n], v.start) for n, v in found], np.int32),
        form=np.array([lexicon.forms.index(spelling.form) for spelling in spellings], np.int8),
        role=np.array([ROLES.index(verdict.hit.role) for verdict in verdicts], np.int8),
        gender=np.array([GENDERS.index(spelling.gender) for spelling in spellings], np.int8),
        before_offsets=_measure(before),
        after_offsets=_measure(after),
        before=_join(before),
        after=_join(after),
        lexicon=lexicon,
    )


def _find_segment(row: NDArray[np.uint16], start: int) -> int:
    """The first token of the document that a token lies in."""
    ends = np.flatnonzero(row[:start] == END_OF_DOCUMENT)
    return int(ends[-1]) + 1 if len(ends) else 0


def _measure(sequences: list[list[int]]) -> NDArray[np.int64]:
    return np.cumsum([0, *(len(tokens) for tokens in sequences)], dtype=np.int64)


def _join(sequences: list[list[int]]) -> NDArray[np.uint16]:
    return np.array([token for tokens in sequences for token in tokens], np.uint16)


def _drop_overlaps(log: EditLog, counts: Counts) -> EditLog:
    """Without the swaps that share a token: each must stand whether or not the other is applied."""
    shared = (log.row[1:] == log.row[:-1]) & (log.start[1:] < log.stop[:-1])
    if not shared.any():
        return log
    overlaps = np.zeros(len(log), np.bool_)
    overlaps[1:] |= shared
    overlaps[:-1] |= shared
    for reason, chosen in (("length", log.changes_length), ("eligible", ~log.changes_length)):
        lost = np.bincount(log.form[overlaps & chosen], minlength=len(log.lexicon.forms))
        counts[REASONS.index(reason)] -= lost
        counts[REASONS.index("irregular")] += lost
    return log.take(~overlaps)
