"""The corpus of an arm at document level: the stretch's rows as they read the arm's documents.

Written out, its folder holds `documents.bin` and `documents.idx`, the documents of the scan as
rewritten, in the order of their numbers in the source (`documents.npy`); `rows.bin` and `rows.idx`,
the stretch's rows in training order; and `applied.npy`. As an overlay it holds `overlay.json`
and `patches`, through which the same rows are read, and `applied.npy`.
"""

import hashlib
import os
import shutil
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from intervene.console import Progress
from intervene.experiment import Experiment
from intervene.lineage import Artefact, digest_files
from intervene.rewriting.blocks import Block, count_rows, cut_blocks, work_blocks
from intervene.rewriting.document_scan import cut_chunks, read_blocks
from intervene.rewriting.jobs import SHA256
from intervene.rewriting.swap import EditLog
from intervene.rewriting.writer import (
    APPLIED_NAME,
    CORPUS_NAME,
    MARKERS,
    Digest,
    find_marker,
    read_markers,
    write_marker,
)
from intervene.sources.documents import DocumentRows
from intervene.sources.index import write_index
from intervene.sources.overlay import PATCHES, write_base
from intervene.sources.rewritten import NUMBERS_NAME, RewrittenRows, open_patches
from intervene.sources.rows import CHUNK_TOKENS, TOKEN_BYTES
from intervene.sources.source import Source

DOCUMENTS_NAME = "documents.bin"

Pieces = Iterator[tuple[int, NDArray[np.uint16]]]
"""Tokens of a file, and the token of it at which they begin; each piece in the memory of the
one before."""


