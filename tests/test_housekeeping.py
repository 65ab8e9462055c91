"""What names what in a store, which build is under way, and folders that go whole or not at all."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from intervene.errors import InterveneError
from intervene.housekeeping import (
    Node,
    discard,
    erase,
    holding,
    is_held,
    list_drafts,
    list_remainders,
    mark,
    reach,
    sort_descendants_first,
    trace,
    weigh,
)
from intervene.lineage import Artefact, Recipe, Store

ROOT = Path(__file__).resolve().parents[1]


def build(store: Store, kind: str, *inputs: Artefact, **facts: Any) -> Artefact:
    recipe = Recipe(kind, 1, {}, inputs)
    return store.obtain(recipe, lambda draft: facts)


def follow(store: Store) -> dict[str, Node]:
    return trace(store, [*list_drafts(store), *store.artefacts()])


BUILD = """
import sys, time
from pathlib import Path
from intervene.lineage import Recipe, Store

def fill(draft):
    (draft / "half").write_text("half")
    print("begun", flush=True)
    time.sleep(60)

store = Store(Path(sys.argv[1]))
recipe = Recipe("corpus", 1, {}, tuple(store.artefacts("scan")))
if sys.argv[2] == "shared":
    store.contribute(recipe, fill, lambda draft: ["more"], lambda draft: {})
else:
    store.obtain(recipe, lambda draft: fill(draft), resumable=True)
"""


@pytest.fixture(params=["alone", "shared"])
def builder(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[subprocess.Popen[str]]:
    """A process that is at a corpus made from the store's scan: the whole of it, or a share."""
    build(Store(tmp_path), "scan")
    process = subprocess.Popen(
        [sys.executable, "-c", BUILD, str(tmp_path), request.param],
        cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
    )  # fmt: skip
    assert process.stdout
    assert process.stdout.readline() == "begun\n"
    yield process
    process.kill()
    process.wait()
    process.stdout.close()


def test_a_build_is_held_while_its_process_lives(
    tmp_path: Path, builder: subprocess.Popen[str]
) -> None:
    store = Store(tmp_path)
    (draft,) = list_drafts(store)
    assert is_held(store, draft.kind, draft.key)
    with holding(store, draft.kind, draft.key) as is_free:
        assert not is_free
    builder.kill()
    builder.wait()
    assert not is_held(store, draft.kind, draft.key)
    with holding(store, draft.kind, draft.key) as is_free:
        assert is_free
        assert is_held(store, draft.kind, draft.key)


def test_a_draft_names_what_it_is_built_from(
    tmp_path: Path, builder: subprocess.Popen[str]
) -> None:
    store = Store(tmp_path)
    (scan,) = store.artefacts("scan")
    (draft,) = list_drafts(store)
    node = follow(store)[draft.key]
    assert (node.kind, node.names, node.exists) == ("corpus", {scan.key}, True)
    builder.kill()
    builder.wait()
    erase(draft.path)
    node = follow(store)[draft.key]
    assert (node.kind, node.names, node.exists) == ("corpus", {scan.key}, False)


def test_inputs_are_written_down_once(tmp_path: Path) -> None:
    store = Store(tmp_path)
    scan = build(store, "scan")
    for _ in range(2):
        corpus = build(store, "corpus", scan)
        lock = tmp_path / ".locks" / f"corpus-{corpus.key}"
        assert lock.read_text() == f"{scan.name}\n"
        erase(corpus.path)


def test_asking_whether_a_lock_is_held_makes_no_file(tmp_path: Path) -> None:
    assert not is_held(Store(tmp_path), "scan", "0123456789ab")
    assert list(tmp_path.iterdir()) == []


def test_a_lock_that_cannot_be_opened_is_one_line(tmp_path: Path) -> None:
    (tmp_path / ".locks" / "scan-0123456789ab").mkdir(parents=True)
    with pytest.raises(InterveneError, match=r"scan-0123456789ab: cannot be .*Is a directory"):
        is_held(Store(tmp_path), "scan", "0123456789ab")
    with (
        pytest.raises(InterveneError, match="Is a directory"),
        holding(Store(tmp_path), "scan", "0123456789ab"),
    ):
        pass


def test_what_facts_files_and_links_name_counts_as_inputs_do(tmp_path: Path) -> None:
    store = Store(tmp_path)
    toy, held, patches, scan = (build(store, kind) for kind in ("toy", "corpus", "patches", "scan"))

    def fill(draft: Path) -> dict[str, Any]:
        (draft / "experiment.json").write_text(f'{{"heldout": "{held.path}/rows.bin"}}')
        (draft / "patches").symlink_to(Path("../..") / patches.name)
        (draft / "log.csv").write_text("aaaaaaaaaaaa")
        return {"path": str(toy.path / "rows"), "sha256": "0" * 64}

    run = store.obtain(Recipe("run", 1, {}, (scan,)), fill)
    named = {toy.key, held.key, patches.key, scan.key}
    assert follow(store)[run.key].names & {*named, run.key, "a" * 12, "0" * 12} == named


