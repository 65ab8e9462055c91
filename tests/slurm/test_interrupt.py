"""Ctrl-C at a terminal asks once whether the jobs are to be cancelled."""

import os
import pty
import subprocess
from pathlib import Path

import pytest

from tests.slurm.cluster import Cluster, wait_until
from tests.slurm.sweeps import SLURM, Site, make_site

CTRL_C = b"\x03"


@pytest.fixture
def site(tmp_path: Path, cluster: Cluster) -> Site:
    return make_site(tmp_path / "site", cluster)


class Terminal:
    """A command at a terminal of its own."""

    def __init__(self, site: Site, *words: str) -> None:
        self._master, slave = pty.openpty()
        self._process = subprocess.Popen(
            ["setsid", "--ctty", *site.command(*words)],
            cwd=site.folder, env=site.environment(), stdin=slave, stdout=slave, stderr=slave,
        )  # fmt: skip
        os.close(slave)
        self.said = ""

    def wait_for(self, words: str) -> None:
        while words not in self.said:
            try:
                self.said += os.read(self._master, 4096).decode()
            except OSError:  # it has ended
                raise AssertionError(f"never said {words!r}: {self.said}") from None

    def type(self, keys: bytes) -> None:
        os.write(self._master, keys)

    def end(self) -> int:
        """Its exit code."""
        try:
            while part := os.read(self._master, 4096):
                self.said += part.decode()
        except OSError:
            pass
        os.close(self._master)
        return self._process.wait()


def test_on_no_the_jobs_go_on_and_on_yes_they_are_cancelled(site: Site) -> None:
    sweep = ("intervene", "-m", "intervention.rate=0,1", *SLURM)
    first = Terminal(site, *sweep)
    first.wait_for("compared at last by job")
    first.type(CTRL_C)
    first.wait_for("cancel 6 jobs? [y/N]")
    first.type(b"n\n")
    assert first.end() == 130
    assert "go on; the same command watches them again, `scancel " in first.said
    assert len(site.cluster.squeue("--noheader", "--array").splitlines()) >= 5

    second = Terminal(site, *sweep)
    second.wait_for("tasks have jobs already, which are watched")
    second.type(CTRL_C)
    second.wait_for("[y/N]")
    second.type(b"y\n")
    assert second.end() == 130
    assert "cancelled " in second.said
    wait_until(lambda: not site.cluster.squeue("--noheader", "--name=intervene-train"), 30)
    wait_until(lambda: not site.cluster.squeue("--noheader", "--name=intervene-evaluate"), 30)
