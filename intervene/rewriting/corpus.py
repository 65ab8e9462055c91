"""The scan and corpus artefacts: what is in their keys, and how their stages come by them."""

import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

from intervene.console import LOG_SECONDS, say
from intervene.experiment import Experiment, Words
from intervene.lineage import Artefact, Recipe, Store, digest_files
from intervene.parallel import Form
from intervene.rewriting.blocks import show_blocks, take_shard
from intervene.rewriting.document_corpus import DocumentCorpusJob, DocumentOverlayJob
from intervene.rewriting.document_patches import PatchesJob, check_arm, patches_recipe
from intervene.rewriting.document_scan import DocumentScanJob, digest_touched
from intervene.rewriting.find import FINDER_VERSION
from intervene.rewriting.guards import GUARD_NAMES
from intervene.rewriting.jobs import CorpusJob, Job, ScanJob, find_lexicon
from intervene.rewriting.overlay import OverlayJob, check_form
from intervene.rewriting.role import MODEL
from intervene.sources.documents import DocumentRows
from intervene.sources.source import Source

POLL_SECONDS = 1.0


def scan_recipe(
    experiment: Experiment, source: Artefact, tokenizer: Path, documents: str | None = None
) -> Recipe:
    """The scan of the experiment's stretch: the same for every arm but those to singular they.

    Args:
        experiment: its stretch, lexicon and guards count, and whether its arm leads to neutral.
        source: the artefact of its rows.
        tokenizer: the `tokenizer.json` of the rows.
        documents: sha256 of the documents that the rows touch, if it is these that are scanned.
    """
    data, guards = experiment.data, experiment.guards
    params = {
        "start": data.rows.start,
        "stop": data.rows.stop,
        "row_tokens": data.row_tokens,
        "lexicon": find_lexicon(experiment).digest,
        "tokenizer": digest_files([tokenizer]),
        "guards": {name: getattr(guards, name) for name in GUARD_NAMES},
        "finder": FINDER_VERSION,
        "roles": digest_files([MODEL]),
        **({} if documents is None else {"documents": documents}),
        **({} if experiment.lexicon == Words() else {"words": asdict(experiment.lexicon)}),
    }
    return Recipe("scan", 2, params, (source,))


def corpus_recipe(experiment: Experiment, scanned: Artefact) -> Recipe:
    """The corpus of the experiment's arm; every control of a scan and form is the same corpus."""
    form = experiment.corpus.form
    kept = {} if form is Form.materialised else {"form": str(form)}
    return Recipe("corpus", 2, experiment.intervention.identity() | kept, (scanned,))


def find_scan(store: Store, experiment: Experiment, source: Source) -> Recipe:
    """The scan of the experiment's stretch: of its rows, or of the documents that they touch.

    Errors: InterveneError for an arm that this source, or this form of corpus, cannot have.
    """
    check_form(experiment)
    check_arm(experiment.intervention, source.rows)
    documents = None
    if isinstance(source.rows, DocumentRows):
        documents = digest_touched(store, source.rows, experiment.data.rows)
    return scan_recipe(experiment, source.artefact, source.tokenizer, documents)


def obtain_scan(store: Store, experiment: Experiment, source: Source) -> Artefact:
    """The scan of the experiment's stretch, built if it is absent; a shard waits for the others."""
    kind = DocumentScanJob if isinstance(source.rows, DocumentRows) else ScanJob
    return _await(store, find_scan(store, experiment, source), kind(experiment, source), experiment)


def obtain_corpus(
    store: Store, experiment: Experiment, source: Source, scanned: Artefact
) -> Artefact | None:
    """The corpus of the experiment's arm, built if it is absent.

    Returns:
        None for a shard that has done its part while others have not; a line says so.
    """
    is_overlay, parent = experiment.corpus.form is Form.overlay, scanned
    check_form(experiment)
    job: Job
    if isinstance(source.rows, DocumentRows):
        drawn = PatchesJob(experiment, scanned)
        parent = _await(store, patches_recipe(experiment, scanned), drawn, experiment)
        written = DocumentOverlayJob if is_overlay else DocumentCorpusJob
        job = written(experiment, source, parent)
    else:
        kind = OverlayJob if is_overlay else CorpusJob
        job = kind(experiment, source, scanned)
    recipe = corpus_recipe(experiment, parent)
    artefact, missing = _obtain(store, recipe, job, experiment)
    if artefact is None:
        say(f"corpus/{recipe.key}: {show_blocks(missing)} left to other shards")
    return artefact


def demand_corpus(store: Store, experiment: Experiment, source: Source, command: str) -> Artefact:
    """The corpus of the experiment's arm, for a stage that must not build it.

    Errors: InterveneError that names `command` if the corpus or its scan is absent.
    """
    parent = store.demand(find_scan(store, experiment, source), command)
    if isinstance(source.rows, DocumentRows):
        parent = store.demand(patches_recipe(experiment, parent), command)
    return store.demand(corpus_recipe(experiment, parent), command)


def _await(store: Store, recipe: Recipe, job: Job, experiment: Experiment) -> Artefact:
    """An artefact, built if it is absent; a shard waits for the others."""
    name, shown = f"{recipe.kind}/{recipe.key}", -LOG_SECONDS
    while True:
        artefact, missing = _obtain(store, recipe, job, experiment)
        if artefact is not None:
            return artefact
        if time.monotonic() - shown >= LOG_SECONDS:
            say(f"{name}: {show_blocks(missing)} left to other shards; waiting for them")
            shown = time.monotonic()
        time.sleep(POLL_SECONDS)


def _obtain(
    store: Store, recipe: Recipe, job: Job, experiment: Experiment
) -> tuple[Artefact | None, list[str]]:
    """An artefact, or None and the blocks that other shards have to write."""
    place, count = experiment.corpus.part

    def build(draft: Path) -> dict[str, Any]:
        job.fill(draft, job.blocks)
        return job.finish(draft)

    if count == 1:
        return store.obtain(recipe, build, resumable=True), []
    return store.contribute(
        recipe,
        lambda draft: job.fill(draft, take_shard(job.blocks, place, count)),
        lambda draft: [block.name for block in job.blocks if not job.is_done(draft, block)],
        job.finish,
    )
