"""Intervene: rewrite, train and evaluate an arm and its control, then compare what is there."""

from collections.abc import Sequence

from intervene.console import say
from intervene.errors import InterveneError
from intervene.experiment import Experiment, Scope
from intervene.training.batches import check_division
from intervene.training.job import check_context, count_processes
from intervene.training.start.folder import check_checkpoint
from intervene.training.watching.trackers import check_trackers
from pipelines.compare import compare
from pipelines.evaluate import check_scope, evaluate_arm
from pipelines.fetch import fetch
from pipelines.rewrite import rewrite
from pipelines.stage import reporting, stage
from pipelines.sweep.queue import check_slurm
from pipelines.sweep.task import STAGES
from pipelines.train import train
from pipelines.trial import Trial


def intervene(trial: Trial) -> None:
    """Run the whole trial here, the control first."""
    check(trial)
    fetch(trial)
    for arm in list_arms([trial]):
        say(f"── {arm.label}")
        arm.note()
        rewrite(arm)
        train(arm)
        evaluate_arm(arm)
    compare(trial)


def sweep(trials: Sequence[Trial]) -> None:
    """Run all arms where the launcher says, and compare them once; arms that are refused stay out.

    What lies far away is fetched first, by this process.
    """
    from pipelines.sweep.launch import launch

    admitted = []
    for trial in trials:
        with reporting(trial.label):
            check(trial)
            fetch(trial)
            admitted.append(trial)
    if admitted:
        launch(list_arms(admitted), STAGES, compares=True)


def list_arms(trials: Sequence[Trial]) -> list[Trial]:
    """Each trial, after its control if it is none."""
    return [
        arm
        for t in trials
        for arm in ([t] if t.experiment.intervention.is_control else [t.control, t])
    ]


def check(trial: Trial) -> None:
    """Refuse before any work what a later stage would refuse after hours of it."""
    experiment = trial.experiment
    if experiment.corpus.shard is not None:
        raise InterveneError(
            "a shard writes a part of a corpus, and nothing can be trained on that",
            f"corpus.shard={experiment.corpus.shard}",
            "give it to every process of `pipelines.rewrite`, then run this without it",
        )
    if experiment.launcher.slurm:
        check_slurm()
    check_scope(experiment)
    if experiment.arm is Scope.none or experiment.shard is not None:
        raise InterveneError(
            "an arm is trained and scored whole here",
            f"arm={experiment.arm} shard={experiment.shard}",
            "leave them out, or give them to `pipelines.evaluate`",
        )
    check_context(experiment)
    check_checkpoint(experiment)
    check_trackers(experiment.watch)
    check_division(
        experiment.data.rows_per_step, count_ranks(experiment), experiment.trainer.micro_batch or 1
    )


def count_ranks(experiment: Experiment) -> int:
    """How many ranks train the arm, here or on the cluster.

    Errors: as `count_processes`, and InterveneError for others than a job's processes.
    """
    slurm, wanted = experiment.launcher.slurm, experiment.trainer.processes
    if slurm is None:
        return count_processes(wanted)
    world = slurm.train.processes
    if wanted not in (None, world):
        raise InterveneError(
            f"{wanted} processes, but a job has {slurm.train.nodes} nodes of "
            f"{slurm.train.tasks_per_node}",
            f"trainer.processes={wanted}",
            f"use {world} or null, or set launcher.slurm.train",
        )
    return world


main = stage(intervene, sweep=sweep)

if __name__ == "__main__":
    main()
