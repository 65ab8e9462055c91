"""Entry points: one line for a mistake, and nothing half-written."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


def run_stage(stage: str, *overrides: str, store: Path) -> subprocess.CompletedProcess[str]:
    environment = os.environ | {
        "INTERVENE_STORE": str(store / "store"),
        "INTERVENE_RUNS": str(store / "runs"),
    }
    command = [sys.executable, "-m", f"pipelines.{stage}", *overrides]
    return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)


@pytest.mark.parametrize(
    ("override", "key"),
    [
        ("model=pythia-71m", "pythia-70m"),
        ("intervention.rate=2", "intervention.rate"),
        ("intervention.rate=many", "intervention.rate"),
        ("intervention.direction=up", "intervention.direction"),
        ("intervention.rats=1", "intervention.rats"),
        ("data=local", "data.path"),
        ("data.stretch.start=400", "data.stretch"),
        ("trainer.precision=fp17", "trainer.precision"),
        ("trainer.micro_batch=0", "trainer.micro_batch"),
        ("data.order.seed=4", "data.order.seed"),
        ("two words", "two words"),
    ],
)
def test_mistake_is_one_line_that_names_the_key(tmp_path: Path, override: str, key: str) -> None:
    done = run_stage("status", override, store=tmp_path)
    assert done.returncode != 0
    lines = done.stderr.strip().splitlines()
    assert len(lines) == 1, done.stderr
    assert lines[0].startswith("error: ")
    assert key in lines[0]
    assert not (tmp_path / "store").exists()


def test_help_shows_the_composed_config(tmp_path: Path) -> None:
    done = run_stage("train", "--help", store=tmp_path)
    assert done.returncode == 0
    assert "pythia-410m-deduped" in done.stdout
    assert "micro_batch:" in done.stdout


@pytest.mark.parametrize(
    ("stage", "builder"),
    [("train", "pipelines.rewrite"), ("evaluate", "pipelines.rewrite")],
)
def test_stage_without_its_input_names_the_command_that_builds_it(
    tmp_path: Path, shared: Path, neox_tokenizer: Path, stage: str, builder: str
) -> None:
    rows = [
        "data=local",
        f"data.path={shared / 'mini_pile' / 'preshuffled'}",
        f"data.tokenizer={neox_tokenizer}",
        "data.rows_per_step=32",
        "data.stretch.start=90",
        "data.stretch.stop=96",
    ]
    items = f"evaluation.data={shared}"
    done = run_stage(
        stage, *rows, items, "model=pythia-14m", "model.checkpoint=random", store=tmp_path
    )
    assert done.returncode == 1
    assert f"run `python -m {builder} data=local" in done.stderr.splitlines()[-1]
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("override", "key"),
    [
        ("model.checkpoint=/nowhere", "model.checkpoint"),
        ("trainer.micro_batch=3", "trainer.micro_batch"),
        ("evaluation.data=/nowhere", "evaluation.data"),
        ("evaluation.tasks=[blimp]", "evaluation.tasks"),
        ("corpus.shard=0/2", "corpus.shard"),
    ],
)
def test_what_a_later_stage_would_refuse_is_refused_before_any_arm(
    tmp_path: Path, override: str, key: str
) -> None:
    small = ["data.rows_per_step=2", "data.stretch.start=1", "data.stretch.stop=2"]
    done = run_stage("intervene", *small, "trainer.micro_batch=2", override, store=tmp_path)
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1].startswith(f"error: {key}")
    assert "Traceback" not in done.stderr
    assert not list((tmp_path / "store").glob("scan/*"))
    assert "missing" not in run_stage("status", store=tmp_path).stdout


def test_compare_of_an_unknown_name_lists_the_known_ones(tmp_path: Path) -> None:
    done = run_stage("compare", "name=nothing", store=tmp_path)
    assert done.returncode == 1
    assert "names: none" in done.stderr
