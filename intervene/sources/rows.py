"""The ordered corpus: row i is the i-th training sequence, uint16 token ids."""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from intervene.console import Progress
from intervene.errors import InterveneError
from intervene.sources.index import read_index
from intervene.sources.stream import Stream, find_index

TOKEN_BYTES = 2
END_OF_DOCUMENT = 0
"""`<|endoftext|>` of GPT-NeoX's tokenizer, which closes every document."""

CHUNK_TOKENS = 1 << 20
"""Read at once where rows are worked off one after another, into memory that is used again."""


class Rows(Protocol):
    """The one face of every backend: read-only rows in training order."""

    @property
    def row_tokens(self) -> int:
        """Tokens per row: 2,049 for Pythia (2,048 inputs and the last target)."""

    def __len__(self) -> int:
        """How many rows there are."""

    def read(self, start: int, stop: int) -> NDArray[np.uint16]:
        """Rows `[start, stop)` as a writable uint16 array [stop - start, row_tokens]."""

    def read_into(self, start: int, out: NDArray[np.uint16]) -> None:
        """Rows `[start, start + len(out))` into `out`, uint16 [n, row_tokens], contiguous."""

    def files(self, start: int, stop: int) -> list[Path]:
        """The files that rows `[start, stop)` come from: while these stand, so do the rows."""


@dataclass(frozen=True)
class ArrayRows:
    """Rows in memory: uint16 [rows, row_tokens]."""

    tokens: NDArray[np.uint16]

    @property
    def row_tokens(self) -> int:
        """Tokens per row."""
        return int(self.tokens.shape[1])

    def __len__(self) -> int:
        return len(self.tokens)

    def read(self, start: int, stop: int) -> NDArray[np.uint16]:
        """Rows `[start, stop)`, copied."""
        return self.tokens[start:stop].copy()

    def read_into(self, start: int, out: NDArray[np.uint16]) -> None:
        """Rows `[start, start + len(out))`, copied into `out`."""
        out[:] = self.tokens[start : start + len(out)]

    def files(self, start: int, stop: int) -> list[Path]:
        """None: they are in memory."""
        return []


@dataclass(frozen=True)
class ShardedRows:
    """Rows in files cut at any byte, read in place.

    Args:
        stream: the files.
        row_tokens: tokens per row.
    """

    stream: Stream
    row_tokens: int

    def __len__(self) -> int:
        return self.stream.bytes // (self.row_tokens * TOKEN_BYTES)

    def read(self, start: int, stop: int) -> NDArray[np.uint16]:
        """Rows `[start, stop)`, copied; rows may straddle files."""
        out = np.empty((stop - start, self.row_tokens), np.uint16)
        self.read_into(start, out)
        return out

    def read_into(self, start: int, out: NDArray[np.uint16]) -> None:
        """Rows `[start, start + len(out))`, copied into `out`.

        Errors: InterveneError for a file that is missing or has become shorter.
        """
        assert 0 <= start <= start + len(out) <= len(self), (start, len(out), len(self))
        raw = out.reshape(-1).view(np.uint8).data
        self.stream.read_into(start * self.row_tokens * TOKEN_BYTES, raw)

    def files(self, start: int, stop: int) -> list[Path]:
        """The files that rows `[start, stop)` lie in."""
        row_bytes = self.row_tokens * TOKEN_BYTES
        return self.stream.spanned(start * row_bytes, stop * row_bytes)


@dataclass(frozen=True)
class SpanRows:
    """Some consecutive rows of a corpus, under the numbers that they have in it.

    Args:
        held: the rows that are there.
        first: the training row of the first.
        count: rows of the whole corpus.
    """

    held: Rows
    first: int
    count: int

    @property
    def row_tokens(self) -> int:
        """Tokens per row."""
        return self.held.row_tokens

    def __len__(self) -> int:
        return self.count

    def read(self, start: int, stop: int) -> NDArray[np.uint16]:
        """Rows `[start, stop)`, copied; all of them must be held."""
        assert self.first <= start <= stop <= self.first + len(self.held), (start, stop)
        return self.held.read(start - self.first, stop - self.first)

    def read_into(self, start: int, out: NDArray[np.uint16]) -> None:
        """Rows `[start, start + len(out))`, copied into `out`; all of them must be held."""
        assert self.first <= start, (start, self.first)
        self.held.read_into(start - self.first, out)

    def files(self, start: int, stop: int) -> list[Path]:
        """The files that rows `[start, stop)` lie in."""
        return self.held.files(start - self.first, stop - self.first)


def check_rows(rows: ShardedRows) -> None:
    """Compare files of rows with the `.idx` beside them, if there is one, and with their length.

    Errors: InterveneError for bytes that are no whole number of rows, an index of another dtype,
    row length or total.
    """
    index = find_index(rows.stream)
    if index is not None:
        _check_index(rows, index)
    size, row_bytes = rows.stream.bytes, rows.row_tokens * TOKEN_BYTES
    if size == 0 or size % row_bytes:
        raise InterveneError(
            f"{size:,} bytes are no whole number of rows of {rows.row_tokens:,} uint16 tokens "
            f"({size % row_bytes:,} bytes are left over from byte {size - size % row_bytes:,})",
            str(rows.stream.shards[-1].path),
            "the file is truncated, or data.row_tokens is not its row length",
        )


def _check_index(rows: ShardedRows, path: Path) -> None:
    index = read_index(path)
    if index.dtype != np.uint16:
        raise InterveneError(
            f"tokens are {index.dtype}, not uint16", str(path), "this project reads uint16 tokens"
        )
    other = index.sizes != rows.row_tokens
    if other.any():
        entry = int(other.argmax())
        raise InterveneError(
            f"entry {entry:,} has {index.sizes[entry]:,} tokens, not {rows.row_tokens:,}",
            str(path),
            "set data.row_tokens to the row length; data=documents reads what is not preshuffled",
        )
    need = len(index.sizes) * rows.row_tokens * TOKEN_BYTES
    if need != rows.stream.bytes:
        raise InterveneError(
            f"the index counts {need:,} bytes, the .bin files hold {rows.stream.bytes:,}",
            str(rows.stream.shards[-1].path),
            "a shard is truncated or another corpus's; copy it again",
        )


def iterate_chunks(rows: Rows, start: int, stop: int) -> Iterator[tuple[int, NDArray[np.uint16]]]:
    """Rows `[start, stop)` a few at a time: (first row, uint16 [n, row_tokens]).

    Each chunk lies in the memory of the one before: fresh pages cost more than reading.
    """
    step = max(1, CHUNK_TOKENS // rows.row_tokens)
    memory = np.empty((min(step, stop - start), rows.row_tokens), np.uint16)
    for first in range(start, stop, step):
        chunk = memory[: min(step, stop - first)]
        rows.read_into(first, chunk)
        yield first, chunk


def digest_rows(rows: Rows, start: int, stop: int) -> tuple[str, int]:
    """sha256 of the bytes of rows `[start, stop)`, and the largest token id in them."""
    digest, largest = hashlib.sha256(), 0
    with Progress("reading", stop - start, "rows") as progress:
        for _, chunk in iterate_chunks(rows, start, stop):
            digest.update(chunk.data)
            largest = max(largest, int(chunk.max()))
            progress.advance(len(chunk))
    return digest.hexdigest(), largest
