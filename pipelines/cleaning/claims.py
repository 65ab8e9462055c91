"""What keeps artefacts in a store: notes of trials, links to reports."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from intervene.experiment import Scope
from intervene.housekeeping import KEY, read_keys
from intervene.lineage import Store

TRIALS, COMPARISON = ".trials", "comparison"
"""As in trial.py and compare.py."""


@dataclass(frozen=True)
class Claim:
    """A note of a trial, or the link to the newest report of a name.

    Args:
        name: the name under which arms are compared.
        path: the note or the link.
        keys: what it names.
        resumed: those of them that its arm goes on from: a folder of a run, as `model.checkpoint`.
        runs: those of them that its arm is, once it is trained; None for what is not trained.
        heldout: the rows `[start, stop)` that its arm is measured on meanwhile, or None.
    """

    name: str
    path: Path
    keys: frozenset[str]
    resumed: frozenset[str] = frozenset()
    runs: frozenset[str] | None = None
    heldout: tuple[int, int] | None = None


def list_claims(store: Store, runs: Path) -> list[Claim]:
    """Every note in a store, and the link to a report of every name in a folder of runs."""
    home, paths = store.root / TRIALS, locate_claims(store, runs)
    return [
        Claim(str(path.parent.relative_to(runs)), path, read_keys(path))
        if path.name == COMPARISON
        else read_note(path, str(path.parent.relative_to(home)))
        for path in paths
    ]


def locate_claims(store: Store, runs: Path) -> list[Path]:
    """The notes in a store, and the links in a folder of runs."""
    home = store.root / TRIALS
    notes = sorted(home.rglob("*.json"))
    names = {folder.relative_to(home) for folder in {note.parent for note in notes}}
    links = {runs / name / COMPARISON for name in names} | set(runs.glob(f"*/{COMPARISON}"))
    return [*notes, *sorted(link for link in links if link.is_symlink())]


def read_note(note: Path, name: str) -> Claim:
    """What a note claims; nothing if another process has removed it."""
    try:
        noted: dict[str, Any] = json.loads(note.read_text())
    except FileNotFoundError:
        return Claim(name, note, frozenset())
    experiment, data = noted["experiment"], noted["experiment"]["data"]
    held, per_step = data.get("heldout"), data["rows_per_step"]
    trains = experiment.get("arm") != Scope.none
    return Claim(
        name,
        note,
        frozenset(KEY.findall(json.dumps(noted))),
        frozenset(KEY.findall(experiment["model"]["checkpoint"])),
        frozenset(noted["artefacts"].get("run", ())) if trains else None,
        (held["start"] * per_step, held["stop"] * per_step) if held else None,
    )
