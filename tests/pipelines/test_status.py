"""The status on the command line: a table, an object for programs, and an exit code."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from intervene.lineage import Recipe, Store
from pipelines.attempt import Attempt, State, note_attempt
from pipelines.trial import list_trials
from tests.pipelines.conftest import run_micro


def test_a_complete_sweep_ends_with_0_and_is_told_whole(undisturbed: Path) -> None:
    done = run_micro("status", "--json", home=undisturbed)
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert told["complete"]
    assert [arm["label"] for arm in told["arms"]] == [
        "tiny control", "tiny feminise-r0.5-document-s0", "tiny feminise-r1-document-s0"
    ]  # fmt: skip
    states = [stage["state"] for arm in told["arms"] for stage in arm["stages"].values()]
    assert states == ["done"] * 9
    files = [path for path in (undisturbed / "store").glob("*/[0-9a-f]*/**/*") if path.is_file()]
    assert told["bytes"] == sum(path.stat().st_size for path in files)


def test_an_arm_that_lost_its_run_is_missing_it_and_ends_with_3(
    undisturbed: Path, tmp_path: Path
) -> None:
    home = tmp_path / "home"
    shutil.copytree(undisturbed, home, symlinks=True)
    store = Store(home / "store")
    arm = list_trials(store, "intervene")[-1]
    [run] = arm.artefacts("run")
    shutil.rmtree(run.path)
    shutil.rmtree(home / "runs" / "intervene" / "arms")
    done = run_micro("status", home=home)
    assert done.returncode == 3
    assert "8 of 9 stages done, 1 waiting; 2 of 3 arms complete" in done.stdout
    assert f"missing: {arm.command('train')}" in done.stdout


def test_a_failure_is_shown_with_its_cause_and_its_log(undisturbed: Path, tmp_path: Path) -> None:
    home = tmp_path / "home"
    shutil.copytree(undisturbed, home, symlinks=True)
    store = Store(home / "store")
    arm = list_trials(store, "intervene")[-1]
    [run] = arm.artefacts("run")
    shutil.rmtree(run.path)
    paths = replace(arm.experiment.paths, runs=home / "runs")
    moved = replace(arm, experiment=replace(arm.experiment, paths=paths))
    note_attempt(moved, "train", Attempt(State.failed, "disk: full; empty it", log="train.log"))
    done = run_micro("status", "name=intervene", home=home)
    assert done.returncode == 3
    assert "train failed" in done.stdout
    assert "    train: disk: full; empty it; train.log" in done.stdout


def test_nothing_asked_for_is_not_complete(tmp_path: Path) -> None:
    done = run_micro("status", "name=nothing", home=tmp_path)
    assert done.returncode == 3
    assert "0 of 0 stages done" in done.stdout


def test_an_option_that_nobody_knows_is_one_line(tmp_path: Path) -> None:
    done = run_micro("status", "--jsn", home=tmp_path)
    assert done.returncode == 1
    [line] = done.stderr.splitlines()
    assert line.startswith("error: --jsn: no such option; use --json, --watch, --tree")


def test_options_may_stand_between_overrides(tmp_path: Path) -> None:
    done = run_micro("status", "--json", "name=nothing", home=tmp_path)
    assert done.returncode == 3
    assert json.loads(done.stdout)["arms"] == []


def test_a_draft_is_said_to_be_built_or_to_have_been_interrupted(tmp_path: Path) -> None:
    store, recipe = Store(tmp_path / "store"), Recipe("run", 1, {})

    def build(draft: Path) -> dict[str, str]:
        (draft / "half").touch()
        done = run_micro("status", home=tmp_path)
        assert f"run/{recipe.key} is being built" in done.stdout
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        store.obtain(recipe, build, resumable=True)
    done = run_micro("status", home=tmp_path)
    assert f"run/{recipe.key} was interrupted" in done.stdout
