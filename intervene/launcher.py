"""Where the stages of a sweep run: on this machine, or as jobs of a SLURM cluster."""

from dataclasses import dataclass, field, fields
from typing import Any

from intervene.errors import InterveneError


@dataclass(frozen=True)
class Local:
    """This machine: as many tasks at once as fit.

    Args:
        workers: tasks at once at most; None for one per core, or on GPUs as many as they hold.
        memory: GiB of the machine's memory that tasks may take together; None for what is free.
        gpus: GPUs that tasks may take together; None for all that are visible. An arm takes
            `trainer.processes` of them, or all.
    """

    workers: int | None = None
    memory: float | None = None
    gpus: int | None = None

    def __post_init__(self) -> None:
        for entry in fields(self):
            value = getattr(self, entry.name)
            if value is not None and value <= 0:
                raise InterveneError(
                    f"need more than 0, got {value:g}",
                    f"launcher.local.{entry.name}",
                    "or null for what this machine has",
                )


@dataclass(frozen=True)
class Resources:
    """What a job of one stage is given.

    Args:
        nodes: machines.
        gpus: per node.
        tasks: processes per node; None for one per GPU, and one where there is none.
        cpus: cores per process.
        memory: GiB per node; None for what the cluster gives by default.
        hours: the time limit; a training that has not ended by then saves and is queued again.
        partition: instead of the launcher's, or None.
    """

    nodes: int = 1
    gpus: int = 0
    tasks: int | None = None
    cpus: int = 4
    memory: float | None = None
    hours: float = 24.0
    partition: str | None = None

    @property
    def tasks_per_node(self) -> int:
        """Processes on each node."""
        return self.tasks or self.gpus or 1

    @property
    def processes(self) -> int:
        """Processes in all."""
        return self.nodes * self.tasks_per_node


@dataclass(frozen=True)
class Slurm:
    """A SLURM cluster, of which this machine can submit to.

    Args:
        partition, account, qos: as `sbatch` takes them; None for the cluster's default.
        setup: shell lines before each job's command, such as `module load cuda`.
        parallel: jobs of a stage that run at once at most.
        restarts: how often a job is queued again that was told to stop (preemption, time limit).
        warn_seconds: how long before its time limit a job is told to save and stop.
        poll_seconds: between two looks at the queue.
        options: further options of `sbatch`, such as `{constraint: a100}`.
        rewrite, prepare, train, evaluate: what a job of each stage is given; None for what training
            is. Comparing takes what rewriting does.
    """

    partition: str | None = None
    account: str | None = None
    qos: str | None = None
    setup: tuple[str, ...] = ()
    parallel: int = 64
    restarts: int = 100
    warn_seconds: int = 120
    poll_seconds: float = 10.0
    options: dict[str, Any] = field(default_factory=dict, hash=False)
    rewrite: Resources = field(default_factory=Resources)
    prepare: Resources | None = None
    train: Resources = field(default_factory=Resources)
    evaluate: Resources = field(default_factory=Resources)

    def __post_init__(self) -> None:
        object.__setattr__(self, "setup", tuple(self.setup))
        for key, least in (("parallel", 1), ("restarts", 0), ("warn_seconds", 1)):
            if getattr(self, key) < least:
                raise InterveneError(
                    f"need {least} or more, got {getattr(self, key)}",
                    f"launcher.slurm.{key}",
                    "raise it",
                )
        if self.poll_seconds <= 0:
            raise InterveneError(
                f"need more than 0 s, got {self.poll_seconds:g}",
                "launcher.slurm.poll_seconds",
                "10 spares the cluster's controller",
            )
        for stage in ("rewrite", "prepare", "train", "evaluate"):
            self._check_resources(stage, self.find_resources(stage))

    def find_resources(self, stage: str) -> Resources:
        """What a job of a stage is given."""
        key = "rewrite" if stage == "compare" else stage
        given: Resources | None = getattr(self, key)
        return given or self.train

    def _check_resources(self, stage: str, given: Resources) -> None:
        for entry in fields(given):
            value, least = getattr(given, entry.name), 0 if entry.name == "gpus" else 1
            too_few = isinstance(value, int) and value < least
            if too_few or (isinstance(value, float) and value <= 0):
                raise InterveneError(
                    f"need {least} or more, got {value:g}",
                    f"launcher.slurm.{stage}.{entry.name}",
                    "raise it",
                )
        if stage in ("rewrite", "evaluate") and given.processes > 1 and not given.gpus:
            raise InterveneError(
                f"{given.processes} processes, and one does this stage",
                f"launcher.slurm.{stage}.tasks",
                "set nodes and tasks to 1, and raise cpus",
            )


@dataclass(frozen=True)
class Launcher:
    """Where a sweep's tasks run, and how often one that crashed is started again.

    Args:
        retries: after a crash: an exception that is no mistake of the user's, a kill, a lost node.
            What is started again goes on from its last checkpoint.
        local: this machine, or None.
        slurm: a cluster, or None; then the sweep runs here.
    """

    retries: int = 2
    local: Local | None = None
    slurm: Slurm | None = None

    def __post_init__(self) -> None:
        if self.retries < 0:
            raise InterveneError(
                f"need 0 or more, got {self.retries}", "launcher.retries", "0 never tries again"
            )
        if (self.local is None) == (self.slurm is None):
            both = "neither" if self.local is None else "both"
            raise InterveneError(
                f"{both} of local and slurm are given",
                "launcher",
                "choose launcher=local or launcher=slurm",
            )
