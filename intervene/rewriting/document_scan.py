"""The scan of whole documents: those that the stretch's rows reach, each decided in its own text.

Its folder holds `documents.npy`, the documents' numbers in the source, rising; the edit log in
blocks of documents (`edits/00000.parquet`), whose column `row` is the document's number and whose
`start`, `stop` and `segment` count from the document's first token; and `blocks.npy`, int64
[blocks + 1], where in `documents.npy` each block's documents lie.

What rows reach depends on what is swapped before their ends, so the scan takes in every document
that any arm's rows reach: those that a row would reach if all swaps that make text shorter, and
none other, were made. Those are found in rounds, since the documents that come in hold swaps too.
"""

import hashlib
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from intervene.console import Progress
from intervene.experiment import Experiment
from intervene.lineage import Store
from intervene.rewriting.blocks import Block, count_rows, work_blocks
from intervene.rewriting.edits import (
    FOLDER,
    Counts,
    list_logs,
    name_log,
    read_counts,
    read_log,
    write_log,
)
from intervene.rewriting.jobs import add_counts, find_lexicon
from intervene.rewriting.scan import Scanner, name_counts, open_scanner
from intervene.rewriting.swap import EditLog
from intervene.rewriting.touched import Shrinks, list_touched
from intervene.sources.documents import DocumentRows, Documents
from intervene.sources.rewritten import NUMBERS_NAME, copy_documents
from intervene.sources.source import Source

GRID_NAME = "blocks.npy"
WIDENED = "widened"
"""In a draft: the logs of those blocks that rows reach beyond, with the documents added."""

CHUNK_TOKENS = 1 << 18
"""Of the documents that are scanned at once."""

BETWEEN = 8
"""Ends of document before and after each document while it is scanned: 8 × 13 bytes of
`<|endoftext|>` are more than a decision looks at (`guards.REACH`, 64), so that no document's swaps
depend on the document beside it."""


@dataclass(frozen=True)
class DocumentScanJob:
    """The edit log of the documents that a stretch's rows reach, one file per block."""

    experiment: Experiment
    source: Source

    @cached_property
    def rows(self) -> DocumentRows:
        """The rows of the source."""
        assert isinstance(self.source.rows, DocumentRows)
        return self.source.rows

    @cached_property
    def touched(self) -> NDArray[np.int64]:
        """The documents with a token in the stretch's rows, before any swap; rising."""
        return list_touched(self.rows, self.experiment.data.rows)

    @cached_property
    def blocks(self) -> list[Block]:
        """Blocks of these documents; their `rows` are places in `touched`."""
        chunks = cut_chunks(self.rows.documents.sizes[self.touched], count_rows(1))
        return [Block(number, chunk) for number, chunk in enumerate(chunks)]

    @cached_property
    def _scanner(self) -> Scanner:
        lexicon = find_lexicon(self.experiment)
        return open_scanner(self.source.tokenizer, self.experiment.guards, lexicon)

    def is_done(self, draft: Path, block: Block) -> bool:
        """Whether a block's log is written."""
        return name_log(draft, block).exists()

    def fill(self, draft: Path, blocks: list[Block]) -> None:
        """Scan those of these blocks that are missing."""
        if all(self.is_done(draft, block) for block in blocks):
            return
        scanner, numbers = self._scanner, self.touched
        (draft / FOLDER).mkdir(exist_ok=True)

        def scan(block: Block) -> None:
            chosen = numbers[block.rows.start : block.rows.stop]
            log, counts = scan_documents(scanner, self.rows.documents, chosen)
            write_log(name_log(draft, block), [log], counts)

        work_blocks(
            "scan",
            blocks,
            lambda block: self.is_done(draft, block),
            scan,
            self.experiment.corpus.workers,
            unit="documents",
        )

    def finish(self, draft: Path) -> dict[str, Any]:
        """Take in the documents that rows may reach beyond, then count all blocks together."""
        if not (draft / NUMBERS_NAME).exists():
            self._widen(draft)
        for path in sorted((draft / WIDENED).glob("*/*.parquet")):
            path.replace(draft / FOLDER / path.name)
        shutil.rmtree(draft / WIDENED, ignore_errors=True)
        data, numbers = self.experiment.data, np.load(draft / NUMBERS_NAME)
        counts = add_counts([read_counts(path) for path in list_logs(draft).values()])
        return {
            "rows": len(data.rows),
            "tokens": len(data.rows) * data.row_tokens,
            "documents": len(numbers),
            "documents_reached": len(numbers) - len(self.touched),
            "document_tokens": int(self.rows.documents.sizes[numbers].sum(dtype=np.int64)),
            "swaps": sum(sum(counts[reason].values()) for reason in ("eligible", "length")),
            "counts": counts,
        }

    def _widen(self, draft: Path) -> None:
        """Add the documents that rows may reach beyond those touched to the blocks beside them.

        The numbers are written last: where they are, only the widened logs are left to be moved.
        """
        reached = self._find_reached(draft)
        numbers = np.union1d(self.touched, reached)
        stops = np.array([block.rows.stop for block in self.blocks[:-1]], np.int64)
        grid = np.concatenate(
            [[0], np.searchsorted(numbers, self.touched[stops]), [len(numbers)]]
        ).astype(np.int64)
        (draft / WIDENED / FOLDER).mkdir(parents=True, exist_ok=True)
        for block in self.blocks:
            here = numbers[grid[block.number] : grid[block.number + 1]]
            added = np.intersect1d(here, reached, assume_unique=True)
            if len(added):
                path = name_log(draft, block)
                log, counts = scan_documents(self._scanner, self.rows.documents, added)
                log = EditLog.join([read_log(path), log])
                log = log.take(np.argsort(log.row, kind="stable"))
                write_log(
                    name_log(draft / WIDENED, block), [log], add_counts([read_counts(path), counts])
                )
        save_array(draft / GRID_NAME, grid)
        save_array(draft / NUMBERS_NAME, numbers)

    def _find_reached(self, draft: Path) -> NDArray[np.int64]:
        """The documents that rows may reach beyond those touched, int64, rising."""
        shrinks = [Shrinks.find(read_log(path)) for path in list_logs(draft).values()]
        known = self.touched
        while True:
            wide = list_touched(self.rows, self.experiment.data.rows, Shrinks.join(shrinks))
            new = np.setdiff1d(wide, known, assume_unique=True)
            if not len(new):
                return np.setdiff1d(known, self.touched, assume_unique=True)
            log, _ = scan_documents(self._scanner, self.rows.documents, new)
            shrinks.append(Shrinks.find(log))
            known = np.union1d(known, new)


