"""What a person is told while a sweep goes on, and what of it is not done in the end."""

import time
from collections.abc import Sequence
from pathlib import Path

from intervene.console import LOG_SECONDS, say, show_duration
from intervene.errors import InterveneError
from pipelines.attempt import Attempt
from pipelines.sweep.task import Task


class Account:
    """Tells of tasks as they begin and end, and of all of them every 30 s.

    Args:
        tasks: what is to be done.
        built: how many tasks were done before.
    """

    def __init__(self, tasks: Sequence[Task], built: int) -> None:
        self._all, self._built = len(tasks), built
        self._done, self._running = 0, dict[Path, tuple[str, float]]()
        self._failed: list[str] = []
        self._began = self._told = time.monotonic()

    def begin(self, task: Task) -> None:
        """Tell that a task runs."""
        self._running[task.log] = task.label, time.monotonic()
        say(f"{task.label}: begun")

    def end(self, task: Task) -> None:
        """Tell that a task is done."""
        seconds = self._forget(task)
        self._done += 1
        say(f"{task.label}: done in {show_duration(seconds)}  {self._count()}")

    def fail(self, task: Task, part: Task, attempt: Attempt, *, again: bool) -> None:
        """Tell at once why a part of a task is not done, where it says more, and what follows."""
        self._forget(task)
        label = task.label if part.digests == task.digests else f"{task.stage} {part.arms}"
        then = f"started again, try {attempt.crashes + attempt.stops + 1}" if again else "given up"
        say(f"{label}: {attempt.cause}; {then}; {attempt.log or task.log}")
        if not again:
            self._failed.append(label)

    def skip(self, task: Task, stage: str) -> None:
        """Tell that a task cannot be done, as another was not."""
        self._failed.append(task.label)
        say(f"{task.label}: left out, as its {stage} is not done")

    def tell_time(self) -> None:
        """Every 30 s: how much is done, what runs, and when the rest may be."""
        now = time.monotonic()
        if now - self._told < LOG_SECONDS:
            return
        self._told = now
        running = ", ".join(label for label, _ in self._running.values())
        say(f"{self._count()}  running: {running or 'nothing'}")

    def close(self) -> None:
        """Say what is not done.

        Errors: InterveneError if anything is not.
        """
        if self._failed:
            raise InterveneError(
                f"{len(self._failed)} of {self._all + self._built} tasks are not done: "
                f"{', '.join(self._failed[:4])}{', …' if len(self._failed) > 4 else ''}",
                "the lines above",
                "mend what they name, and the same command goes on with what is left; "
                "`pipelines.compare` reports on what is there",
            )

    def _forget(self, task: Task) -> float:
        now = time.monotonic()
        return now - self._running.pop(task.log, (task.label, now))[1]

    def _count(self) -> str:
        """`12/40 tasks  30.0%  2 failed  eta 5m10s`."""
        done, of = self._built + self._done, self._built + self._all
        parts = [f"{done:,}/{of:,} tasks", f"{100 * done / max(of, 1):.1f}%"]
        if self._failed:
            parts.append(f"{len(self._failed)} failed")
        if self._done and done < of:
            pace = (time.monotonic() - self._began) / self._done
            parts.append(f"eta {show_duration(pace * (of - done - len(self._failed)))}")
        return "  ".join(parts)
