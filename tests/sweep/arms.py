"""Trials small enough for a test, and what a sweep of them leaves."""

import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf

from intervene.experiment import Experiment
from pipelines.stage import ROOT
from pipelines.trial import Trial
from tests.pipelines.conftest import build_command, build_environment

NANO = (
    "data.stretch.stop=6",
    "model.width=16",
    "evaluation.tasks=[winobias_pair_type2]",
)
"""Beside the micro trial's: two steps, one task."""


def compose_trial(*overrides: str, home: Path) -> Trial:
    with initialize_config_dir(config_dir=str(ROOT / "conf"), version_base="1.3"):
        experiment = OmegaConf.to_object(compose("config", overrides=list(overrides)))
    assert isinstance(experiment, Experiment)
    paths = replace(experiment.paths, store=home / "store", runs=home / "runs")
    return Trial(replace(experiment, paths=paths), overrides)


def start_sweep(*overrides: str, home: Path, stage: str = "intervene") -> subprocess.Popen[str]:
    """Start a sweep of nano arms, whose standard error is to be read."""
    return subprocess.Popen(
        build_command(stage, *NANO, *overrides),
        cwd=ROOT,
        env=build_environment(home),
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def run_sweep(*overrides: str, home: Path, stage: str = "intervene") -> tuple[int, str]:
    """Run a sweep of nano arms; its exit code and what it printed."""
    job = start_sweep(*overrides, home=home, stage=stage)
    _, said = job.communicate()
    return job.returncode, said


def find_processes(word: str, home: Path) -> list[int]:
    """Processes of this sweep whose command line holds a word."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            line = (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode()
        except OSError:
            continue
        if word in line and str(home) in line:
            found.append(int(folder.name))
    return found


def wait_for(what: Callable[[], object], seconds: float = 90.0) -> None:
    limit = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < limit, "it never came"
        time.sleep(0.02)


def kill(pids: list[int]) -> Iterator[int]:
    """SIGKILL processes; those that were still there."""
    for pid in pids:
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            continue
        yield pid
