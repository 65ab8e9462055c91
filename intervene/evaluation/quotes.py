"""What the items of a task ask, word for word, noted once for all readings of the task."""

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

FOLDER = ".questions"
"""In the store: a note per task's digest."""
MARKS = (("right", "right"), ("pro", "stereotypical"))
"""Fields of an item that say which choice is which, and the words for it."""


def quote_items(task: Any) -> dict[str, str]:
    """The text of every item of an lm-eval task, its choices on lines of their own."""
    return {str(doc["item"]): _quote(task, doc) for doc in task.eval_docs}


def note_quotes(
    store: Path, quotes: Mapping[str, dict[str, str]], digests: Mapping[str, str]
) -> None:
    """Keep the texts of tasks in the store, those that it has already left as they are.

    Args:
        store: its root.
        quotes: by task and item.
        digests: by task, of what decides its questions.
    """
    for task, texts in quotes.items():
        path = _locate(store, digests[task])
        if not path.exists():
            path.parent.mkdir(exist_ok=True)
            part = path.with_suffix(f".{os.getpid()}.part")
            part.write_text(json.dumps({"task": task, "texts": texts}, ensure_ascii=False))
            part.replace(path)


def recall_quotes(store: Path, digests: Mapping[str, str]) -> dict[str, dict[str, str]]:
    """By task, the texts of its items; a task whose questions were never noted is left out."""
    paths = {task: _locate(store, digest) for task, digest in digests.items()}
    return {
        task: json.loads(path.read_text(encoding="utf-8"))["texts"]
        for task, path in paths.items()
        if path.exists()
    }


def _locate(store: Path, digest: str) -> Path:
    return store / FOLDER / f"{digest}.json"


def _quote(task: Any, doc: dict[str, Any]) -> str:
    context = str(task.doc_to_text(doc)).strip()
    if task.OUTPUT_TYPE != "multiple_choice":
        return f"{context} → {str(task.doc_to_target(doc)).strip()}"
    choices = [str(choice).strip() for choice in task.doc_to_choice(doc)]
    marked = next(((int(doc[field]), word) for field, word in MARKS if field in doc), None)
    if marked is None and "sent_more" in doc:  # CrowS-Pairs: the stereotyping sentence comes first
        marked = 0, "stereotyping"
    lines = [
        f"{choice} ({marked[1]})" if marked and i == marked[0] else choice
        for i, choice in enumerate(choices)
    ]
    return "\n".join([context, *(f"– {line}" for line in lines)] if context else lines)
