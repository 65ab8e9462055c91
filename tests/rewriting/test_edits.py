"""The edit log on disk: one file per block, which others can query."""

import dataclasses

import numpy as np
import pyarrow.compute as pc
import pyarrow.dataset as ds
import pyarrow.parquet as pq
import pytest

from intervene.experiment import Guards
from intervene.rewriting.edits import read_counts, read_log, write_log
from intervene.rewriting.scan import build_scanner
from intervene.rewriting.swap import FORMS, EditLog
from tests.rewriting.conftest import SENTENCES

ROW_TOKENS = 97
COUNTS = {"eligible": {"he": 3, "her": 1}, "edge": {"he": 0, "her": 2}}


@pytest.fixture(scope="module")
def log(small) -> EditLog:
    """Swaps of one token and of several, some of which change the length."""
    tokens: list[int] = []
    while len(tokens) < 50 * ROW_TOKENS:
        tokens += [*small.encode(" ".join(SENTENCES)), 0]
    rows = np.array(tokens[: 50 * ROW_TOKENS], np.uint16).reshape(50, ROW_TOKENS)
    return build_scanner(small, Guards()).scan_rows(rows, 1000)[0]


def columns(log: EditLog) -> list[list[object]]:
    return [np.array(getattr(log, field.name)).tolist() for field in dataclasses.fields(log)]


@pytest.mark.parametrize("part", [slice(None), slice(0, 1), slice(0, 0)])
def test_a_written_log_reads_as_it_was(log, tmp_path, part):
    kept = log.take(np.arange(len(log))[part])
    write_log(tmp_path / "00000.parquet", [kept], COUNTS)
    read = read_log(tmp_path / "00000.parquet")
    assert columns(read) == columns(kept)
    for field in dataclasses.fields(log):
        given, found = (np.asarray(getattr(x, field.name)) for x in (kept, read))
        assert found.dtype == given.dtype


def test_pieces_are_written_as_the_whole(log, tmp_path):
    write_log(tmp_path / "whole", [log], COUNTS)
    pieces = [log.take(log.row % 50 < 9), EditLog.empty(), log.take(log.row % 50 >= 9)]
    write_log(tmp_path / "pieces", pieces, COUNTS)
    assert (tmp_path / "whole").read_bytes() == (tmp_path / "pieces").read_bytes()


def test_counts_lie_beside_the_swaps(log, tmp_path):
    write_log(tmp_path / "00000.parquet", [log], COUNTS)
    assert read_counts(tmp_path / "00000.parquet") == COUNTS


def test_equal_logs_are_equal_bytes(log, tmp_path):
    for name in ("a", "b"):
        write_log(tmp_path / name, [log], COUNTS)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a", "b"]


def test_any_reader_of_parquet_can_query_all_blocks_as_one_table(log, tmp_path):
    """The queries of docs/edit_log.md, in pyarrow's own words."""
    for number, rows in enumerate((range(1000, 1020), range(1020, 1050))):
        kept = log.take((log.row >= rows.start) & (log.row < rows.stop))
        write_log(tmp_path / f"{number:05d}.parquet", [kept], COUNTS)
    table = ds.dataset(tmp_path).to_table()
    assert len(table) == len(log)
    assert table.column_names == [
        "row", "start", "stop", "segment", "form", "role", "gender", "before", "after",
    ]  # fmt: skip
    her = table.filter((pc.field("form") == "her") & (pc.field("role") == "determiner"))
    expected = [swap for swap in map(log.__getitem__, range(len(log)))
                if (swap.form, swap.role) == ("her", "determiner")]  # fmt: skip
    assert her.column("row").to_pylist() == [swap.row for swap in expected]
    assert her.column("stop").to_pylist() == [swap.stop for swap in expected]
    assert her.column("after").to_pylist() == [list(swap.after) for swap in expected]
    forms = table.group_by("form").aggregate([("row", "count")]).to_pylist()
    counted = np.bincount(log.form, minlength=len(FORMS))
    assert {f["form"]: f["row_count"] for f in forms} == {
        form: count for form, count in zip(FORMS, counted.tolist(), strict=True) if count
    }


def test_blocks_that_cannot_hold_a_row_are_known_without_reading_them(log, tmp_path):
    write_log(tmp_path / "00000.parquet", [log], COUNTS)
    (statistics,) = [pq.read_metadata(tmp_path / "00000.parquet").row_group(0).column(0).statistics]
    assert (statistics.min, statistics.max) == (log.row.min(), log.row.max())
