"""One task in a process of its own: `python -m pipelines.sweep.worker FILE.task`."""

import signal
import sys
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path

from intervene.console import say
from intervene.errors import InterveneError, LostError
from intervene.training.ranks.place import take_place
from pipelines.evaluate import evaluate_arm
from pipelines.prepare import prepare_for
from pipelines.rewrite import rewrite
from pipelines.sweep.task import EVALUATE, PREPARE, REWRITE, TRAIN, Task, read_task
from pipelines.train import train

CRASHED, MISTAKEN, STOPPED = 1, 2, 130
"""Exit codes besides 0: what may go well when it is started again, what will not, and a stop."""


def run_task(task: Task) -> int:
    """Do a task, arm by arm, each whatever became of the others; the exit code."""
    code = 0
    for work in _list_work(task):
        try:
            work()
        except LostError as problem:
            say(f"error: {problem}")
            code = CRASHED
        except InterveneError as problem:
            say(f"error: {problem}")
            code = code or MISTAKEN
        except KeyboardInterrupt:
            say("told to stop; the same command goes on from here")
            return STOPPED
        except (Exception, SystemExit):  # a library may exit; the other arms go on
            traceback.print_exc()
            code = CRASHED
    return code


def _list_work(task: Task) -> Iterator[Callable[[], None]]:
    if task.stage == PREPARE:
        yield lambda: prepare_for(task.trials)
        return
    run = {REWRITE: rewrite, TRAIN: train, EVALUATE: evaluate_arm}[task.stage]
    for trial in task.trials:
        yield lambda trial=trial: run(trial)


def main() -> None:
    """Be a task's process, or one of several that SLURM started for it."""
    for number in (signal.SIGTERM, signal.SIGUSR2):
        signal.signal(number, signal.default_int_handler)
    task = read_task(Path(sys.argv[1]))
    place = take_place()
    if place is None:
        sys.exit(run_task(task))
    from intervene.training.ranks.attendance import attend

    attend(place, lambda: sys.exit(run_task(task)))


if __name__ == "__main__":
    main()
