"""Content-keyed artefacts: the same recipe is built once, whoever asks, and names its ancestors."""

import contextlib
import fcntl
import hashlib
import json
import os
import shutil
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from intervene.console import say
from intervene.errors import InterveneError
from intervene.provenance import describe_build

MANIFEST = "manifest.json"


@dataclass(frozen=True)
class Artefact:
    """A built recipe: a folder whose `manifest.json` was written last.

    Args:
        kind: source, order, fetched, scan, corpus, checkpoint, run, readings, comparison and
            the like; README says what each holds.
        key: 12 hexadecimal digits of the recipe's sha256.
        path: the folder.
    """

    kind: str
    key: str
    path: Path

    @property
    def name(self) -> str:
        """`kind/key`, as printed."""
        return f"{self.kind}/{self.key}"

    @property
    def manifest(self) -> dict[str, Any]:
        """The manifest: kind, key, version, params, inputs, facts (not keyed) and built."""
        manifest: dict[str, Any] = json.loads((self.path / MANIFEST).read_text())
        return manifest

    @property
    def facts(self) -> dict[str, Any]:
        """What the build recorded without it being part of the key: counts, seconds, digests."""
        facts: dict[str, Any] = self.manifest["facts"]
        return facts


@dataclass(frozen=True)
class Recipe:
    """What determines an artefact's meaning: key what changes meaning, record what changes bits.

    Args:
        kind: the artefact's kind.
        version: bumped when the same params come to mean something else.
        params: JSON values.
        inputs: the artefacts that it is built from.
    """

    kind: str
    version: int
    params: dict[str, Any]
    inputs: tuple[Artefact, ...] = ()

    @property
    def key(self) -> str:
        """sha256(kind, version, params, input keys)[:12]."""
        body = [self.kind, self.version, self.params, [a.key for a in self.inputs]]
        return hashlib.sha256(json.dumps(body, sort_keys=True).encode()).hexdigest()[:12]


