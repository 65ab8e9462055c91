"""What is made of a task whose process has ended."""

import signal
from dataclasses import replace

from pipelines.attempt import State, note_attempt
from pipelines.sweep.task import Task


def judge(task: Task, how: str) -> None:
    """Note a crash of the arms for which the task's process has not said how it went."""
    for trial, attempt in zip(task.trials, task.attempts, strict=True):
        if attempt.state in (State.waiting, State.running):
            crashed = replace(
                attempt, state=State.crashed, cause=f"crashed: {how}", crashes=attempt.crashes + 1
            )
            note_attempt(trial, task.stage, crashed)


def describe_exit(code: int) -> str:
    """How a process ended that did not say why."""
    if -code not in {number.value for number in signal.Signals}:
        return f"its process ended with exit code {code} and said nothing of it"
    name = signal.Signals(-code).name
    hint = ", as when memory runs out" if name == "SIGKILL" else ""
    return f"its process was ended by {name}{hint}"
