"""Where a flat group of an optimizer has each parameter."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from intervene.errors import InterveneError
from intervene.training.neox.shards import MASTER, STATES, Optimizer
from intervene.training.neox.slices import canonical, decays


@dataclass(frozen=True)
class Place:
    """Where a model-parallel rank's optimizer has its slice of a parameter."""

    slot: int
    group: int
    start: int
    shape: torch.Size


def read_shapes(shapes: Any) -> list[dict[str, torch.Size]]:
    """Parameters' shapes by name: one table of all, or one a group."""
    tables = shapes if isinstance(shapes, Sequence) else [shapes]
    return [{canonical(name): torch.Size(shape) for name, shape in t.items()} for t in tables]


def split_groups(shapes: dict[str, torch.Size]) -> list[dict[str, torch.Size]]:
    """GPT-NeoX's two parameter groups: decayed, and not."""
    return [{n: s for n, s in shapes.items() if decays(n) is yes} for yes in (True, False)]


def measure_padding(optimizer: Optimizer, index: int, count: int, path: Path) -> int:
    """The padding behind a group's `count` elements, which must be zeros.

    Errors: InterveneError for a group that is too short, or whose padding is not zero.
    """
    group = optimizer.groups[index]
    for state in STATES:
        total = group.count(state)
        if total < count or (total > count and group.cut(state, count, total).any()):
            raise InterveneError(
                f"group {index} has {total:,} elements of {state}, its parameters {count:,}",
                str(path),
                "copy the files of all ranks, of one iteration",
            )
    return group.count(MASTER) - count
