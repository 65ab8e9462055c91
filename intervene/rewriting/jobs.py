"""What is built block by block: the scan and the corpus."""

import shutil
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from intervene.arm import Direction, Length, Method
from intervene.experiment import Experiment
from intervene.lineage import Artefact, digest_files
from intervene.rewriting.blocks import Block, count_rows, cut_blocks, work_blocks
from intervene.rewriting.edits import (
    FOLDER,
    Counts,
    list_logs,
    name_log,
    read_counts,
    read_log,
    write_log,
)
from intervene.rewriting.find import genders_of, target_of
from intervene.rewriting.lexicon import Gender, Lexicon, Target
from intervene.rewriting.scan import Scanner, name_counts, open_scanner
from intervene.rewriting.share import Solution, settle, solve_share
from intervene.rewriting.swap import GENDERS, EditLog
from intervene.rewriting.tokens import tabulate
from intervene.rewriting.writer import (
    CORPUS_NAME,
    MARKERS,
    Digest,
    LogRewriter,
    OriginalRewriter,
    Rewriter,
    Writer,
    find_marker,
    join_masks,
    read_markers,
)
from intervene.sources.index import write_index
from intervene.sources.rows import iterate_chunks
from intervene.sources.source import Source

ELIGIBLE, LENGTH = "eligible", "length"
SHA256 = "sha256"


class Job(Protocol):
    """An artefact that is built block by block in a draft folder."""

    @property
    def blocks(self) -> list[Block]:
        """All its blocks."""

    def fill(self, draft: Path, blocks: list[Block]) -> None:
        """Write those of these blocks that are missing."""

    def is_done(self, draft: Path, block: Block) -> bool:
        """Whether a block is written."""

    def finish(self, draft: Path) -> dict[str, Any]:
        """Turn a draft whose blocks are all written into the artefact; the facts."""


def find_lexicon(experiment: Experiment) -> Lexicon:
    """What gives way, and to what; the control shares the scan of the arms between two genders."""
    arm = experiment.intervention
    target = Target.partner if arm.is_control else target_of(arm.direction)
    return Lexicon.of(experiment.lexicon, target)


@dataclass(frozen=True)
class ScanJob:
    """The scan: the edit log of the stretch, one file per block."""

    experiment: Experiment
    source: Source

    @property
    def blocks(self) -> list[Block]:
        """The blocks of today's grid."""
        data = self.experiment.data
        return cut_blocks(data.rows, count_rows(data.row_tokens))

    def is_done(self, draft: Path, block: Block) -> bool:
        """Whether a block's log is written."""
        return name_log(draft, block).exists()

    def fill(self, draft: Path, blocks: list[Block]) -> None:
        """Scan those of these blocks that are missing."""
        if all(self.is_done(draft, block) for block in blocks):
            return
        lexicon = find_lexicon(self.experiment)
        scanner = open_scanner(self.source.tokenizer, self.experiment.guards, lexicon)
        (draft / FOLDER).mkdir(exist_ok=True)
        work_blocks(
            "scan",
            blocks,
            lambda block: self.is_done(draft, block),
            lambda block: self._scan(scanner, block, name_log(draft, block)),
            self.experiment.corpus.workers,
        )

    def _scan(self, scanner: Scanner, block: Block, path: Path) -> None:
        logs, counts = [], scanner.no_counts()
        for first, chunk in iterate_chunks(self.source.rows, block.rows.start, block.rows.stop):
            log, counted = scanner.scan_rows(chunk, first)
            logs.append(log)
            counts += counted
        write_log(path, logs, name_counts(counts, scanner.forms))

    def finish(self, draft: Path) -> dict[str, Any]:
        """The counts of all blocks together."""
        data = self.experiment.data
        counts = add_counts([read_counts(path) for path in list_logs(draft).values()])
        return {
            "rows": len(data.rows),
            "tokens": len(data.rows) * data.row_tokens,
            "swaps": sum(sum(counts[reason].values()) for reason in (ELIGIBLE, LENGTH)),
            "rows_per_block": count_rows(data.row_tokens),
            "counts": counts,
        }


