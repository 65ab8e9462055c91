"""The weights of the resume step: from the Hub, a folder, a random draw or a ladder built here."""

import dataclasses
import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from huggingface_hub import snapshot_download

from intervene.errors import InterveneError
from intervene.experiment import Experiment, Model
from intervene.lineage import Artefact, Recipe, Store, digest_files
from intervene.sources.remote.hub import explain_hub
from intervene.sources.source import digest_span, find_rows
from intervene.training.job import CHECKPOINTS, STATE, Job, key_job, run_job

HUB, RANDOM, LADDER = "hub", "random", "ladder"
WEIGHTS = "weights"
PATTERNS = ("*.safetensors", "pytorch_model*.bin")
RUNGS = 10


@dataclass(frozen=True)
class Checkpoint:
    """Where a run resumes from.

    Args:
        artefact: kind `checkpoint`, or the ladder's `run`.
        weights: folder in Hugging Face format.
        state: folder of DeepSpeed state with Adam's moments, or None.
        step: batches 0 … step − 1 were consumed.
    """

    artefact: Artefact
    weights: Path
    state: Path | None
    step: int


def check_checkpoint(experiment: Experiment) -> None:
    """Refuse a local folder that is no checkpoint of this model, before any work.

    Errors: InterveneError, as `check_folder`.
    """
    model = experiment.model
    if model.checkpoint not in (HUB, RANDOM, LADDER):
        folder = Path(model.checkpoint).expanduser().resolve()
        check_folder(folder, model, f"model.checkpoint={model.checkpoint}")


def obtain_checkpoint(store: Store, experiment: Experiment) -> Checkpoint:
    """The checkpoint that `model.checkpoint` names; a random or ladder one is made if absent.

    Errors: InterveneError for a Hub that does not answer, a folder that is missing, incomplete or
    of another architecture, and a ladder to step 0.
    """
    choice = experiment.model.checkpoint
    if choice not in (RANDOM, LADDER):
        return _adopt(store, experiment)
    random = store.obtain(recipe_random(experiment), lambda draft: _build_random(draft, experiment))
    if choice == RANDOM:
        return _place(random, experiment)
    job, recipe = plan_ladder(store, experiment, random)
    ladder = store.obtain(recipe, lambda draft: run_job(draft, job), resumable=True)
    return _place(ladder, experiment)


def demand_checkpoint(store: Store, experiment: Experiment, command: str) -> Checkpoint:
    """The checkpoint that `model.checkpoint` names, without training anything.

    Errors: as `obtain_checkpoint`; one that must be made first is named with its command.
    """
    choice = experiment.model.checkpoint
    if choice not in (RANDOM, LADDER):
        return _adopt(store, experiment)
    random = store.demand(recipe_random(experiment), command)
    if choice == RANDOM:
        return _place(random, experiment)
    _, recipe = plan_ladder(store, experiment, random)
    return _place(store.demand(recipe, command), experiment)


def recipe_random(experiment: Experiment) -> Recipe:
    """Untrained weights of an architecture."""
    model = experiment.model
    params = {key: getattr(model, key) for key in ("layers", "width", "heads", "vocab", "context")}
    return Recipe("checkpoint", 1, {"random": params, "seed": experiment.trainer.seed})


def plan_ladder(store: Store, experiment: Experiment, random: Artefact) -> tuple[Job, Recipe]:
    """Pretraining from random weights on the source's own rows up to the stretch.

    It saves at tenths of the way, whatever the run after it does, so that runs share it. It is
    keyed by the rows that it reads; the source's key is of the stretch.

    Errors: InterveneError if there is no step before the stretch.
    """
    start = experiment.data.stretch.start
    if start == 0:
        raise InterveneError(
            "a ladder trains on the rows before the stretch, and the stretch starts at step 0",
            "model.checkpoint=ladder",
            "set model.checkpoint=random, or a later data.stretch.start",
        )
    trainer = dataclasses.replace(experiment.trainer, save_every=math.ceil(start / RUNGS))
    pretraining = dataclasses.replace(experiment.control, trainer=trainer)
    before = range(experiment.data.rows.start)
    path, rows = find_rows(store, experiment.data, before)
    job = Job(pretraining, path, 0, 0, start, random.path / WEIGHTS, None)
    digest, _ = digest_span(store, rows, before)
    return job, Recipe("run", 1, key_job(job) | {"rows_sha256": digest}, (random,))


