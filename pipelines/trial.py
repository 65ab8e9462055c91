"""An arm or a released model as it was asked for, noted in the store for `compare`, `status`."""

import hashlib
import json
import os
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from intervene.experiment import Experiment, Scope, Words, from_json, to_json
from intervene.lineage import Artefact, Recipe, Store

DOSES = tuple(f"intervention.{key}=" for key in ("rate", "share", "method", "variant"))
"""Overrides that make an arm another than the control."""

PARTS = ("arm=", "shard=", "corpus.shard=")
"""Overrides that say which part of the work one command does."""

UNKEYED = (
    "paths", "corpus", "watch", "launcher", "hardware", "evaluation", "arm", "step", "shard",
    "allow_mismatch",
)  # fmt: skip
"""Parts of an experiment that change no weight."""


@dataclass(frozen=True)
class Trial:
    """An experiment and the command-line overrides that composed it.

    Args:
        experiment: the composed experiment: one arm, or a released model's checkpoint of a step.
        overrides: what followed the command, such as `intervention.rate=0.5`.
    """

    experiment: Experiment
    overrides: tuple[str, ...]

    @property
    def store(self) -> Store:
        """The store of the experiment."""
        return Store(self.experiment.paths.store)

    @property
    def is_released(self) -> bool:
        """Whether this is a released model's checkpoint, which is scored and never trained."""
        return self.experiment.arm is Scope.none

    @property
    def control(self) -> "Trial":
        """The same trial with nothing swapped."""
        kept = [o for o in self.overrides if not o.startswith(DOSES)]
        return Trial(self.experiment.control, (*kept, "intervention.rate=0"))

    @property
    def label(self) -> str:
        """Model and arm, for lines and tables."""
        if self.is_released:
            return f"{self.experiment.model.name} released step {self.experiment.step}"
        return f"{self.experiment.model.name} {self.experiment.intervention.slug}"

    @property
    def folder(self) -> Path:
        """Where logs of this arm's stages lie, and what became of each (attempt.py)."""
        paths, name = self.experiment.paths, self.label.replace(" ", "-").replace("/", "-")
        return paths.runs / self.experiment.name / "arms" / f"{name}-{self.digest}"

    def command(self, stage: str) -> str:
        """The shell command that runs a stage for this trial; a released model's is scored only."""
        stage = "evaluate" if self.is_released else stage
        return " ".join(["python", "-m", f"pipelines.{stage}", *self.overrides])

    def note(self, *artefacts: Artefact | Recipe) -> None:
        """Note that this arm was asked for, and which artefacts it has, or will have once built.

        What is noted under a kind is replaced by what is given of that kind; the rest stays.
        """
        noted = self._read()["artefacts"] if self._path.exists() else {}
        for kind in {artefact.kind for artefact in artefacts}:
            noted[kind] = sorted(a.key for a in artefacts if a.kind == kind)
        note = {
            "experiment": json.loads(to_json(self.experiment)),
            "overrides": [o for o in self.overrides if self._keeps(o)],
            "artefacts": noted,
        }
        self._path.parent.mkdir(parents=True, exist_ok=True)
        part = self._path.with_suffix(f".{os.getpid()}.part")
        part.write_text(json.dumps(note, indent=1))
        part.replace(self._path)

    def _keeps(self, word: str) -> bool:
        """Whether an override is of the arm, and not of one command's part in it."""
        return self.is_released or not word.startswith(PARTS)

    def artefacts(self, kind: str) -> list[Artefact]:
        """What of a kind is noted for this arm and in the store."""
        found = [self.store.get(kind, key) for key in self.keys(kind)]
        return [artefact for artefact in found if artefact is not None]

    def keys(self, kind: str) -> list[str]:
        """The keys that are noted of a kind for this arm, built or not."""
        if not self._path.exists():
            return []
        keys: list[str] = self._read()["artefacts"].get(kind, [])
        return keys

    def _read(self) -> dict[str, Any]:
        note: dict[str, Any] = json.loads(self._path.read_text())
        return note

    @cached_property
    def digest(self) -> str:
        """Of what determines the arm's weights, so that the same arm is noted once."""
        experiment = self.experiment
        body = json.loads(to_json(experiment))
        if self.is_released:
            body = {"model": body["model"], "step": experiment.step}
        else:
            body["intervention"] = experiment.intervention.identity()
            for key in UNKEYED:
                del body[key]
            if experiment.lexicon == Words():
                del body["lexicon"]  # so that arms noted before there were others are the same
            del body["data"]["heldout"]
        return digest_body(body)

    @property
    def _path(self) -> Path:
        return _folder(self.store, self.experiment.name) / f"{self.digest}.json"


def digest_body(body: object) -> str:
    """12 hexadecimal digits of the sha256 of a JSON value."""
    return hashlib.sha256(json.dumps(body, sort_keys=True).encode()).hexdigest()[:12]


def list_trials(store: Store, name: str) -> list[Trial]:
    """Every trial noted under a name, by model, then by released step or rate, direction, seed."""
    trials = []
    for path in sorted(_folder(store, name).glob("*.json")):
        note = json.loads(path.read_text())
        experiment = from_json(Experiment, json.dumps(note["experiment"]))
        here = replace(experiment.paths, store=store.root)  # it may have been moved
        experiment = replace(experiment, paths=here)
        trials.append(Trial(experiment, tuple(note["overrides"])))
    return sorted(trials, key=_order)


def list_names(store: Store) -> list[str]:
    """The names under which trials are noted."""
    return sorted(path.name for path in (store.root / ".trials").glob("*") if path.is_dir())


def _folder(store: Store, name: str) -> Path:
    return store.root / ".trials" / name


def _order(trial: Trial) -> tuple[str, int, float, str, int]:
    arm, step = trial.experiment.intervention, trial.experiment.step if trial.is_released else -1
    return trial.experiment.model.name, step or 0, arm.rate, str(arm.direction), arm.seed
