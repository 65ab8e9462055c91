"""What of a plan is in the store already, as far as notes and manifests tell."""

import json
from collections import Counter
from dataclasses import asdict, dataclass
from typing import Any

from intervene.data import Data
from intervene.experiment import Experiment
from intervene.lineage import Artefact, Store
from intervene.parallel import Form
from intervene.rewriting.jobs import find_lexicon
from intervene.sources.remote.fetched import BRANCH, KIND
from intervene.sources.remote.hub import SCHEME, parse_address
from intervene.sources.remote.web import hide_secrets
from intervene.sources.source import TOY
from intervene.sources.toy import toy_recipe
from intervene.training.job import key_job
from intervene.training.start.checkpoint import recipe_random
from intervene.training.start.folder import LADDER, find_folder
from intervene.training.start.revision import find_revision
from pipelines.planning.preparation import Preparation
from pipelines.trial import list_names, list_trials

UNTOLD = {
    "model": ("name", "counterpart"),
    "data": ("name", "heldout", "checksums"),
    "trainer": ("name", "micro_batch", "processes", "activation_checkpointing"),
    "kernels": ("name",),
}
"""Values that leave a run the same."""


@dataclass(frozen=True)
class Stock:
    """What is built, whichever name it was asked for under.

    Args:
        store: where.
        scans, corpora, runs: the identities of those that are there.
        readings: how many checkpoints are scored, by `identify_readings`.
    """

    store: Store
    scans: frozenset[str]
    corpora: frozenset[str]
    runs: frozenset[str]
    readings: dict[str, int]

    def holds_rows(self, data: Data, span: range) -> bool:
        """Whether rows from far away are fetched, or the toy's generated."""
        if data.name == TOY:
            return self.store.find(toy_recipe(data)) is not None
        wanted = (*find_place(data), data.row_tokens, [span.start, span.stop])
        for artefact in self.store.artefacts(KIND):
            manifest = artefact.manifest
            params = manifest["params"]
            for revision in (manifest["facts"]["revision"], params["commit"]):
                if (params["address"], revision, params["row_tokens"], params["rows"]) == wanted:
                    return True
        return False

    def holds(self, preparation: Preparation) -> bool:
        """Whether a ladder or a replay is built; all of its recipe is compared but its rows."""
        wanted = key_job(preparation.job)
        for artefact in self.store.artefacts(preparation.kind):
            manifest = artefact.manifest
            params = {k: v for k, v in manifest["params"].items() if k != "rows_sha256"}
            if params == wanted and "rows_sha256" in manifest["params"]:
                origin = self.store.ancestors(artefact)
                if origin and self._is_start(origin[0], preparation.job.experiment):
                    return True
        return False

    def holds_start(self, experiment: Experiment) -> bool:
        """Whether random weights are drawn, or a checkpoint of GPT-NeoX's is converted."""
        return any(self._is_start(a, experiment) for a in self.store.artefacts("checkpoint"))

    def _is_start(self, found: Artefact, experiment: Experiment) -> bool:
        """Whether an artefact holds, or names, the weights that `model.checkpoint` does."""
        model, manifest = experiment.model, found.manifest
        if revision := find_revision(model, experiment.data.stretch.start):
            named = (manifest["facts"].get("revision"), manifest["params"].get("commit"))
            return manifest["params"].get("repo") == revision.repo and revision.name in named
        if folder := find_folder(model):
            keys = ("path", "checkpoint")  # of what was adopted, and of what was converted
            return str(folder) in [manifest["facts"].get(key) for key in keys]
        drawn = recipe_random(experiment).key
        if found.kind == "run":  # a replay from the end of a ladder
            return model.checkpoint == LADDER and drawn in [
                each.key for each in self.store.ancestors(found)
            ]
        return found.key == drawn


def take_stock(store: Store) -> Stock:
    """Look through the notes of all arms."""
    scans, corpora, runs = set[str](), set[str](), set[str]()
    readings = Counter[str]()
    trials = [trial for name in list_names(store) for trial in list_trials(store, name)]
    for trial in trials:
        experiment = trial.experiment
        if trial.is_released:
            continue
        if trial.artefacts("scan"):
            scans.add(identify_scan(experiment))
        for corpus in trial.artefacts("corpus"):
            corpora.add(identify_corpus(experiment, find_form(corpus)))
        for run in trial.artefacts("run"):
            source = store.get("corpus", run.manifest["inputs"][0]["key"])
            form = experiment.corpus.form if source is None else find_form(source)
            runs.add(identify_run(experiment, form))
            scored = identify_readings(experiment, form)
            readings[scored] = max(readings[scored], len(trial.artefacts("readings")))
    return Stock(store, frozenset(scans), frozenset(corpora), frozenset(runs), dict(readings))


def find_form(corpus: Artefact) -> Form:
    """How a corpus is kept."""
    return Form(corpus.manifest["params"].get("form", Form.materialised))


def find_place(data: Data) -> tuple[str, str | None]:
    """Where rows lie far away, and the revision that is asked for, as `fetch_rows` names them."""
    if data.path is not None and not data.path.startswith(SCHEME):
        return hide_secrets(data.path).rstrip("/"), None
    repo, named, path = data.repo, data.revision, ""
    if data.path is not None:
        repo, named, path = parse_address(data.path)
    return f"{SCHEME}datasets/{repo}/{path}".rstrip("/"), named or BRANCH


def identify_scan(experiment: Experiment) -> str:
    """What tells scans apart."""
    lexicon = find_lexicon(experiment).digest
    return _spell(_describe(experiment, "data"), asdict(experiment.guards), lexicon)


def identify_corpus(experiment: Experiment, form: Form) -> str:
    """What tells corpora apart."""
    arm = experiment.intervention.identity()
    return _spell(identify_scan(experiment), arm, str(form))


def identify_run(experiment: Experiment, form: Form) -> str:
    """What tells runs apart."""
    parts = [_describe(experiment, part) for part in ("model", "trainer", "kernels")]
    return _spell(identify_corpus(experiment, form), *parts)


def identify_readings(experiment: Experiment, form: Form) -> str:
    """What tells the readings of runs apart: what was scored, and how."""
    asked = experiment.evaluation
    how = [list(asked.tasks), str(asked.tasks_from), asked.data, str(asked.precision)]
    return _spell(identify_run(experiment, form), how)


def identify_preparation(preparation: Preparation) -> str:
    """What tells ladders and replays apart."""
    experiment = preparation.job.experiment
    data = {k: v for k, v in _describe(experiment, "data").items() if k != "stretch"}
    return _spell(preparation.name, key_job(preparation.job), data, _describe(experiment, "model"))


def _describe(experiment: Experiment, part: str) -> dict[str, Any]:
    values = asdict(getattr(experiment, part))
    return {key: value for key, value in values.items() if key not in UNTOLD[part]}


def _spell(*parts: object) -> str:
    return json.dumps(parts, sort_keys=True, default=str)
