"""GPT-NeoX's own maps: found by their names, used in place, refused when they do not fit."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from intervene.data import Order
from intervene.errors import InterveneError
from intervene.lineage import Store
from intervene.sources.maps import NAMES, Maps, find_maps
from intervene.sources.order import Plan, build_maps, plan_order
from tests.sources.test_documents import make_data, open_data, write_documents

PLAN = Plan(20, 2, 483, 500, 257, 1234, "train_0")
NAME = "{}_train_0_indexmap_483ns_256sl_1234s_"


def write_names(folder: Path, *stems: str) -> None:
    for stem in stems:
        for name in NAMES:
            (folder / (NAME.format(stem) + name)).touch()


def test_the_only_maps_of_the_order_are_found_whatever_their_stem(tmp_path: Path) -> None:
    write_names(tmp_path, "other")
    (tmp_path / "docs_train_0_indexmap_484ns_256sl_1234s_doc_idx.npy").touch()
    (tmp_path / "docs_train_0_indexmap_483ns_256sl_1234s_packed_doc_idx.npy").touch()
    assert find_maps(tmp_path, "docs", PLAN) == Maps(str(tmp_path / NAME.format("other")))


def test_of_several_those_of_the_documents_are_found(tmp_path: Path) -> None:
    write_names(tmp_path, "other", "docs", "more_docs")
    assert find_maps(tmp_path, "docs", PLAN).prefix == str(tmp_path / NAME.format("docs"))


def test_several_maps_of_other_documents_are_refused(tmp_path: Path) -> None:
    write_names(tmp_path, "a", "b")
    with pytest.raises(InterveneError, match=r"2 files named NAME_train_0_indexmap_483ns.*a_train"):
        find_maps(tmp_path, "docs", PLAN)


def test_no_maps_of_the_order_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InterveneError, match=r"data\.order\.maps=.*0 files named NAME_train_0_"):
        find_maps(tmp_path, "docs", PLAN)


def test_a_missing_third_is_named(tmp_path: Path) -> None:
    write_names(tmp_path, "docs")
    (tmp_path / f"{NAME.format('docs')}sample_idx.npy").unlink()
    with pytest.raises(InterveneError, match=r"1234s_sample_idx\.npy: this map is missing"):
        find_maps(tmp_path, "docs", PLAN)


@pytest.mark.parametrize("tail", ["", "_"])
def test_what_the_paths_begin_with_names_the_maps(tmp_path: Path, tail: str) -> None:
    for name in NAMES:
        (tmp_path / f"mine_{name}").touch()
    assert find_maps(tmp_path / f"mine{tail}", "docs", PLAN) == Maps(str(tmp_path / "mine_"))


def test_a_path_that_is_neither_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InterveneError, match=r"no such folder, and no mine_doc_idx\.npy either"):
        find_maps(tmp_path / "mine", "docs", PLAN)


def change(name: str, edit: Callable[[np.ndarray], np.ndarray | None]) -> Callable[[Path], None]:
    def apply(folder: Path) -> None:
        array = np.load(folder / f"mine_{name}")
        edited = edit(array)
        np.save(folder / f"mine_{name}", array if edited is None else edited)

    return apply


def put(place: int | tuple[int, int], value: int) -> Callable[[np.ndarray], None]:
    def edit(array: np.ndarray) -> None:
        array[place] = value

    return edit


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (change("doc_idx.npy", lambda a: a[:-1]), r"int32 \[\d+\], but this order has int32 \["),
        (change("doc_idx.npy", lambda a: a.astype(np.int64)), "int64 .*, but this order has int32"),
        (change("doc_idx.npy", put(7, 300)), "entry 7 is document 300, but there are 300"),
        (change("doc_idx.npy", put(7, -1)), "entry 7 is document -1"),
        (change("doc_idx.npy", lambda a: a[::-1]), r"sample \d+ begins at \[.*, but at \["),
        (change("sample_idx.npy", lambda a: a.ravel()), r"has int32 \[\d+, 2\]"),
        (change("sample_idx.npy", put((-1, 0), 10**6)), r"sample \d+ begins at \[1000000, "),
        (change("shuffle_idx.npy", put(3, 10**6)), "entry 3 is sample 1,000,000, but there are"),
        (change("shuffle_idx.npy", lambda a: a.astype(float)), "float64 .* uint32 or int64"),
        (lambda f: (f / "mine_doc_idx.npy").write_bytes(b"no"), "not to be read as an array"),
    ],
)
def test_maps_that_do_not_fit_the_documents_are_refused(
    tmp_path: Path, spoil: Callable[[Path], None], message: str
) -> None:
    texts = write_documents(tmp_path / "docs", 4000)
    sizes = np.array([len(text) for text in texts], np.int32)
    data = make_data(tmp_path / "docs", Order(20, 5, maps=str(tmp_path / "mine")))
    build_maps(tmp_path, sizes, plan_order(sizes, data))
    for name in NAMES:
        (tmp_path / name).rename(tmp_path / f"mine_{name}")
    spoil(tmp_path)
    with pytest.raises(InterveneError, match=message):
        open_data(tmp_path / "store", data)
    assert Store(tmp_path / "store").artefacts() == []
