"""Which checkpoints of a trained arm are to be scored, and what their readings record."""

import dataclasses
import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from intervene.arm import Arm
from intervene.console import say
from intervene.errors import InterveneError
from intervene.evaluation.benchmarks.folder import resolve_items
from intervene.evaluation.heldout import HeldoutRows
from intervene.evaluation.own import digest_asked
from intervene.evaluation.readings import readings_recipe
from intervene.evaluation.targets import Target
from intervene.evaluation.tasks import HELDOUT
from intervene.experiment import Experiment, to_json
from intervene.lineage import Artefact
from intervene.sources.source import open_source
from pipelines.terms import describe_base, describe_run, describe_scoring
from pipelines.trial import Trial

CHECKPOINTS = "checkpoints"
"""As in training/job.py, which imports torch; nothing here has to."""


@dataclass(frozen=True)
class Plan:
    """A trial whose checkpoints are to be scored.

    Args:
        trial: the arm, or the released checkpoint.
        built: what it was trained from and what came of it.
        targets: its checkpoints by step, the one that it resumed from first.
    """

    trial: Trial
    built: tuple[Artefact, ...]
    targets: tuple[Target, ...]

    def note(self) -> None:
        """Note the readings under the trial; one that is not there yet counts once it is."""
        self.trial.note(*self.built, *map(readings_recipe, self.targets))


def plan_arm(trial: Trial) -> Plan:
    """The checkpoint that an arm resumed from, and those of its run.

    Errors: InterveneError for an arm that is not trained, with the command that trains it; for rows
    and items that are not there; and for a store that has lost what a run was made from.
    """
    store, trial = trial.store, drop_heldout(trial)
    experiment = trial.experiment
    run = find_run(trial)
    corpus, checkpoint = (recall_input(trial, run, place) for place in (0, 1))
    source = open_source(store, experiment.data)
    items = resolve_items(store, experiment.evaluation, source.items)
    heldout, keys = find_heldout(trial)
    how = describe_scoring(experiment.evaluation, keys)
    control = replace(experiment, intervention=Arm(rate=0.0))  # whichever arm is asked about first
    base = describe(control, trial, checkpoint, experiment.data.stretch.start) | {
        "arm": "base",
        "base": True,
        "terms": describe_base(checkpoint, experiment.model) | how,
    }
    target = Target(
        store.root, checkpoint, checkpoint.path, base["step"], source.tokenizer, items,
        experiment.evaluation, digest_asked(experiment.evaluation, items), heldout, base,
    )  # fmt: skip
    arm = describe(experiment, trial, run, base["step"]) | {
        "rate": corpus.facts["rate"],
        "corpus": {"key": corpus.key, **corpus.facts},
        "terms": describe_run(store, run, corpus, checkpoint) | how,
    }
    targets = [target]
    for step in list_steps(run):
        weights = run.path / CHECKPOINTS / f"step{step}"
        facts = arm | {"step": step}
        targets.append(replace(target, parent=run, weights=weights, step=step, facts=facts))
    return Plan(trial, (corpus, run), tuple(targets))


def describe(experiment: Experiment, trial: Trial, parent: Artefact, step: int) -> dict[str, Any]:
    """The facts of a checkpoint's readings, but for its corpus and its terms."""
    arm, stretch = experiment.intervention, experiment.data.stretch
    return {
        "model": experiment.model.name,
        "arm": arm.slug,
        "rate": arm.rate,
        "direction": arm.family,
        "unit": str(arm.unit),
        "seed": arm.seed,
        "step": step,
        "resume_step": stretch.start,
        "stop_step": stretch.stop,
        "base": False,
        "released": False,
        "corpus": None,
        "lineage": [line.strip() for line in trial.store.tree([parent])],
        "experiment": json.loads(to_json(experiment)),
    }


