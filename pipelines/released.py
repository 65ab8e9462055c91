"""A released model's checkpoint, scored as it is: nothing is trained, and no rows are read."""

from dataclasses import replace
from pathlib import Path

import httpx2
from huggingface_hub import HfApi, hf_hub_download
from huggingface_hub.errors import EntryNotFoundError

from intervene.console import say
from intervene.errors import InterveneError
from intervene.evaluation.benchmarks.folder import EMBEDDED, resolve_items
from intervene.evaluation.benchmarks.hub import HUB
from intervene.evaluation.own import digest_asked
from intervene.evaluation.targets import Target
from intervene.experiment import Experiment
from intervene.model import Model
from intervene.sources.remote.hub import explain_hub
from intervene.sources.source import TOY, find_tokenizer, open_source
from intervene.stretch import Stretch
from intervene.trainer import OptimizerState
from intervene.training.start.checkpoint import Checkpoint, obtain_checkpoint
from intervene.training.start.folder import LADDER, RANDOM
from intervene.training.start.revision import ADDRESS, STEP, Revision, find_revision, resolve
from pipelines.checkpoints import Plan, describe, drop_heldout
from pipelines.terms import describe_scoring
from pipelines.trial import Trial

TOKENIZER = "tokenizer.json"
STARTS = {"published-feminise": 133_000, "published-feminise-long": 113_000}
STOP = 143_000
"""Where the published study resumed and ended (arXiv 2304.01373, §3.1): 21B and 63B tokens."""
SHOWN = 12
"""So many steps of a repository are named; of more, the nearest."""


def plan_released(trial: Trial) -> Plan:
    """The checkpoint of `step` that `model.checkpoint` names: a revision of the Hub, or a folder.

    Errors: as `obtain_checkpoint` and `resolve_items`, and InterveneError for a model that is not
    released, a step that its repository does not have, and a tokenizer that is not to be found.
    """
    step = choose_step(trial.experiment)
    trial = replace(trial, experiment=replace(trial.experiment, step=step))
    trial = drop_heldout(choose_items(trial, find_revision(trial.experiment.model, step)))
    experiment, store = trial.experiment, trial.store
    checkpoint = fetch(trial, step)
    evaluation, embedded = experiment.evaluation, None
    tokenizer = find_own_tokenizer(experiment.model, checkpoint)
    if evaluation.data == EMBEDDED and experiment.data.name == TOY:
        toy = open_source(store, experiment.data)
        embedded, tokenizer = toy.items, tokenizer or toy.tokenizer
    items = resolve_items(store, evaluation, embedded)
    family = experiment.model.counterpart or experiment.model.name
    terms = {"released": family, **describe_scoring(evaluation, None)}
    facts = describe(experiment, trial, checkpoint.artefact, step)
    facts |= {**name_arm(experiment.model, step), "model": family, "terms": terms}
    target = Target(
        store.root, checkpoint.artefact, checkpoint.weights, step,
        tokenizer or find_tokenizer(experiment.data), items, evaluation,
        digest_asked(evaluation, items), None, facts,
    )  # fmt: skip
    return Plan(trial, (checkpoint.artefact,), (target,))


def name_arm(model: Model, step: int) -> dict[str, object]:
    """The facts in which a published intervention differs from the model that it is on."""
    named: dict[str, object] = {
        "arm": "released", "rate": 0.0, "direction": "feminise", "unit": "published", "seed": 0,
        "resume_step": step, "stop_step": step, "base": False, "released": True, "corpus": None,
    }  # fmt: skip
    if model.counterpart is None:
        return named
    arm = f"published-feminise{'-long' if '-long-' in model.name else ''}"
    return named | {"arm": arm, "rate": 1.0, "resume_step": STARTS[arm], "stop_step": STOP}


def choose_step(experiment: Experiment) -> int:
    """The step that is asked for, or that `model.checkpoint` names, or the stretch's first.

    Errors: InterveneError for weights that are of no release, and for two different steps.
    """
    choice, asked = experiment.model.checkpoint, experiment.step
    where = f"model.checkpoint={choice}"
    if choice in (RANDOM, LADDER):
        raise InterveneError(
            "arm=none scores a released checkpoint, and this is none",
            where,
            "give model=pythia-410m-deduped, or model.checkpoint=REPO@REVISION or a folder",
        )
    found = ADDRESS.fullmatch(choice)
    branch = STEP.fullmatch((found and found["name"]) or "")
    named = int(branch[1]) if branch and not Path(choice).exists() else None
    if asked is None:
        return experiment.data.stretch.start if named is None else named
    if named not in (None, asked):
        raise InterveneError(f"it is of step {named}, not {asked}", where, "give one of the two")
    return asked


def choose_items(trial: Trial, revision: Revision | None) -> Trial:
    """The trial with the Hub's items where the toy's data would bring its own to a Hub model."""
    evaluation = trial.experiment.evaluation
    chosen = any(word.startswith("evaluation.data=") for word in trial.overrides)
    if revision is None or evaluation.data != EMBEDDED or chosen:
        return trial
    say(f"{trial.label}: evaluation.data=hub, since the embedded items are the toy's")
    changed = replace(evaluation, data=HUB)
    return replace(trial, experiment=replace(trial.experiment, evaluation=changed))


def fetch(trial: Trial, step: int) -> Checkpoint:
    """The weights, downloaded or converted where they have to be; no optimizer state.

    Errors: as `obtain_checkpoint`; of a step that is not there, those that are.
    """
    experiment = trial.experiment
    data = replace(experiment.data, stretch=Stretch(step, step + 1), heldout=None)
    trainer = replace(experiment.trainer, optimizer_state=OptimizerState.cold)
    try:
        return obtain_checkpoint(trial.store, replace(experiment, data=data, trainer=trainer))
    except InterveneError:
        revision = find_revision(experiment.model, step)
        if revision and revision.step is not None:
            check_step(revision, revision.step)
        raise


def check_step(revision: Revision, step: int) -> None:
    """Refuse a step that the repository does not have, if the Hub tells which it has."""
    try:
        branches = HfApi().list_repo_refs(revision.repo).branches
    except (httpx2.HTTPError, OSError, ValueError):
        return
    found = (STEP.fullmatch(branch.name) for branch in branches)
    steps = sorted(int(branch[1]) for branch in found if branch)
    if not steps or step in steps:
        return
    nearest = sorted(sorted(steps, key=lambda other: abs(other - step))[:SHOWN])
    names = ", ".join(f"{other:,}" for other in nearest)
    raise InterveneError(
        f"{revision.repo} has no step {step:,}",
        f"step={step}",
        f"choose one of its {len(steps):,} steps"
        f"{', the nearest' if len(steps) > SHOWN else ''}: {names}",
    )


def find_own_tokenizer(model: Model, checkpoint: Checkpoint) -> Path | None:
    """The `tokenizer.json` that lies with the weights, at the same revision; None if none does.

    Errors: InterveneError for a Hub that does not answer.
    """
    revision = find_revision(model, checkpoint.step)
    if revision is None:
        path = checkpoint.weights / TOKENIZER
        return path if path.is_file() else None
    try:
        return Path(hf_hub_download(revision.repo, TOKENIZER, revision=resolve(revision)))
    except EntryNotFoundError:
        return None
    except Exception as problem:
        raise explain_hub(
            problem, f"{revision.address} {TOKENIZER}", "try again, or give a local folder"
        ) from problem
