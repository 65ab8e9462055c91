"""A store seen from outside its builds: what names what, what is unfinished, how a folder goes."""

import contextlib
import fcntl
import os
import re
import shutil
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TextIO

from intervene.errors import InterveneError
from intervene.lineage import Artefact, Store

KEY = re.compile(r"\b[0-9a-f]{12}\b")
"""A key wherever it stands: among a manifest's inputs, in a path into the store, in a note."""
DRAFT, REMOVED = ".draft", ".removed"


@dataclass(frozen=True)
class Draft:
    """A build that goes on, or that ended before it was whole.

    Args:
        kind, key: of the artefact that it would be.
        path: the folder.
    """

    kind: str
    key: str
    path: Path

    @property
    def name(self) -> str:
        """`kind/key`, as printed."""
        return f"{self.kind}/{self.key}"


@dataclass(frozen=True)
class Node:
    """An artefact, a draft, or a recipe that was asked for once, and what it cannot do without.

    Args:
        kind, key: of the artefact.
        names: keys that it names: inputs, and what its files say lies elsewhere in the store.
        exists: whether there is a folder of it, or only its lock, which keeps its inputs' names.
    """

    kind: str
    key: str
    names: frozenset[str]
    exists: bool

    @property
    def name(self) -> str:
        """`kind/key`, as printed."""
        return f"{self.kind}/{self.key}"


@dataclass(frozen=True)
class Weight:
    """What a folder takes up.

    Args:
        bytes: of the files below it; links count as links.
        changed: when something below it was written last, seconds since 1970.
    """

    bytes: int
    changed: float


def list_drafts(store: Store) -> list[Draft]:
    """Every draft, by kind and key."""
    found = sorted(store.root.glob(f"*/.*{DRAFT}"))
    return [Draft(p.parent.name, p.name[1:].removesuffix(DRAFT), p) for p in found]


def list_remainders(store: Store) -> list[Path]:
    """What is left of folders whose removal was interrupted."""
    return sorted(store.root.glob(f"*/.*{REMOVED}"))


def mark(store: Store, claims: Iterable[Path]) -> set[str]:
    """What lies in a store and what claims it; of drafts and claims, as of their last change.

    While nothing is added to this, nothing has come to be needed. It is far cheaper than `trace`.
    """
    marks, changing = set[str](), list(map(str, claims))
    for folder in store.root.glob("[!.]*/"):
        names = os.listdir(folder)
        marks |= {f"{folder.name}/{name}" for name in names if not name.startswith(".")}
        changing += [f"{folder}/{name}" for name in names if name.endswith(DRAFT)]
    for path in changing:
        with contextlib.suppress(FileNotFoundError):
            marks.add(f"{path} {os.lstat(path).st_mtime_ns}")
    return marks


def trace(store: Store, folders: Iterable[Artefact | Draft]) -> dict[str, Node]:
    """Artefacts and drafts, and every other recipe that was asked for once, by key.

    More counts than a manifest's inputs: rows that were fetched, held-out corpora and what a draft
    reads are named in other files (the facts of a `source`, `experiment.json`, `overlay.json`).
    """
    present = {folder.key: folder for folder in folders}
    nodes: dict[str, Node] = {}
    for lock in store.root.glob(".locks/*-*"):
        kind, _, key = lock.name.rpartition("-")
        if key not in present:
            nodes[key] = Node(kind, key, read_keys(lock) - {key}, exists=False)
    for key, folder in present.items():
        named = read_keys(_find_lock(store, folder.kind, key)) | read_folder(folder.path)
        nodes[key] = Node(folder.kind, key, named - {key}, exists=True)
    return nodes


def reach(nodes: dict[str, Node], roots: set[str]) -> set[str]:
    """The keys that are named from these on, at any depth; these too."""
    found, left = set(roots), list(roots)
    while left:
        node = nodes.get(left.pop())
        new = node.names - found if node else frozenset()
        found |= new
        left += new
    return found


