"""The folder that benchmark rows are read from: the toy's, the user's, or the store's copy."""

import json
import shutil
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from intervene.console import say
from intervene.errors import InterveneError
from intervene.evaluation.benchmarks.files import SOURCES, digest_rows, list_files
from intervene.evaluation.benchmarks.hub import HUB, load_rows
from intervene.evaluation.benchmarks.lines import read_records
from intervene.evaluation.own import check_asked, split_asked
from intervene.experiment import Evaluation
from intervene.lineage import Artefact, Recipe, Store

VERSION = 2
EMBEDDED = "embedded"


def resolve_items(store: Store, evaluation: Evaluation, embedded: Path | None) -> Path:
    """The folder that `evaluation.data` means; the Hub's items are copied into the store.

    Args:
        store: where the copy is kept.
        evaluation: its `data` and `tasks` are checked.
        embedded: the toy's items, or None for other corpora.

    Errors: InterveneError for unknown tasks, embedded items without the toy, missing files, a Hub
    that does not give its rows, and a copy in the store that is no longer what it was.
    """
    check_asked(evaluation)
    names = list_files(split_asked(evaluation)[0])
    if evaluation.data == HUB:
        return _copy_hub(store, names)
    if evaluation.data == EMBEDDED:
        if embedded is None:
            raise InterveneError(
                "the embedded items belong to the toy corpus",
                f"evaluation.data={EMBEDDED}",
                "use evaluation=bias for the Hub's, or evaluation.data=<folder>",
            )
        return embedded
    return _check_folder(Path(evaluation.data).expanduser().resolve(), names)


def _check_folder(folder: Path, names: Sequence[str]) -> Path:
    """Refuse a folder that lacks files; say so where it holds other rows than those pinned."""
    where = f"evaluation.data={folder}"
    if not folder.is_dir():
        told = "is a file" if folder.exists() else "does not exist"
        raise InterveneError(told, where, "name a folder, hub, or embedded")
    missing = [name for name in names if not (folder / name).is_file()]
    if missing:
        raise InterveneError(
            f"{', '.join(missing)} missing",
            where,
            "use hub, embedded, or a folder that holds winobias/ and crows_pairs/",
        )
    pinned = [name for name in names if SOURCES[name].sha256 is not None]
    others = [name for name in pinned if _digest_file(folder, name) != SOURCES[name].sha256]
    if others:
        say(f"{where}: other rows than the Hub's in {', '.join(others)}; scored as they are")
    return folder


def _copy_hub(store: Store, names: Sequence[str]) -> Path:
    """The store's copy of the Hub's rows: asked for once, and the same questions ever after."""

    def build(draft: Path) -> dict[str, Any]:
        return {"files": {name: _copy_file(store, draft, name) for name in names}}

    sources = {name: asdict(SOURCES[name]) for name in names}
    copy = store.obtain(Recipe("items", VERSION, {"sources": sources}), build)
    for name, facts in copy.facts["files"].items():
        found = _digest_file(copy.path, name)
        if found != facts["sha256"]:
            raise InterveneError(
                f"has changed since it was copied: sha256 {found}, not {facts['sha256']}",
                str(copy.path / name),
                f"remove {copy.path}; it is copied again",
            )
    return copy.path


def _copy_file(store: Store, draft: Path, name: str) -> dict[str, Any]:
    """Write one file below `draft`; a copy that the store made for other tasks is taken first.

    Returns:
        Its repository, commit, rows, and the sha256 of the fields that are read.
    """
    path = draft / name
    path.parent.mkdir(parents=True, exist_ok=True)
    for other in store.artefacts("items"):
        facts: dict[str, Any] | None = other.facts.get("files", {}).get(name)
        if facts is None or not _names_source(other, name):
            continue
        if _digest_file(other.path, name) == facts["sha256"]:
            shutil.copyfile(other.path / name, path)
            return facts
    loaded = load_rows(name)
    lines = [json.dumps(row, ensure_ascii=False) + "\n" for row in loaded.rows]
    path.write_text("".join(lines), encoding="utf-8")
    return {
        "repo": SOURCES[name].repo,
        "commit": loaded.commit,
        "rows": len(lines),
        "sha256": loaded.sha256,
    }


def _names_source(copy: Artefact, name: str) -> bool:
    """Whether a copy of this file was made from what `SOURCES` says now."""
    source = copy.manifest["params"]["sources"][name]
    return bool(source == json.loads(json.dumps(asdict(SOURCES[name]))))


def _digest_file(folder: Path, name: str) -> str:
    return digest_rows((row for _, row in read_records(folder, name)), SOURCES[name].fields)
