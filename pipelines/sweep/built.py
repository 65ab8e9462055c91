"""Whether a stage of an arm has left in the store what it is to leave, as it is asked for now."""

from intervene.errors import InterveneError
from intervene.evaluation.readings import find_readings
from intervene.rewriting.corpus import demand_corpus
from intervene.sources.source import open_source
from intervene.training.run import demand_run
from intervene.training.start.checkpoint import demand_checkpoint
from intervene.training.start.revision import find_revision
from pipelines.checkpoints import plan_arm
from pipelines.heldout import demand_heldout
from pipelines.sweep.task import EVALUATE, PREPARE, REWRITE, TRAIN, Task
from pipelines.trial import Trial


def is_built(task: Task) -> bool:
    """Whether nothing is left to do of a task; nothing is built or fetched to find out."""
    looks = {
        REWRITE: _is_rewritten, PREPARE: _is_prepared, TRAIN: _is_trained, EVALUATE: _is_evaluated
    }  # fmt: skip
    return all(map(looks[task.stage], task.trials))


def _is_rewritten(trial: Trial) -> bool:
    experiment, store = trial.experiment, trial.store
    try:
        source = open_source(store, experiment.data)
        corpus = demand_corpus(store, experiment, source, "")
        demand_heldout(store, experiment, "")
    except InterveneError:
        return False
    trial.note(corpus)
    return True


def _is_prepared(trial: Trial) -> bool:
    """Whether the checkpoint is there; of one on the Hub that is not known: asking fetches it."""
    experiment = trial.experiment
    if find_revision(experiment.model, experiment.data.stretch.start):
        return False
    try:
        demand_checkpoint(trial.store, experiment, "")
    except InterveneError:
        return False
    return True


def _is_trained(trial: Trial) -> bool:
    """Whether the run is there; of weights on the Hub, whether the one noted is of this corpus."""
    experiment, store = trial.experiment, trial.store
    try:
        source = open_source(store, experiment.data)
        corpus = demand_corpus(store, experiment, source, "")
        if find_revision(experiment.model, experiment.data.stretch.start):
            runs = trial.artefacts("run")
            return bool(runs) and runs[0].manifest["inputs"][0]["key"] == corpus.key
        checkpoint = demand_checkpoint(store, experiment, "")
        trial.note(corpus, demand_run(store, experiment, corpus, checkpoint, ""))
    except InterveneError:
        return False
    return True


def _is_evaluated(trial: Trial) -> bool:
    if trial.is_released:
        return False
    try:
        plan = plan_arm(trial)
    except InterveneError:
        return False
    plan.note()
    return all(find_readings(target) is not None for target in plan.targets)
