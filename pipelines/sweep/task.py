"""What of a sweep is done as one: a stage of one arm, or of the arms that share its work."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from intervene.experiment import Experiment, from_json, to_json
from pipelines.attempt import Attempt, State, note_attempt, read_attempt
from pipelines.trial import Trial, digest_body

REWRITE, PREPARE, TRAIN, EVALUATE = STAGES = ("rewrite", "prepare", "train", "evaluate")
SHARED = (REWRITE, PREPARE)
NEEDS = {REWRITE: (), PREPARE: (), TRAIN: (REWRITE, PREPARE), EVALUATE: (TRAIN,)}
"""The stages that an arm must have behind it."""


@dataclass(frozen=True, eq=False)
class Task:
    """A stage of arms; no two tasks are equal.

    Args:
        stage: one of `STAGES`.
        trials: the arms: of one stretch (rewrite), one checkpoint (prepare), or one alone.
    """

    stage: str
    trials: tuple[Trial, ...]

    @cached_property
    def digests(self) -> frozenset[str]:
        """Its arms'."""
        return frozenset(trial.digest for trial in self.trials)

    @property
    def label(self) -> str:
        """What it is, for lines."""
        if self.stage == REWRITE:
            stretch = self.trials[0].experiment.data.stretch
            return f"rewrite steps [{stretch.start:,}, {stretch.stop:,})"
        model = self.trials[0].experiment.model.name
        return f"prepare {model}" if self.stage == PREPARE else f"{self.stage} {self.arms}"

    @property
    def arms(self) -> str:
        """Whose stage it is."""
        more = f" and {len(self.trials) - 1:,} more" if len(self.trials) > 1 else ""
        return f"{self.trials[0].label}{more}"

    @property
    def log(self) -> Path:
        """What it prints."""
        return self.trials[0].folder / f"{self.stage}.log"

    @property
    def attempts(self) -> list[Attempt]:
        """What became of it, arm by arm."""
        noted = [read_attempt(trial, self.stage) for trial in self.trials]
        return [attempt or Attempt(State.waiting) for attempt in noted]

    def note(self, attempt: Attempt) -> None:
        """Note the same of every arm."""
        for trial in self.trials:
            note_attempt(trial, self.stage, attempt)


def list_tasks(trials: Sequence[Trial], stages: Sequence[str]) -> list[Task]:
    """The tasks of arms: what arms share first, then arm by arm."""
    tasks = []
    for stage in (stage for stage in SHARED if stage in stages):
        groups: dict[str, list[Trial]] = {}
        for trial in trials:
            groups.setdefault(_share(trial, stage), []).append(trial)
        tasks += [Task(stage, tuple(group)) for group in groups.values()]
    alone = [stage for stage in STAGES if stage in stages and stage not in SHARED]
    return tasks + [Task(stage, (trial,)) for trial in trials for stage in alone]


def list_needs(task: Task, tasks: Sequence[Task]) -> list[Task]:
    """Which of the tasks must be behind a task."""
    stages = NEEDS[task.stage]
    return [t for t in tasks if t.stage in stages and task.digests & t.digests]


def write_task(task: Task) -> Path:
    """Write a task, complete, where its log will be: what is edited later changes nothing of it."""
    path = task.log.with_suffix(".task")
    path.parent.mkdir(parents=True, exist_ok=True)
    arms = [
        {"experiment": json.loads(to_json(t.experiment)), "overrides": t.overrides}
        for t in task.trials
    ]
    part = path.with_name(f".{path.name}.part")
    part.write_text(json.dumps({"stage": task.stage, "trials": arms}, indent=1))
    part.replace(path)
    return path


def read_task(path: Path) -> Task:
    """The inverse of `write_task`."""
    body = json.loads(path.read_text())
    trials = [
        Trial(from_json(Experiment, json.dumps(arm["experiment"])), tuple(arm["overrides"]))
        for arm in body["trials"]
    ]
    return Task(body["stage"], tuple(trials))


def _share(trial: Trial, stage: str) -> str:
    """What arms have in common that share the work of a stage."""
    body = json.loads(to_json(trial.experiment))
    keys = ["data", "lexicon", "guards", "corpus"]
    if stage == PREPARE:
        del body["data"]["heldout"]
        keys = ["model", "data", "trainer", "kernels"]
    return digest_body([body[key] for key in (*keys, "launcher")])
