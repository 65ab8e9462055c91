"""Tasks of one's own: a folder of YAML, Python and items, beside the package's tasks."""

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from intervene.errors import InterveneError
from intervene.evaluation.tasks import FOLDER, METRICS, digest_tasks, list_tasks
from intervene.experiment import Evaluation
from intervene.lineage import digest_files

FIELDS = ("item", "cluster", "stereotype")
"""What every document of a task has: its id, what is resampled together, and `""` or a kind."""
KEY = "evaluation.tasks_from"


def list_own(folder: Path | None) -> list[str]:
    """The tasks of a folder: as in the package, their files bear their names.

    Errors: InterveneError for a folder that is not there or has no task, and for a task that bears
        the name of one of the package's.
    """
    if folder is None:
        return []
    if not folder.is_dir():
        raise InterveneError("no such folder", f"{KEY}={folder}", "name a folder of lm-eval YAML")
    found = sorted(path.stem for path in folder.glob("[!_]*.yaml"))
    if not found:
        raise InterveneError(
            "holds no task", f"{KEY}={folder}", "put a YAML file in it that bears the task's name"
        )
    taken = sorted(set(found) & set(list_tasks()))
    if taken:
        raise InterveneError(
            f"the package has a task of this name: {', '.join(taken)}",
            f"{KEY}={folder}",
            "give the file and its `task:` another",
        )
    return found


def check_asked(evaluation: Evaluation) -> None:
    """Refuse names that are no task, listing those that are."""
    known = [*list_own(evaluation.tasks_from), *list_tasks()]
    unknown = [name for name in evaluation.tasks if name not in known]
    if unknown:
        raise InterveneError(
            f"no such task: {', '.join(unknown)}",
            "evaluation.tasks",
            f"choose from {', '.join(known)}; {KEY} names a folder of others",
        )


def split_asked(evaluation: Evaluation) -> tuple[list[str], list[str]]:
    """The tasks that are asked for: the package's, and one's own."""
    own = set(list_own(evaluation.tasks_from))
    return [t for t in evaluation.tasks if t not in own], [t for t in evaluation.tasks if t in own]


def digest_asked(evaluation: Evaluation, items: Path) -> dict[str, str]:
    """By task, the sha256 of what decides its questions.

    For a task of one's own these are the bytes of its whole folder, and the package's code for
    tasks, which it may call.

    Errors: as `digest_tasks`.
    """
    packaged, own = split_asked(evaluation)
    digests = digest_tasks(packaged, items)
    if own and evaluation.tasks_from is not None:
        files = _digest_folder(evaluation.tasks_from)
        code = digest_files(sorted(FOLDER.glob("*.py")))
        for task in own:
            body = json.dumps([task, code, files])
            digests[task] = hashlib.sha256(body.encode()).hexdigest()
    return dict(sorted(digests.items()))


def check_docs(task: str, docs: Iterable[Mapping[str, object]]) -> None:
    """Refuse documents that lack a field, and ids that stand twice."""
    items = set()
    for doc in docs:
        missing = [name for name in FIELDS if not isinstance(doc.get(name), str)]
        if missing:
            raise InterveneError(
                f"a document has no {' and no '.join(missing)} (text)",
                f"task {task}",
                "give every document an item (its id), a cluster and a stereotype (empty for none)",
            )
        if doc["item"] in items:
            raise InterveneError(
                f"item {doc['item']} is there twice", f"task {task}", "give each an id of its own"
            )
        items.add(doc["item"])


def check_kept(task: str, kept: Sequence[str]) -> None:
    """Refuse a task none of whose metrics is kept."""
    if not kept:
        raise InterveneError(
            "none of its metrics is kept",
            f"task {task}",
            f"give process_results values named {', '.join(METRICS)}",
        )


def _digest_folder(folder: Path) -> dict[str, str]:
    """sha256 of every file below a folder, by name; hidden files and caches are left out."""
    names = sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())
    kept = [n for n in names if not any(p[0] == "." or p == "__pycache__" for p in Path(n).parts)]
    return {name: digest_files([folder / name]) for name in kept}
