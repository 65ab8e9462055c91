"""A sweep's tasks as SLURM jobs: an array a stage, each held back until what it needs has ended."""

from collections.abc import Callable, Sequence
from typing import Any

import submitit
from submitit.core.utils import FailedJobError, FailedSubmissionError

from intervene.errors import InterveneError
from intervene.launcher import Slurm
from pipelines.attempt import Attempt, State
from pipelines.compare import compare
from pipelines.sweep.job import run_job
from pipelines.sweep.task import EVALUATE, STAGES, Task, list_needs, write_task
from pipelines.trial import Trial

MOST = 1000
"""Jobs of an array: SLURM's own default for MaxArraySize is 1,001."""
Jobs = dict[Task, str]


def submit_tasks(tasks: Sequence[Task], jobs: Jobs) -> Jobs:
    """Submit tasks, stage by stage; the job of each is noted as soon as SLURM has named it.

    Args:
        tasks: what has no job yet.
        jobs: of tasks that have one, which the new ones may need.

    Returns:
        The jobs of all.

    Errors: InterveneError for what `sbatch` refuses, as it says it.
    """
    jobs = dict(jobs)
    for stage in STAGES:
        for group in group_tasks([task for task in tasks if task.stage == stage], jobs):
            for start in range(0, len(group), MOST):
                jobs |= _submit_array(group[start : start + MOST], jobs)
    return jobs


def submit_report(trial: Trial, jobs: Jobs) -> str:
    """Submit the comparison of a name's arms, for when all of its jobs have gone well; its job."""
    name = trial.experiment.name
    mine = [
        job.partition("_")[0]  # whole arrays, lest hundreds of arms are named
        for task, job in jobs.items()
        if task.trials[0].experiment.name == name
    ]
    slurm = demand_slurm(trial)
    executor = prepare_executor(trial, "compare", slurm, join_after("afterok", mine))
    [job] = _submit(executor, lambda: [executor.submit(compare, trial)])
    return job


def group_tasks(tasks: Sequence[Task], jobs: Jobs) -> list[list[Task]]:
    """Tasks of a stage that can be one array: the same resources, and needs of the same sort."""
    groups: dict[object, list[Task]] = {}
    for task in tasks:
        needed = list_needs(task, list(jobs))
        # An evaluation follows the training in the same place of another array (aftercorr).
        kind: object = bool(needed)
        if task.stage == EVALUATE and needed:
            kind = jobs[needed[0]].partition("_")[0]
        groups.setdefault((demand_slurm(task.trials[0]), kind), []).append(task)
    return list(groups.values())


def _submit_array(group: Sequence[Task], jobs: Jobs) -> Jobs:
    """Submit tasks of one stage as one array; their jobs."""
    trial, stage = group[0].trials[0], group[0].stage
    dependency = depend(group, jobs)
    executor = prepare_executor(trial, stage, demand_slurm(trial), dependency)
    paths = [str(write_task(task)) for task in group]

    def submit() -> list[submitit.Job[None]]:
        with executor.batch():
            return [executor.submit(run_job, path) for path in paths]

    numbers = _submit(executor, submit)
    for task, number in zip(group, numbers, strict=True):
        task.note(Attempt(State.waiting, job=number, log=str(task.log)))
    return dict(zip(group, numbers, strict=True))


def depend(group: Sequence[Task], jobs: Jobs) -> str | None:
    """What an array waits for: the end of all that its tasks need, or its arms' own trainings."""
    held = [jobs[need] for task in group for need in list_needs(task, list(jobs))]
    if group[0].stage == EVALUATE and held:
        return _follow(held, len(group))
    return join_after("afterany", held)


def _follow(held: Sequence[str], count: int) -> str | None:
    """The dependency of evaluations on the trainings that they follow, one each, in their order.

    `aftercorr` pairs the jobs of two arrays place by place; only whole arrays can be paired.
    """
    if count == 1:
        return f"afterok:{held[0]}"
    arrays = {job.partition("_")[0] for job in held}
    places = [job.partition("_")[2] for job in held]
    if len(arrays) == 1 and places == [str(place) for place in range(count)]:
        return f"aftercorr:{arrays.pop()}"
    return join_after("afterany", held)


def join_after(kind: str, jobs: Sequence[str]) -> str | None:
    """A dependency on jobs, each named once; None on none."""
    return ":".join([kind, *dict.fromkeys(jobs)]) if jobs else None


def prepare_executor(
    trial: Trial, stage: str, slurm: Slurm, dependency: str | None
) -> submitit.SlurmExecutor:
    """What submits jobs of a stage."""
    given = slurm.find_resources(stage)
    experiment = trial.experiment
    folder = experiment.paths.runs / experiment.name / "slurm"
    executor = submitit.SlurmExecutor(folder / "%j")
    options: dict[str, Any] = {"requeue": True, **slurm.options}
    if dependency:
        options |= {"dependency": dependency, "kill-on-invalid-dep": "yes"}
    asked = {
        "job_name": f"{experiment.name}-{stage}",
        "partition": given.partition or slurm.partition,
        "account": slurm.account,
        "qos": slurm.qos,
        "time": round(60 * given.hours) or 1,
        "nodes": given.nodes,
        "ntasks_per_node": given.tasks_per_node,
        "cpus_per_task": given.cpus,
        "gpus_per_node": given.gpus or None,
        "mem": None if given.memory is None else f"{round(1024 * given.memory)}M",
        "setup": [*slurm.setup],
        "signal_delay_s": slurm.warn_seconds,
        "array_parallelism": slurm.parallel,
        "stderr_to_stdout": True,
        "use_srun": False,  # job.py starts srun, and judges how it ended
        "additional_parameters": options,
    }
    executor.update_parameters(**{key: value for key, value in asked.items() if value is not None})
    return executor


def _submit(
    executor: submitit.SlurmExecutor, submit: Callable[[], list[submitit.Job[None]]]
) -> list[str]:
    """Submit, and name the jobs.

    Errors: InterveneError for what `sbatch` refuses.
    """
    try:
        return [job.job_id for job in submit()]
    except (FailedJobError, FailedSubmissionError) as problem:
        said = " ".join(str(problem).split())
        raise InterveneError(
            f"sbatch refused: {said[-300:]}", "launcher.slurm", "change what it names"
        ) from problem


def demand_slurm(trial: Trial) -> Slurm:
    """What the trial's launcher says of the cluster."""
    slurm = trial.experiment.launcher.slurm
    assert slurm is not None
    return slurm