def sort_descendants_first(nodes: dict[str, Node], keys: set[str]) -> list[str]:
    """Keys in an order in which none comes after one that it names."""
    done: dict[str, None] = {}

    def visit(key: str, above: frozenset[str]) -> None:
        for parent in sorted((nodes[key].names & keys) - above - done.keys()):
            visit(parent, above | {key})
        done.setdefault(key)

    for key in sorted(keys):
        visit(key, frozenset({key}))
    return list(done)[::-1]


def read_folder(folder: Path) -> frozenset[str]:
    """The keys that the JSON files and the links in a folder name, not those below it."""
    found: frozenset[str] = frozenset()
    with contextlib.suppress(FileNotFoundError):  # removed, or renamed by the process that built it
        for entry in os.scandir(folder):
            if entry.is_symlink() or entry.name.endswith(".json"):
                found |= read_keys(Path(entry.path))
    return found


def read_keys(path: Path) -> frozenset[str]:
    """The keys that a file or a link names; none if it is not there.

    Errors: InterveneError for a file that cannot be read.
    """
    with _explaining(path), contextlib.suppress(FileNotFoundError):
        if path.is_symlink():
            return frozenset(KEY.findall(os.readlink(path)))
        stat = path.stat()
        return _read_keys(path, stat.st_size, stat.st_mtime_ns)
    return frozenset()


@cache
def _read_keys(path: Path, size: int, changed: int) -> frozenset[str]:
    """Read once while size and time of modification stand."""
    return frozenset(KEY.findall(path.read_text(errors="replace")))


def weigh(path: Path) -> Weight:
    """Bytes and last change of a file or of a folder and what is below it, as far as it is there.

    What another process removes meanwhile does not count.
    """
    total, changed = 0, 0.0
    with contextlib.suppress(FileNotFoundError):
        changed = path.lstat().st_mtime
    for folder, below, files in os.walk(path):
        for name in (*below, *files):
            with contextlib.suppress(FileNotFoundError):
                stat = os.lstat(os.path.join(folder, name))
                changed = max(changed, stat.st_mtime)
                total += stat.st_size if name in files else 0
    return Weight(total, changed)


def is_held(store: Store, kind: str, key: str) -> bool:
    """Whether a process builds this artefact now, or a part of it; makes no file.

    Errors: InterveneError for a lock that cannot be opened.
    """
    path = _find_lock(store, kind, key)
    with _explaining(path), contextlib.suppress(FileNotFoundError), path.open("r+") as lock:
        return not _try_lock(lock)
    return False


@contextlib.contextmanager
def holding(store: Store, kind: str, key: str) -> Iterator[bool]:
    """Hold an artefact's lock if nobody does, so that it is not built meanwhile; whether it does.

    Errors: InterveneError for a lock that cannot be opened.
    """
    path = _find_lock(store, kind, key)
    with _explaining(path):
        path.parent.mkdir(exist_ok=True)
        lock = path.open("a+")
    with lock:
        yield _try_lock(lock)


def discard(store: Store, kind: str, key: str, path: Path) -> None:
    """Remove a folder of an artefact whose lock is held.

    It is renamed first: a kill leaves the whole, or a remainder that nothing takes for it. Of a
    link, the link goes.

    Args:
        store: the store.
        kind, key: the artefact's.
        path: its folder, its draft or a folder in it.

    Errors: InterveneError for what cannot be removed.
    """
    rest = store.root / kind / f".{key}.{path.name.strip('.')}{REMOVED}"
    with _explaining(path):
        erase(rest)  # of a removal that was interrupted
        path.rename(rest)
        erase(rest)


def erase(path: Path) -> None:
    """Remove a folder, a link or a file, if it is there.

    Errors: InterveneError for what cannot be removed.
    """
    with _explaining(path):
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)


def _find_lock(store: Store, kind: str, key: str) -> Path:
    """The file that `Store` locks while it builds an artefact."""
    return store.root / ".locks" / f"{kind}-{key}"


def _try_lock(lock: TextIO) -> bool:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


@contextlib.contextmanager
def _explaining(path: Path) -> Iterator[None]:
    """Tell of a file that the system keeps from being read, locked or removed."""
    try:
        yield
    except OSError as problem:
        raise InterveneError(
            f"cannot be read, locked or removed: {problem.strerror}",
            str(path),
            "see whose it is; the same command goes on from here",
        ) from problem
