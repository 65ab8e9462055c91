"""The plan as a command prints it: one table for all arms, one line a mistake."""

import json
import re
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from intervene.lineage import Store
from pipelines import plan
from pipelines.planning.estimate import align, show_cost
from pipelines.planning.reckoning import reckon
from pipelines.planning.speed import Origin
from pipelines.stage import ROOT
from tests.pipelines.conftest import build_environment, run_micro
from tests.pipelines.planning import EIGHT, ask, ask_micro, find_basis, reckon_micro


@pytest.fixture
def built(undisturbed: Path) -> Path:
    """A store with a trained and scored sweep."""
    return undisturbed / "store"


def test_speeds_are_measured_by_the_runs_of_the_store(built: Path) -> None:
    runs = [run for run in Store(built).artefacts("run") if "tokens_per_s" in run.facts]
    assert len(runs) == 4  # the ladder, the control, two rates
    speeds = sorted(run.facts["tokens_per_s"] / run.facts["world_size"] for run in runs)
    for training in reckon_micro(built).trainings:
        assert training.speed is not None
        assert training.speed.origin is Origin.measured
        assert training.speed.count == 4
        assert training.speed.tokens_per_s == pytest.approx((speeds[1] + speeds[2]) / 2)
    assert reckon_micro(built, "model.layers=2").unknown == 4


def test_a_plan_is_one_table_with_each_arm_once(
    built: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    asked = [ask_micro(f"intervention.rate={rate}", store=built) for rate in (0.5, 0.25)]
    plan.plan(plan.list_arms(asked))
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("hardware here: ")
    rows = [re.split(r"\s{2,}", line) for line in lines if line.startswith("tiny ")]
    assert [(row[0], row[-1]) for row in rows] == [
        ("tiny ladder", "yes"),
        ("tiny control", "corpus, run, 4 of 4 readings"),
        ("tiny feminise-r0.5-document-s0", "corpus, run, 4 of 4 readings"),
        ("tiny feminise-r0.25-document-s0", "–"),
    ]
    assert [row[1] for row in rows] == ["0", "4", "4", "4"]
    assert [row[2] for row in rows] == ["2.05k", "3.07k", "3.07k", "3.07k"]  # 4 and 6 × 8 × 64
    assert sum("speed, measured" in line for line in lines) == 1


def test_json_says_what_the_table_does(built: Path, capsys: pytest.CaptureFixture[str]) -> None:
    asked = [ask_micro("intervention.rate=0.25", store=built)]
    plan.plan_json(plan.list_arms(asked))
    found: dict[str, Any] = json.loads(capsys.readouterr().out)
    cost = reckon_micro(built, rates=(0, 0.25))
    assert [arm["name"] for arm in found["arms"]] == [arm.training.name for arm in cost.arms]
    assert [arm["is_built"] for arm in found["arms"]] == [True, False]
    assert found["hours"]["left"] == cost.arms[1].training.device_hours
    assert found["bytes"]["left"] == cost.count_bytes(left=True)
    assert found["preparations"][0]["is_built"] is True
    assert found["speeds_unknown"] == 0


def test_too_little_room_is_said_in_a_line() -> None:
    trial = ask(*EIGHT, "model=pythia-70m")
    basis = find_basis(trial)
    cost, launcher = reckon([trial], basis), trial.experiment.launcher
    need = sum(cost.count_bytes(left=True).values())
    for free, said in ((need, 0), (need - 2**20, 1)):
        lines = show_cost(cost, basis, launcher, free)
        found = [line.split(";")[0] for line in lines if line.startswith("not enough")]
        assert found == ["not enough: 1 MiB are missing"] * said


def test_columns_are_as_wide_as_their_widest_cell() -> None:
    assert align([["a", "b"], ["ccc", "10"]], left=(0,)) == ["a     b", "ccc  10"]


def test_a_plan_asks_no_network_and_leaves_no_store(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def refuse(*_: object) -> None:
        raise AssertionError("a plan asks the network")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    store = tmp_path / "store"
    plan.plan(plan.list_arms([ask(*EIGHT, "model=pythia-70m-deduped", store=store)]))
    assert "GPU hours: 10.1 in all" in capsys.readouterr().out
    assert not store.exists()


def run_plan(home: Path, *overrides: str) -> subprocess.CompletedProcess[str]:
    return run_micro("plan", *overrides, home=home)


def test_a_sweep_is_planned_as_one(undisturbed: Path) -> None:
    cluster = ("hardware=h100", "launcher=slurm", "trainer.micro_batch=null")
    done = run_plan(undisturbed, "sweep=rates", *cluster)
    assert done.returncode == 1  # the toy is trained in fp32, whose peak is not known
    assert done.stdout.count("hardware h100: 8 × H100, 79.0 GiB each; launcher slurm: 64") == 1
    assert done.stdout.count("tiny control ") == 1
    assert len(done.stderr.splitlines()) == 1
    assert done.stderr.startswith("error: hardware.gpu=H100: its peak in fp32 is not known")


def test_the_example_of_the_docs_is_what_is_printed(tmp_path: Path) -> None:
    asked = ["sweep=pythia_paper", "launcher=slurm", "hardware=h100"]
    done = subprocess.run(
        [sys.executable, "-m", "pipelines.plan", *asked],
        cwd=ROOT, env=build_environment(tmp_path), capture_output=True, text=True,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")
    said = done.stdout[: done.stdout.index("free in")]
    text = (ROOT / "docs" / "plan.md").read_text()
    assert f"python -m pipelines.plan {' '.join(asked)}\n" in text
    assert f"```\n{said}" in text


def test_a_cpu_that_measured_nothing_has_dashes_and_no_error(tmp_path: Path) -> None:
    done = run_plan(tmp_path, "hardware=here", "--json")
    assert (done.returncode, done.stderr) == (0, "")
    found = json.loads(done.stdout)
    assert [arm["hours"] for arm in found["arms"]] == [None, None]
    assert found["speeds_unknown"] == 3
    assert not (tmp_path / "store").exists()


def test_an_arm_that_cannot_be_trained_prints_no_table(tmp_path: Path) -> None:
    done = run_plan(tmp_path, "hardware=h100")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("error: trainer.micro_batch=4: 1 rows per process")


@pytest.mark.parametrize(
    ("override", "line"),
    [
        ("hardware.table=/no/table.csv", "error: hardware.table=/no/table.csv: no such file"),
        ("hardware.gpus=0", "error: hardware=h100: no GPUs, and hardware.gpu=H100"),
        ("arm=none", "error: arm=none: a released model is not trained"),
    ],
)
def test_a_mistake_is_one_line(tmp_path: Path, override: str, line: str) -> None:
    done = run_plan(tmp_path, "hardware=h100", override)
    assert done.returncode == 1
    assert len(done.stderr.splitlines()) == 1, done.stderr
    assert done.stderr.startswith(line)


def test_arms_on_several_kinds_of_machines_are_no_plan(tmp_path: Path) -> None:
    done = run_plan(tmp_path, "-m", "hardware=h100,a100", "intervention.rate=0.5")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("error: hardware: ")
