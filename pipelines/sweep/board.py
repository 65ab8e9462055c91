"""Arms × stages as they stand: what is built, what runs and how fast, what is not done and why."""

import dataclasses
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from intervene.console import show_duration, show_rate
from intervene.lineage import Artefact
from pipelines.attempt import Attempt, State, read_attempt
from pipelines.sweep.task import EVALUATE, PREPARE, REWRITE, TRAIN
from pipelines.trial import Trial

KINDS = {REWRITE: "corpus", TRAIN: "run", EVALUATE: "readings"}
"""The artefacts that each stage leaves."""
TAIL_BYTES = 4096
LOG = "log.csv"
"""As in training/job.py, which imports torch."""


@dataclass(frozen=True)
class Cell:
    """A stage of an arm.

    Args:
        state: how far it is.
        cause: why it is not done, or None.
        log: what it printed, or None.
        note: of what is done, in a few words, or None.
        bytes: of what it has left on disk, drafts included.
        step, stop: of a training: the steps done, and the one that it ends at, absolute.
        tokens_per_s: of a training that runs, over all its ranks.
        left: seconds to its end.
    """

    state: State
    cause: str | None = None
    log: str | None = None
    note: str | None = None
    bytes: int = 0
    step: int | None = None
    stop: int | None = None
    tokens_per_s: float | None = None
    left: float | None = None


@dataclass(frozen=True)
class Row:
    """An arm.

    Args:
        trial: which.
        cells: its stages, by name.
    """

    trial: Trial
    cells: Mapping[str, Cell]

    @property
    def is_complete(self) -> bool:
        """Whether nothing is left to do."""
        return all(cell.state is State.done for cell in self.cells.values())

    @property
    def lacking(self) -> str | None:
        """The first stage that is not done."""
        return next((s for s, cell in self.cells.items() if cell.state is not State.done), None)


def draw_board(trials: Sequence[Trial], queue: Mapping[str, str] | None) -> list[Row]:
    """The arms as they stand.

    Args:
        trials: the arms.
        queue: SLURM's live jobs with their states; None where they are not known.
    """
    rows = []
    for trial in trials:
        stages = (EVALUATE,) if trial.is_released else (REWRITE, TRAIN, EVALUATE)
        rows.append(Row(trial, {stage: look(trial, stage, queue) for stage in stages}))
    return rows


def look(trial: Trial, stage: str, queue: Mapping[str, str] | None) -> Cell:
    """A stage of an arm as it stands; a training that waits for its checkpoint says what of that.

    Errors: none: what cannot be read counts as not there.
    """
    keys = trial.keys(KINDS[stage])
    built = trial.artefacts(KINDS[stage])
    size = sum(measure_artefact(artefact) for artefact in built)
    if keys and len(built) == len(keys):
        return Cell(State.done, bytes=size, note=_describe_built(stage, built))
    attempt = settle(read_attempt(trial, stage), queue)
    cell = Cell(attempt.state, attempt.cause, attempt.log, size)
    if stage == TRAIN:
        draft = trial.store.root / "run" / f".{(keys or ['none'])[0]}.draft"
        cell = dataclasses.replace(
            cell, **read_pace(trial, draft, running=cell.state is State.running)
        )
        if attempt.state is State.waiting:
            cell = _look_at_checkpoint(trial, cell, queue)
    if attempt.state is State.waiting and attempt.job and queue is not None:
        cell = dataclasses.replace(
            cell, cause=cell.cause or f"job {attempt.job}: {queue[attempt.job]}"
        )
    return cell


def _describe_built(stage: str, built: Sequence[Artefact]) -> str:
    if stage == REWRITE:
        facts = built[0].facts
        return f"{facts['applied']:,} of {facts['eligible']:,} swaps"
    return "done" if stage == TRAIN else f"{len(built)} checkpoints"


