"""What of a store nothing needs: artefacts, optimizer states, interrupted builds."""

import datetime
import json
import time
from collections.abc import Collection
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cache, cached_property
from pathlib import Path
from typing import Any

from intervene.housekeeping import (
    Draft,
    Node,
    is_held,
    list_drafts,
    reach,
    sort_descendants_first,
    trace,
    weigh,
)
from intervene.lineage import MANIFEST, Artefact, Store
from pipelines.cleaning.claims import Claim, list_claims

STATE = "state"
"""As in training/job.py, which imports torch; nothing here has to."""
SCAN, CORPUS, RUN = "scan", "corpus", "run"
RESUMING = {"run", "replay", "checkpoint"}
"""Kinds that are trained on from; what of these is made from a run wants its state."""
ITEMS = "items"
"""Small copies of the Hub's questions: later readings are to be asked the same, the Hub may give
others by then, and no manifest names them."""


class Part(StrEnum):
    """What can be removed."""

    artefacts = "artefacts"
    states = "states"
    drafts = "drafts"


@dataclass(frozen=True)
class Choice:
    """What may go.

    Args:
        what: of what sort.
        hours: what was built, or written to, less than so many hours ago stays.
        given_up: the name whose notes and report need nothing any more, or None.
    """

    what: tuple[Part, ...]
    hours: float
    given_up: str | None = None


@dataclass(frozen=True)
class Item:
    """Something that nothing needs.

    Args:
        part: what it is.
        kind, key: of the artefact; of a state, the run's.
        path: its folder.
        hours: since it was built; of a draft, since it was written to.
        why: why it is not needed.
    """

    part: Part
    kind: str
    key: str
    path: Path
    hours: float = field(compare=False)
    why: str = field(compare=False)

    @property
    def name(self) -> str:
        """`kind/key`, as printed."""
        return f"{self.kind}/{self.key}"

    @property
    def label(self) -> str:
        """The name, with what of it goes."""
        return self.name if self.part is Part.artefacts else f"{self.part[:-1]} of {self.name}"


@dataclass(frozen=True)
class Scene:
    """A store at one moment, and what may go.

    Args:
        choice: what may go.
        artefacts, manifests, drafts: what is there, by key.
        hours: since an artefact was built or a draft written to, by key.
        building: the drafts that a process is at.
        dropped: the drafts that go.
        claims: notes and links, those of the name that is given up too.
        nodes: what names what, by key, without the drafts that go.
    """

    choice: Choice
    artefacts: dict[str, Artefact]
    manifests: dict[str, dict[str, Any]]
    drafts: dict[str, Draft]
    hours: dict[str, float]
    building: set[str]
    dropped: set[str]
    claims: tuple[Claim, ...]
    nodes: dict[str, Node]

    @property
    def given_up(self) -> list[Claim]:
        """The notes and the link that claim nothing any more."""
        return [claim for claim in self.claims if claim.name == self.choice.given_up]

    @property
    def standing(self) -> list[Claim]:
        """The notes and links that count."""
        return [claim for claim in self.claims if claim.name != self.choice.given_up]

    @cached_property
    def needed(self) -> set[str]:
        """What is needed however old it is: by notes, links and the drafts that stay."""
        claimed = {key for claim in self.standing for key in claim.keys}
        claimed |= self.starts | self.heldout | set(self._list(ITEMS))
        return reach(self.nodes, claimed | (self.drafts.keys() - self.dropped))

    @cached_property
    def starts(self) -> set[str]:
        """What an arm can go on from, if one that was asked for is still to be trained.

        Its note does not tell which of them it will ask for.
        """
        runs = [claim.runs for claim in self.standing if claim.runs is not None]
        if all(keys & self.artefacts.keys() for keys in runs):
            return set()
        return {
            key
            for key, artefact in self.artefacts.items()
            if artefact.kind in RESUMING
            and not any(parent["kind"] == CORPUS for parent in self.manifests[key]["inputs"])
        }

    @cached_property
    def heldout(self) -> set[str]:
        """The corpora of rows that noted arms are measured on, which training demands."""
        spans = {claim.heldout for claim in self.standing}
        params = {key: self.manifests[key]["params"] for key in self._list(SCAN)}
        scans = {key for key, p in params.items() if (p["start"], p["stop"]) in spans}
        return {key for key in self._list(CORPUS) if reach(self.nodes, {key}) & scans}

    @cached_property
    def kept(self) -> set[str]:
        """What is needed, is young, or is what such was made from."""
        return reach(self.nodes, self.needed | set(filter(self.is_young, self.artefacts)))

    @cached_property
    def surplus(self) -> set[str]:
        """The artefacts that go."""
        return self.artefacts.keys() - self.kept if Part.artefacts in self.choice.what else set()

    @cached_property
    def spent(self) -> set[str]:
        """Runs that stay and from whose state nothing that stays, or is still to come, goes on."""
        if Part.states not in self.choice.what:
            return set()
        staying = (self.artefacts.keys() | self.needed) - self.surplus
        resuming = [self.nodes[key] for key in staying & self.nodes.keys()]
        wanted = {key for node in resuming if node.kind in RESUMING for key in node.names}
        wanted |= {key for claim in self.standing for key in claim.resumed} | self.starts
        return {
            key
            for key in set(self._list(RUN)) - self.surplus - wanted
            if (self.artefacts[key].path / STATE).exists()
        }

    @cached_property
    def forgone(self) -> set[str]:
        """What the name that is given up needed."""
        return reach(self.nodes, {key for claim in self.given_up for key in claim.keys})

    def list_items(self) -> list[Item]:
        """What goes, in an order in which nothing outlives what it was made from."""
        order = sort_descendants_first(self.nodes, self.surplus)
        drafts = [self.drafts[key] for key in sorted(self.dropped)]
        artefacts = [self.artefacts[key] for key in order]
        runs = [self.artefacts[key] for key in sorted(self.spent) if not self.is_young(key)]
        return [
            *(self._pose(Part.drafts, d, d.path, self._explain_draft(d)) for d in drafts),
            *(self._pose(Part.artefacts, a, a.path, self._explain(a)) for a in artefacts),
            *(self._pose(Part.states, r, r.path / STATE, "nothing goes on from it") for r in runs),
        ]

    def list_young(self) -> list[tuple[Part, str]]:
        """What stays only because it is young, or because such was made from it."""
        what, is_young = self.choice.what, self.is_young
        drafts = self.drafts.keys() - self.dropped - self.building
        spared = self.artefacts.keys() & (self.kept - self.needed)
        return [
            *((Part.drafts, self.drafts[key].name) for key in drafts if Part.drafts in what),
            *((Part.artefacts, self.artefacts[k].name) for k in spared if Part.artefacts in what),
            *((Part.states, self.artefacts[key].name) for key in self.spent if is_young(key)),
        ]

    def find_obstacle(self, item: Item, gone: Collection[str]) -> str | None:
        """Why an item that was to go must stay; None if it may go.

        Args:
            item: the item.
            gone: keys of artefacts that were removed since.
        """
        states = item.part is Part.states
        for node in self._find_heirs(item.key) if item.part is not Part.drafts else []:
            if node.key not in gone and (node.kind in RESUMING or not states):
                return f"{node.name} is made from it"
        going = {
            Part.drafts: self.dropped,
            Part.artefacts: self.surplus,
            Part.states: {key for key in self.spent if not self.is_young(key)},
        }
        return None if item.key in going[item.part] else "it is needed now"

    def is_young(self, key: str) -> bool:
        """Whether an artefact or a draft is not old enough to go."""
        return self.hours[key] < self.choice.hours

    def _list(self, kind: str) -> list[str]:
        return [key for key, artefact in self.artefacts.items() if artefact.kind == kind]

    def _find_heirs(self, key: str) -> list[Node]:
        return [node for node in self.nodes.values() if node.exists and key in node.names]

    def _pose(self, part: Part, of: Artefact | Draft, path: Path, why: str) -> Item:
        return Item(part, of.kind, of.key, path, self.hours[of.key], why)

    def _explain_draft(self, draft: Draft) -> str:
        names = sorted({claim.name for claim in self.claims if draft.key in claim.keys})
        return f"asked for under name={', '.join(names)}" if names else "no trial asks for it"

    def _explain(self, artefact: Artefact) -> str:
        if artefact.key in self.forgone:
            return f"only name={self.choice.given_up} needs it"
        heirs = self._find_heirs(artefact.key)
        if not heirs:
            return "nothing needs it"
        if len(heirs) == 1:
            return f"only {heirs[0].name} needs it, and goes too"
        return f"only {len(heirs)} that go too need it"


