"""GPT-NeoX's order of documents and samples: which tokens each training row reads."""

import hashlib
import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from intervene.compiled import compiled
from intervene.console import Progress
from intervene.data import Data, Order
from intervene.errors import InterveneError
from intervene.lineage import Recipe
from intervene.sources.shuffle import shuffle_like_numpy

SPARE = 1.005
"""GPT-NeoX asks this much more of each of `train-data-paths` than the iterations need."""
CHUNK_SAMPLES = 1 << 22
PLACES = 2**31
"""GPT-NeoX counts places in `doc_idx` with an int32."""


@dataclass(frozen=True)
class Plan:
    """How many of what an order has, as GPT-NeoX v1.0 works it out (megatron/data).

    Args:
        documents: the first so many entries of the `.idx` are trained on.
        epochs: how often each of them is.
        asked: samples that GPT-NeoX asks for, as in the names of its files (`483ns`).
        samples: samples that those epochs give.
        row_tokens: tokens per row, one more than GPT-NeoX's `seq-length`: the last token of a
            sample is the first of the next.
        seed: GPT-NeoX's `seed`.
        route: how its files name the data: `train_0` of `train-data-paths`, `train` of a split.
    """

    documents: int
    epochs: int
    asked: int
    samples: int
    row_tokens: int
    seed: int
    route: str

    @property
    def stride(self) -> int:
        """Tokens from one sample's start to the next: GPT-NeoX's `seq-length`."""
        return self.row_tokens - 1


def plan_order(sizes: NDArray[np.int32], data: Data) -> Plan:
    """Work out the order of `data.order` over documents of these sizes.

    Errors: InterveneError if there is nothing to train on, or more than GPT-NeoX can count.
    """
    order = data.order
    assert order is not None
    documents, rows = count_training(order, len(sizes)), data.rows_per_step * order.iterations
    asked = rows if order.split is not None else math.ceil(rows * 1.0 * SPARE)
    tokens = int(sizes[:documents].sum(dtype=np.int64))
    if tokens == 0:
        raise InterveneError(
            f"the training part, {documents:,} of {len(sizes):,} documents, holds no token",
            "data.path" if order.split is None else f"data.order.split={order.split}",
            "give documents with text, and a first share above 0",
        )
    stride = data.row_tokens - 1
    epochs = -(-(asked * stride + 1) // tokens)
    if documents * epochs >= PLACES:
        raise InterveneError(
            f"{epochs:,} epochs of {documents:,} documents are more than the {PLACES - 1:,} that "
            "GPT-NeoX can count",
            "data.order.iterations",
            "check it, data.rows_per_step and data.path against the pretraining",
        )
    samples = (epochs * tokens - 1) // stride
    route = "train_0" if order.split is None else "train"
    return Plan(documents, epochs, asked, samples, data.row_tokens, order.seed, route)


def count_training(order: Order, entries: int) -> int:
    """How many entries, from the first on, are training documents: all without a split."""
    if order.shares is None:
        return entries
    parts = [round(share / sum(order.shares) * float(entries)) for share in order.shares]
    return max(parts[0] - (sum(parts) - entries), 0)


def order_recipe(sizes_digest: str, plan: Plan) -> Recipe:
    """The recipe of the maps: they depend on the documents' sizes, not on their tokens."""
    params = {
        "sizes": sizes_digest,
        "documents": plan.documents,
        "epochs": plan.epochs,
        "row_tokens": plan.row_tokens,
        "seed": plan.seed,
    }
    return Recipe("order", 1, params)


def build_maps(draft: Path, sizes: NDArray[np.int32], plan: Plan) -> dict[str, Any]:
    """Write `doc_idx.npy`, `sample_idx.npy` and `shuffle_idx.npy`, equal to GPT-NeoX's own.

    One generator shuffles the documents of all epochs together and then the samples. Peak memory
    is one map: 4 bytes a document and epoch, 8 bytes a sample.

    Args:
        draft: the folder to write them into.
        sizes: int32 [entries], tokens per document.
        plan: how many of what.

    Returns:
        What to record: documents, epochs, samples.
    """
    random = np.random.RandomState(plan.seed)
    doc_idx = np.tile(np.arange(plan.documents, dtype=np.int32), plan.epochs)
    shuffle_like_numpy(doc_idx, random, "documents")
    np.save(draft / "doc_idx.npy", doc_idx)
    samples = np.lib.format.open_memmap(
        draft / "sample_idx.npy", "w+", np.dtype(np.int32), (plan.samples + 1, 2)
    )
    for first, chunk in walk_samples(sizes, doc_idx, plan):
        samples[first : first + len(chunk)] = chunk
    samples.flush()
    del doc_idx, samples
    wide = plan.samples >= np.iinfo(np.uint32).max - 1
    shuffle_idx = np.arange(plan.samples, dtype=np.int64 if wide else np.uint32)
    shuffle_like_numpy(shuffle_idx, random, "samples")
    np.save(draft / "shuffle_idx.npy", shuffle_idx)
    return {"documents": plan.documents, "epochs": plan.epochs, "samples": plan.samples}


def walk_samples(
    sizes: NDArray[np.int32], doc_idx: NDArray[np.int32], plan: Plan
) -> Iterator[tuple[int, NDArray[np.int32]]]:
    """Where each sample begins, in chunks: (first sample, int32 [n, 2]), `samples` + 1 in all.

    A sample begins at a place in `doc_idx` and so many tokens into the document there. Sample i
    begins at token i * stride of the documents laid end to end; the first begins at (0, 0) even if
    the document there is empty, as GPT-NeoX has it.
    """
    place, before, total = 0, 0, plan.samples + 1
    memory = np.empty((min(CHUNK_SAMPLES, total), 2), np.int32)
    with Progress("locating", total, "samples") as progress:
        for first in range(0, total, CHUNK_SAMPLES):
            chunk = memory[: min(CHUNK_SAMPLES, total - first)]
            place, before = fill_samples(sizes, doc_idx, plan.stride, first, place, before, chunk)
            yield first, chunk
            progress.advance(len(chunk))


@compiled
def fill_samples(sizes, doc_idx, stride, first, place, before, out):  # type: ignore[no-untyped-def]
    """Find where some samples begin; each is looked for from where the one before was found.

    Args:
        sizes: int32 [entries], tokens per document.
        doc_idx: int32 [places], the document at each place.
        stride: tokens from one sample's start to the next.
        first: the number of the first sample.
        place, before: where to look from: a place in `doc_idx`, and the tokens ahead of it.
        out: int32 [n, 2], filled with each sample's place and its token in the document there.

    Returns:
        The place and the tokens ahead of it to go on from; a place past the last if the documents
        end before the samples do.
    """
    for number in range(len(out)):
        start = (first + number) * stride
        while start > 0 and place < len(doc_idx) and before + sizes[doc_idx[place]] <= start:
            before += np.int64(sizes[doc_idx[place]])
            place += 1
        out[number, 0] = place
        out[number, 1] = start - before
    return place, before


def digest_sizes(sizes: NDArray[np.int32]) -> str:
    """sha256 of the sizes as the `.idx` holds them."""
    return hashlib.sha256(np.ascontiguousarray(sizes).data).hexdigest()
