"""The main job, killed in every stage and repeated."""

import os
import signal
import subprocess
from pathlib import Path

import pytest

from tests.pipelines.conftest import (
    ROOT,
    build_command,
    build_environment,
    digest_store,
    run_micro,
)


def kill_at(line: str, home: Path) -> None:
    """Start the job and SIGKILL its whole process group as soon as it prints a line."""
    job = subprocess.Popen(
        build_command("intervene", "intervention.rate=1"),
        cwd=ROOT,
        env=build_environment(home),
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    assert job.stderr
    printed = []
    for said in job.stderr:
        printed.append(said)
        if said.startswith(line):
            break
    else:
        pytest.fail(f"never printed {line!r}:\n{''.join(printed)}")
    os.killpg(job.pid, signal.SIGKILL)
    job.wait()
    job.stderr.close()


EVERY_STAGE = ("building corpus/", "step 1/4", "step 8/10", "building comparison/")
EVERY_MOMENT = (
    "building toy/", "building scan/", "building corpus/", "step 1/4", "building run/",
    "step 5/10", "step 6/10", "step 8/10", "building readings/", "building comparison/",
)  # fmt: skip


@pytest.mark.parametrize(
    "moments", [EVERY_STAGE, pytest.param(EVERY_MOMENT, marks=pytest.mark.slow)], ids=len
)
def test_killed_in_every_stage_and_repeated_ends_in_the_same_bytes(
    undisturbed: Path, tmp_path: Path, moments: tuple[str, ...]
) -> None:
    for line in moments:
        kill_at(line, tmp_path)
    done = run_micro("intervene", "intervention.rate=1", home=tmp_path)
    assert done.returncode == 0, done.stderr
    ours, theirs = digest_store(tmp_path), digest_store(undisturbed)
    # The undisturbed store holds one arm more, and so another report.
    differing = {name for name, digest in ours.items() if theirs.get(name) != digest}
    assert {name.split("/")[0] for name in differing} == {"comparison"}
    assert len(ours) > 20
    assert not list((tmp_path / "store").glob("*/.*.draft"))
