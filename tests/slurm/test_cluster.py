"""The cluster that the tests start is a real one, and nothing of it stays."""

import os
import signal
from pathlib import Path

from tests.slurm.cluster import Cluster, start_cluster, wait_until


def submit(cluster: Cluster, folder: Path, script: str, nodes: int = 1) -> str:
    return cluster.run(
        "sbatch", "--parsable", f"--nodes={nodes}", f"--chdir={folder}", f"--wrap={script}"
    )


def test_a_job_of_two_nodes_runs_on_two(cluster: Cluster) -> None:
    assert sorted(cluster.run("srun", "--nodes=2", "hostname").split()) == ["n0", "n1"]


def test_a_rank_that_is_killed_ends_its_job(cluster: Cluster, tmp_path: Path) -> None:
    job = submit(cluster, tmp_path, "srun sleep 600", nodes=2)
    wait_until(lambda: all(cluster.pids_of(job, rank=rank) for rank in (0, 1)), 10)
    [pid] = cluster.pids_of(job, rank=1)
    assert cluster.pids_of(job, node=cluster.nodes_of(job)[1]) == [pid]
    os.kill(pid, signal.SIGKILL)
    cluster.wait_for_job(job, "FAILED", 15)
    assert cluster.pids_of(job) == []


def test_the_job_of_a_lost_node_starts_again_on_another(cluster: Cluster, tmp_path: Path) -> None:
    script = "hostname >> starts; [ $(wc -l < starts) = 2 ] || sleep 600"
    job = submit(cluster, tmp_path, script)
    wait_until(lambda: bool(cluster.pids_of(job, command="sleep 600")), 10)
    [node] = cluster.nodes_of(job)
    cluster.lose_node(node)
    try:
        cluster.wait_for_job(job, "COMPLETED")
        [spare] = cluster.nodes_of(job)
        assert cluster.pids_of(job, node, command="sleep 600"), "it goes on: only its cable is cut"
    finally:
        cluster.revive(node)
    assert (tmp_path / "starts").read_text().split() == [node, spare]
    assert spare != node
    assert cluster.show_job(job)["Restarts"] == "1"
    wait_until(lambda: not cluster.pids_of(job), 10)


def test_nothing_outlives_a_cluster(tmp_path: Path, cluster: Cluster) -> None:
    with start_cluster(tmp_path / "small", nodes=("only",)) as small:
        job = submit(small, tmp_path, "setsid sleep 600 & wait")
        wait_until(lambda: bool(small.pids_of(job, "only", command="sleep 600")), 10)
        assert Path("/sys/class/net", small.link).exists()
    assert small.list_processes() == []
    assert not Path("/sys/class/net", small.link).exists()
    assert cluster.list_ready() == ["n0", "n1", "n2"], "it meets no other cluster"
