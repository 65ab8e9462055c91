"""Rows that start where the source's did and read on from there in rewritten documents."""

from collections import Counter
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from intervene.errors import InterveneError
from intervene.sources import passage
from intervene.sources.documents import DocumentRows, Documents
from intervene.sources.gather import list_addresses
from intervene.sources.patches import NAMES, Patches, load_patches

NUMBERS_NAME = "documents.npy"
NO_PATCHES = Patches(
    np.zeros(1, np.uint32), np.zeros(0, np.uint8), np.zeros(0, np.uint8), np.zeros(0, np.int32),
    np.zeros(1, np.int64), np.zeros(0, np.uint16),
)  # fmt: skip


class Held(NamedTuple):
    """Where documents lie in memory, for compiled loops.

    Args:
        sizes: [documents], tokens.
        pointers: [documents], the byte of the stream at which each begins.
        addresses, firsts: of `list_addresses`.
    """

    sizes: NDArray[Any]
    pointers: NDArray[Any]
    addresses: NDArray[np.int64]
    firsts: NDArray[np.int64]


@dataclass(frozen=True)
class RewrittenDocuments:
    """Some documents of a source, with an arm's replacements made while they are read.

    Args:
        documents: all documents of the source.
        numbers: [entries], the numbers of those that are rewritten, rising.
        patches: their replacements, one entry each.
    """

    documents: Documents
    numbers: NDArray[Any]
    patches: Patches

    def __post_init__(self) -> None:
        self.numbers.setflags(write=False)  # one type for compiled code, mapped or not

    def __len__(self) -> int:
        return len(self.numbers)

    def measure(self, low: int, high: int) -> NDArray[np.int64]:
        """Tokens of the documents `numbers[low:high]` as rewritten, int64 [high - low]."""
        sizes: NDArray[np.int64] = self.documents.sizes[self.numbers[low:high]].astype(np.int64)
        passage.add_gains(sizes, low, self.patches.columns)
        return sizes

    def read(self, low: int, high: int) -> NDArray[np.uint16]:
        """The documents `numbers[low:high]` as rewritten, one after another, uint16.

        Errors: InterveneError for a document that the files do not hold.
        """
        sizes = self.measure(low, high)
        out = np.empty(int(sizes.sum()), np.uint16)
        self.read_into(low, np.cumsum(sizes) - sizes, out)
        return out

    def read_into(self, low: int, firsts: NDArray[np.int64], out: NDArray[np.uint16]) -> None:
        """Write the documents from `numbers[low]` on, each at its place in `out`.

        Args:
            low: the first of them.
            firsts: int64 [documents], where each begins.
            out: uint16 [tokens], contiguous, with room for each.

        Errors: InterveneError for a document that the files do not hold.
        """
        numbers = self.numbers[low : low + len(firsts)]
        done = passage.write_documents(
            out, out.ctypes.data, firsts, numbers, low, self.held, self.patches.columns
        )
        if done < len(numbers):
            raise explain_lost(self.documents, f"document {int(numbers[done]):,}")

    @cached_property
    def held(self) -> Held:
        """Where the documents lie."""
        index = self.documents.index
        return Held(index.sizes, index.pointers, *list_addresses(self.documents.stream))

    @cached_property
    def groups(self) -> NDArray[np.int32]:
        """int32 [groups + 1], where in `numbers` those of each group of documents lie."""
        last = int(self.numbers[-1]) if len(self.numbers) else -1
        firsts = np.arange(0, last + 2 * (1 << passage.NEAR_BITS), 1 << passage.NEAR_BITS)
        return np.searchsorted(self.numbers, firsts).astype(np.int32)


