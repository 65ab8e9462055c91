"""What `pipelines.compare` says of readings that lie in the store."""

import csv
import dataclasses
from pathlib import Path

import pytest

from intervene.errors import InterveneError
from intervene.experiment import Paths
from pipelines.compare import compare
from pipelines.trial import Trial
from tests.analysis.conftest import Bench, make_terms
from tests.test_conf import compose_experiment


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path / "store")


def pose(bench: Bench, *overrides: str) -> Trial:
    """A trial over the bench's store."""
    experiment = compose_experiment(*overrides, "evaluation.resamples=200")
    paths = Paths(store=bench.root, runs=bench.root.parent / "runs")
    return Trial(dataclasses.replace(experiment, paths=paths), overrides)


def write_arms(bench: Bench, clip: float = 1.0) -> Path:
    """A control, an arm of rate 0.5 and one of rate 1 with this clip; where the report will lie."""
    for salt, rate in enumerate((0.0, 0.5, 1.0)):
        terms = make_terms() | {"trainer.clip": clip if rate == 1 else 1.0}
        items = bench.items(salt, prior=rate - 0.6)
        pose(bench, f"intervention.rate={rate:g}").note(bench.write(items, rate=rate, terms=terms))
    return bench.root.parent / "runs/intervene/comparison"


def test_all_arms_of_a_name_are_reported(bench: Bench, capsys: pytest.CaptureFixture[str]) -> None:
    report = write_arms(bench)
    compare(pose(bench))
    said = capsys.readouterr()
    assert "at rate 0.5" in said.out + said.err
    assert (report / "report" / "index.html").exists()


def test_an_arm_that_differs_is_refused_and_the_others_are_compared(
    bench: Bench, capsys: pytest.CaptureFixture[str]
) -> None:
    report = write_arms(bench, clip=0.5)
    compare(pose(bench))
    (told,) = [line for line in "".join(capsys.readouterr()).splitlines() if "refused: " in line]
    assert "trainer.clip is 0.5, in the control 1.0" in told
    assert "allow_mismatch=[trainer.clip]" in told
    with (report / "tables/contrasts.csv").open() as file:
        assert {row["rate"] for row in csv.DictReader(file)} == {"0.5"}


def test_a_mismatch_that_is_allowed_is_told_and_makes_another_report(
    bench: Bench, capsys: pytest.CaptureFixture[str]
) -> None:
    report = write_arms(bench, clip=0.5)
    compare(pose(bench))
    first = report.resolve()
    compare(pose(bench, "allow_mismatch=[trainer.clip]"))
    said = "".join(capsys.readouterr())
    assert "mismatch: " in said
    assert report.resolve() != first
    with (report / "tables/contrasts.csv").open() as file:
        assert {row["rate"] for row in csv.DictReader(file)} == {"0.5", "1"}


def test_arms_that_are_all_refused_are_an_error_and_leave_no_report(bench: Bench) -> None:
    pose(bench, "intervention.rate=0").note(bench.write(bench.items()))
    terms = make_terms() | {"trainer.clip": 0.5}
    pose(bench, "intervention.rate=1").note(bench.write(bench.items(1), rate=1.0, terms=terms))
    with pytest.raises(InterveneError, match=r"clip is 0\.5, in the control 1\.0"):
        compare(pose(bench))
    assert not list(bench.root.glob("comparison/*"))


def test_a_name_in_allow_mismatch_that_is_no_term_is_an_error(bench: Bench) -> None:
    write_arms(bench, clip=0.5)
    with pytest.raises(InterveneError, match="clib is no term"):
        compare(pose(bench, "allow_mismatch=[trainer.clib]"))


def test_a_report_without_a_figure_names_none(
    bench: Bench, capsys: pytest.CaptureFixture[str]
) -> None:
    pose(bench).note(bench.write(bench.items()))
    compare(pose(bench))
    said = "".join(capsys.readouterr())
    assert (
        "only the control is scored"
        in (bench.root.parent / "runs/intervene/comparison/report/index.html").read_text()
    )
    assert "figure: " not in said
