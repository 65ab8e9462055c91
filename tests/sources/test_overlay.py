"""Overlays: the source's rows with replacements, over files cut anywhere, or a one-line error."""

import itertools
import os
from pathlib import Path

import numpy as np
import pytest

from intervene.errors import InterveneError
from intervene.sources.backend import SPAN, open_rows
from intervene.sources.overlay import PATCHES, write_base
from intervene.sources.patches import Patches, encode_patches, save_patches
from intervene.sources.rows import Rows, digest_rows
from intervene.sources.splice import patch_rows

ROWS, ROW_TOKENS, SPANNED = 60, 33, range(8, 49)


def draw_patches(rows: int) -> Patches:
    """Two replacements a row, of one token by one to three."""
    rng = np.random.default_rng(4)
    start = np.stack([rng.integers(0, 16, rows), rng.integers(16, 33, rows)], 1).reshape(-1)
    sizes = np.where(rng.random(2 * rows) < 0.2, rng.integers(0, 4, 2 * rows), 1)
    return encode_patches(
        rows,
        np.repeat(np.arange(rows), 2),
        start,
        np.ones(2 * rows, np.int64),
        np.cumsum([0, *sizes]),
        rng.integers(1, 9, sizes.sum(), np.uint16),
    )


def write_shards(folder: Path, cuts: tuple[int, ...]) -> Path:
    """Random rows in shards cut at these bytes."""
    data = np.random.default_rng(3).integers(10, 60000, (ROWS, ROW_TOKENS), np.uint16).tobytes()
    folder.mkdir()
    edges = [0, *cuts, len(data)]
    for number, (start, stop) in enumerate(itertools.pairwise(edges)):
        path = folder / f"document-{number:05d}-of-{len(cuts):05d}.bin"
        path.write_bytes(data[start:stop])
    return folder


def overlay(home: Path, path: Path) -> Path:
    """The folder of an overlay over the spanned rows."""
    folder, rows = home / "overlay", open_rows(path, ROW_TOKENS)
    folder.mkdir()
    save_patches(folder / PATCHES, draw_patches(len(SPANNED)))
    digest, _ = digest_rows(rows, SPANNED.start, SPANNED.stop)
    write_base(folder, path, rows, SPANNED, digest)
    return folder


def rewrite(rows: Rows) -> np.ndarray:
    tokens = rows.read(SPANNED.start, SPANNED.stop)
    patch_rows(tokens, 0, draw_patches(len(SPANNED)))
    return tokens


@pytest.fixture
def base(tmp_path: Path) -> Path:
    return write_shards(tmp_path / "base", (700, 1501, 1502, 2400))


@pytest.mark.parametrize("cuts", [(), (66 * 20,), (1001,), (1, 2, 3), (66 * 9 + 1, 66 * 9 + 3)])
def test_rows_of_shards_cut_anywhere_are_patched(tmp_path, cuts):
    path = write_shards(tmp_path / "base", cuts)
    rows, expected = open_rows(overlay(tmp_path, path), ROW_TOKENS), rewrite(open_rows(path, 33))
    assert len(rows) == len(SPANNED)
    assert np.array_equal(rows.read(0, len(rows)), expected)


def test_any_run_of_rows_can_be_read(base, tmp_path):
    rows, expected = open_rows(overlay(tmp_path, base), ROW_TOKENS), rewrite(open_rows(base, 33))
    for start in range(len(rows)):
        for stop in range(start, len(rows) + 1):
            assert np.array_equal(rows.read(start, stop), expected[start:stop])


def test_rows_are_read_into_place(base, tmp_path):
    rows = open_rows(overlay(tmp_path, base), ROW_TOKENS)
    out = np.zeros((7, ROW_TOKENS), np.uint16)
    rows.read_into(3, out[1:6])
    assert np.array_equal(out[1:6], rows.read(3, 8))
    assert not out[[0, 6]].any()


