"""A sweep on this machine: as many tasks at once as fit, each in a process of its own."""

import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace

from intervene.child import start_child
from intervene.console import confirm, say
from intervene.launcher import Local
from intervene.memory import SHARE
from intervene.training.memory.footprint import show_bytes
from pipelines.attempt import Attempt, State
from pipelines.sweep.account import Account
from pipelines.sweep.interrupt import Interrupt
from pipelines.sweep.room import Machine, Need, measure_machine, reckon_need
from pipelines.sweep.task import PREPARE, Task, list_needs, write_task
from pipelines.sweep.verdict import describe_exit, judge, list_failures
from pipelines.trial import Trial

POLL_SECONDS = 0.1


@dataclass(frozen=True)
class Running:
    """A task's process.

    Args:
        task: what it does.
        need: what it takes.
        gpus: which ones.
        process: the worker.
    """

    task: Task
    need: Need
    gpus: tuple[str, ...]
    process: subprocess.Popen[bytes]


class Pool:
    """The processes of a sweep.

    Args:
        tasks: what is to be done, each after what it needs.
        every: these, and those that are done already: what may run at once depends on all, so that
            a sweep that goes on trains with as many threads as before.
        local: what may be taken of this machine.
        retries: how often a task that crashes is started again.
        account: is told of every change.
    """

    def __init__(
        self,
        tasks: Sequence[Task],
        every: Sequence[Task],
        local: Local,
        retries: int,
        account: Account,
    ) -> None:
        self._tasks, self._retries, self._account = list(tasks), retries, account
        self._waiting, self._running = list(tasks), list[Running]()
        self._machine = measure_machine(local)
        self._slots = count_slots(every, self._machine)
        self._prepared = sum(task.stage == PREPARE for task in every)
        self._changed = True

    def run(self) -> None:
        """Run all tasks to their end.

        Errors: KeyboardInterrupt when a person stops it; what runs has saved then.
        """
        machine = self._machine
        gpus = f" and {len(machine.gpus)} GPUs" if machine.gpus else ""
        say(
            f"{len(self._tasks)} tasks, {self._slots} at once on {machine.cores} cores{gpus}, "
            f"{show_bytes(machine.memory)} of memory"
        )
        for task in self._tasks:
            task.note(Attempt(State.waiting, log=str(task.log)))
        with Interrupt() as interrupt:
            try:
                while self._waiting or self._running:
                    self._start_what_fits()
                    self._collect()
                    self._account.tell_time()
                    interrupt.wait(POLL_SECONDS)
                    if interrupt.count:
                        self._ask(interrupt)
            finally:
                for running in self._running:
                    running.process.kill()
                    running.process.wait()

    def _start_what_fits(self) -> None:
        """Start what waits for nothing and fits; only what ends makes room."""
        if not self._changed:
            return
        self._changed = False
        for task in list(self._waiting):
            needed = list_needs(task, self._tasks)
            if any(other in self._waiting or self._is_running(other) for other in needed):
                continue
            lacking = [other.stage for other in needed if not is_behind(other, task)]
            if lacking:
                self._waiting.remove(task)
                self._changed = True  # others may need this one in turn
                task.note(Attempt(State.failed, f"its {lacking[0]} is not done"))
                self._account.skip(task, lacking[0])
            elif self._fits(reckon_need(task, self._machine)):
                self._waiting.remove(task)
                self._running.append(self._start(task))

    def _is_running(self, task: Task) -> bool:
        return any(running.task is task for running in self._running)

    def _fits(self, need: Need) -> bool:
        """Whether there is room for one more; what fits nowhere runs alone."""
        held = sum(running.need.memory for running in self._running)
        return not self._running or (
            len(self._running) < self._slots
            and held + need.memory <= self._machine.memory
            and len(self._list_free()) >= need.gpus
        )

    def _list_free(self) -> list[str]:
        held = {gpu for running in self._running for gpu in running.gpus}
        return [gpu for gpu in self._machine.gpus if gpu not in held]

    def _start(self, task: Task) -> Running:
        """Start a task with its share of cores, memory and GPUs."""
        machine, need = self._machine, reckon_need(task, self._machine)
        gpus = tuple(self._list_free()[: need.gpus])
        beside = min(self._slots, self._prepared) if task.stage == PREPARE else self._slots
        ranks = max(need.gpus, task.trials[0].experiment.trainer.processes or 1)
        settings: dict[str, object] = {SHARE: machine.memory // beside}
        if "OMP_NUM_THREADS" not in os.environ:
            settings["OMP_NUM_THREADS"] = max(1, machine.cores // beside // ranks)
        if machine.gpus:
            settings["CUDA_VISIBLE_DEVICES"] = ",".join(gpus)
        command = [sys.executable, "-m", "pipelines.sweep.worker", str(write_task(task))]
        with task.log.open("ab") as log:
            process = start_child(command, settings, stdout=log, stderr=log)
        self._account.begin(task)
        return Running(task, need, gpus, process)

    def _collect(self) -> None:
        """Judge the tasks whose process has ended, and put back what is to be tried again."""
        for running in list(self._running):
            code = running.process.poll()
            if code is None:
                continue
            self._running.remove(running)
            self._changed = True
            task = running.task
            judge(task, describe_exit(code))
            left = list[Trial]()
            for part, attempt in list_failures(task):
                tries = attempt.crashes + attempt.stops
                again = attempt.state is not State.failed and tries <= self._retries
                self._account.fail(task, part, attempt, again=again)
                if again:
                    part.note(replace(attempt, state=State.waiting))
                    left += part.trials
            if left:
                self._put_back(task, left)
            elif is_behind(task, task):
                self._account.end(task)

    def _put_back(self, task: Task, left: Sequence[Trial]) -> None:
        """Have the arms of a task wait that are to be tried again; the others are behind it."""
        digests = {trial.digest for trial in left}
        others = tuple(trial for trial in task.trials if trial.digest not in digests)
        again = Task(task.stage, tuple(left))
        self._tasks.remove(task)
        self._tasks += [again, *([Task(task.stage, others)] if others else [])]
        self._waiting.insert(0, again)

    def _ask(self, interrupt: Interrupt) -> None:
        """Ask once whether to stop; then have what runs save, and wait for it.

        Errors: KeyboardInterrupt if it is to stop.
        """
        count = len(self._running)
        if not confirm(f"stop {count} running tasks, which save first?", unasked=True):
            interrupt.count = 0
            return
        say("saving, then stopping; Ctrl-C once more stops without saving")
        asked = interrupt.count
        for running in self._running:
            running.process.send_signal(signal.SIGTERM)
        while any(running.process.poll() is None for running in self._running):
            interrupt.wait(POLL_SECONDS)
            if interrupt.count > asked:
                break
        raise KeyboardInterrupt


def count_slots(every: Sequence[Task], machine: Machine) -> int:
    """How many tasks of a sweep run at once: no more than it has arms, or than fit."""
    arms = frozenset().union(*(task.digests for task in every))
    largest = max((reckon_need(task, machine).memory for task in every), default=1)
    return max(1, min(machine.workers, len(arms), machine.memory // largest))


def is_behind(needed: Task, task: Task) -> bool:
    """Whether a task is done for the arms of one that needs it."""
    return all(
        attempt.state is State.done
        for trial, attempt in zip(needed.trials, needed.attempts, strict=True)
        if trial.digest in task.digests
    )
