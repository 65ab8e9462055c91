"""What status says of a stage, whatever became of its process."""

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from intervene.lineage import Artefact, Recipe
from intervene.training.watching.log import COLUMNS
from pipelines.attempt import Attempt, State, note_attempt, read_attempt
from pipelines.sweep.board import draw_board, look, settle, show_cell
from pipelines.trial import Trial
from tests.sweep.arms import compose_trial


@pytest.fixture
def trial(tmp_path: Path) -> Trial:
    trial = compose_trial("intervention.rate=1", home=tmp_path)
    trial.note()
    return trial


def build(trial: Trial, kind: str) -> Artefact:
    recipe = Recipe(kind, 1, {"arm": trial.digest})
    facts = {"applied": 3, "eligible": 4}
    artefact = trial.store.obtain(recipe, lambda draft: (draft / "x").write_text("12345") and facts)
    trial.note(artefact)
    return artefact


def run_here(trial: Trial) -> Attempt:
    note_attempt(trial, "train", Attempt(State.running, host=os.uname().nodename, pid=os.getpid()))
    attempt = read_attempt(trial, "train")
    assert attempt is not None
    return attempt


def test_an_arm_that_nobody_tried_waits(trial: Trial) -> None:
    [row] = draw_board([trial], None)
    assert [cell.state for cell in row.cells.values()] == [State.waiting] * 3
    assert (row.is_complete, row.lacking) == (False, "rewrite")


def test_what_is_built_is_done_whatever_was_noted_before(trial: Trial) -> None:
    note_attempt(trial, "rewrite", Attempt(State.failed, "no room"))
    build(trial, "corpus")
    cell = look(trial, "rewrite", None)
    assert (cell.state, cell.note) == (State.done, "3 of 4 swaps")
    assert cell.bytes > 5


def test_readings_that_lack_a_checkpoint_are_not_done(trial: Trial) -> None:
    first = build(trial, "readings")
    trial.note(first, Recipe("readings", 1, {"another": "checkpoint"}))
    assert look(trial, "evaluate", None).state is State.waiting


def test_a_training_shows_its_pace_and_when_it_ends(trial: Trial) -> None:
    recipe = Recipe("run", 1, {"arm": trial.digest})
    trial.note(recipe)
    run_here(trial)
    draft = trial.store.root / "run" / f".{recipe.key}.draft"
    draft.mkdir(parents=True)
    rows = [(step, 2.5, 1e-3, 1.0, 800, 0.5, 0) for step in (340, 341, 342)]
    lines = [",".join(map(str, row)) + "\n" for row in (COLUMNS["log.csv"], *rows)]
    (draft / "log.csv").write_text("".join(lines) + "343,2.")  # torn by what writes it
    cell = look(trial, "train", None)
    assert (cell.state, cell.step, cell.stop) == (State.running, 343, 400)
    assert (cell.tokens_per_s, cell.left) == (800, 57 * 0.5)
    assert show_cell("train", cell).startswith("train step 343/400  800 tok/s  eta 28s")


def test_a_training_that_waits_for_its_checkpoint_says_what_became_of_that(trial: Trial) -> None:
    note_attempt(trial, "prepare", Attempt(State.failed, "hub: no answer", log="prepare.log"))
    cell = look(trial, "train", None)
    assert cell.state is State.failed
    assert cell.cause == "preparing its checkpoint: hub: no answer"
    assert cell.log == "prepare.log"


def test_a_process_that_is_gone_without_a_word_has_crashed(trial: Trial) -> None:
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    running = run_here(trial)
    assert settle(running, None) == running
    assert settle(replace(running, pid=gone.pid), None).state is State.crashed


@pytest.mark.parametrize("state", [State.waiting, State.running])
def test_a_job_that_is_gone_without_a_word_has_crashed(state: State) -> None:
    attempt = Attempt(state, job="12_3")
    assert settle(attempt, {"12_3": "PENDING"}) == attempt
    assert settle(attempt, None) == attempt  # SLURM does not answer: nothing is known
    gone = settle(attempt, {"12_2": "RUNNING"})
    assert gone.state is State.crashed
    assert "12_3" in str(gone.cause)


def test_what_was_told_to_stop_stays_so(trial: Trial) -> None:
    stopped = Attempt(State.stopped, "told to stop", job="12")
    assert settle(stopped, {}) == stopped