def settle(attempt: Attempt | None, queue: Mapping[str, str] | None) -> Attempt:
    """The attempt, or what became of one whose process or job is gone without a word."""
    if attempt is None:
        return Attempt(State.waiting)
    if attempt.state not in (State.waiting, State.running):
        return attempt
    cause = None
    if attempt.job is not None:
        if queue is not None and attempt.job not in queue:
            cause = f"crashed: job {attempt.job} is not in the queue any more, and left no word"
    elif attempt.state is State.running and not attempt.is_alive:
        cause = f"crashed: process {attempt.pid} on {attempt.host} is gone, and left no word"
    if cause is None:
        return attempt
    return dataclasses.replace(attempt, state=State.crashed, cause=cause)


def read_pace(trial: Trial, draft: Path, *, running: bool) -> dict[str, Any]:
    """How far a training in its draft is, how fast, and when it will be done."""
    if not draft.is_dir():
        return {}
    stop = trial.experiment.data.stretch.stop
    found: dict[str, Any] = {"bytes": measure_folder(draft), "stop": stop}
    rows = _read_tail(draft / LOG)
    if rows:
        found["step"] = int(rows[-1]["step"]) + 1
    if rows and running:
        found["tokens_per_s"] = statistics.median(float(row["tokens_per_s"]) for row in rows)
        seconds = statistics.median(float(row["seconds"]) for row in rows)
        found["left"] = (stop - found["step"]) * seconds
    return found


def show_cell(stage: str, cell: Cell) -> str:
    """A cell in a few words; its cause is for a line of its own."""
    size = f" {show_size(cell.bytes)}" if cell.bytes else ""
    if cell.state is State.done:
        return f"{stage} {cell.note}{size}"
    if cell.state is not State.running:
        return f"{stage} {cell.state}{f' at step {cell.step:,}' if cell.step else ''}{size}"
    if cell.step is None or cell.stop is None:
        return f"{stage} running{size}"
    parts = [f"{stage} step {cell.step:,}/{cell.stop:,}"]
    if cell.tokens_per_s is not None and cell.left is not None:
        parts += [f"{show_rate(cell.tokens_per_s)} tok/s", f"eta {show_duration(cell.left)}"]
    return "  ".join(parts) + size


def show_size(count: int) -> str:
    """`1.2 GB`, or MB or kB below."""
    for limit, unit in ((1e9, "GB"), (1e6, "MB")):
        if count >= limit:
            return f"{count / limit:,.1f} {unit}"
    return f"{count / 1e3:,.1f} kB"


def measure_artefact(artefact: Artefact) -> int:
    """Bytes of an artefact, which never change."""
    return _measure_whole(artefact.path)


def measure_folder(path: Path) -> int:
    """Bytes of the files below a folder, in which others may write and remove."""
    total = 0
    for file in path.rglob("*"):
        try:
            total += file.stat().st_size if file.is_file() else 0
        except FileNotFoundError:
            continue
    return total


@cache
def _measure_whole(path: Path) -> int:
    return measure_folder(path)


def _look_at_checkpoint(trial: Trial, cell: Cell, queue: Mapping[str, str] | None) -> Cell:
    """What of preparing its checkpoint a training waits for."""
    attempt = settle(read_attempt(trial, PREPARE), queue)
    if attempt.state in (State.done, State.waiting):
        return cell
    if attempt.state is State.running:
        return dataclasses.replace(cell, cause="its checkpoint is being prepared")
    return dataclasses.replace(
        cell,
        state=attempt.state,
        cause=f"preparing its checkpoint: {attempt.cause}",
        log=attempt.log,
    )


def _read_tail(path: Path) -> list[dict[str, str]]:
    """The last whole rows of a run's log; a torn one is left out."""
    try:
        with path.open("rb") as file:
            head = file.readline().decode()
            size = file.seek(0, 2)
            file.seek(max(len(head), size - TAIL_BYTES))
            lines = file.read().decode().splitlines(keepends=True)
    except OSError:
        return []
    names = head.strip().split(",")
    rows = [line.strip().split(",") for line in lines if line.endswith("\n")]
    return [dict(zip(names, row, strict=True)) for row in rows if len(row) == len(names)]
