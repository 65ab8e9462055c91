"""Rewrite: scan the stretch once, then write the arm's corpus; and the held-out rows' two."""

from intervene.rewriting.corpus import obtain_corpus, obtain_scan
from intervene.sources.source import open_source
from pipelines.attempt import attempted
from pipelines.heldout import obtain_heldout
from pipelines.stage import launching, stage
from pipelines.trial import Trial


@attempted("rewrite")
def rewrite(trial: Trial) -> None:
    """Build the arm's corpus and the scan that arms share, or this shard's part of them.

    What is held out for the loss during training is rewritten first, and arms share it.
    """
    experiment = trial.experiment
    source = open_source(trial.store, experiment.data)
    obtain_heldout(trial.store, experiment)
    scan = obtain_scan(trial.store, experiment, source)
    corpus = obtain_corpus(trial.store, experiment, source, scan)
    trial.note(*(artefact for artefact in (scan, corpus) if artefact is not None))


main = stage(rewrite, sweep=launching("rewrite"))

if __name__ == "__main__":
    main()
