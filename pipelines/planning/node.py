"""A machine of the kind that a plan is about, and the share that a training takes."""

from dataclasses import dataclass

import torch

from intervene.errors import InterveneError
from intervene.experiment import Experiment
from intervene.hardware import Hardware
from intervene.launcher import Local, Slurm
from intervene.memory import read_free
from intervene.training.batches import check_division
from intervene.training.memory.room import SHARE, Room

CPU = "cpu"
"""A CPU's device, as a run's facts name it."""
HERE = Hardware("here", gpu=None, gpus=None, memory=None, mfu=0.4)
"""As conf/hardware/here.yaml: where no hardware is named."""
GIB = 1 << 30


@dataclass(frozen=True)
class Node:
    """A machine of the kind that is meant, with nothing left open.

    Args:
        device: a part of the GPU's name, or `cpu`.
        gpus: per machine; 0 for a CPU.
        memory: bytes that are free per GPU, or of the machine where it has none.
    """

    device: str
    gpus: int
    memory: int


@dataclass(frozen=True)
class Share:
    """What a training takes.

    Args:
        ranks: processes that train together.
        gpus: that it holds, whether it uses them or not; 0 on a CPU.
        local_ranks: those of its processes that share one machine.
        at_once: trainings that run at the same time.
    """

    ranks: int
    gpus: int
    local_ranks: int
    at_once: int

    @property
    def devices(self) -> int:
        """GPUs, or processes on a CPU: what hours are counted of."""
        return self.gpus or self.ranks


def find_node(hardware: Hardware) -> Node:
    """What is meant; what is left open is looked up on this machine."""
    if hardware.gpus is not None:
        assert hardware.memory is not None
        return Node(hardware.gpu or CPU, hardware.gpus, int(hardware.memory * GIB))
    gpus = torch.cuda.device_count() if torch.cuda.is_available() else 0
    free = torch.cuda.mem_get_info()[0] if gpus else read_free()
    memory = free if hardware.memory is None else int(hardware.memory * GIB)
    return Node(torch.cuda.get_device_name() if gpus else CPU, gpus, memory)


def find_share(experiment: Experiment, node: Node, stage: str = "train") -> Share:
    """What a stage that trains takes, as the launcher gives it.

    Errors: InterveneError for GPUs that the machine does not have, processes other than the
    launcher starts, and ranks and micro-batches that do not divide the rows of a step.
    """
    launcher, trainer = experiment.launcher, experiment.trainer
    if launcher.slurm is not None:
        share = _share_cluster(launcher.slurm, trainer.processes, node, stage)
    else:
        assert launcher.local is not None
        share = _share_here(launcher.local, trainer.processes, node)
    check_division(experiment.data.rows_per_step, share.ranks, trainer.micro_batch or 1)
    return share


def find_space(share: Share, node: Node) -> Room:
    """What a rank may take: of its GPU, or its part of the machine's memory."""
    if node.gpus:
        return Room(int(SHARE * node.memory), gpu=True)
    return Room(int(SHARE * node.memory / share.local_ranks), gpu=False)


def _share_cluster(slurm: Slurm, processes: int | None, node: Node, stage: str) -> Share:
    given = slurm.find_resources(stage)
    if given.gpus > node.gpus or (node.gpus and not given.gpus):
        raise InterveneError(
            f"{given.gpus} GPUs are asked for per node, and the machine has {node.gpus}",
            f"launcher.slurm.{stage}.gpus",
            "change it, or hardware.gpus",
        )
    if processes not in (None, given.processes):
        raise InterveneError(
            f"{processes} processes, and the launcher starts {given.processes}",
            f"trainer.processes={processes}",
            f"use null, or change launcher.slurm.{stage}",
        )
    gpus = given.nodes * given.gpus
    return Share(given.processes, gpus, given.tasks_per_node, slurm.parallel)


def _share_here(local: Local, processes: int | None, node: Node) -> Share:
    if not node.gpus:  # trainings at once share the cores: together they are no faster
        ranks = processes or 1
        return Share(ranks, 0, ranks, 1)
    most = min(node.gpus, local.gpus or node.gpus)
    ranks = processes or most
    if ranks > most:
        raise InterveneError(
            f"{ranks} processes, but {most} GPUs",
            f"trainer.processes={ranks}",
            f"use {most} or fewer",
        )
    return Share(ranks, ranks, ranks, min(most // ranks, local.workers or most))
