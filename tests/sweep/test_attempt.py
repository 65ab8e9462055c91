"""What became of a stage is on disk, whoever asks and however it ended."""

import os
import socket
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from intervene.errors import InterveneError, LostError
from pipelines.attempt import Attempt, State, attempting, note_attempt, read_attempt
from pipelines.trial import Trial
from tests.sweep.arms import compose_trial


@pytest.fixture
def trial(tmp_path: Path) -> Trial:
    return compose_trial(home=tmp_path)


def read(trial: Trial) -> Attempt:
    found = read_attempt(trial, "train")
    assert found is not None
    return found


def raise_running(trial: Trial, problem: BaseException) -> None:
    with attempting([trial], "train"):
        assert read(trial).state is State.running
        raise problem


@pytest.mark.parametrize(
    ("problem", "state", "cause"),
    [
        (InterveneError("wrong", "here", "mend it"), State.failed, "here: wrong; mend it"),
        (LostError("lost", "n1", "again"), State.crashed, "crashed: n1: lost; again"),
        (RuntimeError("CUDA error\nat x"), State.crashed, "crashed: RuntimeError: CUDA error"),
        (SystemExit(3), State.crashed, "crashed: SystemExit: 3"),
        (KeyboardInterrupt(), State.stopped, "told to stop"),
    ],
)
def test_how_it_ended_is_noted_with_its_cause(
    trial: Trial, problem: BaseException, state: State, cause: str
) -> None:
    with pytest.raises(type(problem)):
        raise_running(trial, problem)
    assert (read(trial).state, read(trial).cause) == (state, cause)


def test_what_went_well_is_done(trial: Trial) -> None:
    with attempting([trial], "train"):
        pass
    assert (read(trial).state, read(trial).cause) == (State.done, None)


def test_tries_add_up_while_somebody_has_it_tried_again(trial: Trial) -> None:
    for tries in (1, 2):
        with pytest.raises(RuntimeError), attempting([trial], "train"):
            raise RuntimeError
        assert read(trial).crashes == tries
        note_attempt(trial, "train", replace(read(trial), state=State.waiting))


def test_a_command_of_its_own_begins_to_count_anew(trial: Trial) -> None:
    note_attempt(trial, "train", Attempt(State.crashed, crashes=3, log="old"))
    with attempting([trial], "train"):
        assert (read(trial).crashes, read(trial).log) == (0, None)


def test_the_same_job_that_begins_again_goes_on_counting(
    trial: Trial, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SLURM_JOB_ID", "12")
    note_attempt(trial, "train", Attempt(State.running, crashes=2, job="12", log="x"))
    with attempting([trial], "train"):  # its node was lost: nobody had noted that it waits
        assert (read(trial).crashes, read(trial).job, read(trial).log) == (2, "12", "x")


def test_a_process_that_is_gone_is_known_to_be(trial: Trial) -> None:
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    here = socket.gethostname()
    assert Attempt(State.running, host=here, pid=os.getpid()).is_alive
    assert not Attempt(State.running, host=here, pid=gone.pid).is_alive
    assert Attempt(State.running, host="elsewhere", pid=gone.pid).is_alive


def test_a_torn_note_counts_as_none(trial: Trial) -> None:
    note_attempt(trial, "train", Attempt(State.done))
    path = trial.folder / "train.json"
    path.write_text(path.read_text()[:10])
    assert read_attempt(trial, "train") is None