def test_a_base_that_is_a_span_keeps_its_row_numbers(base, tmp_path):
    whole, held = open_rows(base, ROW_TOKENS), tmp_path / "span"
    held.mkdir()
    (held / "rows.bin").write_bytes(whole.read(5, 55).tobytes())
    (held / SPAN).write_text(f'{{"first": 5, "count": {ROWS}}}')
    rows = open_rows(overlay(tmp_path, held), ROW_TOKENS)
    assert np.array_equal(rows.read(0, len(rows)), rewrite(whole))


def test_an_overlay_of_an_overlay_is_read(base, tmp_path):
    below = overlay(tmp_path, base)
    rows, folder = open_rows(below, ROW_TOKENS), tmp_path / "upper"
    folder.mkdir()
    save_patches(folder / PATCHES, draw_patches(20))
    write_base(folder, below, rows, range(10, 30), digest_rows(rows, 10, 30)[0])
    expected = rows.read(10, 30)
    patch_rows(expected, 0, draw_patches(20))
    assert np.array_equal(open_rows(folder, ROW_TOKENS).read(0, 20), expected)


def test_the_files_of_an_overlay_are_its_own_and_those_under_it(base, tmp_path):
    folder = overlay(tmp_path, base)
    names = [path.name for path in open_rows(folder, ROW_TOKENS).files(0, 2)]
    assert names[0] == "overlay.json"
    assert "gaps.npy" in names
    assert names[-1] == "document-00000-of-00004.bin"


def test_a_base_that_is_gone_is_named(base, tmp_path):
    folder = overlay(tmp_path, base)
    base.rename(tmp_path / "elsewhere")
    with pytest.raises(InterveneError, match=rf"{base}: the rows under .* are gone") as caught:
        open_rows(folder, ROW_TOKENS)
    assert "\n" not in str(caught.value)


def test_a_shard_that_is_gone_is_named(base, tmp_path):
    folder, shard = overlay(tmp_path, base), base / "document-00002-of-00004.bin"
    shard.unlink()
    with pytest.raises(InterveneError, match=str(shard)):
        open_rows(folder, ROW_TOKENS)


def test_a_base_whose_bytes_changed_is_refused(base, tmp_path):
    folder, shard = overlay(tmp_path, base), base / "document-00000-of-00004.bin"
    data = bytearray(shard.read_bytes())
    data[-1] ^= 1
    shard.write_bytes(data)
    with pytest.raises(InterveneError, match=r"no longer those .*sha256") as caught:
        open_rows(folder, ROW_TOKENS)
    assert "\n" not in str(caught.value)


def test_a_base_that_was_only_touched_is_read(base, tmp_path):
    folder, expected = overlay(tmp_path, base), rewrite(open_rows(base, ROW_TOKENS))
    for shard in base.iterdir():
        os.utime(shard, ns=(1, 1))
    rows = open_rows(folder, ROW_TOKENS)
    assert np.array_equal(rows.read(0, len(rows)), expected)


def test_a_base_that_changed_outside_the_span_is_read(base, tmp_path):
    folder, shard = overlay(tmp_path, base), base / "document-00000-of-00004.bin"
    data = bytearray(shard.read_bytes())
    data[0] ^= 1
    shard.write_bytes(data)
    assert len(open_rows(folder, ROW_TOKENS)) == len(SPANNED)


def test_a_base_with_fewer_rows_is_refused(base, tmp_path):
    folder = overlay(tmp_path, base)
    for shard in base.iterdir():
        shard.unlink()
    (base / "rows.bin").write_bytes(b"\1\0" * ROW_TOKENS * 20)
    with pytest.raises(InterveneError, match="no longer those"):
        open_rows(folder, ROW_TOKENS)


def test_another_row_length_is_refused(base, tmp_path):
    with pytest.raises(InterveneError, match=r"rows of 33 tokens, not 65"):
        open_rows(overlay(tmp_path, base), 65)
