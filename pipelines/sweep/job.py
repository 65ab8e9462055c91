"""What a SLURM job of a sweep runs: its task under srun, and then whatever that asks for."""

import os
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

from intervene.console import say
from pipelines.attempt import Attempt, State, find_job, note_attempt
from pipelines.sweep.queue import is_running, requeue
from pipelines.sweep.task import Task, read_task
from pipelines.sweep.verdict import describe_exit, judge
from pipelines.trial import Trial

END_SECONDS = 120.0
"""How long SLURM may take to end a job that is to begin again."""


def run_job(path: str) -> None:
    """Run a task's processes, one per GPU; begin again after a crash or a stop, to the limits.

    The batch script's process: SLURM warns the task's processes before the time limit, and not
    this one, which outlives them. A job that was cancelled, or that has met its time limit, is not
    begun again.

    Args:
        path: the task's file.

    Errors: SystemExit with the task's exit code, so that SLURM sees whether it went well.
    """
    task, job = read_task(Path(path)), find_job()
    slurm = task.trials[0].experiment.launcher.slurm
    assert slurm is not None
    cpus = slurm.find_resources(task.stage).cpus
    # The processes end one another, all with rank 0's exit code, which srun would change.
    srun = ["srun", "--kill-on-bad-exit=0", f"--cpus-per-task={cpus}", "--open-mode=append",
            f"--output={task.log}", f"--error={task.log}"]  # fmt: skip
    command = [*srun, sys.executable, "-m", "pipelines.sweep.worker", path]
    code = subprocess.call(command, env={"OMP_NUM_THREADS": str(cpus), **os.environ})
    how = f"srun ended with exit code {code}" if code < 128 else describe_exit(128 - code)
    judge(task, how)
    again = list_again(task)
    if again and job is not None and is_running(job):
        for trial, attempt in again:
            note_attempt(trial, task.stage, replace(attempt, state=State.waiting))
        say(f"{task.label}: begins again")
        requeue(job)
        time.sleep(END_SECONDS)
    sys.exit(code)


def list_again(task: Task) -> list[tuple[Trial, Attempt]]:
    """The arms of a task that may yet go well, with what became of them."""
    launcher = task.trials[0].experiment.launcher
    assert launcher.slurm is not None
    return [
        (trial, attempt)
        for trial, attempt in zip(task.trials, task.attempts, strict=True)
        if attempt.state in (State.crashed, State.stopped)
        and attempt.crashes <= launcher.retries
        and attempt.stops <= launcher.slurm.restarts
    ]
