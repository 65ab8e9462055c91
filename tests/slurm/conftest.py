"""A cluster of three nodes, which the tests of this folder share."""

import os
import shutil
import subprocess
from collections.abc import Iterator

import pytest

from tests.slurm.cluster import NAMESPACES, PATH, Cluster, start_cluster

PROGRAMS = ("slurmctld", "slurmd", "munged", "ip")
LINKS = "ip link add switch type bridge && ip link add one type veth peer two"


def pytest_itemcollected(item: pytest.Item) -> None:
    item.add_marker("slurm")


@pytest.fixture(scope="session")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """n0, n1 and n2, of one core each; a test that loses one revives it."""
    if missing := [name for name in PROGRAMS if not shutil.which(name, path=PATH)]:
        pytest.skip(f"no {', '.join(missing)}: Debian has them in slurm-wlm, munge and iproute2")
    if os.geteuid() != 0:
        pytest.skip("only root can start a SLURM whose nodes have networks of their own")
    trial = ["unshare", *NAMESPACES, "sh", "-c", LINKS]
    made = subprocess.run(trial, capture_output=True, text=True, check=False)
    if made.returncode:
        pytest.skip(f"no namespaces here, or no links between them: {made.stderr.strip()}")
    with start_cluster(tmp_path_factory.mktemp("slurm") / "cluster") as cluster:
        yield cluster


@pytest.fixture(autouse=True)
def _no_job_stays(request: pytest.FixtureRequest) -> Iterator[None]:
    """A test that fails leaves the nodes to the next one."""
    yield
    if "cluster" in request.fixturenames:
        request.getfixturevalue("cluster").clear()
