"""Convert: a GPT-NeoX checkpoint by the command line, and one line for a mistake."""

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

from tests.conftest import ROOT
from tests.training.neox_writer import Layout, write_checkpoint

COMMAND = [sys.executable, "-m", "pipelines.convert"]


def run(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*COMMAND, *words], cwd=ROOT, capture_output=True, text=True, timeout=200)


def list_lines(error: str) -> list[str]:
    return [line for line in error.splitlines() if line]


def test_the_command_converts_and_says_what_it_found(tmp_path: Path) -> None:
    folder, _ = write_checkpoint(tmp_path / "run", Layout(tensor=2, data=3))
    done = run(f"checkpoint={folder}", f"output={tmp_path / 'out'}")
    assert done.returncode == 0, done.stderr
    assert "tensor parallel 2, data parallel 3, ZeRO 1" in done.stderr
    assert (tmp_path / "out" / "config.json").is_file()
    assert (tmp_path / "out" / "universal" / "latest_universal").read_text() == "global_step20"


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (["checkpoint"], "checkpoint: it is no key=value"),
        (["checkpont=x", "output=y"], "checkpont=x: it is no key=value"),
        (["output=y"], "checkpoint: it is not set"),
        (["checkpoint=x", "output=y", "weights=fp8"], "weights=fp8: it is neither"),
        (["checkpoint=/nowhere/at/all", "output=y"], "checkpoint=/nowhere/at/all: there is no"),
    ],
)
def test_a_wrong_argument_ends_as_one_line(words: list[str], line: str) -> None:
    done = run(*words)
    assert done.returncode == 1
    assert len(list_lines(done.stderr)) == 1
    assert f"error: {line}" in done.stderr


def test_a_killed_conversion_leaves_nothing_and_can_be_repeated(tmp_path: Path) -> None:
    folder, wanted = write_checkpoint(tmp_path / "run", Layout(tensor=2))
    output = tmp_path / "out"
    words = [f"checkpoint={folder}", f"output={output}"]
    process = subprocess.Popen([*COMMAND, *words], cwd=ROOT, stderr=subprocess.DEVNULL)
    part = tmp_path / ".out.part" / "universal"
    while not part.exists() and process.poll() is None:
        time.sleep(0.002)
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    assert not output.exists()
    done = run(*words)
    assert done.returncode == 0, done.stderr
    assert not part.parent.exists()
    assert len(json.loads((output / "report.json").read_text())["tensors"]) == 28
    for name, tensor in wanted["fp32"].items():
        place = output / "universal" / "global_step20" / "zero" / name / "fp32.pt"
        assert torch.equal(torch.load(place)["param"], tensor), name
