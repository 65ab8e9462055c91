"""Readings as artefacts: what keys them, what they record, and `items.parquet`."""

import importlib.metadata
import os
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from intervene.evaluation.quotes import note_quotes
from intervene.evaluation.targets import Target
from intervene.evaluation.tasks import list_tasks
from intervene.lineage import Artefact, Recipe, Store

VERSION = 2
TABLE = "items.parquet"
COUNTED = ("winobias_pair", "winobias_slot")
"""Tasks that leave pairs out which differ in more than their pronoun."""


def name_harness() -> str:
    """lm-eval with its version, which arms that are contrasted have in common."""
    return f"lm-eval {importlib.metadata.version('lm-eval')}"


def readings_recipe(target: Target) -> Recipe:
    """The recipe of one checkpoint's readings; batches and processes change bits, not meaning."""
    terms = target.facts["terms"]
    params = {
        "step": target.step,
        "tasks": target.digests,
        "precision": str(target.evaluation.precision),
        "heldout": terms["heldout"],
    }
    if "released" in terms:  # an arm may resume from the same weights, and be read as its base
        params["released"] = terms["released"]
    return Recipe("readings", VERSION, params, (target.parent,))


def find_readings(target: Target) -> Artefact | None:
    """One checkpoint's readings, or None if it has not been scored."""
    return Store(target.store).find(readings_recipe(target))


def obtain_readings(target: Target) -> Artefact:
    """One checkpoint's readings, scored if they are absent.

    Errors: as `score`.
    """

    def build(draft: Path) -> dict[str, Any]:
        # lm-eval takes seconds to import, and a stage that finds its readings never needs it; it
        # imports DeepSpeed, which warns where it has to find out that there is no GPU.
        import torch

        os.environ.setdefault("DS_ACCELERATOR", "cuda" if torch.cuda.is_available() else "cpu")
        from intervene.evaluation.score import score

        evaluation = target.evaluation
        scored = score(target.weights, target.tokenizer, evaluation, target.items, target.heldout)
        write_table(scored.table, draft / TABLE)
        note_quotes(target.store, scored.quotes, target.digests)
        return target.facts | {
            "tasks": describe_tasks(scored.table, target.digests, target.items),
            "harness": name_harness(),
            "precision": str(evaluation.precision),
            "batch_size": evaluation.batch_size,
            "scored": scored.facts,
        }

    return Store(target.store).obtain(readings_recipe(target), build)


def describe_tasks(
    table: pa.Table, digests: dict[str, str], items: Path
) -> dict[str, dict[str, int | str]]:
    """By task: items (`n`), the `digest` of its questions, and pairs left out (`unclean`)."""
    from intervene.evaluation.tasks.winobias import count_unclean  # imports datasets

    packaged = list_tasks()
    counted = table.group_by("task").aggregate([("item", "count_distinct")]).sort_by("task")
    described: dict[str, dict[str, int | str]] = {}
    for task, n in zip(*(counted[c].to_pylist() for c in counted.column_names), strict=True):
        described[task] = {"n": n, "digest": digests[task]}
        if task in packaged and task.startswith(COUNTED):
            described[task]["unclean"] = count_unclean(int(task[-1]), str(items))
    return described


def write_table(table: pa.Table, path: Path) -> None:
    """Write Parquet whose bytes depend on the values and pyarrow's version alone."""
    pq.write_table(
        table.replace_schema_metadata(None),
        path,
        version="2.6",
        compression="zstd",
        store_schema=False,
    )
