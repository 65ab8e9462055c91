"""A sweep on this machine: shared work once, failures told at once, kills survived."""

import random
import shutil
import signal
import time
from pathlib import Path

import pytest

from intervene.lineage import Artefact, Store
from tests.pipelines.conftest import digest_store
from tests.sweep.arms import find_processes, kill, run_sweep, start_sweep, wait_for
from tests.sweep.conftest import SWEEP

WORKER, RANK = "pipelines.sweep.worker", "intervene.training.worker"


def list_artefacts(home: Path, kind: str) -> list[Artefact]:
    return Store(home / "store").artefacts(kind)


def count_kinds(home: Path) -> dict[str, int]:
    kinds = ("scan", "corpus", "run", "readings", "comparison")
    return {kind: len(list_artefacts(home, kind)) for kind in kinds}


def find_run(home: Path, rate: float) -> Artefact:
    corpora = {a.key: a.manifest["params"]["rate"] for a in list_artefacts(home, "corpus")}
    for run in list_artefacts(home, "run"):
        if corpora.get(run.manifest["inputs"][0]["key"]) == rate:
            return run
    raise AssertionError(f"no run at rate {rate}")


def test_shared_work_is_built_once(calm: Path) -> None:
    # The ladder is a run too; each arm has one checkpoint of its own, and all share the first.
    assert count_kinds(calm) == {"scan": 1, "corpus": 3, "run": 4, "readings": 4, "comparison": 1}
    logs = [path.read_text() for path in calm.glob("runs/intervene/arms/*/*.log")]
    assert len(logs) == 1 + 1 + 3 + 3
    assert sum(log.count("building scan/") for log in logs) == 1
    assert not any("waiting for another process" in log for log in logs if "train" in log)


def test_no_more_run_at_once_than_the_launcher_says(calm: Path) -> None:
    running, most = 0, 0
    for line in (calm / "stderr").read_text().splitlines():
        running += line.endswith(": begun")
        running -= ": done in " in line
        most = max(most, running)
    assert (running, most) == (0, 2)


def test_a_repeated_sweep_starts_nothing(calm: Path) -> None:
    before = digest_store(calm)
    code, said = run_sweep(*SWEEP, home=calm)
    assert code == 0
    assert "3 arms, 8 of 8 tasks done already" in said
    assert ": begun" not in said
    assert digest_store(calm) == before


def test_a_wider_sweep_runs_only_what_is_new(calm: Path, tmp_path: Path) -> None:
    home = tmp_path / "home"
    shutil.copytree(calm, home, symlinks=True)
    wider = [word.replace("0.5", "0.25,0.5") for word in SWEEP]
    code, said = run_sweep(*wider, home=home)
    assert code == 0, said
    begun = [line for line in said.splitlines() if line.endswith(": begun")]
    assert [line.split()[0] for line in begun] == ["rewrite", "train", "evaluate"]
    assert len(list_artefacts(home, "run")) == 5


def test_crashes_are_told_at_once_and_the_other_arms_finish(calm: Path, tmp_path: Path) -> None:
    run = find_run(calm, 0.5)
    draft = tmp_path / "store" / "run" / f".{run.key}.draft"
    draft.parent.mkdir(parents=True)
    draft.write_text("where a folder is to be")
    code, said = run_sweep(*SWEEP, "launcher.retries=1", home=tmp_path)
    assert code == 1
    lines = said.splitlines()
    crashes = [n for n, line in enumerate(lines) if "train tiny feminise-r0.5" in line
               and "crashed: FileExistsError" in line]  # fmt: skip
    assert len(crashes) == 2
    assert "started again, try 2" in lines[crashes[0]]
    assert "given up" in lines[crashes[1]]
    log = Path(lines[crashes[1]].rsplit("; ", 1)[1])
    assert log.read_text().count("Traceback") == 2
    assert sum("evaluate tiny " in line and ": done" in line for line in lines) == 2
    assert "2 of 8 tasks are not done" in lines[-1]  # its training and its evaluation
    assert count_kinds(tmp_path)["run"] == 3

    draft.unlink()
    job = start_sweep(*SWEEP, home=tmp_path)
    wait_for(lambda: find_processes("train.task", tmp_path))
    assert list(kill(find_processes("train.task", tmp_path)))
    wait_for(lambda: not find_processes("train.task", tmp_path))
    wait_for(lambda: find_processes(RANK, tmp_path))
    assert list(kill(find_processes(RANK, tmp_path)))
    _, said = job.communicate()
    assert job.returncode == 0, said
    assert said.count("crashed: its process was ended by SIGKILL") == 1
    assert said.count("crashed: RuntimeError: training ended with exit codes [-9]") == 1
    assert "started again, try 3" in said
    assert said.count(": begun") == 4  # three tries at training, and evaluation
    assert digest_store(tmp_path) == digest_store(calm)