def locate_weights(target: Target, trial: Trial) -> Target:
    """The target with its weights found, or fetched where they are of the Hub.

    Errors: InterveneError for a checkpoint that was there when the arm was trained, and is not now.
    """
    if not target.facts["base"]:
        if not target.weights.is_dir():
            raise InterveneError(
                f"{target.label} was trained, and its checkpoint is not there any more",
                str(target.weights),
                f"remove {target.parent.path} and run `{trial.command('train')}`",
            )
        return target
    from intervene.training.start.checkpoint import demand_checkpoint  # imports torch

    found = demand_checkpoint(trial.store, trial.experiment, trial.command("train"))
    if found.artefact.key != target.parent.key:
        raise InterveneError(
            f"it is {found.artefact.name} now, and was {target.parent.name} when the arm was "
            "trained",
            f"model.checkpoint={trial.experiment.model.checkpoint}",
            f"put the old one back, or train again with `{trial.command('train')}`",
        )
    return replace(target, weights=found.weights)


def find_run(trial: Trial) -> Artefact:
    """The run that is noted for an arm, or that another name has trained already.

    Errors: InterveneError that names the command which is to be run first.
    """
    if noted := trial.artefacts("run"):
        return noted[0]
    # Here, since they import torch, and what is noted is most often there.
    from intervene.rewriting.corpus import demand_corpus
    from intervene.training.run import demand_run
    from intervene.training.start.checkpoint import demand_checkpoint

    experiment, store, train = trial.experiment, trial.store, trial.command("train")
    source = open_source(store, experiment.data)
    corpus = demand_corpus(store, experiment, source, trial.command("rewrite"))
    checkpoint = demand_checkpoint(store, experiment, train)
    return demand_run(store, experiment, corpus, checkpoint, train)


def recall_input(trial: Trial, run: Artefact, place: int) -> Artefact:
    """What a run was made from: its corpus (0), its checkpoint (1).

    Errors: InterveneError if the store has lost it.
    """
    named = run.manifest["inputs"][place]
    found = trial.store.get(named["kind"], named["key"])
    if found is None:
        raise InterveneError(
            f"{named['kind']}/{named['key']}, from which {run.name} was trained, is not there any "
            "more",
            str(trial.store.root),
            f"run `{trial.command('rewrite')}` and `{trial.command('train')}` first",
        )
    return found


def list_steps(run: Artefact) -> list[int]:
    """The steps of which a run wrote checkpoints, whether they are there still or not."""
    params = run.manifest["params"]
    regular = range(params["start"], params["stop"], params["trainer"]["save_every"])
    return sorted({*regular[1:], *params["trainer"]["save_steps"], params["stop"]})


def find_heldout(trial: Trial) -> tuple[HeldoutRows | None, list[str] | None]:
    """The rows of `heldout_loss` and the keys of their corpora; None where that is no task.

    Errors: InterveneError that names the command which builds them.
    """
    experiment, store = trial.experiment, trial.store
    if HELDOUT not in experiment.evaluation.tasks:
        return None, None
    from pipelines.heldout import demand_heldout  # imports torch

    found = demand_heldout(store, experiment, trial.command("rewrite"))
    assert found is not None
    rows = HeldoutRows(found.original, found.swapped, experiment.data.row_tokens)
    corpora = (store.root / "corpus").resolve()
    paths: tuple[Path, ...] = (rows.original, rows.swapped)
    return rows, [path.resolve().relative_to(corpora).parts[0] for path in paths]


def drop_heldout(trial: Trial) -> Trial:
    """The trial without `heldout_loss` where no rows are held out; a line says so.

    Errors: InterveneError if no task is left.
    """
    evaluation = trial.experiment.evaluation
    released = trial.is_released
    if HELDOUT not in evaluation.tasks or (trial.experiment.data.heldout and not released):
        return trial
    why = "a released model has no rows" if released else "data.heldout=null"
    kept = tuple(task for task in evaluation.tasks if task != HELDOUT)
    if not kept:
        raise InterveneError(
            f"{HELDOUT} is the only task, and {why}", "evaluation.tasks", "name another task"
        )
    say(f"{trial.label}: {HELDOUT} is left out: {why}")
    changed = dataclasses.replace(evaluation, tasks=kept)
    return replace(trial, experiment=replace(trial.experiment, evaluation=changed))
