"""A corpus in the making: one preallocated file, written block by block in any order."""

import hashlib
import json
import os
from collections import Counter
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from intervene.arm import Arm
from intervene.compiled import compiled
from intervene.rewriting.blocks import Block
from intervene.rewriting.edits import read_log
from intervene.rewriting.materialise import overwrite
from intervene.rewriting.original import swap_string, swap_token_map
from intervene.rewriting.swap import EditLog
from intervene.rewriting.tokens import TokenTable
from intervene.sources.rows import TOKEN_BYTES, Rows, iterate_chunks

CORPUS_NAME = "rows.bin"
APPLIED_NAME = "applied.npy"
MARKERS = "blocks"
HASHED_BYTES = 1 << 20

Mask = NDArray[np.bool_]
Tokens = NDArray[np.uint16]


class Rewriter(Protocol):
    """How the rows of an arm are rewritten."""

    def select(self, log: EditLog) -> Mask:
        """The swaps that are to be made, bool [n], for `rewrite` to correct."""

    def rewrite(self, tokens: Tokens, first_row: int, log: EditLog, mask: Mask) -> dict[str, int]:
        """Rewrite rows in place, correct the mask to the swaps made, and count what was done."""


@dataclass(frozen=True)
class LogRewriter:
    """Makes the swaps that the arm selects from the log. The arm's rate is known."""

    arm: Arm

    def select(self, log: EditLog) -> Mask:
        """The swaps that the arm draws."""
        return log.select(self.arm)

    def rewrite(self, tokens: Tokens, first_row: int, log: EditLog, mask: Mask) -> dict[str, int]:
        """Make the chosen swaps."""
        return overwrite(tokens, first_row, log, mask)._asdict()


@dataclass(frozen=True)
class OriginalRewriter:
    """Rewrites as the published study did.

    A swap of the log counts as made where its new tokens stand in its place afterwards: one that
    came out elsewhere, because tokens before it are gone, does not.
    """

    arm: Arm
    table: TokenTable

    def select(self, log: EditLog) -> Mask:
        """All that the arm might make."""
        return log.eligible(self.arm)

    def rewrite(self, tokens: Tokens, first_row: int, log: EditLog, mask: Mask) -> dict[str, int]:
        """Rewrite rows, and find which swaps of the log have come out."""
        if self.arm.variant is None:
            rewritten, counts = swap_token_map(tokens, self.table)
        else:
            rewritten, counts = swap_string(tokens, self.table, self.arm.variant)
        tokens[:] = rewritten
        low, high = np.searchsorted(log.row, [first_row, first_row + len(tokens)])
        _find_made(
            tokens, first_row, int(low), int(high), log.row, log.start, log.after_offsets,
            log.after, mask,
        )  # fmt: skip
        return asdict(counts)


@compiled
def _find_made(tokens, first_row, low, high, row, start, after_offsets, after, mask):  # type: ignore[no-untyped-def]
    for swap in range(low, high):
        here, first = tokens[row[swap] - first_row], start[swap] - after_offsets[swap]
        for at in range(after_offsets[swap], after_offsets[swap + 1]):
            if first + at >= len(here) or here[first + at] != after[at]:
                mask[swap] = False