def test_a_sweep_that_is_stopped_or_killed_is_gone_on_with(calm: Path, tmp_path: Path) -> None:
    two = [word.replace("0,0.5,1", "0,1") for word in SWEEP]
    job = start_sweep(*two, home=tmp_path)
    wait_for(lambda: find_processes("train.task", tmp_path))
    wait_for(lambda: find_processes(RANK, tmp_path))
    job.send_signal(signal.SIGINT)
    _, said = job.communicate()
    assert job.returncode == 130
    assert "saving, then stopping" in said
    assert "Traceback" not in said
    assert not find_processes(WORKER, tmp_path)

    job = start_sweep(*two, home=tmp_path)
    wait_for(lambda: find_processes(WORKER, tmp_path))
    job.send_signal(signal.SIGKILL)
    job.communicate()
    wait_for(lambda: not find_processes(WORKER, tmp_path))
    code, said = run_sweep(*two, home=tmp_path)
    assert code == 0, said
    ours, theirs = digest_store(tmp_path), digest_store(calm)
    differing = {name.split("/")[0] for name in ours if ours[name] != theirs.get(name)}
    assert differing == {"comparison"}  # of two arms
    assert count_kinds(tmp_path) == {
        "scan": 1,
        "corpus": 2,
        "run": 3,
        "readings": 3,
        "comparison": 1,
    }


def test_arms_that_are_refused_stay_out_and_the_others_run(calm: Path, tmp_path: Path) -> None:
    home = tmp_path / "home"
    shutil.copytree(calm, home, symlinks=True)
    code, said = run_sweep("-m", "intervention.rate=0.5,1.5", home=home)
    assert code == 1
    assert "error: intervention.rate" in said
    assert "2 arms, 6 of 6 tasks done already" in said


def test_more_gpus_than_there_are_is_one_line(tmp_path: Path) -> None:
    code, said = run_sweep(*SWEEP, "launcher.local.gpus=99", home=tmp_path)
    assert code == 1
    assert said.splitlines()[-1].startswith("error: launcher.local.gpus=99")


@pytest.mark.slow
def test_forty_arms_with_workers_killed_at_random_end_as_an_undisturbed_sweep(
    tmp_path: Path,
) -> None:
    seeds = ",".join(map(str, range(39)))
    forty = ("-m", f"intervention.seed={seeds}", "intervention.rate=0.5",
             "launcher.local.workers=2", "launcher.retries=0")  # fmt: skip
    calm, stormy = tmp_path / "calm", tmp_path / "stormy"
    code, said = run_sweep(*forty, home=calm)
    assert code == 0, said
    assert count_kinds(calm) == {
        "scan": 1,
        "corpus": 40,
        "run": 41,
        "readings": 41,
        "comparison": 1,
    }
    chance, killed = random.Random(7), 0
    for _ in range(40):
        job = start_sweep(*forty, home=stormy)
        while job.poll() is None and killed < 25:
            time.sleep(chance.uniform(1, 12))
            alive = find_processes(WORKER, stormy) + find_processes(RANK, stormy)
            killed += len(list(kill([chance.choice(alive)] if alive else [])))
        job.communicate()
        if job.returncode == 0:
            break
    assert killed > 10
    assert job.returncode == 0
    assert digest_store(stormy) == digest_store(calm)