def survey(store: Store, runs: Path, choice: Choice, mine: str | None = None) -> Scene:
    """Look at a store.

    Args:
        store: the store.
        runs: the folder that links to the newest report of each name.
        choice: what may go.
        mine: the key whose lock this process holds, or None.

    Errors: InterveneError for a lock that cannot be opened.
    """
    listed = list_drafts(store)  # first: what is whole by now is among the artefacts below
    building = {d.key for d in listed if d.key != mine and is_held(store, d.kind, d.key)}
    found = [(artefact, read_manifest(artefact)) for artefact in store.artefacts()]
    artefacts = {artefact.key: artefact for artefact, manifest in found if manifest}
    manifests = {artefact.key: manifest for artefact, manifest in found if manifest}
    drafts = {draft.key: draft for draft in listed if draft.key not in artefacts}
    changed = {key: weigh(draft.path).changed for key, draft in drafts.items()}
    for key, manifest in manifests.items():
        changed[key] = datetime.datetime.fromisoformat(manifest["built"]["at"]).timestamp()
    hours = {key: (time.time() - seconds) / 3600 for key, seconds in changed.items()}
    ended = drafts.keys() - building if Part.drafts in choice.what else set()
    dropped = {key for key in ended if hours[key] >= choice.hours}
    staying = [draft for key, draft in drafts.items() if key not in dropped]
    nodes = trace(store, [*staying, *artefacts.values()])
    claims = tuple(list_claims(store, runs))
    return Scene(choice, artefacts, manifests, drafts, hours, building, dropped, claims, nodes)


def read_manifest(artefact: Artefact) -> dict[str, Any] | None:
    """The manifest, read once while its time of modification stands; None if it has gone."""
    try:
        return _read_manifest(artefact.path, (artefact.path / MANIFEST).stat().st_mtime_ns)
    except FileNotFoundError:
        return None


@cache
def _read_manifest(folder: Path, changed: int) -> dict[str, Any]:
    manifest: dict[str, Any] = json.loads((folder / MANIFEST).read_text())
    return manifest