@dataclass(frozen=True)
class Writer:
    """Writes blocks of one corpus into a draft folder that other processes may write to as well.

    A block's marker, `blocks/00000.json`, is renamed into place when its rows are written. It
    holds what was done: counts by name, and swaps made by form. `blocks/00000.npy` says which.

    Args:
        draft: the folder.
        rows: all rows of the source.
        span: the rows of the corpus.
        logs: the edit log's files, by block.
        rewriter: what is done to the rows.
        shared: whether other machines read what is written here: it is flushed to the disk first.
    """

    draft: Path
    rows: Rows
    span: range
    logs: dict[int, Path]
    rewriter: Rewriter
    shared: bool

    @property
    def path(self) -> Path:
        """The corpus."""
        return self.draft / CORPUS_NAME

    def prepare(self) -> None:
        """Make the file at its full size, unless it is there."""
        (self.draft / MARKERS).mkdir(parents=True, exist_ok=True)
        with self.path.open("ab") as file:
            file.truncate(len(self.span) * self.rows.row_tokens * TOKEN_BYTES)

    def write(self, block: Block) -> None:
        """Write a block's rows, then its marker."""
        log = read_log(self.logs[block.number])
        mask = self.rewriter.select(log)
        counts: Counter[str] = Counter()
        with self.path.open("r+b", buffering=0) as file:
            for first, chunk in iterate_chunks(self.rows, block.rows.start, block.rows.stop):
                counts.update(self.rewriter.rewrite(chunk, first, log, mask))
                _write_bytes(file.fileno(), chunk, self.find_byte(first))
            if self.shared:
                os.fdatasync(file.fileno())
        write_marker(self.draft, block, log, mask, counts)

    def find_byte(self, row: int) -> int:
        """Where a training row starts in the corpus."""
        return (row - self.span.start) * self.rows.row_tokens * TOKEN_BYTES


def find_marker(draft: Path, block: Block) -> Path:
    """The file whose presence says that a block is written."""
    return draft / MARKERS / f"{block.name}.json"


def write_marker(draft: Path, block: Block, log: EditLog, mask: Mask, counts: Counter[str]) -> None:
    """Say that a block is written, which of its log's swaps were made, and what was done."""
    by_form = np.bincount(log.form[mask], minlength=len(log.lexicon.forms)).tolist()
    made = {"counts": dict(counts), "by_form": dict(zip(log.lexicon.forms, by_form, strict=True))}
    marker = find_marker(draft, block)
    np.save(marker.with_suffix(".npy"), mask)
    part = marker.with_name(f".{marker.name}.{os.getpid()}.part")
    part.write_text(json.dumps(made))
    part.replace(marker)


def read_markers(draft: Path, blocks: list[Block]) -> tuple[Counter[str], dict[str, int]]:
    """What was done in all blocks: counts by name, and swaps made by form."""
    counts: Counter[str] = Counter()
    by_form: Counter[str] = Counter()
    for block in blocks:
        made = json.loads(find_marker(draft, block).read_text())
        counts.update(made["counts"])
        by_form.update(made["by_form"])
    return counts, dict(by_form)


def join_masks(draft: Path, blocks: list[Block]) -> None:
    """Write `applied.npy` from the blocks': bool, which swaps of the whole log were made."""
    paths = [find_marker(draft, block).with_suffix(".npy") for block in blocks]
    shape = (sum(len(np.load(path)) for path in paths),)
    with (draft / APPLIED_NAME).open("wb") as file:
        header = {"descr": "|b1", "fortran_order": False, "shape": shape}
        np.lib.format.write_array_header_1_0(file, header)
        for path in paths:
            file.write(np.load(path).data)


class Digest:
    """sha256 of a file whose blocks are written in any order; each is read when it is complete.

    Args:
        path: the file.
        stops: the byte at which each block stops, in order.
    """

    def __init__(self, path: Path, stops: dict[int, int]) -> None:
        self._path, self._stops = path, stops
        self._left = list(stops)
        self._done: set[int] = set()
        self._digest = hashlib.sha256()
        self._at = 0

    def follow(self, block: Block) -> None:
        """Take note that a block is complete, and digest what can be."""
        self._done.add(block.number)
        while self._left and self._left[0] in self._done:
            self._read(self._stops[self._left.pop(0)])

    def hexdigest(self) -> str:
        """The digest of the file, all of whose blocks are complete."""
        assert not self._left
        return self._digest.hexdigest()

    def _read(self, stop: int) -> None:
        memory = memoryview(bytearray(HASHED_BYTES))
        with self._path.open("rb", buffering=0) as file:
            file.seek(self._at)
            while self._at < stop:
                count = file.readinto(memory[: stop - self._at])
                self._digest.update(memory[:count])
                self._at += count


def _write_bytes(file: int, tokens: Tokens, at: int) -> None:
    left = tokens.reshape(-1).view(np.uint8).data
    while len(left):
        count = os.pwrite(file, left, at)
        left, at = left[count:], at + count
