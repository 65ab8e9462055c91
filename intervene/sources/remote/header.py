"""The `.idx` of a corpus that lies far away: its header, and its entries for a span."""

import struct

import numpy as np

from intervene.errors import InterveneError
from intervene.sources.index import HEADER_BYTES, MAGIC, UINT16
from intervene.sources.remote.listing import Listing, Place
from intervene.sources.remote.pieces import PIECE_BYTES
from intervene.sources.rows import TOKEN_BYTES

SIZE_BYTES = 4


def check_far_index(place: Place, listing: Listing, row_tokens: int, span: range) -> None:
    """Compare a corpus of rows with its `.idx`, of which 34 bytes and the span's sizes are read.

    Args:
        place: where both lie.
        listing: the shards and the index.
        row_tokens: tokens per row.
        span: the rows whose sizes are compared.

    Errors: InterveneError for what is no index of uint16 rows, and for other rows than these.
    """
    index = listing.index
    assert index is not None
    where = f"{place.address}: {index.name}"
    if index.bytes < HEADER_BYTES:
        raise InterveneError(f"ends at byte {index.bytes}", where, "the file is truncated")
    head = bytearray(HEADER_BYTES)
    place.read(index, 0, memoryview(head))
    if not head.startswith(MAGIC):
        raise InterveneError(
            f"not a Megatron index: byte 0 reads {bytes(head[:9])!r}, not {MAGIC!r}",
            where,
            "give the corpus with its own .idx, or without",
        )
    version, code, entries, documents = struct.unpack_from("<QBQQ", head, len(MAGIC))
    if version != 1 or code != UINT16:
        raise InterveneError(
            f"version {version}, dtype code {code} at byte {len(MAGIC)}, not 1 and {UINT16}",
            where,
            "this project reads uint16 tokens",
        )
    need = HEADER_BYTES + entries * (SIZE_BYTES + 8) + documents * 8
    if index.bytes != need:
        raise InterveneError(
            f"{index.bytes:,} bytes, but {entries:,} entries and {documents:,} document starts, as "
            f"bytes 18 to {HEADER_BYTES} count them, need {need:,}",
            where,
            "the file is truncated or not its own",
        )
    if span.stop <= entries:
        _check_sizes(place, listing, row_tokens, span, where)
    if entries * row_tokens * TOKEN_BYTES != listing.bytes:
        raise InterveneError(
            f"{entries:,} entries of {row_tokens:,} tokens are "
            f"{entries * row_tokens * TOKEN_BYTES:,} bytes, the .bin files hold {listing.bytes:,}",
            where,
            "set data.row_tokens to the row length, or give preshuffled rows with their own .idx",
        )


def _check_sizes(place: Place, listing: Listing, row_tokens: int, span: range, where: str) -> None:
    assert listing.index is not None
    step = PIECE_BYTES // SIZE_BYTES
    for first in range(span.start, span.stop, step):
        sizes = np.empty(min(step, span.stop - first), np.int32)
        at = HEADER_BYTES + first * SIZE_BYTES
        place.read(listing.index, at, sizes.view(np.uint8).data)
        if (other := sizes != row_tokens).any():
            entry = int(other.argmax())
            raise InterveneError(
                f"entry {first + entry:,}, at byte {at + entry * SIZE_BYTES:,}, has "
                f"{sizes[entry]:,} tokens, not {row_tokens:,}",
                where,
                "set data.row_tokens to the row length, or give preshuffled rows, not documents",
            )
