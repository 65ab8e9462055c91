"""What is made of a task whose process has ended."""

import signal
from dataclasses import replace

from pipelines.attempt import Attempt, State, note_attempt
from pipelines.sweep.task import Task
from pipelines.trial import Trial


def judge(task: Task, how: str) -> None:
    """Note a crash of the arms for which the task's process has not said how it went."""
    for trial, attempt in zip(task.trials, task.attempts, strict=True):
        if attempt.state in (State.waiting, State.running):
            crashed = replace(
                attempt, state=State.crashed, cause=f"crashed: {how}", crashes=attempt.crashes + 1
            )
            note_attempt(trial, task.stage, crashed)


def list_failures(task: Task) -> list[tuple[Task, Attempt]]:
    """The parts of a task that are not done, each with what became of it: arms of one cause."""
    parts: dict[tuple[object, ...], list[tuple[Trial, Attempt]]] = {}
    for trial, attempt in zip(task.trials, task.attempts, strict=True):
        if attempt.state is not State.done:
            alike = attempt.state, attempt.cause, attempt.crashes, attempt.stops
            parts.setdefault(alike, []).append((trial, attempt))
    return [
        (Task(task.stage, tuple(trial for trial, _ in part)), part[0][1]) for part in parts.values()
    ]


def describe_exit(code: int) -> str:
    """How a process ended that did not say why."""
    if -code not in {number.value for number in signal.Signals}:
        return f"its process ended with exit code {code} and said nothing of it"
    name = signal.Signals(-code).name
    hint = ", as when memory runs out" if name == "SIGKILL" else ""
    return f"its process was ended by {name}{hint}"
