"""Clean: list what of the store nothing needs, and remove it if that is asked for."""

import contextlib
import json
import re
import sys
from collections import Counter
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path
from typing import Any

from intervene.console import confirm, say
from intervene.errors import InterveneError
from intervene.experiment import Experiment
from intervene.housekeeping import discard, erase, holding, mark
from intervene.lineage import Store
from pipelines.cleaning.bill import Bill, count_parts, join_counts, make_bill, show_bill
from pipelines.cleaning.claims import list_claims, locate_claims
from pipelines.cleaning.surplus import Choice, Item, Part, Scene, survey
from pipelines.stage import stage
from pipelines.sweep.board import show_size
from pipelines.trial import Trial


class Action(StrEnum):
    """What becomes of what is listed: nothing, what a person answers, or it is removed."""

    list = "list"
    ask = "ask"
    remove = "remove"


FLAGS = {
    "--dry-run": f"action={Action.list}",
    "--remove": f"action={Action.ask}",
    "--yes": f"action={Action.remove}",
    "--json": "json=true",
}
"""The keys that this stage's flags set."""
CLEAN = ("clean", "store")
"""What the lock of a clean is named by."""


@dataclass(frozen=True)
class Sight:
    """A store when it was looked at.

    Args:
        scene: what was there.
        marks: by which it is seen whether anything was added since.
        gone: keys of the artefacts that were removed since.
    """

    scene: Scene
    marks: set[str]
    gone: frozenset[str]


@dataclass(frozen=True)
class CleanExperiment(Experiment):
    """An experiment, of which the paths count, and its name where that is given; and what may go.

    Args:
        what: a sort of what may go, or a list of them: artefacts, states, drafts.
        hours: what was built, or written to, less than so many hours ago stays.
        action: what becomes of it.
        json: print one JSON object.
    """

    what: Any = ("artefacts", "states", "drafts")
    hours: float = 24.0
    action: Action = Action.list
    json: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        named = self.what if isinstance(self.what, list | tuple) else [self.what]
        unknown = [word for word in named if word not in set(Part)]
        if unknown or not named:
            told = f"{unknown[0]!r} is none" if unknown else "names none"
            raise InterveneError(f"{told} of {', '.join(Part)}", "what", "as in what=[states]")
        object.__setattr__(self, "what", tuple(part for part in Part if part in named))
        if not self.hours >= 0:
            raise InterveneError(f"need 0 or more, got {self.hours}", "hours", "as in hours=24")


def clean(trial: Trial) -> None:
    """List what nothing needs; remove it if that was asked for, and answered with yes.

    Errors: InterveneError for a name that is not there, no terminal to ask at, and what cannot be
    removed.
    """
    experiment, store = trial.experiment, trial.store
    assert isinstance(experiment, CleanExperiment)
    check_action(trial, experiment.action)
    choice, runs = choose(trial, experiment), experiment.paths.runs
    bill = make_bill(store, survey(store, runs, choice), trial.overrides)
    if not experiment.json:
        print("\n".join(show_bill(bill, choice.hours)))
    is_agreed = bill.is_due and (
        experiment.action is Action.remove
        or (experiment.action is Action.ask and confirm(f"remove {bill.total}?", unasked=False))
    )
    left = remove(trial, choice, bill) if is_agreed else {}
    if experiment.json:
        print(json.dumps(bill.describe() | {"is_removed": is_agreed, "left": left}))


def check_action(trial: Trial, action: Action) -> None:
    """Refuse several actions at once, and a question that nobody can answer.

    Errors: InterveneError that names the flag.
    """
    given = {word.lstrip("+") for word in trial.overrides if re.match(r"[+]*action=", word)}
    if len(given) > 1:
        flags = [flag for flag, override in FLAGS.items() if override in given]
        raise InterveneError("only one can be meant", " ".join(flags), "leave out the others")
    if action is Action.ask and not (sys.stdin and sys.stdin.isatty()):
        raise InterveneError(
            "there is no terminal to ask at", "--remove", "give --yes to remove without being asked"
        )


