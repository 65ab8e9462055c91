"""Sweeps of small arms on the cluster, from a copy of this repository that a test may edit."""

import json
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.pipelines.conftest import MICRO, ROOT
from tests.slurm.cluster import Cluster

SMALL = (
    *(
        word
        for word in MICRO
        if not word.startswith(("model.layers", "model.width", "model.heads"))
    ),
    "data.stretch.stop=6",
    "evaluation.tasks=[winobias_pair_type2]",
)
"""The micro trial of each size, in two steps and with one task."""
PARTS = ("pipelines", "conf")
"""What composes an experiment; the library itself is the installed one, with its compiled loops."""
SLURM = (
    "launcher=slurm",
    "launcher.slurm.poll_seconds=0.5",
    "launcher.slurm.warn_seconds=5",
    "launcher.slurm.rewrite.cpus=1",
    "launcher.slurm.rewrite.memory=null",
    "launcher.slurm.train.gpus=0",
    "launcher.slurm.train.cpus=1",
    "launcher.slurm.evaluate.gpus=0",
    "launcher.slurm.evaluate.cpus=1",
)


@dataclass(frozen=True)
class Site:
    """A copy of the repository, with a store and logs, from which jobs are submitted.

    Args:
        folder: which.
        cluster: where jobs run.
    """

    folder: Path
    cluster: Cluster

    def command(self, stage: str, *overrides: str) -> list[str]:
        """A stage of small arms."""
        return [sys.executable, "-m", f"pipelines.{stage}", *SMALL, *overrides]

    def environment(self) -> dict[str, str]:
        """In which it finds the cluster and its own store."""
        return self.cluster.environment() | {
            "INTERVENE_STORE": str(self.folder / "store"),
            "INTERVENE_RUNS": str(self.folder / "runs"),
            "OMP_NUM_THREADS": "1",
        }

    def start(self, stage: str, *overrides: str) -> subprocess.Popen[str]:
        """Start a command, whose standard error is to be read."""
        return subprocess.Popen(
            self.command(stage, *overrides),
            cwd=self.folder,
            env=self.environment(),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    def run(self, stage: str, *overrides: str) -> tuple[int, str]:
        """Run a command; its exit code and what it told."""
        job = self.start(stage, *overrides)
        _, said = job.communicate()
        return job.returncode, said

    def read_status(self) -> dict[str, Any]:
        """What `pipelines.status --json` says."""
        said, _ = self.start("status", "--json").communicate()
        found: dict[str, Any] = json.loads(said)
        return found

    def read_attempts(self, stage: str) -> dict[str, dict[str, Any]]:
        """What is noted of a stage, by the label of its arm."""
        found = {}
        for path in self.folder.glob(f"runs/*/arms/*/{stage}.json"):
            found[path.parent.name.rpartition("-")[0]] = json.loads(path.read_text())
        return found


def make_site(folder: Path, cluster: Cluster) -> Site:
    """Copy what a submission needs."""
    for part in PARTS:
        shutil.copytree(ROOT / part, folder / part, ignore=shutil.ignore_patterns("__pycache__"))
    return Site(folder, cluster)