def test_marks_tell_what_is_added_and_not_what_goes(tmp_path: Path) -> None:
    def note(text: str) -> None:
        (tmp_path / ".part").write_text(text)
        (tmp_path / ".part").rename(claim)

    def open_draft() -> None:
        (tmp_path / "scan" / ".0123456789ab.draft").mkdir()

    def fill_draft() -> None:
        (tmp_path / "scan" / ".0123456789ab.draft" / "experiment.json").touch()

    store, claim = Store(tmp_path), tmp_path / "claim"
    scan = build(store, "scan")
    note("one")
    before = mark(store, [claim])
    for add in (lambda: build(store, "run"), lambda: note("two"), open_draft, fill_draft):
        add()
        after = mark(store, [claim])
        assert not after <= before
        assert after <= mark(store, [claim])
        before = after
    discard(store, "scan", scan.key, scan.path)
    claim.unlink()
    assert mark(store, [claim]) < before


def make_nodes(named: dict[int, set[int]]) -> dict[str, Node]:
    return {
        str(key): Node("scan", str(key), frozenset(map(str, keys)), exists=True)
        for key, keys in named.items()
    }


GRAPHS = st.dictionaries(st.integers(0, 7), st.sets(st.integers(0, 9)), max_size=8)


@given(GRAPHS, st.sets(st.integers(0, 9)))
def test_reached_is_what_is_named_at_any_depth(named: dict[int, set[int]], roots: set[int]) -> None:
    found = set(roots)
    for _ in range(10):
        found |= {other for key in found for other in named.get(key, set())}
    assert reach(make_nodes(named), set(map(str, roots))) == set(map(str, found))


@given(GRAPHS, st.booleans())
def test_descendants_come_before_what_they_name(
    named: dict[int, set[int]], has_cycles: bool
) -> None:
    if not has_cycles:
        named = {key: {other for other in keys if other < key} for key, keys in named.items()}
    nodes = make_nodes(named)
    order = sort_descendants_first(nodes, set(nodes))
    assert sorted(order) == sorted(nodes)
    for key in order if not has_cycles else []:
        assert all(order.index(key) < order.index(o) for o in nodes[key].names & nodes.keys())


def test_weight_is_of_files_and_not_of_what_links_lead_to(tmp_path: Path) -> None:
    (tmp_path / "a" / "b").mkdir(parents=True)
    (tmp_path / "a" / "b" / "file").write_bytes(b"x" * 1000)
    (tmp_path / "far").write_bytes(b"x" * 5000)
    (tmp_path / "a" / "link").symlink_to(tmp_path / "far")
    (tmp_path / "folder").mkdir()
    (tmp_path / "a" / "folder").symlink_to(tmp_path / "folder")
    for path in (tmp_path / "a", tmp_path / "a" / "b"):
        os.utime(path, (1000, 1000))
    os.utime(tmp_path / "a" / "b" / "file", (2000, 2000))
    for link in ("link", "folder"):
        os.utime(tmp_path / "a" / link, (1500, 1500), follow_symlinks=False)
    weight = weigh(tmp_path / "a")
    assert 1000 <= weight.bytes < 1000 + 2 * len(str(tmp_path)) + 20
    assert weight.changed == 2000
    assert weigh(tmp_path / "none").bytes == 0


def test_what_is_discarded_is_gone_and_can_be_built_again(tmp_path: Path) -> None:
    store = Store(tmp_path)
    scan = build(store, "scan")
    for _ in range(2):
        with holding(store, "scan", scan.key):
            discard(store, "scan", scan.key, scan.path)
        assert store.artefacts() == []
        assert list((tmp_path / "scan").iterdir()) == []
        assert build(store, "scan") == scan


def test_of_a_link_the_link_is_discarded(tmp_path: Path) -> None:
    far = tmp_path / "far"
    (far / "state").mkdir(parents=True)
    store = Store(tmp_path / "store")
    run = build(store, "run")
    (run.path / "state").symlink_to(far / "state")
    discard(store, "run", run.key, run.path / "state")
    assert not (run.path / "state").is_symlink()
    assert (far / "state").is_dir()
    assert list_remainders(store) == []


DISCARD = """
import sys
from pathlib import Path
from intervene.housekeeping import discard, holding
from intervene.lineage import Store

store = Store(Path(sys.argv[1]))
(run,) = store.artefacts("run")
with holding(store, "run", run.key):
    discard(store, "run", run.key, run.path)
"""
FILES = 20_000


def test_killed_while_it_discards_it_leaves_no_half_of_an_artefact(tmp_path: Path) -> None:
    def fill(draft: Path) -> dict[str, Any]:
        for number in range(FILES):
            (draft / str(number)).touch()
        return {}

    store = Store(tmp_path)
    run = store.obtain(Recipe("run", 1, {}), fill)
    process = subprocess.Popen([sys.executable, "-c", DISCARD, str(tmp_path)], cwd=ROOT)
    deadline = time.monotonic() + 60
    while not list_remainders(store):
        assert time.monotonic() < deadline
        assert process.poll() is None
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    (rest,) = list_remainders(store)
    assert 0 < len(list(rest.iterdir())) <= FILES + 1
    assert (store.artefacts(), list_drafts(store)) == ([], [])
    assert build(store, "run") == run  # the same key, and nothing of what was left
    assert [path.name for path in run.path.iterdir()] == ["manifest.json"]
    discard(store, "run", run.key, run.path)
    assert list((tmp_path / "run").iterdir()) == []
