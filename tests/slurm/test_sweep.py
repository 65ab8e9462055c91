"""Sweeps on a real SLURM without accounting: what happens to jobs happens to no result."""

import os
import re
import signal
from pathlib import Path

import pytest

from intervene.lineage import Artefact, Store
from intervene.training.watching.log import read_table
from tests.slurm.cluster import Cluster, wait_until
from tests.slurm.sweeps import SLURM, Site, make_site

SIZES = ("-m", "model=nano,tiny", "intervention.rate=0,0.5,1")
LONG = ("data.stretch.stop=404", "trainer.save_every=50", "model.schedule_steps=404")
"""Long enough for a signal to find a training in the middle of it."""


@pytest.fixture
def site(tmp_path: Path, cluster: Cluster) -> Site:
    return make_site(tmp_path / "site", cluster)


def list_runs(folder: Path) -> list[Artefact]:
    """The runs of arms; a ladder's has no corpus among its inputs."""
    runs = Store(folder / "store").artefacts("run")
    return [run for run in runs if run.manifest["inputs"][0]["kind"] == "corpus"]


def read_step(site: Site) -> int:
    """How far the training is that is under way, by its log."""
    logs = list(site.folder.glob("store/run/.*.draft/log.csv"))
    return max((int(row["step"]) for log in logs for row in read_table(log)), default=0)


def find_job(site: Site, label: str, stage: str = "train") -> str:
    """The running job of an arm's stage, waited for."""

    def runs() -> bool:
        noted = site.read_attempts(stage).get(label, {})
        return noted.get("state") == "running"

    wait_until(runs, 90)
    return str(site.read_attempts(stage)[label]["job"])


def find_ranks(site: Site, job: str, node: str | None = None) -> list[int]:
    """The processes that train for a job."""
    number = site.cluster.show_job(job)["JobId"]  # an array's job has one of its own
    return site.cluster.pids_of(number, node, command="intervene.training.worker")


def test_a_sweep_survives_a_killed_arm_an_exit_a_killed_client_and_an_edited_yaml(
    site: Site,
) -> None:
    leave = '[ "$SLURM_JOB_NAME$SLURM_ARRAY_TASK_ID" != intervene-train5 ] || exit 3'
    client = site.start("intervene", *SIZES, *SLURM, f"launcher.slurm.setup=['{leave}']")
    wait_until(lambda: len(site.read_attempts("evaluate")) == 6, 60)
    client.send_signal(signal.SIGKILL)  # all six arms are submitted, and most of them wait
    client.communicate()
    models = {path: path.read_text() for path in site.folder.glob("conf/model/*.yaml")}
    for path, text in models.items():
        path.write_text(re.sub(r"(?m)^layers: \d+", "layers: 7", text))
    job = find_job(site, "nano-feminise-r0.5-document-s0")
    wait_until(lambda: bool(find_ranks(site, job)), 60)
    os.kill(find_ranks(site, job)[0], signal.SIGKILL)

    for path, text in models.items():  # the same arms are asked for again
        path.write_text(text)
    code, said = site.run("intervene", *SIZES, *SLURM)
    assert code == 1, said
    assert "tasks have jobs already, which are watched" in said
    assert "submitted" not in said
    assert said.count("crashed: RuntimeError: training ended with exit codes [-9]") == 1
    assert "started again, try 2" in said
    [exited] = [line for line in said.splitlines() if line.startswith("train tiny feminise-r1-")
                and "exit code 3" in line]  # fmt: skip
    assert "given up" in exited
    assert "its train is not done" in said
    layers = [run.manifest["params"]["model"]["layers"] for run in list_runs(site.folder)]
    assert sorted(layers) == [1, 1, 1, 2, 2]  # and none of the seven that the edited files name
    assert len(list_runs(site.folder)) == 5
    status = site.read_status()
    assert [arm["complete"] for arm in status["arms"]].count(False) == 1
    assert not status["complete"]

    code, said = site.run("intervene", *SIZES, *SLURM)
    assert code == 0, said
    assert "submitted 2 tasks" in said
    assert site.read_status()["complete"]
    assert len(list_runs(site.folder)) == 6


def test_an_arm_of_two_nodes_that_is_preempted_and_loses_a_rank_ends_in_the_same_bytes(
    site: Site, tmp_path: Path
) -> None:
    cluster, arm = site.cluster, ("intervention=none", *LONG)
    client = site.start("intervene", *arm, *SLURM, "launcher.slurm.train.nodes=2")
    job = find_job(site, "tiny-control")
    wait_until(lambda: read_step(site) > 60, 90)
    cluster.run("scancel", "--signal=USR2", job)
    wait_until(lambda: site.read_attempts("train")["tiny-control"]["stops"] == 1, 30)
    saved = read_step(site)
    wait_until(lambda: read_step(site) > saved + 60, 120)
    os.kill(find_ranks(site, job, cluster.nodes_of(job)[1])[0], signal.SIGKILL)
    _, said = client.communicate()
    assert client.returncode == 0, said
    assert ": told to stop; started again" in said
    assert "crashed: RuntimeError: training ended with exit codes" in said
    assert cluster.show_job(job)["Restarts"] == "2"

    calm = make_site(tmp_path / "calm", cluster)
    code, told = calm.run(
        "intervene", *arm, "trainer.processes=2", "evaluation.tasks=[winobias_pair_type2]"
    )
    assert code == 0, told
    [ours], [theirs] = list_runs(site.folder), list_runs(calm.folder)
    assert ours.key == theirs.key
    losses = [[row["loss"] for row in read_table(run.path / "log.csv")] for run in (ours, theirs)]
    assert len(losses[0]) == 400
    assert losses[0] == losses[1]
    final = Path("checkpoints/step404/model.safetensors")
    assert (ours.path / final).read_bytes() == (theirs.path / final).read_bytes()


def test_an_arm_whose_node_is_lost_goes_on_on_another(site: Site) -> None:
    cluster, arm = site.cluster, ("intervention=none", *LONG)
    client = site.start("intervene", *arm, *SLURM)
    job = find_job(site, "tiny-control")
    wait_until(lambda: read_step(site) > 60, 90)
    [node] = cluster.nodes_of(job)
    cluster.lose_node(node)
    for pid in cluster.pids_of(job, node):  # its power is gone too
        os.kill(pid, signal.SIGKILL)
    try:
        _, said = client.communicate()
        assert client.returncode == 0, said
        assert cluster.nodes_of(job) != (node,)
        assert cluster.show_job(job)["Restarts"] == "1"
        [run] = list_runs(site.folder)
        assert len(read_table(run.path / "log.csv")) == 400
        assert "resumed at step" in (
            Path(site.read_attempts("train")["tiny-control"]["log"]).read_text()
        )
    finally:
        cluster.revive(node)
