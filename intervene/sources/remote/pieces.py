"""A span of a corpus in the making: one preallocated file, fetched piece by piece in any order."""

import os
import shutil
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from intervene.console import Progress
from intervene.errors import InterveneError
from intervene.sources.remote.listing import THREADS, FarFile, Listing, Place

MARKERS = "pieces"
PIECE_BYTES = 1 << 23


@dataclass(frozen=True)
class Held:
    """Bytes of the corpus that are on this machine.

    Args:
        span: which bytes of the corpus.
        path: the file that holds them and nothing else.
    """

    span: range
    path: Path


@dataclass(frozen=True)
class Piece:
    """Bytes of the corpus that are read at once.

    Args:
        span: which bytes of the corpus.
        file: where they lie, here or far away.
        start: the first one's place in that file.
    """

    span: range
    file: FarFile | Path
    start: int


def fetch_pieces(
    draft: Path, name: str, place: Place, listing: Listing, span: range, held: list[Held]
) -> None:
    """Fill the file `name` of the draft with the bytes `span` of the corpus.

    What an interrupted call left is gone on with: a piece's marker, `pieces/START-STOP`, is made
    when its bytes are on the disk. A marker outlives all but the folder.

    Args:
        draft: the folder.
        name: the file.
        place: where the shards lie.
        listing: the shards.
        span: the bytes.
        held: what need not be fetched.

    Errors: InterveneError for too little space on the disk, and what `Place.read` raises.
    """
    markers, path = draft / MARKERS, draft / name
    done = merge_spans(_read_marker(marker.name) for marker in markers.glob("*-*"))
    left = len(span) - sum(map(len, done))
    free = shutil.disk_usage(draft).free
    if left > free:
        raise InterveneError(
            f"{left:,} bytes are to be fetched, {free:,} are free",
            "paths.store",
            "put the store on a larger disk, or take a shorter data.stretch",
        )
    markers.mkdir(exist_ok=True)
    with path.open("ab") as file:
        file.truncate(len(span))
    pieces = cut_pieces(listing, span, done, held)
    label = f"fetching {len(listing.shards)} shards" if len(listing.shards) > 1 else "fetching"
    with (
        path.open("r+b", buffering=0) as whole,
        Progress(label, len(span), "bytes", len(span) - left) as progress,
        ThreadPoolExecutor(THREADS) as pool,
    ):

        def fill(piece: Piece) -> int:
            raw = memoryview(bytearray(len(piece.span)))
            if isinstance(piece.file, FarFile):
                place.read(piece.file, piece.start, raw)
            else:
                _read_held(piece.file, piece.start, raw)
            _write(whole.fileno(), raw, piece.span.start - span.start)
            os.fdatasync(whole.fileno())
            (markers / f"{piece.span.start}-{piece.span.stop}").touch()
            return len(raw)

        jobs = [pool.submit(fill, piece) for piece in pieces]
        try:
            for job in as_completed(jobs):
                progress.advance(job.result())
        except BaseException:
            place.halt()
            pool.shutdown(cancel_futures=True)
            raise


def cut_pieces(listing: Listing, span: range, done: list[range], held: list[Held]) -> list[Piece]:
    """The pieces of `span` that are not done, each of one file, at most `PIECE_BYTES` long.

    Args:
        listing: the shards.
        span: bytes of the corpus.
        done: parts of it that are not to be read again, apart from each other.
        held: what lies on this machine; the first that has a byte gives it.
    """
    firsts = [0]
    for shard in listing.shards:
        firsts.append(firsts[-1] + shard.bytes)
    edges = {span.start, span.stop, *firsts}
    edges.update(range(span.start // PIECE_BYTES * PIECE_BYTES, span.stop, PIECE_BYTES))
    for part in (*done, *(have.span for have in held)):
        edges.update((part.start, part.stop))
    inside = sorted(edge for edge in edges if span.start <= edge <= span.stop)
    pieces, number = [], 0
    for start, stop in pairwise(inside):
        while firsts[number + 1] <= start:
            number += 1
        if any(start in part for part in done):
            continue
        here = range(start, stop)
        have = next((have for have in held if start in have.span), None)
        if have is not None:
            pieces.append(Piece(here, have.path, start - have.span.start))
        else:
            pieces.append(Piece(here, listing.shards[number], start - firsts[number]))
    return pieces


def merge_spans(spans: Iterator[range]) -> list[range]:
    """The same numbers in as few spans as can be, in order."""
    merged: list[range] = []
    for span in sorted(spans, key=lambda span: span.start):
        if merged and span.start <= merged[-1].stop:
            merged[-1] = range(merged[-1].start, max(span.stop, merged[-1].stop))
        else:
            merged.append(span)
    return merged


def _read_marker(name: str) -> range:
    start, stop = name.split("-")
    return range(int(start), int(stop))


def _read_held(path: Path, start: int, out: memoryview) -> None:
    with path.open("rb", buffering=0) as file:
        file.seek(start)
        while len(out):
            count = file.readinto(out)
            if not count:
                raise InterveneError(
                    f"ends at byte {file.tell():,}", str(path), "remove this artefact's folder"
                )
            out = out[count:]


def _write(file: int, raw: memoryview, at: int) -> None:
    while len(raw):
        count = os.pwrite(file, raw, at)
        raw, at = raw[count:], at + count
