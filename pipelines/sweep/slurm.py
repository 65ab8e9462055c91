"""A sweep on a SLURM cluster: what has no job is submitted, and all jobs are watched to their end.

The jobs need this process no more: when it dies, the same command watches them again.
"""

import contextlib
import fcntl
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from intervene.console import confirm, say
from intervene.errors import InterveneError
from pipelines.attempt import Attempt, State
from pipelines.sweep.account import Account
from pipelines.sweep.interrupt import Interrupt
from pipelines.sweep.queue import cancel, describe_end, read_queue
from pipelines.sweep.submission import Jobs, demand_slurm, submit_report, submit_tasks
from pipelines.sweep.task import Task, list_needs
from pipelines.sweep.verdict import list_failures
from pipelines.trial import Trial

SETTLE_SECONDS = 15.0
"""How long after a job has left the queue its last word may take, on a network file system."""


def run_on_slurm(tasks: Sequence[Task], account: Account, *, reports: Sequence[Trial]) -> None:
    """Submit what has no job, and watch until all have ended.

    Args:
        tasks: what is to be done.
        account: is told of every change.
        reports: an arm of each name whose arms are compared by a job at last.

    Errors: KeyboardInterrupt when a person stops watching, or cancels the jobs.
    """
    with Interrupt() as interrupt:
        with _alone(tasks[0].trials[0]):
            watched, rest = adopt_jobs(tasks, read_queue())
            if watched:
                say(f"{len(watched)} tasks have jobs already, which are watched")
            jobs = submit_tasks(rest, watched)
            if rest:
                new = [jobs[task] for task in rest]
                say(f"submitted {len(rest)} tasks as jobs {show_jobs(new)}")
                for trial in reports:
                    say(f"compared at last by job {submit_report(trial, jobs)}")
        Watch(jobs, account).run(interrupt)


@contextlib.contextmanager
def _alone(trial: Trial) -> Iterator[None]:
    """Let one process at a time submit: the next one finds its jobs."""
    folder = trial.experiment.paths.runs / trial.experiment.name / "slurm"
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def adopt_jobs(tasks: Sequence[Task], queue: dict[str, str]) -> tuple[Jobs, list[Task]]:
    """Tasks that a job of the queue does already, and the others; a task may be split in two."""
    adopted, rest = Jobs(), list[Task]()
    for task in tasks:
        by_job: dict[str | None, list[Trial]] = {}
        for trial, attempt in zip(task.trials, task.attempts, strict=True):
            over = attempt.state in (State.done, State.failed) or attempt.job not in queue
            by_job.setdefault(None if over else attempt.job, []).append(trial)
        for job, trials in by_job.items():
            part = Task(task.stage, tuple(trials))
            if job is None:
                rest.append(part)
            else:
                adopted[part] = job
    return adopted, rest


def show_jobs(jobs: Sequence[str]) -> str:
    """`12[0-3], 13`: arrays by their places."""
    places: dict[str, list[int]] = {}
    for job in jobs:
        array, _, place = job.partition("_")
        places.setdefault(array, []).extend([int(place)] if place else [])
    return ", ".join(
        f"{array}[{min(found)}-{max(found)}]" if found else array for array, found in places.items()
    )


@dataclass
class Seen:
    """What was told of a task.

    Args:
        running: whether it was said to run.
        tries: how many of its arms' tries had failed.
        gone: seconds of the clock when its job was first not in the queue, or None.
    """

    running: bool = False
    tries: int = 0
    gone: float | None = None


class Watch:
    """Looks at jobs until all have ended.

    Args:
        jobs: of each task.
        account: is told of every change.
    """

    def __init__(self, jobs: Jobs, account: Account) -> None:
        self._jobs, self._account = dict(jobs), account
        self._open = {task: Seen() for task in jobs}
        self._poll = min((demand_slurm(t.trials[0]).poll_seconds for t in jobs), default=0.0)
        self._silent = False

    def run(self, interrupt: Interrupt) -> None:
        """Look, tell, wait.

        Args:
            interrupt: entered, and perhaps counted before.

        Errors: KeyboardInterrupt when a person stops it; the jobs go on, unless they are cancelled.
        """
        while self._open:
            if interrupt.count:
                self._leave()
                raise KeyboardInterrupt
            self._look()
            self._account.tell_time()
            if self._open:
                interrupt.wait(self._poll)

    def _look(self) -> None:
        """Tell what has changed since the last look."""
        try:
            queue = read_queue()
        except InterveneError as problem:  # the jobs go on whether the controller answers or not
            if not self._silent:
                say(f"{problem}; asking again")
            self._silent = True
            return
        self._silent = False
        for task, seen in list(self._open.items()):
            attempts = task.attempts
            self._tell_tries(task, seen, attempts, alive=self._jobs[task] in queue)
            if all(attempt.state is State.done for attempt in attempts):
                self._account.end(task)
                del self._open[task]
            elif self._jobs[task] in queue:
                seen.gone = None
            elif self._is_settled(seen, attempts):
                self._close(task)
                del self._open[task]

    def _tell_tries(
        self, task: Task, seen: Seen, attempts: Sequence[Attempt], *, alive: bool
    ) -> None:
        """Tell when a task begins, and of each crash and stop after which it begins again."""
        tries = sum(attempt.crashes + attempt.stops for attempt in attempts)
        if tries > seen.tries and alive:
            last = max(attempts, key=lambda attempt: attempt.crashes + attempt.stops)
            self._account.fail(task, task, last, again=True)
            seen.running = False
        seen.tries = max(tries, seen.tries)
        if not seen.running and any(attempt.state is State.running for attempt in attempts):
            self._account.begin(task)
            seen.running = True

    def _is_settled(self, seen: Seen, attempts: Sequence[Attempt]) -> bool:
        """Whether a job that has left the queue has nothing more to say."""
        now = time.monotonic()
        seen.gone = seen.gone or now
        silent = any(attempt.state in (State.waiting, State.running) for attempt in attempts)
        return not silent or now - seen.gone > SETTLE_SECONDS

    def _close(self, task: Task) -> None:
        """Tell why a task whose job has ended is not done."""
        lacking = [need.stage for need in list_needs(task, list(self._jobs))
                   if any(a.state is not State.done for a in need.attempts)]  # fmt: skip
        job = self._jobs[task]
        for part, attempt in list_failures(task):
            ended = attempt
            if attempt.state is State.waiting and lacking:
                ended = replace(attempt, state=State.failed, cause=f"its {lacking[0]} is not done")
            elif attempt.state in (State.waiting, State.running):
                cause = f"crashed: job {job}: {describe_end(job)}"
                ended = replace(attempt, state=State.crashed, cause=cause)
            if ended != attempt:
                part.note(ended)
            self._account.fail(task, part, ended, again=False)

    def _leave(self) -> None:
        """Ask once whether the jobs are to be cancelled."""
        jobs = [self._jobs[task] for task in self._open]
        if confirm(f"cancel {len(jobs)} jobs?", unasked=False):
            cancel(jobs)
            say(f"cancelled {show_jobs(jobs)}")
        else:
            say(
                f"jobs {show_jobs(jobs)} go on; the same command watches them again, "
                f"`scancel {' '.join(dict.fromkeys(job.partition('_')[0] for job in jobs))}` "
                "cancels them"
            )
