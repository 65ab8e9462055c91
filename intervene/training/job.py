"""What the ranks of one training are handed, and how they are run on this machine."""

import csv
import json
import shutil
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from intervene.errors import InterveneError
from intervene.experiment import Experiment, to_json
from intervene.training.batches import check_division
from intervene.training.memory.disk import check_disk
from intervene.training.memory.plan import PLAN, shrink_plan
from intervene.training.ranks.launch import run_ranks
from intervene.training.ranks.place import take_place
from intervene.training.watching.trackers import check_trackers

JOB, LOG, WORKER_LOG, FACTS, MISTAKE = (
    "experiment.json",
    "log.csv",
    "worker.log",
    "facts.json",
    "mistake.json",
)
CHECKPOINTS, STATE = "checkpoints", "state"
LATEST, SKIPPED = "latest", "skipped.json"
"""In a state: the file that names its step, and in that step's folder how many were no update."""


@dataclass(frozen=True)
class Heldout:
    """Rows that no arm trains on, as they are and with every pronoun swapped.

    Args:
        original, swapped: what `open_rows` opens; the same rows in the same order.
    """

    original: Path
    swapped: Path


@dataclass(frozen=True)
class Job:
    """One training, complete: what a worker reads from `experiment.json`.

    Args:
        experiment: model, trainer, kernels and rows per step.
        rows: a `.bin` or a folder of shards.
        first_row: the training row that is row 0 of `rows`.
        start, stop: the optimiser steps to train.
        weights: folder in Hugging Face format, the weights of step `start`.
        state: DeepSpeed state or universal files of step `start`, or None for a cold optimiser.
        skipped: earlier updates whose gradient overflowed, by which the learning rate lags.
        replay: rebuild Adam's moments (replay.py); only the state is saved.
        heldout: rows whose loss is watched meanwhile, or None.
    """

    experiment: Experiment
    rows: Path
    first_row: int
    start: int
    stop: int
    weights: Path
    state: Path | None
    skipped: int = 0
    replay: bool = False
    heldout: Heldout | None = None


def key_job(job: Job) -> dict[str, Any]:
    """What of a job changes what the weights mean: all but names, paths, ranks and micro-batch."""
    model, trainer, kernels = job.experiment.model, job.experiment.trainer, job.experiment.kernels
    params: dict[str, Any] = {
        "model": {
            "layers": model.layers,
            "width": model.width,
            "heads": model.heads,
            "vocab": model.vocab,
            "context": model.context,
            "peak_lr": model.peak_lr,
            "schedule_steps": model.schedule_steps,
            "warmup_steps": model.warmup_steps,
            "floor": model.floor,
            "rotary": str(model.rotary),
        },
        "trainer": {
            "precision": str(trainer.precision),
            "save_every": trainer.save_every,
            "save_steps": list(trainer.save_steps),
            "betas": [trainer.beta1, trainer.beta2],
            "epsilon": trainer.epsilon,
            "weight_decay": trainer.weight_decay,
            "clip": trainer.clip,
            "zero_stage": trainer.zero_stage,
        },
        "kernels": {
            "attention": str(kernels.attention),
            "fused_adam": kernels.fused_adam,
            "fused_loss": kernels.fused_loss,
            "compile": kernels.compile,
            "deterministic": kernels.deterministic,
        },
        "optimizer_state": "cold" if job.state is None else "own",
        "rows_per_step": job.experiment.data.rows_per_step,
        "start": job.start,
        "stop": job.stop,
    }
    return params


def run_job(folder: Path, job: Job) -> dict[str, Any]:
    """Train in `folder`, going on from the state that an interrupted training left there.

    Returns:
        The facts of the run: losses, ranks, device, kernels as they ran, tokens per second.

    Errors: InterveneError for rows longer than the model's context, ranks and micro-batches that
    do not divide the rows of a step, checkpoints outside the stretch, a disk or a memory that is
    too small, and whatever mistake a rank meets.
    """
    trainer, data = job.experiment.trainer, job.experiment.data
    world = count_processes(trainer.processes)
    check_context(job.experiment)
    check_division(data.rows_per_step, world, trainer.micro_batch or 1)
    check_save_steps(job)
    check_disk(folder, job)
    check_trackers(job.experiment.watch)
    part = folder / f".{JOB}.part"
    part.write_text(to_json(job))
    part.replace(folder / JOB)
    mistake, facts_file, log = folder / MISTAKE, folder / FACTS, folder / WORKER_LOG
    mistake.unlink(missing_ok=True)
    began = time.monotonic()
    command = ["intervene.training.worker", str(folder / JOB), "--mistake", str(mistake)]
    try:
        while True:
            try:
                run_ranks(command, world, log, mistake)
                break
            except MemoryError:
                shrink_plan(folder, job, world)
    except InterveneError:
        if not (folder / STATE).exists():  # nothing was learned that a mended command could use
            clear_folder(folder)
        raise
    facts: dict[str, Any] = json.loads(facts_file.read_text())
    with (folder / LOG).open(newline="") as file:
        losses = [float(row["loss"]) for row in csv.DictReader(file)]
    for leftover in (facts_file, log, folder / PLAN):
        leftover.unlink()
    return {
        "first_loss": losses[0],
        "last_loss": losses[-1],
        "world_size": world,
        "seconds": round(time.monotonic() - began, 3),
        **facts,
    }


def check_context(experiment: Experiment) -> None:
    """Refuse rows that are longer than the model's context.

    Errors: InterveneError that says how long both are.
    """
    positions, context = experiment.data.row_tokens - 1, experiment.model.context
    if positions > context:
        raise InterveneError(
            f"rows of {positions + 1:,} tokens give {positions:,} positions, "
            f"the model {experiment.model.name} has {context:,}",
            "model.context",
            "choose the model that the rows are for, or raise it",
        )


def check_save_steps(job: Job) -> None:
    """Refuse a checkpoint at a step that is not trained to.

    Errors: InterveneError that names the step and those that are.
    """
    steps = range(job.start + 1, job.stop + 1)
    for step in job.experiment.trainer.save_steps:
        if step not in steps:
            raise InterveneError(
                f"step {step:,} is outside the stretch, whose checkpoints are of steps "
                f"{steps[0]:,} to {steps[-1]:,}",
                "trainer.save_steps",
                "name steps of the stretch, or change data.stretch",
            )


def clear_folder(folder: Path) -> None:
    """Remove what is in a folder."""
    for path in folder.iterdir():
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink()


def count_processes(wanted: int | None) -> int:
    """Ranks: the launcher's, or on this machine as asked for, or one per GPU, or one on a CPU.

    Errors: InterveneError for more ranks than GPUs, and for others than the launcher started.
    """
    if place := take_place():
        if wanted not in (None, place.world):
            raise InterveneError(
                f"{wanted} processes, but the launcher started {place.world}",
                f"trainer.processes={wanted}",
                f"use {place.world} or null, or start as many",
            )
        return place.world
    gpus = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if wanted and gpus and wanted > gpus:
        raise InterveneError(
            f"{wanted} processes, but {gpus} GPUs",
            f"trainer.processes={wanted}",
            f"use {gpus} or fewer",
        )
    return wanted or gpus or 1