@dataclass(frozen=True)
class DocumentOverlayJob:
    """The corpus as an overlay; it is read once, for its sha256 and for what has changed in it.

    Args:
        experiment: its stretch counts.
        source: the documents and their order.
        patches: the arm's replacements.
    """

    experiment: Experiment
    source: Source
    patches: Artefact

    @cached_property
    def rows(self) -> RewrittenRows:
        """The stretch's rows as the arm's documents give them."""
        assert isinstance(self.source.rows, DocumentRows)
        return open_patches(self.source.rows, self.experiment.data.rows, self.patches.path)

    @property
    def blocks(self) -> list[Block]:
        """None: it is written in one go."""
        return []

    def is_done(self, draft: Path, block: Block) -> bool:
        """Whether a block is written."""
        raise AssertionError

    def fill(self, draft: Path, blocks: list[Block]) -> None:
        """Nothing to write."""

    def finish(self, draft: Path) -> dict[str, Any]:
        """Write where the rows are to be read from; the facts."""
        counts: Counter[str] = Counter()
        digest, every = hashlib.sha256(), range(len(self.rows))
        with Progress("reading", len(every), "rows") as progress:
            for _, tokens in iterate_rows(self.rows, every, counts):
                digest.update(tokens.data)
                progress.advance(len(tokens) // self.rows.row_tokens)
        patches = Path(os.path.relpath(self.patches.path, draft))
        (draft / PATCHES).unlink(missing_ok=True)
        (draft / PATCHES).symlink_to(patches)
        source = self.source.artefact.manifest["params"]["sha256"]
        span = self.experiment.data.rows
        write_base(draft, self.source.path, self.source.rows, span, source)
        shutil.copyfile(self.patches.path / APPLIED_NAME, draft / APPLIED_NAME)
        facts = describe_corpus(self.rows, self.patches.facts, counts, digest.hexdigest())
        size = self.patches.facts["bytes"]
        share = size / (facts["tokens"] * TOKEN_BYTES)
        return facts | {"overlay": {"bytes": size, "share_of_rows": share}}


@dataclass(frozen=True)
class DocumentCorpusJob(DocumentOverlayJob):
    """The corpus, written out block by block: first blocks of documents, then blocks of rows."""

    @cached_property
    def blocks(self) -> list[Block]:
        """All blocks; their `rows` are places among the documents, or among the stretch's rows."""
        blocks = cut_blocks(range(len(self.rows)), count_rows(self.rows.row_tokens))
        first = len(self._documents)
        rows = [replace(block, number=first + place) for place, block in enumerate(blocks)]
        return [*self._documents, *rows]

    def is_done(self, draft: Path, block: Block) -> bool:
        """Whether a block is written."""
        return find_marker(draft, block).exists()

    def fill(self, draft: Path, blocks: list[Block]) -> None:
        """Write those of these blocks that are missing; whoever sees to all digests them too."""
        alone, first, own = blocks == self.blocks, len(self._documents), set(blocks)
        (draft / MARKERS).mkdir(exist_ok=True)
        for name, unit, iterate, part in (
            (DOCUMENTS_NAME, "documents", self._iterate_documents, self.blocks[:first]),
            (CORPUS_NAME, "rows", self._iterate_rows, self.blocks[first:]),
        ):
            path, stops = draft / name, {b.number: self._find_stop(b) * TOKEN_BYTES for b in part}
            with path.open("ab") as file:
                file.truncate(stops[part[-1].number])
            digest = Digest(path, stops)
            work_blocks(
                "rewrite",
                [block for block in part if block in own],
                partial(self.is_done, draft),
                partial(write_block, path, iterate, shared=not alone),
                self.experiment.corpus.workers,
                digest.follow if alone else lambda block: None,
                unit=unit,
            )
            if alone:
                (draft / MARKERS / f"{name}.{SHA256}").write_text(digest.hexdigest())

    def finish(self, draft: Path) -> dict[str, Any]:
        """The facts, from the blocks' markers, which are removed."""
        sizes = np.diff(self._stops, prepend=0).astype(np.int32)
        counts, _ = read_markers(draft, self.blocks)
        digests = {}
        for name in (DOCUMENTS_NAME, CORPUS_NAME):
            noted = draft / MARKERS / f"{name}.{SHA256}"
            digests[name] = noted.read_text() if noted.exists() else digest_files([draft / name])
        write_index((draft / DOCUMENTS_NAME).with_suffix(".idx"), sizes)
        rows = np.full(len(self.rows), self.rows.row_tokens, np.int32)
        write_index((draft / CORPUS_NAME).with_suffix(".idx"), rows)
        for name in (NUMBERS_NAME, APPLIED_NAME):
            shutil.copyfile(self.patches.path / name, draft / name)
        facts = describe_corpus(self.rows, self.patches.facts, counts, digests[CORPUS_NAME])
        facts["documents"]["sha256"] = digests[DOCUMENTS_NAME]
        shutil.rmtree(draft / MARKERS)
        return facts

    @cached_property
    def _documents(self) -> list[Block]:
        return read_blocks(self.patches.path)

    @cached_property
    def _stops(self) -> NDArray[np.int64]:
        """int64 [documents], the token of `documents.bin` past each."""
        return np.cumsum(self.rows.rewritten.measure(0, len(self.rows.rewritten)))

    def _find_stop(self, block: Block) -> int:
        """The token of its file at which a block stops."""
        if block.number < len(self._documents):
            return int(self._stops[block.rows.stop - 1])
        return block.rows.stop * self.rows.row_tokens

    def _iterate_rows(self, block: Block, counts: Counter[str]) -> Pieces:
        return iterate_rows(self.rows, block.rows, counts)

    def _iterate_documents(self, block: Block, counts: Counter[str]) -> Pieces:
        """A block's documents, as rewritten."""
        low, high = block.rows.start, block.rows.stop
        first = int(self._stops[low - 1]) if low else 0
        for chunk in cut_chunks(np.diff(self._stops[low:high], prepend=first), CHUNK_TOKENS):
            start, stop = low + chunk.start, low + chunk.stop
            tokens = self.rows.rewritten.read(start, stop)
            yield int(self._stops[stop - 1]) - len(tokens), tokens


def iterate_rows(rows: RewrittenRows, span: range, counts: Counter[str]) -> Pieces:
    """The rows `span`, some at a time; what has changed in them is added to `counts`."""
    step = max(1, CHUNK_TOKENS // rows.row_tokens)
    memory = np.empty((min(step, len(span)), rows.row_tokens), np.uint16)
    for start in range(span.start, span.stop, step):
        chunk = memory[: min(step, span.stop - start)]
        counts.update(rows.count_into(start, chunk))
        yield start * rows.row_tokens, chunk.reshape(-1)


def write_block(
    path: Path, iterate: Callable[[Block, Counter[str]], Pieces], block: Block, *, shared: bool
) -> None:
    """Write a block's tokens in their place, then its marker.

    Args:
        path: the file, in a draft.
        iterate: gives the tokens and adds to the block's counts.
        block: which.
        shared: whether other machines read what is written here: it is flushed to the disk first.
    """
    counts: Counter[str] = Counter()
    with path.open("r+b") as file:
        for first, tokens in iterate(block, counts):
            file.seek(first * TOKEN_BYTES)
            file.write(tokens.data)
        if shared:
            file.flush()
            os.fdatasync(file.fileno())
    write_marker(path.parent, block, EditLog.empty(), np.zeros(0, np.bool_), counts)


def describe_corpus(
    rows: RewrittenRows, patched: dict[str, Any], counts: Counter[str], sha256: str
) -> dict[str, Any]:
    """The facts of a corpus.

    Args:
        rows: the stretch's.
        patched: the facts of the arm's replacements: of whole documents, wherever rows cut them.
        counts: what has changed in the rows.
        sha256: of the rows' bytes.
    """
    counts = Counter(counts)
    return {
        "rows": len(rows),
        "rows_changed": counts.pop("rows_changed", 0),
        "tokens": len(rows) * rows.row_tokens,
        "sha256": sha256,
        **{name: fact for name, fact in patched.items() if name != "bytes"},
        "applied_in_rows": counts.pop("swaps", 0),
        "changes": dict(counts),
    }