@dataclass(frozen=True)
class CorpusJob:
    """The corpus: the stretch's rows with the arm's swaps made, in one file.

    Args:
        experiment: its arm and stretch count.
        source: the rows.
        scanned: the scan of the stretch.
    """

    experiment: Experiment
    source: Source
    scanned: Artefact

    @cached_property
    def blocks(self) -> list[Block]:
        """The blocks of the scan's grid."""
        return cut_blocks(self.experiment.data.rows, self.scanned.facts["rows_per_block"])

    def is_done(self, draft: Path, block: Block) -> bool:
        """Whether a block's rows are written."""
        return find_marker(draft, block).exists()

    def fill(self, draft: Path, blocks: list[Block]) -> None:
        """Write those of these blocks that are missing; whoever sees to all digests them too."""
        span, alone = self.experiment.data.rows, blocks == self.blocks
        rewriter, logs = self._open_rewriter(), list_logs(self.scanned.path)
        writer = Writer(draft, self.source.rows, span, logs, rewriter, shared=not alone)
        writer.prepare()
        digest = Digest(writer.path, {b.number: writer.find_byte(b.rows.stop) for b in self.blocks})
        work_blocks(
            "rewrite",
            blocks,
            lambda block: self.is_done(draft, block),
            writer.write,
            self.experiment.corpus.workers,
            digest.follow if alone else lambda block: None,
        )
        if alone:
            (draft / MARKERS / SHA256).write_text(digest.hexdigest())

    def finish(self, draft: Path) -> dict[str, Any]:
        """The facts, from the blocks' markers, which are removed."""
        data, arm = self.experiment.data, self.experiment.intervention
        sha256 = self._seal(draft)
        counts, by_form = read_markers(draft, self.blocks)
        join_masks(draft, self.blocks)
        rate = arm.rate if self._solution is None else self._solution.rate
        facts = {
            "rows": len(data.rows),
            "rows_changed": counts.pop("rows_changed"),
            "tokens": len(data.rows) * data.row_tokens,
            "sha256": sha256,
            "rate": rate,
            "share": self._solution and asdict(self._solution),
            **describe_swaps(self.experiment, self.scanned.facts["counts"], by_form),
            "changes": dict(counts),
        }
        shutil.rmtree(draft / MARKERS)
        return facts

    def _seal(self, draft: Path) -> str:
        """Complete the files that the rows are read from; the sha256 of the rows."""
        data, noted, path = self.experiment.data, draft / MARKERS / SHA256, draft / CORPUS_NAME
        write_index(path.with_suffix(".idx"), np.full(len(data.rows), data.row_tokens, np.int32))
        return noted.read_text() if noted.exists() else digest_files([path])

    @cached_property
    def _solution(self) -> Solution | None:
        return find_solution(self.experiment, self.scanned)

    def _open_rewriter(self) -> Rewriter:
        arm = self.experiment.intervention
        if arm.method is not Method.exact and not arm.is_control:
            rewriter = OriginalRewriter(arm, tabulate(self.source.tokenizer))
            row = np.zeros((1, self.experiment.data.row_tokens), np.uint16)
            rewriter.rewrite(row, 0, EditLog.empty(), np.zeros(0, np.bool_))  # may refuse
            return rewriter
        return LogRewriter(arm if self._solution is None else settle(arm, self._solution))


def add_counts(parts: list[Counts]) -> Counts:
    """Counts by reason and form of several parts together."""
    return {
        reason: {form: sum(part[reason][form] for part in parts) for form in by_form}
        for reason, by_form in parts[0].items()
    }


def find_solution(experiment: Experiment, scanned: Artefact) -> Solution | None:
    """The rate that an arm's share asks for of a scan, or None for an arm with a rate."""
    arm = experiment.intervention
    if arm.share is None:
        return None
    lexicon, paths = find_lexicon(experiment), list_logs(scanned.path).values()
    return solve_share(arm, scanned.facts["counts"], lambda: map(read_log, paths), lexicon)


def describe_swaps(
    experiment: Experiment, counts: Counts, by_form: dict[str, int]
) -> dict[str, Any]:
    """The facts on an arm's swaps.

    Args:
        experiment: its arm is what was asked for.
        counts: pronouns of the stretch by reason and form.
        by_form: swaps made.
    """
    arm, lexicon = experiment.intervention, find_lexicon(experiment)
    gender = {form: lexicon.gender(form) for form in lexicon.forms}
    leaving = [form for form in gender if gender[form] in genders_of(arm.direction)]
    met = {reason: sum(counts[reason][form] for form in leaving) for reason in counts}
    eligible = met.pop(ELIGIBLE)
    if arm.length is not Length.skip:
        eligible += met.pop(LENGTH)
    before, made = ({str(g): 0 for g in GENDERS} for _ in range(2))
    for form in gender:
        before[gender[form]] += sum(by_reason[form] for by_reason in counts.values())
        made[gender[form]] += by_form[form]
    applied = sum(by_form.values())
    returns = arm.direction is not Direction.neutral
    return {
        "eligible": eligible,
        "applied": applied,
        "rate_reached": applied / eligible if eligible else 0.0,
        "applied_by_form": by_form,
        "pronouns": {
            "before": before,
            "after": {g: before[g] - made[g] + returns * made[Gender(g).other] for g in before},
        },
        "skipped": met,
    }
