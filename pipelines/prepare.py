"""Prepare: the checkpoint that arms resume from, with its optimizer state, before any arm trains.

Training makes it too where it is absent; in a sweep it is made once, before arms wait for it.
"""

from collections.abc import Sequence

from intervene.training.start.checkpoint import obtain_checkpoint
from pipelines.attempt import attempting
from pipelines.stage import launching, stage
from pipelines.trial import Trial


def prepare(trial: Trial) -> None:
    """Have the checkpoint of an arm: a ladder or a replay is trained, GPT-NeoX's is converted."""
    prepare_for([trial])


def prepare_for(trials: Sequence[Trial]) -> None:
    """Have the checkpoint that all of these arms resume from; its outcome is that of each."""
    with attempting(trials, "prepare"):
        obtain_checkpoint(trials[0].store, trials[0].experiment)


main = stage(prepare, sweep=launching("prepare"))

if __name__ == "__main__":
    main()
