"""A span that is fetched piece by piece: killed at any moment, it is gone on with."""

import hashlib
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from intervene.data import Data
from intervene.errors import InterveneError
from intervene.lineage import Store
from intervene.sources.remote import pieces
from intervene.sources.remote.listing import FarFile, Listing
from intervene.sources.remote.pieces import Held, cut_pieces, merge_spans
from intervene.sources.source import open_source
from intervene.stretch import Stretch
from tests.sources.far import describe_data, read_steps, truth, write_corpus
from tests.web import Request, Web, serve

ROOT = Path(__file__).resolve().parents[2]
READ = """
import sys
from pathlib import Path
from intervene.lineage import Store
from intervene.sources.remote import pieces
from tests.sources.far import describe_data, read_steps
pieces.PIECE_BYTES = 64
read_steps(Store(Path(sys.argv[1])), describe_data(sys.argv[2], (30, 80)))
"""
PIECE_BYTES = 64


def kill_at(path: Path, count: int, *command: str) -> int:
    """Start a command, kill it when the folder holds so many files; how many it then held."""
    process = subprocess.Popen(
        command, cwd=ROOT, stderr=subprocess.DEVNULL, env=os.environ | {"NO_PROXY": "127.0.0.1"}
    )
    limit = time.monotonic() + 60
    while len(list(path.glob(".*.draft/pieces/*"))) < count:
        assert process.poll() is None, "it ended before it could be killed"
        assert time.monotonic() < limit
        time.sleep(0.002)
    process.send_signal(signal.SIGKILL)
    process.wait()
    return len(list(path.glob(".*.draft/pieces/*")))


def test_killed_fetch_is_gone_on_with(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pieces, "PIECE_BYTES", PIECE_BYTES)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    files = {f"rows/{n}": raw for n, raw in write_corpus(tmp_path / "rows").items()}

    def slow(request: Request, body: bytes, start: int, stop: int) -> bool:
        time.sleep(0.05)
        return False

    store = Store(tmp_path / "store")
    with serve(Web(files, slow)) as web:
        command = (sys.executable, "-c", READ, str(store.root), f"{web.url}/rows")
        done = kill_at(store.root / "fetched", 5, *command)
        assert store.artefacts() == []
        more = kill_at(store.root / "fetched", done + 5, *command)
        web.spoil = None
        web.asked.clear()
        assert read_steps(store, describe_data(f"{web.url}/rows", (30, 80))) == truth(30, 80)
        pieces_in_all = len(cut_pieces(list_shards(files), range(30 * 72, 80 * 72), [], []))
        assert len(web.ranges()) == pieces_in_all - more


def list_shards(files: dict[str, bytes]) -> Listing:
    bins = [FarFile(n, len(raw), n) for n, raw in sorted(files.items()) if n.endswith(".bin")]
    return Listing(tuple(bins), None)


def test_kill_between_the_last_piece_and_the_manifest_loses_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    files = {f"rows/{n}": raw for n, raw in write_corpus(tmp_path / "rows").items()}
    store = Store(tmp_path / "store")
    with serve(Web(files)) as web:
        data = describe_data(f"{web.url}/rows", (30, 80))
        read_steps(store, data)
        (artefact,) = store.artefacts()
        (artefact.path / "manifest.json").unlink()
        artefact.path.rename(artefact.path.with_name(f".{artefact.key}.draft"))
        before = len(web.ranges())
        assert read_steps(store, data) == truth(30, 80)
        assert len(web.ranges()) == before


def test_disk_without_room_is_refused_before_anything_is_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    files = {f"rows/{n}": raw for n, raw in write_corpus(tmp_path / "rows").items()}
    monkeypatch.setattr(pieces.shutil, "disk_usage", lambda path: SimpleNamespace(free=99))
    with serve(Web(files)) as web:
        data = describe_data(f"{web.url}/rows", (30, 80))
        with pytest.raises(InterveneError, match="3,600 bytes are to be fetched, 99 are free"):
            read_steps(Store(tmp_path / "store"), data)
        assert web.ranges() == []


@given(
    sizes=st.lists(st.integers(1, 40), min_size=1, max_size=6),
    draw=st.data(),
)
def test_pieces_are_what_is_missing_each_byte_once(sizes: list[int], draw: st.DataObject) -> None:
    total = sum(sizes)
    spans = st.tuples(st.integers(0, total), st.integers(0, total)).map(
        lambda ends: range(min(ends), max(ends))
    )
    span = draw.draw(spans)
    done = merge_spans(iter(draw.draw(st.lists(spans.filter(len), max_size=3))))
    held = [
        Held(part, Path(str(number)))
        for number, part in enumerate(draw.draw(st.lists(spans, max_size=3)))
    ]
    listing = Listing(tuple(FarFile(str(n), size, None) for n, size in enumerate(sizes)), None)
    firsts = [sum(sizes[:n]) for n in range(len(sizes))]
    seen: list[int] = []
    for piece in cut_pieces(listing, span, done, held):
        assert 0 < len(piece.span) <= pieces.PIECE_BYTES
        seen += piece.span
        if isinstance(piece.file, FarFile):
            first = firsts[int(piece.file.name)]
            assert piece.start == piece.span.start - first
            assert piece.span.stop - first <= piece.file.bytes
            assert not any(byte in have.span for byte in piece.span for have in held)
        else:
            have = held[int(str(piece.file))]
            assert piece.start == piece.span.start - have.span.start
            assert piece.span.stop <= have.span.stop
    missing = [byte for byte in span if not any(byte in part for part in done)]
    assert seen == missing


def test_mini_pile_over_http_is_the_mini_pile(
    shared: Path, neox_tokenizer: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pieces, "PIECE_BYTES", 1 << 16)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    folder = shared / "mini_pile" / "preshuffled"
    here = Data("local", str(folder), None, None, str(neox_tokenizer), 2049, 32, Stretch(90, 96))
    store = Store(tmp_path / "store")
    with serve(Web({f"pile/{p.name}": p.read_bytes() for p in folder.iterdir()})) as web:
        there = Data(
            "far", f"{web.url}/pile", None, None, str(neox_tokenizer), 2049, 32, Stretch(90, 96)
        )
        far, near = open_source(store, there), open_source(store, here)
        need = 6 * 32 * 2049 * 2
        assert need <= web.served_bytes < need + 10_000
    assert far.artefact.key == near.artefact.key
    raw = far.rows.read(90 * 32, 96 * 32).tobytes()
    assert (
        hashlib.sha256(raw).digest()
        == hashlib.sha256(near.rows.read(90 * 32, 96 * 32).tobytes()).digest()
    )
