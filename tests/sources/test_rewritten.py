"""Rows are read on in rewritten documents, token for token as a plain loop does."""

import itertools
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from intervene.errors import InterveneError
from intervene.sources.documents import DocumentRows, Documents, open_documents
from intervene.sources.index import write_index
from intervene.sources.maps import Maps
from intervene.sources.patches import encode_patches, save_patches
from intervene.sources.rewritten import NUMBERS_NAME, RewrittenRows, open_patches

ROW_TOKENS = 129
GAPS = (0, 0, 1, 7, 30, 254, 255, 256, 509, 510, 511, 800)


@dataclass(frozen=True)
class Change:
    start: int
    removed: int
    after: list[int]


def write_source(folder: Path, rng: np.random.Generator, documents: int) -> DocumentRows:
    """Documents of all lengths in shards cut at any byte, and samples that begin anywhere."""
    sizes = rng.choice([0, 1, 2, 40, 300, 1500], documents).astype(np.int32)
    tokens = rng.integers(1, 60000, sizes.sum(), dtype=np.uint16).tobytes()
    cuts = [0, *sorted(rng.integers(0, len(tokens), 2).tolist()), len(tokens)]
    for number, (start, stop) in enumerate(itertools.pairwise(cuts)):
        (folder / f"d-{number:05d}-of-00002.bin").write_bytes(tokens[start:stop])
    write_index(folder / "d.idx", sizes)
    order = rng.permutation(np.repeat(np.arange(documents, dtype=np.int32), 2))
    stops = np.cumsum(sizes[order].astype(np.int64))
    begins = np.sort(rng.integers(0, stops[-1] - ROW_TOKENS, 400))
    place = np.searchsorted(stops, begins, "right")
    starts = np.stack([place, begins - (stops - sizes[order])[place]], 1).astype(np.int32)
    for name, array in (
        ("doc_idx", order), ("sample_idx", starts),
        ("shuffle_idx", rng.permutation(np.arange(400, dtype=np.uint32))),
    ):  # fmt: skip
        np.save(folder / f"{name}.npy", array)
    return DocumentRows(open_documents(folder), Maps(f"{folder}/"), 400, ROW_TOKENS)


def draw_changes(rng: np.random.Generator, size: int) -> list[Change]:
    """Replacements of any number of tokens by any other, near and far from one another."""
    changes, at = [], 0
    while True:
        start, removed = at + int(rng.choice(GAPS)), int(rng.integers(1, 5))
        if start + removed > size:
            return changes
        after = rng.integers(60001, 65000, rng.integers(0, 5)).tolist()
        changes.append(Change(start, removed, after))
        at = start + removed


def encode(folder: Path, numbers: NDArray[np.int64], changes: dict[int, list[Change]]) -> None:
    flat = [(place, c) for place, n in enumerate(numbers.tolist()) for c in changes[n]]
    after = [c.after for _, c in flat]
    save_patches(
        folder,
        encode_patches(
            len(numbers),
            np.array([place for place, _ in flat], np.int64),
            np.array([c.start for _, c in flat], np.int64),
            np.array([c.removed for _, c in flat], np.int64),
            np.cumsum([0, *map(len, after)], dtype=np.int64),
            np.array([token for tokens in after for token in tokens], np.uint16),
        ),
    )
    np.save(folder / NUMBERS_NAME, numbers)


def read_plainly(base: DocumentRows, row: int, changes: dict[int, list[Change]]) -> list[int]:
    places, starts = base.starts(row, row + 1)
    place, start, found = int(places[0]), int(starts[0]), []
    while len(found) < ROW_TOKENS and place < len(base.doc_idx):
        number = int(base.doc_idx[place])
        tokens, at = base.documents.read(number).tolist(), start
        for change in changes.get(number, []):
            stop = change.start + change.removed
            if stop <= start:
                continue
            found += tokens[at : change.start]
            same = change.removed == len(change.after)
            found += change.after[max(0, start - change.start) if same else 0 :]
            at = stop
        found += tokens[at:]
        place, start = place + 1, 0
    return (found + [0] * ROW_TOKENS)[:ROW_TOKENS]


@pytest.fixture(params=range(4))
def case(
    request: pytest.FixtureRequest, tmp_path: Path
) -> tuple[RewrittenRows, dict[int, list[Change]]]:
    rng = np.random.default_rng(request.param)
    base = write_source(tmp_path, rng, 150)
    numbers = np.flatnonzero(rng.random(150) < 0.7)
    changes = {
        n: draw_changes(rng, int(base.documents.sizes[n])) if rng.random() < 0.9 else []
        for n in numbers.tolist()
    }
    encode(tmp_path / "patches", numbers, changes)
    return open_patches(base, range(17, 380), tmp_path / "patches"), changes


def test_rows_are_those_of_a_plain_loop(
    case: tuple[RewrittenRows, dict[int, list[Change]]],
) -> None:
    rows, changes = case
    plain = [read_plainly(rows.base, 17 + row, changes) for row in range(len(rows))]
    assert np.array_equal(rows.read(0, len(rows)), np.array(plain, np.uint16))
    assert np.array_equal(rows.read(100, 103), np.array(plain[100:103], np.uint16))


def test_documents_are_those_of_a_plain_splice(
    case: tuple[RewrittenRows, dict[int, list[Change]]],
) -> None:
    rows, changes = case
    rewritten = rows.rewritten
    for low, number in enumerate(rewritten.numbers.tolist()):
        tokens = rewritten.documents.read(number).tolist()
        for change in reversed(changes[number]):
            tokens[change.start : change.start + change.removed] = change.after
        assert rewritten.read(low, low + 1).tolist() == tokens
        assert rewritten.measure(low, low + 1).tolist() == [len(tokens)]


def test_counts_are_of_what_differs(
    case: tuple[RewrittenRows, dict[int, list[Change]]],
) -> None:
    rows, _ = case
    out = np.empty((len(rows), ROW_TOKENS), np.uint16)
    counts = rows.count_into(0, out)
    differs = (out != rows.base.read(17, 380)).any(axis=1).sum()
    assert counts["rows_changed"] >= differs > 50
    assert 0 < counts["rows_moved"] <= counts["rows_changed"]
    assert counts["tokens_earlier"] > 0
    assert counts["tokens_later"] > 0


def test_rows_without_replacements_are_the_source(tmp_path: Path) -> None:
    base = write_source(tmp_path, np.random.default_rng(9), 60)
    encode(tmp_path / "patches", np.zeros(0, np.int64), {})
    rows = open_patches(base, range(0, 400), tmp_path / "patches")
    assert np.array_equal(rows.read(0, 400), base.read(0, 400))


def test_an_index_that_leads_out_of_the_files_is_an_error(tmp_path: Path) -> None:
    base = write_source(tmp_path, np.random.default_rng(9), 60)
    encode(tmp_path / "patches", np.zeros(0, np.int64), {})
    sizes = base.documents.sizes.copy()
    sizes[:] += 4000
    write_index(tmp_path / "d.idx", sizes)
    longer = Documents(tmp_path, base.documents.stream, open_documents(tmp_path).index)
    broken = DocumentRows(longer, base.maps, 400, ROW_TOKENS)
    with pytest.raises(InterveneError, match="lies past the end of the files"):
        open_patches(broken, range(0, 400), tmp_path / "patches").read(0, 400)
