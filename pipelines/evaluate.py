"""Evaluate: score the checkpoints that lack readings, of trained arms or of a released model."""

from collections.abc import Sequence
from dataclasses import replace

from intervene.console import say
from intervene.errors import InterveneError
from intervene.experiment import Experiment, Scope
from intervene.parallel import read_share
from pipelines.attempt import attempted
from pipelines.checkpoints import Plan, plan_arm
from pipelines.scoring import score_plans
from pipelines.stage import launching, stage
from pipelines.trial import Trial, list_trials

DATA = "evaluation.data="


def evaluate(trial: Trial) -> None:
    """Score every arm of the name, this arm alone, or a released model, as `arm` says."""
    experiment = trial.experiment
    check_scope(experiment)
    if experiment.arm is not Scope.all:
        evaluate_arm(trial)
        return
    noted = [t for t in list_trials(trial.store, experiment.name) if not t.is_released]
    arms = [adopt_evaluation(arm, trial) for arm in noted] or [trial]
    plans, broken = plan_arms(arms)
    score_plans(plans, trial, broken)


@attempted("evaluate")
def evaluate_arm(trial: Trial) -> None:
    """Score the checkpoint that an arm resumed from and those of its run, or a released one."""
    if trial.is_released:
        from pipelines.released import plan_released  # imports torch

        score_plans([plan_released(trial)], trial)
    else:
        score_plans([plan_arm(trial)], trial)


def check_scope(experiment: Experiment) -> None:
    """Refuse a step or a shard where it says nothing.

    Errors: InterveneError that names the key.
    """
    read_share(experiment.shard, "shard")
    released = experiment.arm is Scope.none
    if released and experiment.shard is not None:
        raise InterveneError(
            "a released checkpoint is one, and cannot be shared out",
            f"shard={experiment.shard}",
            "leave it out; -m step=133000,143000 scores several steps",
        )
    if not released and experiment.step is not None:
        raise InterveneError(
            "all checkpoints of an arm are scored",
            f"step={experiment.step}",
            "leave it out, or give arm=none for a released model",
        )


def adopt_evaluation(arm: Trial, asked: Trial) -> Trial:
    """A noted arm with the evaluation that is asked for now.

    Its items stay where they were, unless the command says `evaluation.data`.
    """
    evaluation = asked.experiment.evaluation
    mine = [word for word in arm.overrides if not word.startswith("evaluation")]
    given = [word for word in asked.overrides if word.startswith("evaluation")]
    if not any(word.startswith(DATA) for word in given):
        evaluation = replace(evaluation, data=arm.experiment.evaluation.data)
        given += [word for word in arm.overrides if word.startswith(DATA)]
    return Trial(replace(arm.experiment, evaluation=evaluation), (*mine, *given))


def plan_arms(arms: Sequence[Trial]) -> tuple[list[Plan], list[InterveneError]]:
    """The plans of those arms that are trained, and what is wrong with others that were.

    A line says of each arm that is not trained which command trains it.

    Errors: InterveneError if none is trained.
    """
    plans, broken = list[Plan](), list[InterveneError]()
    for arm in arms:
        try:
            plans.append(plan_arm(arm))
        except InterveneError as problem:
            if len(arms) == 1:
                raise
            if arm.artefacts("run"):
                broken.append(problem)
            else:
                say(f"left out: {arm.label}: {problem}")
    if not plans and not broken:
        raise InterveneError(
            f"none of its {len(arms)} arms is trained",
            f"name={arms[0].experiment.name}",
            f"run `{arms[0].command('intervene')}` first",
        )
    return plans, broken


main = stage(evaluate, sweep=launching("evaluate"))

if __name__ == "__main__":
    main()
