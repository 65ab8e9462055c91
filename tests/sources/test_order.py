"""GPT-NeoX's order: the maps of its own files, and of its loop written out plainly."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from intervene.data import Data, Order
from intervene.errors import InterveneError
from intervene.sources import order as module
from intervene.sources.index import read_index
from intervene.sources.maps import Maps
from intervene.sources.order import Plan, build_maps, count_training, order_recipe, plan_order
from intervene.stretch import Stretch

GOLDEN = (
    ("docs_20B", 256, Order(60, 1234), "docs_20B_text_document_train_0_indexmap_483ns_256sl"),
    (
        "docs_20B",
        256,
        Order(60, 1234, "969,30,1"),
        "docs_20B_text_document_train_indexmap_480ns_256sl",
    ),
    ("tiny_20B", 128, Order(60, 1234), "tiny_20B_text_document_train_0_indexmap_483ns_128sl"),
    (
        "tiny_20B",
        128,
        Order(60, 1234, "969,30,1"),
        "tiny_20B_text_document_train_indexmap_480ns_128sl",
    ),
    ("docs_20B", 256, Order(4000, 1234), "docs_20B_text_document_train_0_indexmap_32160ns_256sl"),
    (
        "small_bpe250",
        128,
        Order(60, 1234),
        "small_bpe250_text_document_train_0_indexmap_483ns_128sl",
    ),
)
"""Documents, seq-length, order, and what GPT-NeoX called its maps: A-D, G, H of its manifest."""


def make_data(order: Order, row_tokens: int = 9, rows_per_step: int = 8) -> Data:
    stretch = Stretch(0, order.iterations)
    return Data("d", "/d.bin", None, None, None, row_tokens, rows_per_step, stretch, order=order)


def build(folder: Path, sizes: NDArray[np.int32], data: Data) -> tuple[Plan, Maps]:
    plan = plan_order(sizes, data)
    build_maps(folder, sizes, plan)
    return plan, Maps(f"{folder}/")


@pytest.mark.parametrize(("name", "stride", "order", "theirs"), GOLDEN, ids=lambda v: str(v)[-24:])
def test_maps_equal_those_that_gpt_neox_wrote(
    shared: Path, tmp_path: Path, name: str, stride: int, order: Order, theirs: str
) -> None:
    golden = shared / "neox_golden" / "data"
    sizes = read_index(golden / f"{name}_text_document.idx").sizes
    _, maps = build(tmp_path, sizes, make_data(order, stride + 1))
    for kind, ours in zip(("doc", "sample", "shuffle"), maps.files, strict=True):
        known = np.load(golden / "index" / f"{theirs}_1234s_{kind}_idx.npy")
        found = np.load(ours)
        assert found.dtype == known.dtype
        assert np.array_equal(found, known)


def loop(sizes: list[int], doc_idx: list[int], stride: int, samples: int) -> list[tuple[int, int]]:
    """GPT-NeoX's way: take tokens until a sample and one more are full, then step back by one."""
    found, place, offset = [(0, 0)], 0, 0
    while len(found) <= samples:
        missing = stride + 1
        while missing:
            missing -= sizes[doc_idx[place]] - offset
            if missing <= 0:
                offset = sizes[doc_idx[place]] + missing - 1
                break
            place, offset = place + 1, 0
        found.append((place, offset))
    return found


@settings(max_examples=150, deadline=None)
@given(
    sizes=st.lists(st.integers(0, 40), min_size=1, max_size=30).filter(lambda s: sum(s) > 3),
    stride=st.integers(1, 12),
    iterations=st.integers(1, 12),
    chunk=st.integers(1, 50),
    split=st.sampled_from([None, "9,1", "969/30/1"]),
)
def test_maps_equal_the_plain_loop(
    tmp_path_factory: pytest.TempPathFactory,
    sizes: list[int],
    stride: int,
    iterations: int,
    chunk: int,
    split: str | None,
) -> None:
    data = make_data(Order(iterations, 7, split), stride + 1)
    table = np.array(sizes, np.int32)
    training = sizes[: count_training(data.order or Order(1, 0), len(sizes))]
    if sum(training) == 0:
        with pytest.raises(InterveneError, match="holds no token"):
            plan_order(table, data)
        return
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "CHUNK_SAMPLES", chunk)
        plan, maps = build(tmp_path_factory.mktemp("maps"), table, data)
    asked = 8 * iterations if split else int(np.ceil(8 * iterations * 1.005))
    epochs = next(n for n in range(1, 10**6) if (n * sum(training) - 1) // stride >= asked)
    samples = (epochs * sum(training) - 1) // stride
    assert (plan.epochs, plan.samples, plan.asked) == (epochs, samples, asked)
    random = np.random.RandomState(7)
    doc_idx = np.array(list(range(len(training))) * epochs, np.int32)
    random.shuffle(doc_idx)
    shuffle_idx = np.arange(samples, dtype=np.uint32)
    random.shuffle(shuffle_idx)
    assert maps.doc_idx.tolist() == doc_idx.tolist()
    assert maps.sample_idx.tolist() == [
        list(p) for p in loop(sizes, doc_idx.tolist(), stride, samples)
    ]
    assert maps.shuffle_idx.tolist() == shuffle_idx.tolist()


@pytest.mark.parametrize(
    ("split", "entries", "training"),
    [("969,30,1", 1000, 969), ("969/30/1", 7, 7), ("1", 5, 5), ("0.5, 0.5", 3, 1), ("1,1,1", 5, 1)],
)
def test_split_takes_the_first_documents_as_gpt_neox_rounds(
    split: str, entries: int, training: int
) -> None:
    assert count_training(Order(1, 0, split), entries) == training


@pytest.mark.parametrize("split", ["", "a", "0,0,0", "-1,2", "nan", "inf", "1,,2", "[969, 30, 1]"])
def test_split_that_shares_nothing_out_is_refused(split: str) -> None:
    with pytest.raises(InterveneError, match=r"data\.order\.split: need shares"):
        Order(1, 0, split)


def test_more_places_than_gpt_neox_counts_are_refused() -> None:
    with pytest.raises(InterveneError, match=r"data\.order\.iterations"):
        plan_order(np.array([1, 0, 0], np.int32), make_data(Order(10**8, 0)))


def test_text_without_a_token_is_refused() -> None:
    with pytest.raises(InterveneError, match=r"3 of 3 documents, holds no token"):
        plan_order(np.zeros(3, np.int32), make_data(Order(1, 0)))


def test_recipe_is_of_the_order_and_not_of_the_iterations_that_need_it() -> None:
    sizes = np.full(1000, 100, np.int32)
    orders = (Order(60, 1), Order(61, 1), Order(60, 2), Order(2000, 1), Order(60, 1, "9,1"))
    keys = [order_recipe("a", plan_order(sizes, make_data(order))).key for order in orders]
    assert keys[0] == keys[1]
    assert len(set(keys)) == 4
    longer = dataclasses.replace(make_data(Order(60, 1)), row_tokens=10)
    assert order_recipe("a", plan_order(sizes, longer)).key not in keys


def test_order_of_documents_at_a_path_of_another_kind_is_refused() -> None:
    with pytest.raises(InterveneError, match=r"data\.path"):
        dataclasses.replace(make_data(Order(1, 0)), path="https://host/documents.bin")
