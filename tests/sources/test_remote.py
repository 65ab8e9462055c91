"""Rows of a dataset on the Hub: one commit, only the bytes of the stretch."""

import hashlib
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from huggingface_hub import constants

from intervene.errors import InterveneError
from intervene.lineage import Store
from intervene.sources.remote import pieces, retry
from tests.hub import COMMIT, serve_hub
from tests.sources.far import ROW_BYTES, describe_data, read_steps, truth, write_corpus
from tests.web import Web, serve

ROOT = Path(__file__).resolve().parents[2]
READ = """
import sys
from pathlib import Path
from intervene.errors import InterveneError
from intervene.lineage import Store
from tests.sources.far import describe_data, read_steps
try:
    data = describe_data(None, (30, 80), repo="org/rows")
    print(read_steps(Store(Path(sys.argv[1])), data).hex())
except InterveneError as problem:
    sys.exit(f"error: {problem}")
"""
NOWHERE = "http://127.0.0.1:9"
STEPS = (30, 80)
NEED = 50 * 4 * ROW_BYTES
Read = Callable[..., bytes]


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "store")


@pytest.fixture
def read(monkeypatch: pytest.MonkeyPatch, store: Store, tmp_path: Path) -> Read:
    """Reads steps from the Hub at an endpoint, which its client else takes when it is imported."""
    monkeypatch.setattr(pieces, "PIECE_BYTES", 512)
    monkeypatch.setattr(retry, "PAUSE_SECONDS", 0.01)
    monkeypatch.delenv("HF_TOKEN", raising=False)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setattr(constants, "HF_TOKEN_PATH", str(tmp_path / "none"))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)

    def ask(endpoint: str, **asked: Any) -> bytes:
        template = f"{endpoint}/{{repo_id}}/resolve/{{revision}}/{{filename}}"
        monkeypatch.setattr(constants, "ENDPOINT", endpoint)
        monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", template)
        known = {"path": None, "repo": "org/rows", "steps": STEPS} | asked
        return read_steps(store, describe_data(known.pop("path"), known.pop("steps"), **known))

    return ask


@contextmanager
def serve_corpus(
    folder: Path, token: str | None = None, prefix: str = "org/rows/"
) -> Iterator[tuple[str, Web]]:
    """A Hub whose files' contents another server holds: the endpoint, and that server."""
    files = {f"{prefix}{n}": raw for n, raw in write_corpus(folder / "rows").items()}
    files["org/rows/README.md"] = b"rows"
    contents = Web({f"{hashlib.sha256(b).hexdigest()}.bin": b for b in files.values()})
    with serve(contents) as web, serve_hub(files, web.url, token) as (endpoint, _):
        yield endpoint, web


def test_only_the_bytes_of_the_stretch_are_fetched(
    tmp_path: Path, store: Store, read: Read
) -> None:
    with serve_corpus(tmp_path) as (endpoint, web):
        assert read(endpoint) == truth(*STEPS)
    header_and_sizes = 34 + 200 * 4
    assert web.served_bytes == NEED + header_and_sizes
    (artefact,) = store.artefacts()
    assert artefact.manifest["params"]["commit"] == COMMIT
    assert artefact.facts["revision"] == "main"


def test_process_of_its_own_takes_the_endpoint_from_its_environment(tmp_path: Path) -> None:
    environment = os.environ | {
        "HF_HOME": str(tmp_path / "home"),
        "HF_HUB_OFFLINE": "0",
        "HF_TOKEN": "hf_secret",
    }
    with serve_corpus(tmp_path, token="hf_secret") as (endpoint, web):
        done = subprocess.run(
            [sys.executable, "-c", READ, str(tmp_path / "store")],
            cwd=ROOT, env=environment | {"HF_ENDPOINT": endpoint}, capture_output=True, text=True,
            timeout=120,
        )  # fmt: skip
    assert bytes.fromhex(done.stdout) == truth(*STEPS), done.stderr
    assert not any("Authorization" in asked.headers for asked in web.asked)


