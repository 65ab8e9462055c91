"""Train: resume the checkpoint on the arm's corpus."""

from intervene.rewriting.corpus import demand_corpus
from intervene.sources.source import open_source
from intervene.training.run import obtain_run, run_recipe
from intervene.training.start.checkpoint import obtain_checkpoint
from pipelines.attempt import attempted
from pipelines.heldout import demand_heldout
from pipelines.stage import launching, stage
from pipelines.trial import Trial


@attempted("train")
def train(trial: Trial) -> None:
    """Train on the corpus that `rewrite` left; a ladder or random checkpoint is made first."""
    experiment, store = trial.experiment, trial.store
    source = open_source(store, experiment.data)
    command = trial.command("rewrite")
    corpus = demand_corpus(store, experiment, source, command)
    heldout = demand_heldout(store, experiment, command)
    checkpoint = obtain_checkpoint(store, experiment)
    trial.note(corpus, run_recipe(experiment, corpus, checkpoint))
    obtain_run(store, experiment, corpus, checkpoint, heldout)


main = stage(train, sweep=launching("train"))

if __name__ == "__main__":
    main()
