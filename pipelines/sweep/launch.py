"""A sweep from its arms to its report, where the launcher says."""

from collections.abc import Sequence

from intervene.console import say
from intervene.errors import InterveneError
from intervene.launcher import Launcher
from intervene.training.ranks.place import take_place
from pipelines.compare import compare
from pipelines.stage import reporting
from pipelines.sweep.account import Account
from pipelines.sweep.built import is_built
from pipelines.sweep.local import Pool
from pipelines.sweep.slurm import run_on_slurm
from pipelines.sweep.task import PREPARE, TRAIN, Task, list_tasks
from pipelines.sweep.verdict import list_failures
from pipelines.sweep.worker import STOPPED, run_task
from pipelines.trial import Trial


def launch(trials: Sequence[Trial], stages: Sequence[str], *, compares: bool = False) -> None:
    """Do stages of arms, each task once, whatever becomes of the others.

    Args:
        trials: the arms; a later one with the same weights is left out.
        stages: of `STAGES`.
        compares: whether the arms of each name are compared at last, if all tasks are done.

    Errors: InterveneError when everything else is done, if a task is not.
    """
    launcher, arms = check_launchers(trials), select_arms(trials)
    for arm in arms:
        arm.note()
    every = list_tasks(arms, stages)
    left = [task for task in every if not is_built(task)]
    if TRAIN in stages:
        left = drop_idle(left)
    built = len(every) - len(left)
    say(
        f"{len(arms)} arms, {built} of {len(every)} tasks done already; each arm's logs are in "
        f"{arms[0].folder.parent}"
    )
    account = Account(left, built)
    names = {arm.experiment.name: arm for arm in arms} if compares else {}
    if left and launcher.slurm:
        run_on_slurm(left, account, reports=list(names.values()))
    elif left and take_place():
        _run_in_place(left, account)
    elif left:
        assert launcher.local
        Pool(left, every, launcher.local, launcher.retries, account).run()
    account.close()
    for arm in names.values():
        with reporting(f"comparing name={arm.experiment.name}"):
            compare(arm)


def select_arms(trials: Sequence[Trial]) -> list[Trial]:
    """Each arm once; a line says so if it is asked for with several evaluations."""
    arms: dict[str, Trial] = {}
    for trial in trials:
        first = arms.setdefault(trial.digest, trial)
        if first.experiment.evaluation != trial.experiment.evaluation:
            say(f"{trial.label}: it is scored as it is asked for first; give others by themselves")
    return list(arms.values())


def drop_idle(tasks: Sequence[Task]) -> list[Task]:
    """The tasks without the preparations of checkpoints from which nothing is left to train."""
    training = frozenset[str]().union(*(task.digests for task in tasks if task.stage == TRAIN))
    return [t for t in tasks if t.stage != PREPARE or t.digests & training]


def check_launchers(arms: Sequence[Trial]) -> Launcher:
    """The launcher of a sweep.

    Errors: InterveneError for arms that name different ones, and for SLURM's inside of a launcher.
    """
    launchers = {arm.experiment.launcher for arm in arms}
    first = arms[0].experiment.launcher
    kinds = {launcher.slurm is None for launcher in launchers}
    if len(kinds) > 1 or (first.local and len(launchers) > 1):
        raise InterveneError(
            "arms of one sweep name different launchers",
            "launcher",
            "give one for all; of slurm, resources may differ from arm to arm",
        )
    if first.slurm and take_place():
        raise InterveneError(
            "it submits jobs, and this process is one of several that srun or torchrun started",
            "launcher=slurm",
            "start a single process, or leave launcher at local",
        )
    return first


def _run_in_place(tasks: Sequence[Task], account: Account) -> None:
    """Run tasks one after the other in this process, whose fellows take part in its trainings."""
    for task in tasks:
        account.begin(task)
        code = run_task(task)
        if code == STOPPED:
            raise KeyboardInterrupt
        if code == 0:
            account.end(task)
        for part, attempt in list_failures(task):
            account.fail(task, part, attempt, again=False)
