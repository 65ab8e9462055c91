"""Shards on the Hub: only those of the stretch are fetched."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np

from tests.hub import serve_hub

ROOT = Path(__file__).resolve().parents[2]
TOKENS = np.random.default_rng(0).integers(0, 300, (40, 9), dtype=np.uint16)
READ = """
import sys
from intervene.errors import InterveneError
from intervene.data import Data
from intervene.sources.remote import download_rows
from intervene.stretch import Stretch
stretch = Stretch(int(sys.argv[1]), int(sys.argv[2]))
data = Data("pile", None, "org/rows", None, "org/tok", 9, 2, stretch)
try:
    rows = download_rows(data)[1]
    print(rows.read(data.rows.start, data.rows.stop).tobytes().hex())
except InterveneError as problem:
    sys.exit(f"error: {problem}")
"""


def fetch_rows(
    endpoint: str, home: Path, start: int, stop: int
) -> subprocess.CompletedProcess[str]:
    environment = os.environ | {
        "HF_ENDPOINT": endpoint,
        "HF_HOME": str(home),
        "HF_HUB_DISABLE_XET": "1",
        "HF_HUB_OFFLINE": "0",
        "NO_PROXY": "127.0.0.1",
    }
    command = [sys.executable, "-c", READ, str(start), str(stop)]
    return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)


def cut_shards() -> dict[str, bytes]:
    raw = TOKENS.tobytes()
    pieces = [raw[i : i + 200] for i in range(0, len(raw), 200)]
    last = len(pieces) - 1
    shards = {f"org/rows/document-{i:05d}-of-{last:05d}.bin": p for i, p in enumerate(pieces)}
    return shards | {"org/rows/README.md": b"rows"}


def test_only_the_shards_of_the_stretch_are_fetched(tmp_path: Path) -> None:
    with serve_hub(cut_shards()) as (endpoint, served):
        done = fetch_rows(endpoint, tmp_path, 12, 14)
    assert bytes.fromhex(done.stdout.strip()) == TOKENS[24:28].tobytes(), done.stderr
    assert set(served) == {"org/rows/document-00002-of-00003.bin"}


def test_dataset_without_shards_is_refused(tmp_path: Path) -> None:
    with serve_hub({"org/rows/README.md": b"rows"}) as (endpoint, _):
        done = fetch_rows(endpoint, tmp_path, 12, 14)
    assert done.returncode != 0
    assert "no shards NAME-000NN-of-000LL.bin" in done.stderr


def test_hub_that_does_not_answer_is_one_line(tmp_path: Path) -> None:
    done = fetch_rows("http://127.0.0.1:9", tmp_path, 12, 14)
    assert done.returncode != 0
    last = done.stderr.strip().splitlines()[-1]
    assert last.startswith("error: data.repo=org/rows@main: the Hugging Face Hub did not give it")
