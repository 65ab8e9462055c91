"""One rank of a training: `python -m intervene.training.worker FOLDER/experiment.json`."""

import argparse
import contextlib
import csv
import fcntl
import json
import math
import os
import signal
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from types import FrameType
from typing import TextIO

import torch
from torch import distributed

from intervene.console import say, show_duration, show_rate
from intervene.errors import InterveneError
from intervene.experiment import from_json
from intervene.sources.backend import open_rows
from intervene.training.batches import Batches, check_division
from intervene.training.engine import LATEST, Engine, join_ranks
from intervene.training.job import (
    CHECKPOINTS,
    FACTS,
    LOG,
    STATE,
    WORKER_LOG,
    Job,
)
from intervene.training.launch import INTERRUPTED
from intervene.training.neox import universal
from intervene.training.pythia import learning_rate

COLUMNS = ("step", "loss", "lr", "grad_norm", "tokens_per_s")
MISTAKEN = 2
LOG_SECONDS = 30.0
LIVE_SECONDS = 0.2


class Interruption:
    """Whether some rank was told to stop (SIGTERM, or SIGUSR2 from SLURM before its limit)."""

    def __init__(self) -> None:
        self._asked = False
        for number in (signal.SIGTERM, signal.SIGUSR2):
            signal.signal(number, self._note)

    def agreed(self, device: torch.device) -> bool:
        """The same answer on every rank."""
        asked = torch.tensor(float(self._asked), device=device)
        distributed.all_reduce(asked, op=distributed.ReduceOp.MAX)
        return bool(asked)

    def _note(self, number: int, frame: FrameType | None) -> None:
        self._asked = True


class Console:
    """Where a person looks: the stream that was standard error before the log took it.

    Only rank 0 has one. On a terminal the step line is live; else there is one every 30 s.
    """

    def __init__(self, stream: TextIO | None, job: Job) -> None:
        self._stream, self._job = stream, job
        self._live = stream is not None and stream.isatty()
        self._shown = 0.0

    def tell(self, line: str) -> None:
        """Print a line."""
        if self._stream is not None:
            with contextlib.redirect_stderr(self._stream):
                say(f"\r\x1b[K{line}" if self._live else line)

    def show(self, done: int, loss: float, lr: float, speed: float, *, keep: bool) -> None:
        """The step line after `done` steps; `keep` prints it whenever the last one was."""
        now = time.monotonic()
        if self._stream is None or not (
            keep or now - self._shown >= (LIVE_SECONDS if self._live else LOG_SECONDS)
        ):
            return
        self._shown = now
        start, stop, data = self._job.start, self._job.stop, self._job.experiment.data
        left = (stop - done) * data.rows_per_step * (data.row_tokens - 1) / speed
        line = (
            f"step {done:,}/{stop:,}  {100 * (done - start) / (stop - start):.1f}%  "
            f"loss {loss:.4f}  lr {lr:.1e}  {show_rate(speed)} tok/s  eta {show_duration(left)}"
        )
        if keep or not self._live:
            self.tell(line)
        else:
            print(f"\r\x1b[K{line}", end="", file=self._stream, flush=True)


def train(folder: Path, job: Job, engine: Engine, batches: Batches, console: Console) -> bool:
    """Train the steps that are left; whether they are done, rather than interrupted.

    Errors: InterveneError when the loss or the gradient is not a number.
    """
    trainer, model = job.experiment.trainer, job.experiment.model
    first = resume(folder, job, engine)
    if first > job.start:
        console.tell(f"resumed at step {first:,} of {job.stop:,}")
    interruption = Interruption()
    tokens = batches.rows_per_step * (job.experiment.data.row_tokens - 1)
    began = last = time.monotonic()
    with open_log(folder / LOG, first, write=batches.rank == 0) as log:
        for step in range(first, job.stop):
            lr = learning_rate(model, step - job.skipped)
            loss, norm = engine.step(batches.read(step), lr)
            check_finite(folder, step, loss, norm)
            now = time.monotonic()
            log.writerow([step, repr(loss), repr(lr), repr(norm), f"{tokens / (now - last):.0f}"])
            last, done = now, step + 1
            due = (done - job.start) % trainer.save_every == 0 or done == job.stop
            if due:
                engine.save_weights(folder / CHECKPOINTS / f"step{done}")
            stopping = done < job.stop and interruption.agreed(engine.device)
            if due or stopping:
                engine.save_state(folder / STATE, done)
            speed = (done - first) * tokens / (time.monotonic() - began)
            console.show(done, loss, lr, speed, keep=due)
            if stopping:
                console.tell(f"told to stop: saved at step {done:,}; the same command goes on")
                return False
    return True


def resume(folder: Path, job: Job, engine: Engine) -> int:
    """Restore the folder's last state, or else the job's; the step to go on with."""
    latest = folder / STATE / LATEST
    if latest.exists():
        engine.load_state(folder / STATE)
        return int(latest.read_text().strip().removeprefix("step"))
    if files := find_universal(folder, job):
        engine.load_universal(files)
    elif job.state is not None:
        engine.load_state(job.state)
    return job.start


def find_universal(folder: Path, job: Job) -> Path | None:
    """The universal files that a job starts from; one that was interrupted has its own state."""
    interrupted = (folder / STATE / LATEST).exists()
    if interrupted or job.state is None or not (job.state / universal.LATEST).exists():
        return None
    return job.state


