"""The documents that a stretch's rows reach, also where text before a row's end becomes shorter."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from intervene.compiled import compiled
from intervene.rewriting.swap import EditLog
from intervene.sources.documents import DocumentRows

ROWS_AT_ONCE = 1 << 20


@dataclass(frozen=True)
class Shrinks:
    """The swaps that make a document shorter, in the order of (document, start).

    Args:
        document: int64 [n], the document's number.
        start, stop: int32 [n], the swap's tokens within the document.
        size: int32 [n], tokens that take their place, fewer.
    """

    document: NDArray[np.int64]
    start: NDArray[np.int32]
    stop: NDArray[np.int32]
    size: NDArray[np.int32]

    def __len__(self) -> int:
        return len(self.document)

    @classmethod
    def find(cls, log: EditLog) -> "Shrinks":
        """Those of a log whose rows are documents."""
        size = np.diff(log.after_offsets).astype(np.int32)
        shrinks = size < np.diff(log.before_offsets)
        return cls(log.row[shrinks], log.start[shrinks], log.stop[shrinks], size[shrinks])

    @classmethod
    def join(cls, parts: list["Shrinks"]) -> "Shrinks":
        """Those of several logs, in order."""
        document = np.concatenate([part.document for part in parts])
        start = np.concatenate([part.start for part in parts])
        order = np.lexsort((start, document))
        stop = np.concatenate([part.stop for part in parts])
        size = np.concatenate([part.size for part in parts])
        return cls(document[order], start[order], stop[order], size[order])


def list_touched(
    rows: DocumentRows, span: range, shrinks: Shrinks | None = None
) -> NDArray[np.int64]:
    """The numbers of the documents that have a token in the rows `span`, rising, int64.

    Args:
        rows: the rows of all documents.
        span: training rows.
        shrinks: swaps any of which may be made: then a row ends where it does if all of them are,
            further on in the stream than for any choice of swaps.
    """
    if shrinks is None:
        shrinks = Shrinks.find(EditLog.empty())
    marks = np.zeros(len(rows.documents.sizes), np.bool_)
    for low in range(span.start, span.stop, ROWS_AT_ONCE):
        places, starts = rows.starts(low, min(low + ROWS_AT_ONCE, span.stop))
        _mark(
            places, starts, rows.row_tokens, rows.doc_idx, rows.documents.sizes, shrinks.document,
            shrinks.start, shrinks.stop, shrinks.size, marks,
        )  # fmt: skip
    return np.flatnonzero(marks)


@compiled
def _mark(  # type: ignore[no-untyped-def]
    places, starts, row_tokens, doc_idx, sizes, document, start, stop, size, marks
):
    """Set `marks`, bool [documents], for those with a token in the rows; the rest as `Shrinks`."""
    for row in range(len(places)):
        place, read, left = places[row], starts[row], row_tokens
        while left > 0 and place < len(doc_idx):
            number = doc_idx[place]
            if read < sizes[number]:
                marks[number] = True
            low, high = 0, len(document)
            while low < high:  # to the document's first swap
                middle = (low + high) // 2
                if document[middle] < number:
                    low = middle + 1
                else:
                    high = middle
            while low < len(document) and document[low] == number and left > 0:
                if stop[low] > read:
                    left -= max(0, start[low] - read)
                    # Within a swap a row holds the new tokens or, where it is not made, the rest.
                    left -= min(size[low], stop[low] - max(start[low], read))
                    read = stop[low]
                low += 1
            left -= max(0, sizes[number] - read)
            place, read = place + 1, 0
