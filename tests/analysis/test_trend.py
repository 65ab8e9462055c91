"""The figure of a census: the same bytes again, for one step as for many."""

import csv
from pathlib import Path

import numpy as np
import pytest

from intervene.analysis.trend import POINTS, draw_census, read_columns, save_census, sum_parts

GENDERS = [("he", "him"), ("she", "her")]
COLUMNS = ["step", "tokens", "documents", "documents_with_pronouns", "he", "him", "she", "her"]


def write(path: Path, steps: range, *, he: int = 9) -> Path:
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow([*COLUMNS, "feminine_share"])
        for step in steps:
            writer.writerow([step, 1000, 10, 4, he, step % 3, 0, step % 5, ""])
    return path


@pytest.mark.parametrize("steps", [range(5, 6), range(5, 7), range(133_000, 133_350)])
def test_the_figure_is_the_same_bytes_again(tmp_path: Path, steps: range) -> None:
    table = write(tmp_path / "census.csv", steps)
    for name in ("a.png", "b.png"):
        save_census(draw_census(table, GENDERS, "name"), tmp_path / name)
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()


def test_a_stretch_without_pronouns_has_a_figure(tmp_path: Path) -> None:
    table = write(tmp_path / "census.csv", range(0, 1), he=0)
    assert len(draw_census(table, GENDERS, "name").axes) == 3


def test_points_are_sums_of_as_many_steps_each(tmp_path: Path) -> None:
    columns = read_columns(write(tmp_path / "census.csv", range(0, 350)))
    sums, each = sum_parts(columns)
    assert each == 4
    assert len(sums["step"]) == 88 <= POINTS
    assert sums["step"][[0, -1]].tolist() == [1.5, 348.5]
    assert sums["tokens"][[0, -1]].tolist() == [4000, 2000]
    assert np.nansum(sums["he"]) == 350 * 9