def choose(trial: Trial, experiment: CleanExperiment) -> Choice:
    """What may go; a name that is given on the command line is given up.

    Errors: InterveneError for a name that nothing is noted under, and one whose artefacts stay.
    """
    given = any(re.match(r"[+]*name=", override) for override in trial.overrides)
    choice = Choice(experiment.what, experiment.hours, experiment.name if given else None)
    if not given:
        return choice
    if Part.artefacts not in choice.what:
        raise InterveneError(
            "a name is given up with its artefacts",
            f"name={choice.given_up}",
            f"leave it out, or add {Part.artefacts} to what",
        )
    claims = list_claims(trial.store, experiment.paths.runs)
    names = sorted({claim.name for claim in claims})
    if choice.given_up not in names:
        raise InterveneError(
            f"nothing is noted under this name (names: {', '.join(names) or 'none'})",
            f"name={choice.given_up}",
            "give one of them, or none",
        )
    return choice


def remove(trial: Trial, choice: Choice, bill: Bill) -> dict[str, str]:
    """Remove what a bill lists, unless it is needed or built by now; what is left, and why.

    Notes go last: after a kill, the same command goes on from there.

    Errors: InterveneError for a store that another process cleans, and what cannot be removed.
    """
    store, left, gone, freed = trial.store, dict[str, str](), Counter[Part](), 0
    sight: Sight | None = None
    with holding(store, *CLEAN) as is_alone:
        if not is_alone:
            raise InterveneError(
                "another process cleans it", str(store.root), "give the command again after it"
            )
        for path, size in bill.remainders:
            erase(path)
            freed += size
        for item, size in bill.items:
            obstacle, sight = remove_item(trial, choice, item, sight)
            if obstacle:
                left[item.label] = obstacle
                say(f"left {item.label}: {obstacle}")
            else:
                gone[item.part] += 1
                freed += size
                say(f"removed {item.label}, {show_size(size)}")
        for claim in bill.given_up:
            erase(claim.path)
            with contextlib.suppress(OSError):  # it holds more
                claim.path.parent.rmdir()
    counts = join_counts(count_parts(gone.elements()))
    say(f"removed {counts or 'nothing'}, {show_size(freed)}")
    return left


def remove_item(
    trial: Trial, choice: Choice, item: Item, sight: Sight | None
) -> tuple[str | None, Sight | None]:
    """Remove one thing, if a look at the store right before allows it.

    Args:
        trial: names the store.
        choice: what may go.
        item: the thing.
        sight: the store when it was last looked at, or None.

    Returns:
        Why it was left, or None; and the store as it is now, where that is known.

    Errors: InterveneError for what cannot be removed.
    """
    store = trial.store
    with holding(store, item.kind, item.key) as is_free:
        if not is_free:
            return "another process is at it", None
        if not item.path.exists():
            return "it is gone", None
        sight = look(store, trial.experiment.paths.runs, choice, item, sight)
        obstacle = sight.scene.find_obstacle(item, sight.gone)
        if obstacle is None:
            discard(store, item.kind, item.key, item.path)
            if item.part is Part.artefacts:
                sight = replace(sight, gone=sight.gone | {item.key})
        return obstacle, sight


def look(store: Store, runs: Path, choice: Choice, item: Item, before: Sight | None) -> Sight:
    """The store as it is now: as it was before, while nothing was added to it.

    Drafts are looked at in any case, as what is written below them leaves no mark.
    """
    marks = mark(store, locate_claims(store, runs))
    if before and marks <= before.marks and item.part is not Part.drafts:
        return before
    return Sight(survey(store, runs, choice, mine=item.key), marks, frozenset())


main = stage(clean, per_arm=False, schema=CleanExperiment, flags=FLAGS)

if __name__ == "__main__":
    main()
