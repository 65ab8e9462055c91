"""A sweep of nano arms that nothing disturbed, run once."""

import fcntl
from pathlib import Path

import pytest

from tests.sweep.arms import run_sweep

SWEEP = ("-m", "intervention.rate=0,0.5,1", "launcher.local.workers=2")


@pytest.fixture(scope="session")
def calm(tmp_path_factory: pytest.TempPathFactory, worker_id: str) -> Path:
    """The home of three arms, two at a time; the first of pytest's processes that asks runs it."""
    base = tmp_path_factory.getbasetemp()
    home = (base if worker_id == "master" else base.parent) / "calm"
    with home.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not home.exists():
            home.mkdir()
            code, said = run_sweep(*SWEEP, home=home)
            (home / "stderr").write_text(said)
            (home / "code").write_text(str(code))
    assert (home / "code").read_text() == "0", (home / "stderr").read_text()
    return home
