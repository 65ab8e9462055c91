"""Fetch: what lies far away, rows, weights and benchmarks, so that later stages need no network."""

from intervene.evaluation.benchmarks.folder import resolve_items
from intervene.sources.source import open_source
from intervene.trainer import OptimizerState
from intervene.training.start.folder import choose_state
from intervene.training.start.neighbours import compare_branches
from intervene.training.start.replay import find_batches
from intervene.training.start.revision import download, find_revision, resolve
from pipelines.stage import stage
from pipelines.trial import Trial


def fetch(trial: Trial) -> None:
    """Have here what the trial's stages read: what is here already is only checked.

    Errors: InterveneError for what is not to be had, and for a published step that another step's
    weights lie under.
    """
    experiment, store = trial.experiment, trial.store
    data, model = experiment.data, experiment.model
    revision = find_revision(model, data.stretch.start)
    if revision:
        compare_branches(store, revision, resolve(revision))
    source = open_source(store, data)
    resolve_items(store, experiment.evaluation, source.items)
    if data.heldout:
        open_source(store, data, data.heldout)
    if choose_state(experiment) is OptimizerState.replay:
        find_batches(store, experiment)
    if revision:
        download(revision, resolve(revision))


main = stage(fetch)

if __name__ == "__main__":
    main()
