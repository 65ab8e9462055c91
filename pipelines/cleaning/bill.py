"""What a clean would remove, with its bytes: as lines for a person, as JSON for a program."""

import re
import shlex
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from intervene.housekeeping import list_remainders, weigh
from intervene.lineage import Store
from pipelines.cleaning.claims import Claim
from pipelines.cleaning.surplus import Item, Part, Scene
from pipelines.sweep.board import show_size

HEADINGS = {
    Part.artefacts: "from which nothing that is kept descends",
    Part.states: "of runs that no other goes on from; without it none can with that run's own "
    "optimizer state (its checkpoints stay)",
    Part.drafts: "of builds that ended early (its command goes on with it, and else begins anew)",
}
REMAINDERS = "left by a clean that was interrupted"


@dataclass(frozen=True)
class Bill:
    """What a clean would remove.

    Args:
        store: the store.
        items: what goes, in order, with its bytes.
        remainders: what an interrupted clean left, with its bytes.
        building: what is being built and left alone.
        young: what stays for its age.
        given_up: notes and link of the name that is given up.
        command: the command that removes it.
    """

    store: Store
    items: tuple[tuple[Item, int], ...]
    remainders: tuple[tuple[Path, int], ...]
    building: tuple[str, ...]
    young: tuple[tuple[Part, str], ...]
    given_up: tuple[Claim, ...]
    command: str

    @property
    def is_due(self) -> bool:
        """Whether there is anything to remove."""
        return bool(self.items or self.remainders or self.given_up)

    @property
    def bytes(self) -> int:
        """Of all that goes."""
        return sum(size for _, size in (*self.items, *self.remainders))

    @property
    def total(self) -> str:
        """As in `12 artefacts, 3 states and 2 drafts, 41.2 GB`."""
        counts: list[tuple[str, int]] = list(count_parts(item.part for item, _ in self.items))
        counts += [("remainders", len(self.remainders)), ("notes", len(self.given_up))]
        return f"{join_counts(counts)}, {show_size(self.bytes)}"

    def describe(self) -> dict[str, Any]:
        """The bill as JSON."""
        parts = {
            str(part): [
                {
                    "name": item.name,
                    "path": str(item.path),
                    "bytes": size,
                    "hours": round(item.hours, 2),
                    "why": item.why,
                }
                for item, size in self.items
                if item.part is part
            ]
            for part in Part
        }
        return {
            "store": str(self.store.root),
            **parts,
            "remainders": [{"path": str(p), "bytes": size} for p, size in self.remainders],
            "building": list(self.building),
            "young": [{"what": str(part), "name": name} for part, name in self.young],
            "given_up": [str(claim.path) for claim in self.given_up],
            "bytes": self.bytes,
            "command": self.command,
        }


def make_bill(store: Store, scene: Scene, overrides: Sequence[str]) -> Bill:
    """Weigh what goes.

    Args:
        store: the store.
        scene: how it is.
        overrides: what followed the command that lists it.
    """
    kept = [word for word in overrides if not re.match(r"[+]*(action|json)=|hydra\.", word)]
    return Bill(
        store,
        tuple((item, weigh(item.path).bytes) for item in scene.list_items()),
        tuple((path, weigh(path).bytes) for path in list_remainders(store)),
        tuple(sorted(scene.drafts[key].name for key in scene.building & scene.drafts.keys())),
        tuple(sorted(scene.list_young())),
        tuple(scene.given_up),
        shlex.join(["python", "-m", "pipelines.clean", *kept, "--remove"]),
    )


def show_bill(bill: Bill, hours: float) -> list[str]:
    """The bill as lines; `hours` is how young a thing must be to be kept for that."""
    lines = [f"store {bill.store.root}"]
    for part, heading in HEADINGS.items():
        chosen = [(item, size) for item, size in bill.items if item.part is part]
        if chosen:
            size = show_size(sum(size for _, size in chosen))
            lines += ["", f"{join_counts(count_parts([part] * len(chosen)))} {heading}: {size}"]
            lines += [show_item(item, size) for item, size in chosen]
    if bill.remainders:
        lines += ["", f"{len(bill.remainders):,} {REMAINDERS}:"]
        lines += [f"  {path}  {show_size(size)}" for path, size in bill.remainders]
    if bill.given_up:
        lines += ["", f"name={bill.given_up[0].name} is given up:"]
        lines += [f"  {claim.path}" for claim in bill.given_up]
    lines.append("")
    lines += [f"being built, and left alone: {name}" for name in bill.building]
    if bill.young:
        counts = join_counts(count_parts(part for part, _ in bill.young))
        lines.append(
            f"kept: {counts}, built or changed less than {hours:g} hours ago, or needed by such "
            "(hours=0 lists them)"
        )
    lines.append(f"{bill.total}; to remove: {bill.command}" if bill.is_due else "nothing to remove")
    return lines


def show_item(item: Item, size: int) -> str:
    """One line: what, how large, how old, and why it goes."""
    return f"  {item.name:<24} {show_size(size):>9} {show_age(item.hours):>9}  {item.why}"


def count_parts(parts: Iterable[Part]) -> list[tuple[str, int]]:
    """How many of each sort, in their order."""
    found = Counter(parts)
    return [(str(part), found[part]) for part in Part]


def join_counts(counts: Iterable[tuple[str, int]]) -> str:
    """`12 artefacts, 3 states and 1 draft`; what there is none of is left out."""
    words = [f"{n:,} {name if n != 1 else name.removesuffix('s')}" for name, n in counts if n]
    return " and ".join(filter(None, [", ".join(words[:-1]), *words[-1:]]))


def show_age(hours: float) -> str:
    """`3.5 hours`, from two days on `12 days`."""
    return f"{hours:.1f} hours" if hours < 48 else f"{hours / 24:.0f} days"
