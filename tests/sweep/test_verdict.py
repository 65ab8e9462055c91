"""What is made of a task whose process has ended."""

import signal
from pathlib import Path

import pytest

from pipelines.attempt import Attempt, State, note_attempt
from pipelines.sweep.task import Task
from pipelines.sweep.verdict import describe_exit, judge, list_failures
from tests.sweep.arms import compose_trial


@pytest.fixture
def task(tmp_path: Path) -> Task:
    rates = ("0", "0.25", "0.5", "1")
    arms = [compose_trial(f"intervention.rate={rate}", home=tmp_path) for rate in rates]
    return Task("rewrite", tuple(arms))


def test_arms_of_one_cause_are_told_of_together(task: Task) -> None:
    full, lost = Attempt(State.failed, "disk: full"), Attempt(State.crashed, "crashed: lost")
    for trial, attempt in zip(task.trials, (full, lost, full, Attempt(State.done)), strict=True):
        note_attempt(trial, "rewrite", attempt)
    parts = [(part.trials, attempt.cause) for part, attempt in list_failures(task)]
    first, second, third, _ = task.trials
    assert parts == [((first, third), "disk: full"), ((second,), "crashed: lost")]


def test_only_arms_without_a_word_are_judged_by_the_exit_code(task: Task) -> None:
    states = (State.done, State.failed, State.running, State.waiting)
    for trial, state in zip(task.trials, states, strict=True):
        note_attempt(trial, "rewrite", Attempt(state, "said so"))
    judge(task, describe_exit(-signal.SIGKILL))
    after = [(attempt.state, attempt.crashes) for attempt in task.attempts]
    assert after == [(State.done, 0), (State.failed, 0), (State.crashed, 1), (State.crashed, 1)]
    assert task.attempts[1].cause == "said so"
    assert "SIGKILL" in str(task.attempts[2].cause)


@pytest.mark.parametrize(
    ("code", "words"), [(-9, "SIGKILL"), (-15, "SIGTERM"), (3, "exit code 3"), (-99, "code -99")]
)
def test_how_a_process_ended_is_in_words(code: int, words: str) -> None:
    assert words in describe_exit(code)
