"""The artefact of rows that lie far away: only the bytes of a span are fetched."""

import json
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from intervene.console import say
from intervene.data import Data
from intervene.errors import InterveneError
from intervene.lineage import Artefact, Recipe, Store
from intervene.sources.backend import SPAN
from intervene.sources.index import write_index
from intervene.sources.remote.drive import Drive
from intervene.sources.remote.header import check_far_index
from intervene.sources.remote.hub import COMMIT, SCHEME, Hub, parse_address
from intervene.sources.remote.listing import (
    Changed,
    Listing,
    Place,
    find_entry,
    list_corpus,
    recall_listing,
)
from intervene.sources.remote.pieces import MARKERS, Held, fetch_pieces, merge_spans
from intervene.sources.remote.retry import Unreachable
from intervene.sources.remote.web import Web, hide_secrets
from intervene.sources.rows import TOKEN_BYTES
from intervene.sources.stream import read_checksums

KIND = "fetched"
BIN, INDEX = "rows.bin", "rows.idx"
BRANCH = "main"


@dataclass(frozen=True)
class Corpus:
    """A corpus that lies far away.

    Args:
        place: where its files lie.
        entry: the `.bin` that the address names, or None if it names a folder.
        revision: the branch, tag or commit that was asked for; None but on the Hub.
    """

    place: Place
    entry: str | None
    revision: str | None


def is_far(data: Data) -> bool:
    """Whether the rows lie behind an address, not on a disk of this machine."""
    return data.repo is not None if data.path is None else "://" in data.path