class Log:
    """The rows of `log.csv`; `step` is the batch that an update consumed, `loss` is before it."""

    def __init__(self, file: TextIO | None) -> None:
        self._file = file

    def writerow(self, values: list[object]) -> None:
        """Write one row at once, so that a killed run keeps it."""
        if self._file is not None:
            csv.writer(self._file, lineterminator="\n").writerow(values)
            self._file.flush()


@contextlib.contextmanager
def open_log(path: Path, first: int, *, write: bool) -> Iterator[Log]:
    """Rank 0's log, cut back to the steps before `first`."""
    if not write:
        yield Log(None)
        return
    lines = path.read_text().splitlines() if path.exists() else []
    kept = [line for line in lines[1:] if line.count(",") == 4 and int(line.split(",")[0]) < first]
    part = path.with_name(f".{path.name}.part")
    part.write_text("\n".join([",".join(COLUMNS), *kept, ""]))
    part.replace(path)
    with path.open("a") as file:
        yield Log(file)


def check_finite(folder: Path, step: int, loss: float, norm: float) -> None:
    """Refuse a loss or gradient that is not a number, naming the last good state."""
    if math.isfinite(loss) and math.isfinite(norm):
        return
    latest = folder / STATE / LATEST
    good = latest.read_text().strip() if latest.exists() else "the one resumed from"
    raise InterveneError(
        f"loss {loss}, gradient norm {norm} at step {step:,}",
        str(folder / LOG),
        f"the last good checkpoint is {good}; lower model.peak_lr or use trainer.precision=fp32",
    )


def take_console(log: Path, job: Job) -> Console:
    """Send this process's output, DeepSpeed's and transformers' chatter, to the log.

    Returns:
        The console of rank 0; of other ranks one that shows nothing.
    """
    terminal = os.dup(sys.stderr.fileno())
    with log.open("a") as file:
        sys.stdout.flush()
        sys.stderr.flush()
        os.dup2(file.fileno(), sys.stdout.fileno())
        os.dup2(file.fileno(), sys.stderr.fileno())
    shown = os.environ["RANK"] == "0"
    return Console(os.fdopen(terminal, "w") if shown else None, job)


def fix_randomness(world: int) -> None:
    """The same bytes on the same machine at the same world size."""
    if "OMP_NUM_THREADS" not in os.environ:
        torch.set_num_threads(max(1, (os.cpu_count() or 1) // world))
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    torch.use_deterministic_algorithms(True, warn_only=True)
    torch.utils.deterministic.fill_uninitialized_memory = False
    torch.manual_seed(0)  # nothing draws: Pythia has no dropout


def work(folder: Path, job: Job, console: Console) -> bool:
    """Be one rank from start to end; whether the job is done."""
    experiment = job.experiment
    world, rank = int(os.environ["WORLD_SIZE"]), int(os.environ["RANK"])
    with (folder / WORKER_LOG).open("a") as lock:
        if rank == 0:  # ranks of a launcher that was killed may still be saving
            fcntl.flock(lock, fcntl.LOCK_EX)
        fix_randomness(world)
        check_division(experiment.data.rows_per_step, world, experiment.trainer.micro_batch)
        join_ranks()
        engine = Engine(
            job.weights,
            experiment.trainer,
            experiment.kernels,
            experiment.data.rows_per_step,
            universal=find_universal(folder, job) is not None,
        )
        batches = Batches(
            rows=open_rows(job.rows, experiment.data.row_tokens),
            first_row=job.first_row,
            rows_per_step=experiment.data.rows_per_step,
            rank=rank,
            world=world,
            micro_batch=experiment.trainer.micro_batch,
            vocab=engine.config.vocab_size,
        )
        began = time.monotonic()
        done = train(folder, job, engine, batches, console)
        if done and rank == 0:
            note_facts(folder, job, engine, time.monotonic() - began)
        distributed.destroy_process_group()
    return done


def note_facts(folder: Path, job: Job, engine: Engine, seconds: float) -> None:
    """What this rank knows and the launcher does not."""
    cuda = engine.device.type == "cuda"
    with (folder / LOG).open(newline="") as file:
        speeds = [float(row["tokens_per_s"]) for row in csv.DictReader(file)]
    facts = {
        "device": torch.cuda.get_device_name() if cuda else "cpu",
        "threads": torch.get_num_threads(),
        "kernels": engine.kernels,
        "training_seconds": round(seconds, 3),
        "tokens_per_s": round(len(speeds) / sum(1 / max(speed, 1.0) for speed in speeds)),
        "peak_gpu_mib": torch.cuda.max_memory_allocated() >> 20 if cuda else None,
    }
    (folder / FACTS).write_text(json.dumps(facts))


def main() -> int:
    """Run one rank; its exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("job", type=Path, help="the experiment.json of a run's folder")
    parser.add_argument("--mistake", type=Path, help="write a user's mistake here, not on stderr")
    arguments = parser.parse_args()
    folder, job = arguments.job.parent, from_json(Job, arguments.job.read_text())
    console = take_console(folder / WORKER_LOG, job)
    try:
        return 0 if work(folder, job, console) else INTERRUPTED
    except InterveneError as problem:
        if arguments.mistake is None:
            console.tell(f"error: {problem}")
        else:
            words = {key: getattr(problem, key) for key in ("what", "where", "remedy")}
            part = arguments.mistake.with_suffix(f".{os.getpid()}.part")
            part.write_text(json.dumps(words))
            part.replace(arguments.mistake)
        return MISTAKEN


if __name__ == "__main__":
    sys.exit(main())
