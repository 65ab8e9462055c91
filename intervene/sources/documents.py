"""Document-level text in files, and training rows gathered out of it in GPT-NeoX's order."""

import json
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from intervene.data import Data
from intervene.errors import InterveneError
from intervene.lineage import Artefact, Recipe, Store
from intervene.sources.gather import BLOCK_ROWS, gather_rows, list_addresses
from intervene.sources.index import Index, check_index, read_index
from intervene.sources.maps import Maps, check_maps, find_maps
from intervene.sources.order import build_maps, digest_sizes, order_recipe, plan_order
from intervene.sources.rows import TOKEN_BYTES
from intervene.sources.stream import Stream, find_index, open_stream

ORDER = "order.json"
"""In the folder of an order of documents: `documents` (their path) and `maps` (a prefix), `rows`
and `row_tokens`, and the `bytes` and `entries` that the documents had."""


LOOKED_AT = 1_000
"""Entries by which rows are told from documents."""


@dataclass(frozen=True)
class Documents:
    """The documents of a `.bin`, or of its shards, as the `.idx` beside it delimits them.

    Args:
        path: what `open_documents` opened.
        stream: the bytes of all documents.
        index: where each begins and how long it is.
    """

    path: Path
    stream: Stream
    index: Index

    def __len__(self) -> int:
        return len(self.index.sizes)

    @property
    def sizes(self) -> NDArray[np.int32]:
        """Tokens per document, int32 [documents]."""
        return self.index.sizes

    def find_byte(self, document: int) -> int:
        """The byte of the stream at which a document begins."""
        return int(self.index.pointers[document])

    def read(self, document: int) -> NDArray[np.uint16]:
        """The tokens of one document, copied, uint16 [its size]."""
        tokens = np.empty(int(self.sizes[document]), np.uint16)
        self.stream.read_into(self.find_byte(document), tokens.view(np.uint8).data)
        return tokens

    @property
    def files(self) -> list[Path]:
        """The files that the documents lie in, and their index."""
        return [*(shard.path for shard in self.stream.shards), self.index.path]