def fetch_rows(store: Store, data: Data, span: range) -> Artefact:
    """The artefact that holds the rows of `span`, fetched if they are absent.

    It is a folder that `open_rows` opens: `rows.bin`, `rows.idx` and `span.json`. Its key is what
    identifies the remote bytes (address, commit, names, sizes, sha256 or ETags) and the span.
    What other such artefacts of the same files hold is taken from them. Where the place cannot be
    reached, what it held when it was last listed is what is read; a full commit is never asked
    for twice.

    Args:
        store: keeps it.
        data: where the rows come from: `path`, an address, or `repo` and `revision`.
        span: the training rows.

    Errors: InterveneError for a corpus that is incomplete or shorter than the span, and for
    answers that are not the bytes that were asked for; nothing of those is kept.
    """
    corpus = _find_corpus(data)
    corpus, listing = _list(store, data, corpus)
    _check_span(listing, data, span, corpus.place.address)
    if not listing.marked:
        say(f"{corpus.place.address}: gives no ETag or date, so that a change cannot be seen there")
    if data.checksums is not None:
        _check_sums(corpus.place, listing, Path(data.checksums).expanduser())
    params = {
        "address": corpus.place.address,
        "commit": corpus.place.commit,
        **listing.describe(),
        "row_tokens": data.row_tokens,
        "rows": [span.start, span.stop],
    }

    def build(draft: Path) -> dict[str, Any]:
        try:
            _fill(draft, store, corpus.place, listing, data, span)
        except Changed:
            shutil.rmtree(draft / MARKERS, ignore_errors=True)
            (draft / BIN).unlink(missing_ok=True)
            raise
        return {"revision": corpus.revision, "rows": listing.bytes // _row_bytes(data)}

    recipe = Recipe(KIND, 1, params)
    return store.obtain(recipe, build, resumable=listing.marked)


def _find_corpus(data: Data, commit: str | None = None) -> Corpus:
    """Where the rows lie, on the Hub at `commit` if it is known; nothing is asked for yet."""
    if data.path is None or data.path.startswith(SCHEME):
        repo, named, path = data.repo, data.revision, ""
        if data.path is not None:
            repo, named, path = parse_address(data.path)
        assert repo is not None
        folder, entry = find_entry(f"/{path}")
        revision = commit or named or BRANCH
        address = f"{SCHEME}datasets/{repo}/{path}".rstrip("/")
        return Corpus(Hub(repo, revision, folder.strip("/"), address), entry, revision)
    shown = hide_secrets(data.path).rstrip("/")
    address, _, query = data.path.partition("?")
    if shown.startswith(("http://", "https://")):
        folder, entry = find_entry(address)
        place: Place = Web(f"{folder}?{query}" if query else folder, shown)
    else:
        folder, entry = find_entry(data.path)
        place = Drive(folder, shown)
    return Corpus(place, entry, None)


def _list(store: Store, data: Data, corpus: Corpus) -> tuple[Corpus, Listing]:
    """The corpus and its shards, as they are now or, where that cannot be known, as they were."""
    known = next(_recall(store, corpus), None)
    revision = corpus.revision
    if known is not None and revision is not None and COMMIT.fullmatch(revision):
        return corpus, recall_listing(known.manifest["params"])
    try:
        return corpus, list_corpus(corpus.place, corpus.entry)
    except Unreachable as problem:
        if known is None:
            raise
        commit = known.manifest["params"]["commit"]
        say(f"{problem.where}: {problem.what}; reading what {known.name} knows of it instead")
        place = _find_corpus(data, commit).place
        return Corpus(place, corpus.entry, revision), recall_listing(known.manifest["params"])


def _recall(store: Store, corpus: Corpus) -> Iterator[Artefact]:
    """Artefacts of this address and revision, the last first."""
    found = []
    for artefact in store.artefacts(KIND):
        manifest = artefact.manifest
        params = manifest["params"]
        named = corpus.revision in (manifest["facts"]["revision"], params["commit"])
        if params["address"] == corpus.place.address and named:
            found.append((manifest["built"]["at"], artefact))
    yield from (artefact for _, artefact in sorted(found, key=lambda f: f[0], reverse=True))


def _fill(
    draft: Path, store: Store, place: Place, listing: Listing, data: Data, span: range
) -> None:
    """Write `rows.bin`, `rows.idx` and `span.json`, the last when all else is whole."""
    if not (draft / SPAN).exists():
        row_bytes = _row_bytes(data)
        raw = range(span.start * row_bytes, span.stop * row_bytes)
        held = list(_find_held(store, place, listing))
        covers = merge_spans(have.span for have in held)
        new = not any(c.start <= raw.start and raw.stop <= c.stop for c in covers)
        if new and listing.index is not None:
            check_far_index(place, listing, data.row_tokens, span)
        fetch_pieces(draft, BIN, place, listing, raw, held)
        write_index(draft / INDEX, np.full(len(span), data.row_tokens, np.int32))
        part = draft / f".{SPAN}.part"
        part.write_text(json.dumps({"first": span.start, "count": listing.bytes // row_bytes}))
        part.replace(draft / SPAN)
    shutil.rmtree(draft / MARKERS, ignore_errors=True)


def _find_held(store: Store, place: Place, listing: Listing) -> Iterator[Held]:
    """Bytes of the same files that other artefacts hold; of unmarked files none can be sure."""
    for artefact in store.artefacts(KIND) if listing.marked else []:
        params = artefact.manifest["params"]
        if params["address"] == place.address and recall_listing(params).shards == listing.shards:
            row_bytes = params["row_tokens"] * TOKEN_BYTES
            first, stop = params["rows"]
            path = artefact.path / BIN
            if path.exists() and path.stat().st_size == (stop - first) * row_bytes:
                yield Held(range(first * row_bytes, stop * row_bytes), path)


def _check_span(listing: Listing, data: Data, span: range, address: str) -> None:
    row_bytes = _row_bytes(data)
    over = listing.bytes % row_bytes
    if listing.bytes == 0 or over:
        raise InterveneError(
            f"{listing.bytes:,} bytes in {len(listing.shards)} files are no whole number of rows "
            f"of {data.row_tokens:,} uint16 tokens ({over:,} are left over from byte "
            f"{listing.bytes - over:,})",
            address,
            "a shard is truncated, or data.row_tokens is not the row length",
        )
    count = listing.bytes // row_bytes
    if span.stop > count:
        raise InterveneError(
            f"the stretch ends at row {span.stop:,}, byte {span.stop * row_bytes:,}, but {address} "
            f"has {count:,} rows, {count // data.rows_per_step:,} steps of {data.rows_per_step:,}",
            "data.stretch.stop",
            "choose an earlier stretch, or set data.rows_per_step",
        )


def _check_sums(place: Place, listing: Listing, checksums: Path) -> None:
    """Compare the sha256 that the Hub gives of each shard with a list."""
    if not isinstance(place, Hub):
        raise InterveneError(
            f"only parts of the files at {place.address} are fetched, which no sha256 fits",
            f"data.checksums={checksums}",
            "set it to null, or download the files and set data.path to their folder",
        )
    known = read_checksums(checksums)
    for shard in listing.shards:
        if known.get(shard.name) != shard.mark:
            raise InterveneError(
                f"{shard.name} has sha256 {shard.mark}, listed is {known.get(shard.name)}",
                f"data.checksums={checksums}",
                f"give the list of {place.address}, or null",
            )


def _row_bytes(data: Data) -> int:
    return data.row_tokens * TOKEN_BYTES