def cut_chunks(sizes: NDArray[Any], tokens: int) -> list[range]:
    """The places of documents of these sizes, in chunks; the document that fills one ends it."""
    starts = np.cumsum(sizes, dtype=np.int64) - sizes
    firsts = np.flatnonzero(np.diff(starts // tokens, prepend=-1)).tolist()
    return [range(start, stop) for start, stop in pairwise([*firsts, len(sizes)])]


def read_blocks(folder: Path) -> list[Block]:
    """The blocks of a scan of documents; their `rows` are places in its `documents.npy`."""
    grid: list[int] = np.load(folder / GRID_NAME).tolist()
    return [Block(number, range(*pair)) for number, pair in enumerate(pairwise(grid))]


def scan_documents(
    scanner: Scanner, documents: Documents, numbers: NDArray[np.int64]
) -> tuple[EditLog, Counts]:
    """The log of documents, and what became of their pronouns.

    Args:
        scanner: a vocabulary and guards.
        documents: all documents of the source.
        numbers: int64 [n], those to scan, rising.
    """
    logs, counts = [EditLog.empty(scanner.table.lexicon)], scanner.no_counts()
    for chosen, firsts, tokens in iterate_documents(documents, numbers, BETWEEN):
        log, counted = scanner.scan_rows(tokens[None], 0)
        place = np.searchsorted(firsts, log.start, "right") - 1
        first = firsts[place].astype(np.int32)
        logs.append(
            replace(log, row=chosen[place], start=log.start - first, segment=log.segment - first)
        )
        counts += counted
    return EditLog.join(logs), name_counts(counts, scanner.forms)


def iterate_documents(
    documents: Documents, numbers: NDArray[np.int64], between: int
) -> Iterator[tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.uint16]]]:
    """Documents some at a time: their numbers, where each begins, and their tokens.

    The tokens, uint16, hold `between` ends of document before and after each.
    """
    sizes = documents.sizes[numbers].astype(np.int64) + between
    for chunk in cut_chunks(sizes, CHUNK_TOKENS):
        low, high = chunk.start, chunk.stop
        firsts = np.cumsum(sizes[low:high]) - sizes[low:high] + between
        tokens = np.zeros(int(sizes[low:high].sum()) + between, np.uint16)
        copy_documents(documents, numbers[low:high], firsts, tokens)
        yield numbers[low:high], firsts, tokens


def digest_touched(store: Store, rows: DocumentRows, span: range) -> str:
    """sha256 of the documents that the rows `span` touch, remembered while their files stand."""
    what = ["touched", span.start, span.stop, rows.row_tokens]

    def measure() -> dict[str, str]:
        return {"sha256": _digest_documents(rows.documents, list_touched(rows, span))}

    return str(store.recall(rows.files(span.start, span.stop), what, measure)["sha256"])


def _digest_documents(documents: Documents, numbers: NDArray[np.int64]) -> str:
    """sha256 of documents: their numbers, sizes and tokens."""
    digest = hashlib.sha256(numbers.tobytes())
    digest.update(documents.sizes[numbers].tobytes())
    with Progress("reading", len(numbers), "documents") as progress:
        for chosen, _, tokens in iterate_documents(documents, numbers, 0):
            digest.update(tokens.data)
            progress.advance(len(chosen))
    return digest.hexdigest()


def save_array(path: Path, array: NDArray[Any]) -> None:
    """Write a `.npy` file that is there when it is whole."""
    part = path.with_name(f".{path.name}.part")
    with part.open("wb") as file:
        np.save(file, array)
    part.replace(path)
