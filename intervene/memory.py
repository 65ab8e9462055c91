"""How much memory a process of this machine may still take."""

import os
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

ROOT = Path("/")
SHARE = "INTERVENE_MEMORY"
"""The environment variable with the bytes that a process of a sweep may take of this machine."""


def read_free(root: Path = ROOT) -> int:
    """Bytes that this machine, its control groups (containers, SLURM) or a sweep leave free.

    Args:
        root: where `proc` and `sys` are.
    """
    lines = (root / "proc/meminfo").read_text().splitlines()
    available = next(line.split()[1] for line in lines if line.startswith("MemAvailable:"))
    share = int(os.environ.get(SHARE, 1 << 62))
    return max(0, min(int(available) << 10, share, *_read_limits(root)))


def _read_limits(root: Path) -> Iterator[int]:
    """What each control group above this process leaves free (cgroups(7)); version 2, then 1."""
    yield 1 << 62
    for line in (root / "proc/self/cgroup").read_text().splitlines():
        _, controllers, name = line.split(":", 2)
        if controllers == "":
            base, limit, used = root / "sys/fs/cgroup", "memory.max", "memory.current"
            cache = "inactive_file"
        elif "memory" in controllers.split(","):
            base = root / "sys/fs/cgroup/memory"
            limit, used = "memory.limit_in_bytes", "memory.usage_in_bytes"
            cache = "total_inactive_file"
        else:
            continue
        path = PurePosixPath(name.lstrip("/"))
        for group in (base / path, *(base / parent for parent in path.parents)):
            # A container sees its own group as the root, whatever its name outside.
            if (group / limit).exists() and (most := (group / limit).read_text().strip()) != "max":
                stat = dict(
                    line.split() for line in (group / "memory.stat").read_text().splitlines()
                )
                held = int((group / used).read_text()) - int(stat.get(cache, 0))
                yield int(most) - held