@dataclass(frozen=True)
class DocumentRows:
    """Rows of documents: row r is sample `shuffle_idx[r]`.

    A sample begins at a token of the document at a place in `doc_idx` and reads on through the
    documents at the places after it.

    Args:
        documents: the documents.
        maps: their order.
        count: training rows, those of all iterations.
        row_tokens: tokens per row.
    """

    documents: Documents
    maps: Maps
    count: int
    row_tokens: int

    def __len__(self) -> int:
        return self.count

    @property
    def doc_idx(self) -> NDArray[np.int32]:
        """The document at each place, int32."""
        return self.maps.doc_idx

    def starts(self, start: int, stop: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Where rows `[start, stop)` begin: place in `doc_idx`, token there; int64 [n] each."""
        samples = self.maps.sample_idx[self.maps.shuffle_idx[start:stop]]
        return samples[:, 0].astype(np.int64), samples[:, 1].astype(np.int64)

    def read(self, start: int, stop: int) -> NDArray[np.uint16]:
        """Rows `[start, stop)`, gathered."""
        out = np.empty((stop - start, self.row_tokens), np.uint16)
        self.read_into(start, out)
        return out

    def read_into(self, start: int, out: NDArray[np.uint16]) -> None:
        """Rows `[start, start + len(out))`, gathered into `out`.

        Errors: InterveneError for a row that the index no longer has in these files.
        """
        assert 0 <= start <= start + len(out) <= len(self), (start, len(out), len(self))
        assert out.flags.c_contiguous
        assert out.shape[1] == self.row_tokens
        done = gather_rows(
            self.maps.shuffle_idx[start : start + len(out)],
            self.maps.sample_idx,
            self.maps.doc_idx,
            self.documents.sizes,
            self.documents.index.pointers,
            *self._addresses,
            self.row_tokens,
            np.empty((min(BLOCK_ROWS, len(out)) * self.row_tokens * TOKEN_BYTES, 2), np.int64),
            out.ctypes.data,
        )
        if done < len(out):
            raise InterveneError(
                f"row {start + done:,} is not in the documents any more",
                str(self.documents.index.path),
                "the index was changed while it was read; run the stage again",
            )

    def files(self, start: int, stop: int) -> list[Path]:
        """The files that all rows come from: documents, their index and the maps."""
        return [*self.documents.files, *self.maps.files]

    @cached_property
    def _addresses(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        return list_addresses(self.documents.stream)


def open_documents(path: Path) -> Documents:
    """Open the documents of a `.bin`, a folder of shards or of one `.bin`, or GPT-NeoX's prefix.

    Errors: InterveneError for a missing file or shard, no `.idx` beside it, an unreadable one, and
    tokens that are not uint16. What the index's tables say is not looked at.
    """
    prefix = path.with_name(f"{path.name}.bin")
    stream = open_stream(prefix if not path.exists() and prefix.exists() else path)
    beside = find_index(stream)
    if beside is None:
        raise InterveneError(
            "no .idx lies beside it that says where documents begin",
            str(stream.shards[0].path),
            "copy it there, or set data.order=null if these are rows",
        )
    index = read_index(beside)
    if index.dtype != np.uint16:
        raise InterveneError(
            f"tokens are {index.dtype}, not uint16", str(beside), "this project reads uint16 tokens"
        )
    return Documents(path, stream, index)


def order_documents(store: Store, documents: Documents, data: Data) -> Path:
    """The folder that `open_order` opens as the rows of `data.order`; the maps are built if absent.

    The documents and GPT-NeoX's own maps are checked once while their files stand.

    Args:
        store: keeps the maps (kind `order`) and the folder (kind `ordered`).
        documents: the documents.
        data: names their order.

    Errors: InterveneError for documents, index, order or maps that do not fit one another.
    """
    assert data.order is not None
    if len(documents) > 1 and (documents.sizes[:LOOKED_AT] == data.row_tokens).all():
        raise InterveneError(
            f"every entry has {data.row_tokens:,} tokens: these are rows, not documents",
            str(documents.index.path),
            "use data=local, which reads rows in the order that they lie in",
        )

    def measure() -> dict[str, str]:
        check_index(documents.index, documents.stream.bytes)
        return {"sizes": digest_sizes(documents.sizes)}

    digest = store.recall(documents.files, "documents", measure)["sizes"]
    maps, inputs = _obtain_maps(store, documents, digest, data)
    params = {
        "documents": str(documents.path),
        "maps": maps.prefix,
        "rows": data.rows_per_step * data.order.iterations,
        "row_tokens": data.row_tokens,
        "bytes": documents.stream.bytes,
        "entries": len(documents),
    }

    def build(draft: Path) -> dict[str, str]:
        (draft / ORDER).write_text(json.dumps(params, indent=1))
        return {}

    return store.obtain(Recipe("ordered", 1, params, inputs), build).path


def _obtain_maps(
    store: Store, documents: Documents, digest: str, data: Data
) -> tuple[Maps, tuple[Artefact, ...]]:
    """The maps of an order, and the artefact that holds them if they are not GPT-NeoX's own."""
    assert data.order is not None
    plan = plan_order(documents.sizes, data)
    if data.order.maps is None:
        artefact = store.obtain(
            order_recipe(digest, plan), lambda draft: build_maps(draft, documents.sizes, plan)
        )
        return Maps(f"{artefact.path.resolve()}/"), (artefact,)
    where = Path(data.order.maps).expanduser().resolve()
    maps = find_maps(where, documents.index.path.stem, plan)

    def check() -> dict[str, str]:
        check_maps(maps, documents.sizes, plan)
        return {}

    store.recall([*maps.files, documents.index.path], ["maps", repr(plan)], check)
    return maps, ()


def open_order(folder: Path, row_tokens: int) -> DocumentRows:
    """The rows that a folder of `order_documents` names.

    Errors: InterveneError for documents that are gone or other ones now, and another row length.
    """
    known = json.loads((folder / ORDER).read_text())
    if known["row_tokens"] != row_tokens:
        raise InterveneError(
            f"rows of {known['row_tokens']:,} tokens, not {row_tokens:,}",
            str(folder / ORDER),
            "set data.row_tokens to the row length of the order",
        )
    documents = open_documents(Path(known["documents"]))
    found = {"bytes": documents.stream.bytes, "entries": len(documents)}
    for unit, count in found.items():
        if count != known[unit]:
            raise InterveneError(
                f"{count:,} {unit} of documents now, {known[unit]:,} when they were put in order",
                known["documents"],
                "put the documents back, or run the stage again from the rewriting on",
            )
    return DocumentRows(documents, Maps(known["maps"]), known["rows"], row_tokens)