def test_token_is_sent_to_the_hub_and_nowhere_else(
    tmp_path: Path, read: Read, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    with serve_corpus(tmp_path, token="hf_secret") as (endpoint, web):
        assert read(endpoint) == truth(*STEPS)
        assert web.asked
        assert not any("Authorization" in asked.headers for asked in web.asked)


def test_gated_dataset_without_a_token_is_one_line(
    tmp_path: Path, store: Store, read: Read
) -> None:
    told = r"^hf://datasets/org/rows@main: the Hugging Face Hub did not give it .*$"
    with (
        serve_corpus(tmp_path, token="hf_secret") as (endpoint, _),
        pytest.raises(InterveneError, match=told),
    ):
        read(endpoint)
    assert store.artefacts() == []


@pytest.mark.parametrize(
    "path",
    [
        "hf://datasets/org/rows/shuffled",
        "hf://datasets/org/rows@main/shuffled/document-00001-of-00002.bin",
    ],
)
def test_address_of_a_folder_in_a_dataset_is_opened(tmp_path: Path, read: Read, path: str) -> None:
    with serve_corpus(tmp_path, prefix="org/rows/shuffled/") as (endpoint, _):
        assert read(endpoint, path=path) == truth(*STEPS)


def test_what_is_held_of_a_commit_needs_no_network(tmp_path: Path, read: Read) -> None:
    with serve_corpus(tmp_path) as (endpoint, _):
        read(endpoint, revision=COMMIT)
    assert read(NOWHERE, revision=COMMIT) == truth(*STEPS)
    assert read(NOWHERE, revision=COMMIT, steps=(40, 50)) == truth(40, 50)


def test_branch_that_cannot_be_asked_for_is_what_it_was(
    tmp_path: Path, read: Read, capsys: pytest.CaptureFixture[str]
) -> None:
    with serve_corpus(tmp_path) as (endpoint, _):
        read(endpoint)
    assert read(NOWHERE) == truth(*STEPS)
    assert "knows of it instead" in capsys.readouterr().err


def test_other_branch_is_not_taken_for_it(tmp_path: Path, read: Read) -> None:
    with serve_corpus(tmp_path) as (endpoint, _):
        read(endpoint)
    with pytest.raises(InterveneError, match="rows@other"):
        read(NOWHERE, revision="other")


def test_client_that_is_offline_asks_for_nothing(
    tmp_path: Path, read: Read, monkeypatch: pytest.MonkeyPatch
) -> None:
    with serve_corpus(tmp_path) as (endpoint, web):
        read(endpoint)
        monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
        before = len(web.asked)
        assert read(endpoint) == truth(*STEPS)
        with pytest.raises(InterveneError, match="offline mode is enabled"):
            read(endpoint, steps=(0, 2))
        assert len(web.asked) == before


def test_hub_that_does_not_answer_is_one_line(read: Read) -> None:
    told = r"^hf://datasets/org/rows@main: the Hugging Face Hub did not give it .*$"
    with pytest.raises(InterveneError, match=told):
        read(NOWHERE)


def test_dataset_without_shards_is_refused(read: Read) -> None:
    with (
        serve_hub({"org/rows/README.md": b"rows"}) as (endpoint, _),
        pytest.raises(InterveneError, match=r"org/rows: no \.bin file is listed there"),
    ):
        read(endpoint)


def test_hub_that_has_lost_its_contents_is_refused(
    tmp_path: Path, store: Store, read: Read
) -> None:
    with serve_corpus(tmp_path) as (endpoint, web):
        web.files = {}
        with pytest.raises(InterveneError, match="answers 404"):
            read(endpoint)
    assert store.artefacts() == []


def test_content_other_than_the_listed_is_refused(tmp_path: Path, store: Store, read: Read) -> None:
    files = {f"org/rows/{n}": raw for n, raw in write_corpus(tmp_path / "rows").items()}
    with serve(Web({})) as web, serve_hub(files, web.url) as (endpoint, _):

        def change(request: object, body: bytes, start: int, stop: int) -> bool:
            files["org/rows/document-00001-of-00002.bin"] = bytes(2501)
            return False

        web.files = {f"{hashlib.sha256(b).hexdigest()}.bin": b for b in files.values()}
        web.files[f"{hashlib.sha256(bytes(2501)).hexdigest()}.bin"] = bytes(2501)
        web.spoil = change
        with pytest.raises(InterveneError, match="the file has changed"):
            read(endpoint)
    assert store.artefacts() == []


def test_checksums_are_compared_with_the_hub(tmp_path: Path, read: Read) -> None:
    raw = write_corpus(tmp_path / "rows")
    lines = [f"{hashlib.sha256(b).hexdigest()}  {n}" for n, b in raw.items() if ".bin" in n]
    listed = tmp_path / "sums"
    with serve_corpus(tmp_path) as (endpoint, _):
        listed.write_text("\n".join(lines))
        assert read(endpoint, checksums=str(listed)) == truth(*STEPS)
        listed.write_text("\n".join([*lines[:-1], f"{'0' * 64}  document-00002-of-00002.bin"]))
        with pytest.raises(InterveneError, match=r"document-00002-of-00002\.bin has sha256"):
            read(endpoint, checksums=str(listed))


def test_address_that_is_no_dataset_is_refused(read: Read) -> None:
    with pytest.raises(InterveneError, match="write hf://datasets/owner/name@revision/folder"):
        read(NOWHERE, path="hf://org/rows")