@dataclass(frozen=True)
class RewrittenRows:
    """Some consecutive rows of a source of documents, in their rewritten documents.

    Row 0 is the source's row `first`. A row starts at the token of the source at which it always
    started: where a replacement of another number of tokens covers that, with the replacement. From
    there it reads on through the documents in the order of the stream until it is full. So it stops
    earlier in the source where the text has become longer, and later where it has become shorter.
    Past the stream's last document it is filled with token 0, the end of document; only its last
    sample can come to that.

    Args:
        base: the rows of the source.
        first: the source's row that is row 0 here.
        count: how many rows there are.
        rewritten: every document that one of the rows reaches, or at least those of them in which
            something is replaced.
        folder: where their replacements lie.
    """

    base: DocumentRows
    first: int
    count: int
    rewritten: RewrittenDocuments
    folder: Path

    @property
    def row_tokens(self) -> int:
        """Tokens per row."""
        return self.base.row_tokens

    def __len__(self) -> int:
        return self.count

    def read(self, start: int, stop: int) -> NDArray[np.uint16]:
        """Rows `[start, stop)`, copied."""
        out = np.empty((stop - start, self.row_tokens), np.uint16)
        self.read_into(start, out)
        return out

    def read_into(self, start: int, out: NDArray[np.uint16]) -> None:
        """Rows `[start, start + len(out))`, written into `out`."""
        self.count_into(start, out)

    def count_into(self, start: int, out: NDArray[np.uint16]) -> Counter[str]:
        """What `read_into` does, and what differs from the source's rows, by name (`COUNTS`).

        Errors: InterveneError for a row that the files do not hold.
        """
        assert 0 <= start <= start + len(out) <= self.count, (start, len(out), self.count)
        assert out.flags.c_contiguous
        places, starts = self.base.starts(self.first + start, self.first + start + len(out))
        counts = np.zeros(len(passage.COUNTS), np.int64)
        rewritten = self.rewritten
        done = passage.write_rows(
            out.reshape(-1), self.row_tokens, out.ctypes.data, places, starts, self.base.doc_idx,
            rewritten.held, rewritten.numbers, rewritten.groups, rewritten.patches.columns, counts,
        )  # fmt: skip
        if done < len(out):
            raise explain_lost(rewritten.documents, f"row {self.first + start + done:,}")
        return Counter(dict(zip(passage.COUNTS, counts.tolist(), strict=True)))

    def files(self, start: int, stop: int) -> list[Path]:
        """The files that rows `[start, stop)` and their replacements lie in."""
        own = sorted(self.folder.glob("*.npy"))
        return [*own, *self.base.files(self.first + start, self.first + stop)]


def explain_lost(documents: Documents, what: str) -> InterveneError:
    """The error for what the files should hold and do not."""
    return InterveneError(
        f"{what} lies past the end of the files",
        str(documents.stream.shards[-1].path),
        "a shard is truncated or another corpus's; copy it again",
    )


def copy_documents(
    documents: Documents, numbers: NDArray[Any], firsts: NDArray[np.int64], out: NDArray[np.uint16]
) -> None:
    """Write documents of a source as they are, each at its place in `out`.

    Args:
        documents: the source.
        numbers: [n], which.
        firsts: int64 [n], where each begins in `out`.
        out: uint16 [tokens], contiguous, with room for each.

    Errors: InterveneError for a document that the files do not hold.
    """
    offsets = np.zeros(len(numbers) + 1, np.uint32)
    none = Patches(offsets, *(getattr(NO_PATCHES, name) for name in NAMES[1:]))
    RewrittenDocuments(documents, numbers, none).read_into(0, firsts, out)


def open_patches(base: DocumentRows, span: range, folder: Path) -> RewrittenRows:
    """The rows `span` of a source with the replacements that a folder holds.

    Errors: InterveneError for a file that is missing or cut short.
    """
    numbers = np.asarray(np.load(folder / NUMBERS_NAME, mmap_mode="r"))
    rewritten = RewrittenDocuments(base.documents, numbers, load_patches(folder))
    return RewrittenRows(base, span.start, len(span), rewritten, folder)