@dataclass(frozen=True)
class Store:
    """A folder of artefacts, `root/kind/key/`. Safe for concurrent processes.

    A build happens in the hidden sibling `.key.draft` under a lock and is renamed into place when
    its manifest is written, so that an artefact is either whole or absent.
    """

    root: Path

    def find(self, recipe: Recipe) -> Artefact | None:
        """The artefact of this recipe, or None if it has not been built."""
        return self.get(recipe.kind, recipe.key)

    def get(self, kind: str, key: str) -> Artefact | None:
        """The artefact of this kind and key, or None if it is not in the store."""
        path = self.root / kind / key
        return Artefact(kind, key, path) if (path / MANIFEST).exists() else None

    def demand(self, recipe: Recipe, command: str) -> Artefact:
        """The artefact of this recipe, for a stage that must not build its inputs.

        Errors: InterveneError that names the command which builds it.
        """
        artefact = self.find(recipe)
        if artefact is None:
            raise InterveneError(
                f"{recipe.kind}/{recipe.key} is not built",
                str(self.root),
                f"run `{command}` first, or `pipelines.intervene`, which chains the stages",
            )
        return artefact

    def obtain(
        self,
        recipe: Recipe,
        build: Callable[[Path], dict[str, Any]],
        *,
        resumable: bool = False,
    ) -> Artefact:
        """The artefact of this recipe, built if it is absent.

        Args:
            recipe: what to build.
            build: fills the draft folder that it is given and returns the facts to record.
            resumable: an interrupted build left in the draft is handed back to `build` to go on
                with; otherwise it is cleared first.
        """
        if (artefact := self.find(recipe)) is not None:
            _tell_reused(artefact)
            return artefact
        with self._lock(recipe):
            if (artefact := self.find(recipe)) is not None:  # by another, while this one waited
                _tell_reused(artefact)
                return artefact
            draft = self._draft(recipe)
            if draft.exists() and not resumable:
                shutil.rmtree(draft)
            draft.mkdir(parents=True, exist_ok=True)
            try:
                return self._finish(recipe, build)
            except BaseException:
                if not resumable or not any(draft.iterdir()):
                    shutil.rmtree(draft)
                raise

    def contribute(
        self,
        recipe: Recipe,
        fill: Callable[[Path], None],
        list_missing: Callable[[Path], list[str]],
        build: Callable[[Path], dict[str, Any]],
    ) -> tuple[Artefact | None, list[str]]:
        """Do this process's part of an artefact that several processes build in one draft.

        Args:
            recipe: what to build.
            fill: writes this process's part into the draft; others do so at the same time.
            list_missing: names what is missing in the draft, whoever has to write it.
            build: turns a draft that misses nothing into the artefact, and returns the facts.

        Returns:
            The artefact, or None while parts of others are missing; and what is missing.
        """
        if (artefact := self.find(recipe)) is not None:
            _tell_reused(artefact)
            return artefact, []
        draft, missing = self._draft(recipe), []
        with self._lock(recipe, shared=True):
            if self.find(recipe) is None:
                draft.mkdir(parents=True, exist_ok=True)
                fill(draft)
                missing = list_missing(draft)
        if missing:
            return None, missing
        with self._lock(recipe):  # nobody fills any more; one that was killed here left the draft
            artefact = self.find(recipe)
            if artefact is None and not (missing := list_missing(draft)):
                artefact = self._finish(recipe, build)
        return artefact, missing

    def _draft(self, recipe: Recipe) -> Path:
        """Where a recipe is built, beside its artefact."""
        return self.root / recipe.kind / f".{recipe.key}.draft"

    def _finish(self, recipe: Recipe, build: Callable[[Path], dict[str, Any]]) -> Artefact:
        """Build in the draft, write the manifest and rename the draft into place."""
        draft, home = self._draft(recipe), self.root / recipe.kind / recipe.key
        say(f"building {recipe.kind}/{recipe.key}")
        began = time.monotonic()
        facts = build(draft)
        _write_manifest(draft, recipe, facts, time.monotonic() - began)
        draft.rename(home)
        say(f"built {recipe.kind}/{recipe.key} in {time.monotonic() - began:.1f} s")
        return Artefact(recipe.kind, recipe.key, home)

    def recall(
        self, paths: list[Path], what: object, measure: Callable[[], dict[str, Any]]
    ) -> dict[str, Any]:
        """What `measure` found in files, remembered while their size and time stand.

        Args:
            paths: the files.
            what: JSON, names what is measured in them.
            measure: reads the files; its result is JSON.
        """
        stats = [(str(p.resolve()), p.stat().st_size, p.stat().st_mtime_ns) for p in paths]
        name = hashlib.sha256(json.dumps([stats, what]).encode()).hexdigest()[:16]
        note = self.root / ".digests" / f"{name}.json"
        if note.exists():
            known: dict[str, Any] = json.loads(note.read_text())
            return known
        found = measure()
        note.parent.mkdir(parents=True, exist_ok=True)
        part = note.with_suffix(f".{os.getpid()}.part")
        part.write_text(json.dumps(found))
        part.replace(note)
        return found

    def artefacts(self, kind: str = "*") -> list[Artefact]:
        """Every built artefact of a kind, or of all kinds, sorted by kind and key."""
        found = self.root.glob(f"{kind}/[0-9a-f]*/{MANIFEST}")
        return sorted(
            (Artefact(p.parent.parent.name, p.parent.name, p.parent) for p in found),
            key=lambda a: (a.kind, a.key),
        )

    def ancestors(self, artefact: Artefact) -> list[Artefact]:
        """The direct inputs of an artefact that are still in the store."""
        found = [self.get(i["kind"], i["key"]) for i in artefact.manifest["inputs"]]
        return [parent for parent in found if parent is not None]

    def tree(self, leaves: list[Artefact]) -> list[str]:
        """Lines that draw artefacts with their ancestors below them, each drawn once in full."""
        lines: list[str] = []
        drawn: set[str] = set()

        def draw(artefact: Artefact, depth: int) -> None:
            again = artefact.name in drawn
            drawn.add(artefact.name)
            parents = self.ancestors(artefact)
            lines.append("  " * depth + artefact.name + (" (above)" if again and parents else ""))
            for parent in [] if again else parents:
                draw(parent, depth + 1)

        for leaf in leaves:
            draw(leaf, 0)
        return lines

    @contextlib.contextmanager
    def _lock(self, recipe: Recipe, *, shared: bool = False) -> Iterator[None]:
        """Hold the recipe's lock; the kernel lets it go if this process dies."""
        mode = fcntl.LOCK_SH if shared else fcntl.LOCK_EX
        try:
            (self.root / ".locks").mkdir(parents=True, exist_ok=True)
            (self.root / recipe.kind).mkdir(exist_ok=True)
            lock = (self.root / ".locks" / f"{recipe.kind}-{recipe.key}").open("a+")
            if not lock.tell():  # what a draft is built from, for housekeeping: no manifest has it
                lock.write("".join(f"{parent.name}\n" for parent in recipe.inputs) or "\n")
                lock.flush()
        except OSError as problem:
            raise InterveneError(
                f"cannot write here: {problem.strerror}", "paths.store", f"check {self.root}"
            ) from problem
        with lock:
            try:
                fcntl.flock(lock, mode | fcntl.LOCK_NB)
            except BlockingIOError:
                say(f"waiting for another process that builds {recipe.kind}/{recipe.key}")
                fcntl.flock(lock, mode)
            yield


def digest_files(paths: list[Path]) -> str:
    """sha256 of files' bytes in the order given, 16 MiB at a time."""
    digest = hashlib.sha256()
    for path in paths:
        with path.open("rb") as file:
            while block := file.read(1 << 24):
                digest.update(block)
    return digest.hexdigest()


@cache
def _tell_reused(artefact: Artefact) -> None:
    """Say so once a process, however many arms ask for it."""
    say(f"reused {artefact.name}")


def _write_manifest(draft: Path, recipe: Recipe, facts: dict[str, Any], seconds: float) -> None:
    manifest = {
        "kind": recipe.kind,
        "key": recipe.key,
        "version": recipe.version,
        "params": recipe.params,
        "inputs": [{"kind": a.kind, "key": a.key} for a in recipe.inputs],
        "facts": facts,
        "built": describe_build(seconds),
    }
    part = draft / f".{MANIFEST}.part"
    part.write_text(json.dumps(manifest, indent=1, default=str))
    os.replace(part, draft / MANIFEST)
