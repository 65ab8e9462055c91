"""A whole trial small enough for a test, run once."""

import fcntl
import hashlib
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
MICRO = (
    "data.row_tokens=65",
    "data.rows_per_step=8",
    "data.stretch.start=4",
    "data.stretch.stop=10",
    "data.heldout=null",
    "model.layers=1",
    "model.width=32",
    "model.heads=2",
    "model.schedule_steps=10",
    "trainer.save_every=2",
    "trainer.micro_batch=4",
    "evaluation.tasks=[winobias_pair_type2,crows_pairs_english_gender]",
    "evaluation.resamples=200",
)


def build_command(stage: str, *overrides: str) -> list[str]:
    return [sys.executable, "-m", f"pipelines.{stage}", *MICRO, *overrides]


def build_environment(home: Path) -> dict[str, str]:
    return os.environ | {
        "INTERVENE_STORE": str(home / "store"),
        "INTERVENE_RUNS": str(home / "runs"),
    }


def run_micro(stage: str, *overrides: str, home: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        build_command(stage, *overrides),
        cwd=ROOT,
        env=build_environment(home),
        capture_output=True,
        text=True,
    )


TIMED = {"manifest.json", "experiment.json", "log.csv"}
"""Files that record seconds or the store's own path."""


def digest_store(home: Path) -> dict[str, str]:
    """sha256 of every file of every artefact, but for those that record the clock."""
    return {
        str(path.relative_to(home / "store")): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted((home / "store").rglob("*"))
        if path.is_file() and path.name not in TIMED and "/." not in str(path)
    }


@pytest.fixture(scope="session")
def undisturbed(tmp_path_factory: pytest.TempPathFactory, worker_id: str) -> Path:
    """The home of a sweep over the control and two rates that nothing interrupted.

    The first of pytest's processes that asks for it runs it; the others wait.
    """
    base = tmp_path_factory.getbasetemp()
    home = (base if worker_id == "master" else base.parent) / "undisturbed"
    with home.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not home.exists():
            home.mkdir()
            done = run_micro("intervene", "sweep=rates", home=home)
            (home / "stderr").write_text(done.stderr)
    assert (home / "runs" / "intervene" / "comparison").exists(), (home / "stderr").read_text()
    return home