def find_weights(folder: Path) -> list[Path]:
    """The weight files of a folder in Hugging Face format: safetensors, or else pickles."""
    for pattern in PATTERNS:
        if found := sorted(folder.glob(pattern)):
            return found
    return []


def check_folder(folder: Path, model: Model, where: str) -> None:
    """Refuse a folder that is no checkpoint of this model.

    Errors: InterveneError that names the folder and what differs.
    """
    if not folder.is_dir():
        raise InterveneError(
            "no such folder", where, "give a folder in Hugging Face format, hub, ladder or random"
        )
    config_file = folder / "config.json"
    if not config_file.is_file() or not find_weights(folder):
        missing = "weights" if config_file.is_file() else "config.json"
        raise InterveneError(
            f"{folder} holds no {missing}",
            where,
            "give a folder with config.json and *.safetensors",
        )
    config: dict[str, Any] = json.loads(config_file.read_text())
    if config.get("model_type") != "gpt_neox":
        raise InterveneError(
            f"{config_file} is of a {config.get('model_type')}, not of a gpt_neox",
            where,
            "give a GPT-NeoX or Pythia checkpoint",
        )
    names = {"layers": "num_hidden_layers", "width": "hidden_size", "heads": "num_attention_heads"}
    for key, name in names.items():
        if config[name] != getattr(model, key):
            raise InterveneError(
                f"{folder} has {config[name]} {key}, the preset {model.name} {getattr(model, key)}",
                where,
                "choose the model preset of these weights",
            )
    if config["vocab_size"] < model.vocab:
        raise InterveneError(
            f"{folder} has a vocabulary of {config['vocab_size']:,}, the preset {model.name} "
            f"{model.vocab:,}",
            where,
            f"set model.vocab={config['vocab_size']}",
        )


def _place(artefact: Artefact, experiment: Experiment) -> Checkpoint:
    """The resume point that a random draw or a ladder built."""
    step = experiment.data.stretch.start
    if artefact.kind == "run":
        return Checkpoint(
            artefact, artefact.path / CHECKPOINTS / f"step{step}", artefact.path / STATE, step
        )
    return Checkpoint(artefact, artefact.path / WEIGHTS, None, step)


def _adopt(store: Store, experiment: Experiment) -> Checkpoint:
    """Weights that lie outside the store: their artefact holds only a manifest."""
    model, step = experiment.model, experiment.data.stretch.start
    if model.checkpoint == HUB:
        folder, where = _download(model, step)
        params: dict[str, Any] = {"repo": model.repo, "commit": folder.name, "step": step}
    else:
        folder = Path(model.checkpoint).expanduser().resolve()
        where = f"model.checkpoint={model.checkpoint}"
    check_folder(folder, model, where)
    if model.checkpoint != HUB:
        files = [folder / "config.json", *find_weights(folder)]
        params = store.recall(files, "sha256", lambda: {"sha256": digest_files(files)})
    recipe = Recipe("checkpoint", 1, params)
    facts = {"path": str(folder)}
    artefact = store.find(recipe) or store.obtain(recipe, lambda draft: facts)
    return Checkpoint(artefact, folder, None, step)


def _download(model: Model, step: int) -> tuple[Path, str]:
    """The snapshot of branch `step{N}`, whose folder is named by its commit, and its address.

    Errors: InterveneError when the Hub does not give it.
    """
    assert model.repo is not None
    where = f"{model.repo}@step{step}"
    for pattern in PATTERNS:
        try:
            folder = snapshot_download(
                model.repo, revision=f"step{step}", allow_patterns=["config.json", pattern]
            )
        except Exception as problem:
            raise explain_hub(
                problem, where, "check the connection, or set model.checkpoint=<folder>|random"
            ) from problem
        if find_weights(Path(folder)):
            break
    return Path(folder), where


def _build_random(draft: Path, experiment: Experiment) -> dict[str, Any]:
    # Here, so that stages which draw nothing do not wait for transformers to be imported.
    from intervene.training.network import draw_network, write_weights

    network = draw_network(experiment.model, experiment.trainer.seed)
    weights = {name: p.detach() for name, p in network.named_parameters()}
    write_weights(draft / WEIGHTS, network.config, weights)
    return {"parameters": sum(p.numel() for p in weights.values())}
