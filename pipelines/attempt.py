"""What became of a stage of an arm, noted beside its log, for whoever asks from outside."""

import contextlib
import dataclasses
import datetime
import json
import os
import socket
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import wraps
from pathlib import Path

from intervene.errors import InterveneError, LostError
from pipelines.trial import Trial


class State(StrEnum):
    """How far a stage of an arm is.

    `waiting`: asked for, and not begun. `failed`: by a mistake, which would be the same again.
    `crashed`: by anything else. `stopped`: told to stop; what it had is saved.
    """

    waiting = "waiting"
    running = "running"
    done = "done"
    failed = "failed"
    crashed = "crashed"
    stopped = "stopped"


@dataclass(frozen=True)
class Attempt:
    """The last try at a stage of an arm.

    Args:
        state: how far it is.
        cause: why it is not done, in one line; while it is tried again, why it was not before.
        host, pid: the process that does it, or did.
        job: its SLURM job, as `squeue` names it, or None.
        log: what it prints, or None for a terminal.
        crashes, stops: of the tries since a command asked for it.
        at: when this was noted, UTC.
    """

    state: State
    cause: str | None = None
    host: str | None = None
    pid: int | None = None
    job: str | None = None
    log: str | None = None
    crashes: int = 0
    stops: int = 0
    at: str = ""

    @property
    def is_alive(self) -> bool:
        """Whether the process that does it still runs, if it is of this machine; else True."""
        if self.host != socket.gethostname() or self.pid is None:
            return True
        try:
            # A zombie, or another process under a number that was given away again, is not it.
            words = Path(f"/proc/{self.pid}/stat").read_text().rsplit(")", 1)[1].split()
        except OSError:
            return False
        return words[0] != "Z"


def read_attempt(trial: Trial, stage: str) -> Attempt | None:
    """The last try at a stage of an arm; None if there was none."""
    try:
        words = json.loads(_locate(trial, stage).read_text())
    except (FileNotFoundError, json.JSONDecodeError):  # not yet whole on a network file system
        return None
    return Attempt(**words | {"state": State(words["state"])})


def note_attempt(trial: Trial, stage: str, attempt: Attempt) -> None:
    """Write down what became of a stage of an arm."""
    path = _locate(trial, stage)
    path.parent.mkdir(parents=True, exist_ok=True)
    now = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
    part = path.with_name(f".{path.name}.{socket.gethostname()}.{os.getpid()}.part")
    part.write_text(json.dumps(dataclasses.asdict(dataclasses.replace(attempt, at=now))))
    part.replace(path)


@contextlib.contextmanager
def attempting(trials: Sequence[Trial], stage: str) -> Iterator[None]:
    """Note that this process does a stage of arms, and how that ends."""
    here = {"host": socket.gethostname(), "pid": os.getpid(), "job": find_job()}
    begun = []
    for trial in trials:
        before = read_attempt(trial, stage)
        again = before and here["job"] and before.job == here["job"]  # SLURM began it again
        if before is None or not (again or before.state is State.waiting):
            before = Attempt(State.waiting)  # nobody but this process asked for it
        begun.append(dataclasses.replace(before, state=State.running, **here))

    def note(state: State, cause: str | None = None) -> None:
        for trial, attempt in zip(trials, begun, strict=True):
            crashes = attempt.crashes + (state is State.crashed)
            stops = attempt.stops + (state is State.stopped)
            ended = dataclasses.replace(
                attempt, state=state, cause=cause, crashes=crashes, stops=stops
            )
            note_attempt(trial, stage, ended)

    note(State.running)
    try:
        yield
    except LostError as problem:
        note(State.crashed, f"crashed: {problem}")
        raise
    except InterveneError as problem:
        note(State.failed, str(problem))
        raise
    except KeyboardInterrupt:
        note(State.stopped, "told to stop")
        raise
    except BaseException as problem:
        words = str(problem).strip().splitlines()
        why = words[0] if words else "no word of why"
        note(State.crashed, f"crashed: {type(problem).__name__}: {why}")
        raise
    note(State.done)


def attempted(stage: str) -> Callable[[Callable[[Trial], None]], Callable[[Trial], None]]:
    """Note each call of a stage's function; a shard does a part only, and is not noted."""

    def wrap(run: Callable[[Trial], None]) -> Callable[[Trial], None]:
        @wraps(run)
        def noted(trial: Trial) -> None:
            alone = trial.experiment.corpus.shard is None
            with attempting([trial], stage) if alone else contextlib.nullcontext():
                run(trial)

        return noted

    return wrap


def find_job() -> str | None:
    """The SLURM job of this process, as `squeue` names it; None outside of one."""
    array, task = (os.environ.get(f"SLURM_ARRAY_{key}_ID") for key in ("JOB", "TASK"))
    return f"{array}_{task}" if array and task else os.environ.get("SLURM_JOB_ID")


def _locate(trial: Trial, stage: str) -> Path:
    return trial.folder / f"{stage}.json"
