"""Patches: what is encoded is what rows become, over gaps of any length, in one part or several."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from intervene.errors import InterveneError
from intervene.sources.patches import (
    NAMES,
    Patches,
    encode_patches,
    join_patches,
    load_patches,
    save_patches,
)
from intervene.sources.splice import patch_rows

Replacement = tuple[int, int, tuple[int, ...]]
"""The first token, how many go, and what takes their place."""

GAPS = (0, 0, 1, 2, 17, 253, 254, 255, 256, 509, 510, 511, 765)
ROW_TOKENS = 1024
NEW = ((7,), (8,), (9,), (1, 2), (), (3, 4, 5, 6), (0,))


@st.composite
def replacements(draw: st.DrawFn) -> list[Replacement]:
    """A row's replacements: far, near and adjacent ones, at its first and its last token."""
    found, at = [], 0
    for gap in draw(st.lists(st.sampled_from(GAPS), max_size=12)):
        removed, new = draw(st.integers(0, 3)), draw(st.sampled_from(NEW))
        if at + gap + removed > ROW_TOKENS:
            break
        found.append((at + gap, removed, new))
        at += gap + removed
    if draw(st.booleans()) and at < ROW_TOKENS:
        found.append((ROW_TOKENS - 1, 1, draw(st.sampled_from(NEW))))
    return found


def encode(rows: list[list[Replacement]]) -> Patches:
    every = [(row, *swap) for row, swaps in enumerate(rows) for swap in swaps]
    sizes = [len(new) for *_, new in every]
    return encode_patches(
        len(rows),
        np.array([row for row, *_ in every], np.int64),
        np.array([start for _, start, *_ in every], np.int32),
        np.array([removed for *_, removed, _ in every], np.int32),
        np.cumsum([0, *sizes], dtype=np.int64),
        np.array([token for *_, new in every for token in new], np.uint16),
    )


def rewrite(row: list[int], swaps: list[Replacement]) -> list[int]:
    """The plain way: from the last to the first, then cut or filled."""
    size = len(row)
    for start, removed, new in reversed(swaps):
        row = [*row[:start], *new, *row[start + removed :]]
    return (row + [0] * size)[:size]


def equal(ours: Patches, theirs: Patches) -> bool:
    pairs = [(getattr(ours, name), getattr(theirs, name)) for name in NAMES]
    return all(a.dtype == b.dtype and np.array_equal(a, b) for a, b in pairs)


def draw_tokens(rows: int) -> np.ndarray:
    return np.random.default_rng(rows).integers(10, 60000, (rows, ROW_TOKENS), np.uint16)


@settings(max_examples=300, deadline=None)
@given(st.lists(replacements(), min_size=1, max_size=5))
def test_patched_rows_are_the_rows_rewritten(rows):
    tokens = draw_tokens(len(rows))
    expected = [rewrite(row, swaps) for row, swaps in zip(tokens.tolist(), rows, strict=True)]
    patch_rows(tokens, 0, encode(rows))
    assert tokens.tolist() == expected


@settings(max_examples=50, deadline=None)
@given(st.lists(replacements(), min_size=3, max_size=6))
def test_any_run_of_rows_is_patched_alone(rows):
    tokens, patches = draw_tokens(len(rows)), encode(rows)
    whole = tokens.copy()
    patch_rows(whole, 0, patches)
    for start in range(len(rows)):
        part = tokens[start : start + 2].copy()
        patch_rows(part, start, patches)
        assert np.array_equal(part, whole[start : start + 2])


@settings(max_examples=50, deadline=None)
@given(st.lists(st.lists(replacements(), max_size=4), min_size=1, max_size=4))
def test_parts_joined_are_the_whole(tmp_path_factory, parts):
    home = tmp_path_factory.mktemp("parts")
    for number, rows in enumerate(parts):
        save_patches(home / str(number), encode(rows))
    join_patches(home / "whole", [home / str(number) for number in range(len(parts))])
    assert equal(load_patches(home / "whole"), encode([row for rows in parts for row in rows]))


@pytest.mark.parametrize(
    ("start", "gaps"),
    [
        (0, [0]),
        (254, [254]),
        (255, [255, 0]),
        (256, [255, 1]),
        (509, [255, 254]),
        (510, [255, 255, 0]),
    ],
)
def test_a_far_replacement_takes_a_step_for_every_255_tokens(start, gaps):
    assert encode([[(start, 1, (7,))]]).gaps.tolist() == gaps


def test_a_replacement_takes_two_bytes_and_a_row_four():
    rows = [[(at, 1, (at % 256,)) for at in range(0, ROW_TOKENS, 50)]] * 40
    patches = encode(rows)
    swaps = sum(map(len, rows))
    assert patches.gaps.nbytes + patches.codes.nbytes == 2 * swaps
    assert patches.offsets.nbytes == 4 * (len(rows) + 1)


@pytest.mark.parametrize(("changes", "dtype"), [(256, np.uint8), (257, np.uint16)])
def test_codes_are_as_wide_as_the_changes_need(changes, dtype):
    rows = [[(at, 1, (at,)) for at in range(changes)]]
    patches, tokens = encode(rows), draw_tokens(1)
    patch_rows(tokens, 0, patches)
    assert patches.codes.dtype == dtype
    assert tokens[0, :changes].tolist() == list(range(changes))


def test_changes_that_differ_in_what_goes_alone_are_two():
    assert encode([[(0, 1, (7,)), (1, 2, (7,)), (3, 1, (7,))]]).changes == [(1, (7,)), (2, (7,))]


def test_no_replacements_take_no_steps():
    patches, tokens = encode([[], [], []]), draw_tokens(3)
    before = tokens.copy()
    patch_rows(tokens, 0, patches)
    assert np.array_equal(tokens, before)
    assert len(patches) == 3
    assert len(patches.gaps) == len(patches.changes) == 0


def test_replacements_one_over_another_are_refused():
    with pytest.raises(AssertionError, match="none over another"):
        encode([[(4, 2, (7,)), (5, 1, (8,))]])


def test_a_file_that_is_cut_short_is_named(tmp_path: Path):
    save_patches(tmp_path, encode([[(0, 1, (7,))] * 1] * 500))
    gaps = tmp_path / "gaps.npy"
    gaps.write_bytes(gaps.read_bytes()[:-3])
    with pytest.raises(InterveneError, match=r"gaps\.npy"):
        load_patches(tmp_path)
