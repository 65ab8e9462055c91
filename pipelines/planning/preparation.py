"""What arms of a size have in common before they train: a ladder, a replay."""

import dataclasses
import math
from dataclasses import dataclass
from pathlib import Path

from intervene.errors import InterveneError
from intervene.experiment import Experiment
from intervene.trainer import OptimizerState
from intervene.training.job import Job
from intervene.training.start.checkpoint import RUNGS
from intervene.training.start.folder import LADDER, choose_state
from intervene.training.start.replay import KIND, SAVES


@dataclass(frozen=True)
class Preparation:
    """A training that comes before those of arms.

    Args:
        kind: of its artefact, `run` for a ladder.
        job: what is trained; its paths are not looked up.
    """

    kind: str
    job: Job

    @property
    def name(self) -> str:
        """What it is."""
        return KIND if self.job.replay else LADDER


def list_preparations(experiment: Experiment) -> list[Preparation]:
    """The trainings that an experiment's checkpoint and its optimizer state ask for.

    Nothing is downloaded or read: as `plan_ladder` and `plan_replay`, without their rows.

    Errors: as `choose_state`, and InterveneError for a ladder to step 0.
    """
    found, stop = [], experiment.data.stretch.start
    if experiment.model.checkpoint == LADDER:
        if stop == 0:
            raise InterveneError(
                "a ladder trains on the rows before the stretch, which starts at step 0",
                "model.checkpoint=ladder",
                "set model.checkpoint=random, or a later data.stretch.start",
            )
        found.append(Preparation("run", _plan_job(experiment, 0, RUNGS, replay=False)))
    if choose_state(experiment) is OptimizerState.replay:
        start = max(0, stop - experiment.trainer.replay_steps)
        found.append(Preparation(KIND, _plan_job(experiment, start, SAVES, replay=True)))
    return found


def plan_arm(experiment: Experiment) -> Job:
    """An arm's own training; its paths are not looked up."""
    data = experiment.data
    stretch = data.stretch
    return Job(experiment, Path(), data.rows.start, stretch.start, stretch.stop, Path(), None)


def _plan_job(experiment: Experiment, start: int, saves: int, *, replay: bool) -> Job:
    """A training up to the stretch that saves so many times, on the source's own rows."""
    stop = experiment.data.stretch.start
    trainer = dataclasses.replace(
        experiment.trainer, save_every=math.ceil((stop - start) / saves), save_steps=()
    )
    control = dataclasses.replace(experiment.control, trainer=trainer)
    return Job(control, Path(), 0, start, stop, Path(), None, replay=replay)
