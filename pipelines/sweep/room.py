"""What a task takes of this machine, and what the machine has for all tasks at once."""

import os
from dataclasses import dataclass

import torch

from intervene.errors import InterveneError
from intervene.experiment import Experiment
from intervene.launcher import Local
from intervene.memory import read_free
from intervene.training.memory.footprint import FP32, count_parameters
from intervene.training.memory.plan import choose_plan, expect_bytes
from intervene.training.memory.room import SHARE, Room
from pipelines.sweep.task import EVALUATE, PREPARE, TRAIN, Task

PROCESS = 800 << 20
"""Bytes that a process has with the packages loaded and no model: 0.45 GiB of it torch's."""


@dataclass(frozen=True)
class Need:
    """What a task takes while it runs.

    Args:
        memory: bytes of the machine's memory.
        gpus: how many.
    """

    memory: int
    gpus: int


@dataclass(frozen=True)
class Machine:
    """What all tasks at once may take.

    Args:
        workers: tasks at once at most.
        cores: of this machine, as far as this process may use them.
        memory: bytes.
        gpus: their names, as CUDA_VISIBLE_DEVICES takes them.
    """

    workers: int
    cores: int
    memory: int
    gpus: tuple[str, ...]


def measure_machine(local: Local) -> Machine:
    """This machine, within what the launcher states.

    Errors: InterveneError for more GPUs than are visible.
    """
    count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    named = os.environ.get("CUDA_VISIBLE_DEVICES", ",".join(map(str, range(count))))
    gpus = tuple(name for name in named.split(",") if name)[:count]
    if local.gpus is not None and local.gpus > count:
        raise InterveneError(
            f"{local.gpus} GPUs, but {count} are visible",
            f"launcher.local.gpus={local.gpus}",
            f"use {count} or null",
        )
    cores = len(os.sched_getaffinity(0))
    memory = int(local.memory * 2**30) if local.memory else int(SHARE * read_free())
    gpus = gpus[: local.gpus]
    return Machine(local.workers or max(cores, len(gpus)), cores, memory, gpus)


def reckon_need(task: Task, machine: Machine) -> Need:
    """What a task takes; of arms that share it, the first's."""
    experiment = task.trials[0].experiment
    weights = FP32 * count_parameters(experiment.model)
    if task.stage in (TRAIN, PREPARE):
        gpus = len(machine.gpus)
        ranks = experiment.trainer.processes or gpus or 1
        each = weights if gpus else _expect_rank(experiment, ranks, machine.memory)
        return Need(PROCESS + ranks * (PROCESS + each), min(ranks, gpus))
    if task.stage == EVALUATE:
        return Need(2 * PROCESS + 2 * weights, min(1, len(machine.gpus)))
    return Need(2 * PROCESS, 0)


def _expect_rank(experiment: Experiment, ranks: int, memory: int) -> int:
    """Bytes of a rank's training on a CPU, if it had the machine for itself."""
    try:
        plan = choose_plan(experiment, ranks, Room(memory // ranks, gpu=False))
    except InterveneError:
        return memory  # it will be refused, and by itself: the others need not wait for that
    return expect_bytes(plan, experiment, ranks, gpu=False)
