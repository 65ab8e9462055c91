"""The reckoning of what arms cost, before anything is started."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from intervene.errors import InterveneError
from intervene.experiment import Experiment
from intervene.hardware import Hardware
from intervene.training.job import Job, check_save_steps
from intervene.training.memory.disk import WEIGHT_BYTES, list_saves
from intervene.training.memory.footprint import count_parameters, count_state
from intervene.training.memory.plan import choose_plan, expect_bytes
from intervene.training.neox import universal
from pipelines.planning.cost import Arm, Cost, Fit, Training
from pipelines.planning.node import Node, Share, find_share, find_space
from pipelines.planning.preparation import Preparation, list_preparations, plan_arm
from pipelines.planning.speed import Known, find_speed
from pipelines.planning.stock import (
    Stock,
    identify_corpus,
    identify_preparation,
    identify_readings,
    identify_run,
)
from pipelines.planning.stored import Kind, Stored, list_stored
from pipelines.trial import Trial


@dataclass(frozen=True)
class Basis:
    """What a reckoning rests on.

    Args:
        hardware: as it was asked for.
        node: a machine of that kind.
        known: speeds that were measured.
        stock: what is built.
    """

    hardware: Hardware
    node: Node
    known: Known
    stock: Stock


def reckon(trials: Sequence[Trial], basis: Basis) -> Cost:
    """What arms cost together; what they share is counted once.

    An arm that cannot be trained as it is asked for is left out, and the cost says why.
    """
    arms, refused = list[Arm](), list[InterveneError]()
    preparations: dict[str, Training] = {}
    stored: dict[tuple[Kind, str], Stored] = {}
    for trial in trials:
        experiment = trial.experiment
        try:
            arm, asked = reckon_arm(trial, basis), list_preparations(experiment)
            before = [
                reckon_preparation(each, basis, needed=arm.training.is_left) for each in asked
            ]
        except InterveneError as problem:
            refused.append(problem)
            continue
        arms.append(arm)
        for preparation, training in zip(asked, before, strict=True):
            name = identify_preparation(preparation)
            if training.is_needed or name not in preparations:
                preparations[name] = training
        for each in list_stored(experiment, asked, basis.stock):
            stored[each.kind, each.identity] = each
    return Cost(tuple(arms), tuple(preparations.values()), tuple(stored.values()), tuple(refused))


def reckon_arm(trial: Trial, basis: Basis) -> Arm:
    """What an arm's own training costs.

    Errors: as `find_share`, and InterveneError for a checkpoint outside the stretch.
    """
    experiment, stock = trial.experiment, basis.stock
    form, job = experiment.corpus.form, plan_arm(experiment)
    check_save_steps(job)
    is_built = identify_run(experiment, form) in stock.runs
    state = count_state(experiment.model, experiment.trainer.precision)
    saves = len(list_saves(job))
    training = _reckon(job, trial.label, "train", basis, is_built=is_built, kept=state)
    return Arm(
        training,
        has_corpus=identify_corpus(experiment, form) in stock.corpora,
        scored=stock.readings.get(identify_readings(experiment, form), 0),
        wanted=saves + 1,
    )


def reckon_preparation(preparation: Preparation, basis: Basis, *, needed: bool) -> Training:
    """What a ladder or a replay costs.

    Args:
        preparation: which.
        basis: what the reckoning rests on.
        needed: whether an arm that starts from it is not trained yet.

    Errors: as `find_share`.
    """
    job = preparation.job
    model, precision = job.experiment.model, job.experiment.trainer.precision
    kept = count_state(model, precision)
    if job.replay:  # in universal files, which take the place of the training's own
        kept = universal.BYTES * count_parameters(model)
    name, is_built = f"{model.name} {preparation.name}", basis.stock.holds(preparation)
    training = _reckon(job, name, "prepare", basis, is_built=is_built, kept=kept)
    return replace(training, is_needed=needed)


def count_tokens(job: Job) -> int:
    """The targets that a job trains on."""
    data = job.experiment.data
    return (job.stop - job.start) * data.rows_per_step * (data.row_tokens - 1)


def _reckon(
    job: Job, name: str, stage: str, basis: Basis, *, is_built: bool, kept: int
) -> Training:
    """What a training of a stage costs; `kept`: bytes of optimizer state that stay."""
    experiment, node = job.experiment, basis.node
    model, share = experiment.model, find_share(experiment, node, stage)
    state = count_state(model, experiment.trainer.precision)
    speed, fit, problems = None, None, []
    try:
        speed = find_speed(experiment, basis.hardware, node, basis.known)
    except InterveneError as problem:
        problems.append(problem)
    try:
        fit = find_fit(experiment, share, node)
    except InterveneError as problem:
        where = f"model={model.name} {problem.where}"
        problems.append(InterveneError(problem.what, where, problem.remedy))
    saves = 0 if job.replay else len(list_saves(job))
    return Training(
        name=name,
        start=job.start,
        tokens=count_tokens(job),
        share=share,
        speed=speed,
        fit=fit,
        checkpoints=WEIGHT_BYTES * count_parameters(model) * saves,
        state=kept,
        spare=2 * state - kept,
        is_built=is_built,
        problems=tuple(problems),
    )


def find_fit(experiment: Experiment, share: Share, node: Node) -> Fit:
    """How a step is cut to fit the memory of a rank, as training will.

    Errors: as `choose_plan`.
    """
    room = find_space(share, node)
    plan = choose_plan(experiment, share.ranks, room)
    expected = expect_bytes(plan, experiment, share.ranks, gpu=room.gpu)
    return Fit(plan.micro_batch, plan.activation_checkpointing, expected, room.size)
