"""What `pipelines.compare` says of readings that lie in the store."""

import csv
import dataclasses
import html
import json
import re
import subprocess
import sys
import time
from pathlib import Path

import pytest

from intervene.errors import InterveneError
from intervene.experiment import Experiment, Paths
from pipelines.compare import Comparison, compare, split_names
from pipelines.trial import Trial
from tests.analysis.conftest import Bench, make_terms
from tests.pipelines.conftest import ROOT, build_environment
from tests.test_conf import compose_experiment

SHARED = Path(__file__).resolve().parents[3] / "shared"


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
    *_, check, endpoint, doubt, path = "".join(capsys.readouterr()).splitlines()
    assert check.startswith("Manipulation: the gender prior G moved by ")
    assert "in 2 arms" in check
    assert endpoint.startswith("Association (WinoBias pairs): ")
    assert doubt.startswith("Not shown: ")
    assert path == f"report: {report}/report/index.html"
    summary = json.loads((report / "summary.json").read_text())
    assert {e["rate"] for e in summary["endpoints"]} == {0.5, 1.0}
    assert all((report / name).exists() for name in summary["files"])


def test_arms_of_several_names_are_compared_together(bench: Bench) -> None:
    for name, model in (("first", "tiny"), ("second", "nano")):
        for salt, rate in enumerate((0.0, 1.0)):
            trial = pose(bench, f"name={name}", f"model={model}", f"intervention.rate={rate:g}")
            items = bench.items(salt, prior=rate - 0.6)
            trial.note(bench.write(items, rate=rate, model=model, terms=make_terms(model)))
    words = split_names(["name=first,second", "evaluation.resamples=200"])
    assert words == ["names=[first,second]", "name=first+second", "evaluation.resamples=200"]
    both = pose(bench, "name=first+second", "evaluation.resamples=200")
    fields = {f.name: getattr(both.experiment, f.name) for f in dataclasses.fields(Experiment)}
    asked = Comparison(**fields, names=("first", "second"))
    compare(Trial(asked, both.overrides))
    folder = bench.root.parent / "runs/first+second/comparison"
    summary = json.loads((folder / "summary.json").read_text())
    assert set(summary["models"]) == {"tiny", "nano"}
    rebuilt = "python -m pipelines.compare name=first,second evaluation.resamples=200"
    assert summary["commands"][-1] == rebuilt


def test_scoring_an_arm_again_by_itself_changes_no_comparison(bench: Bench) -> None:
    """`arm=this` and shards say what one command does, and nothing of the arm."""
    report = write_arms(bench)
    compare(pose(bench))
    first = report.resolve()
    for words in (("arm=this",), ("shard=0/2",), ("corpus.shard=1/2",)):
        pose(bench, "intervention.rate=0.5", *words).note()
    compare(pose(bench))
    assert report.resolve() == first


def test_an_arm_without_readings_is_missing_with_its_command(
    bench: Bench, capsys: pytest.CaptureFixture[str]
) -> None:
    write_arms(bench)
    pose(bench, "intervention.rate=0.75").note()
    compare(pose(bench))
    said = "".join(capsys.readouterr())
    missing = "tiny feminise-r0.75-document-s0: run `python -m pipelines.intervene"
    assert f"missing: {missing}" in said
    page = bench.root.parent / "runs/intervene/comparison/report/index.html"
    assert missing in html.unescape(page.read_text())


def test_published_numbers_are_shown_with_their_anomalies(bench: Bench) -> None:
    table = SHARED / "reference" / "pythia_bias_curves.csv.gz"
    if not table.exists():
        pytest.skip("the published numbers are not here")
    report = write_arms(bench)
    without = compare_published(bench, None)
    with_them = compare_published(bench, table)
    assert without != with_them
    page = (report / "report/index.html").read_text()
    numbers = json.loads(re.search(r'id="data">(.*?)</script>', page, re.DOTALL)[1])
    arms = {row["arm"] for row in numbers["published"]}
    assert {"published: released", "published: last 7%", "ours: control", "ours: rate 1"} <= arms
    assert any("crows_regime, 125 times" in line for line in page.splitlines())
    assert (report / "figures/published.pdf").exists()


def compare_published(bench: Bench, evals: Path | None) -> Path:
    """Compare with these published numbers; the comparison's own folder."""
    trial = pose(bench)
    fields = {f.name: getattr(trial.experiment, f.name) for f in dataclasses.fields(Experiment)}
    compare(Trial(Comparison(**fields, evals=evals), trial.overrides))
    return (bench.root.parent / "runs/intervene/comparison").resolve()


def test_published_numbers_that_are_not_there_are_a_mistake(bench: Bench) -> None:
    write_arms(bench)
    with pytest.raises(InterveneError, match="no such file or folder"):
        compare_published(bench, Path("/nowhere/evals"))


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


def test_killed_while_it_draws_it_leaves_nobody_who_holds_the_lock(bench: Bench) -> None:
    """Processes that draw are forks, which hold the store's lock as long as they live."""
    write_arms(bench)
    home = bench.root.parent
    command = [sys.executable, "-m", "pipelines.compare", "evaluation.resamples=200"]
    options = {"cwd": ROOT, "env": build_environment(home), "stderr": subprocess.DEVNULL}
    job = subprocess.Popen(command, **options)
    end = time.monotonic() + 60
    while not list(bench.root.glob("comparison/.*.draft/figures/*.png")):
        assert time.monotonic() < end, "no figure was drawn"
        assert job.poll() is None, "it ended before it was killed"
        time.sleep(0.02)
    job.kill()
    job.wait()
    done = subprocess.run(command, timeout=60, check=False, **options)
    assert done.returncode == 0
    assert (home / "runs/intervene/comparison/report/index.html").exists()
    assert not list(bench.root.glob("comparison/.*.draft"))
