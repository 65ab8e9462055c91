"""One checkpoint scored on benchmark tasks by lm-eval, with one value per item and metric."""

import contextlib
import logging
import os
import time
import warnings
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

import datasets
import lm_eval.api.task
import pyarrow as pa
import torch
import transformers
from lm_eval.evaluator import evaluate
from lm_eval.tasks import TaskManager

from intervene.console import Progress
from intervene.errors import InterveneError
from intervene.evaluation.heldout import HeldoutRows, Question, pose_rows
from intervene.evaluation.model import load_model
from intervene.evaluation.own import check_asked, check_docs, check_kept, digest_asked
from intervene.evaluation.quotes import quote_items
from intervene.evaluation.scorer import Scorer
from intervene.evaluation.tasks import FOLDER, HELDOUT, METRICS
from intervene.experiment import Evaluation

SCHEMA = pa.schema(
    [
        pa.field(name, pa.string(), nullable=False)
        for name in ("task", "item", "cluster", "stereotype", "metric")
    ]
    + [pa.field("value", pa.float64(), nullable=False)]
)
Cell = tuple[str, str, str, str, str, float]


@dataclass(frozen=True)
class Scored:
    """What a checkpoint answered.

    Args:
        table: task, item, cluster, stereotype, metric and value (float64, nats or 0/1), one row
            per item and metric, sorted by task, item and metric.
        quotes: by task and item, what was asked.
        facts: how it was run: recorded, not keyed.
    """

    table: pa.Table
    quotes: dict[str, dict[str, str]]
    facts: dict[str, Any]


def score(
    weights: Path,
    tokenizer: Path,
    evaluation: Evaluation,
    items: Path,
    heldout: HeldoutRows | None = None,
) -> Scored:
    """Score a checkpoint on every task of `evaluation`.

    Args:
        weights: a folder in Hugging Face format.
        tokenizer: the `tokenizer.json` that the model was trained with.
        evaluation: tasks, batch size and precision.
        items: the benchmarks' folder.
        heldout: the rows of the task heldout_loss, if it is asked for.

    Errors: InterveneError for unknown tasks, broken benchmark files, a folder without a whole
        causal model, a tokenizer that is not the model's, values that are not finite, and a text
        or row longer than its context.
    """
    check_asked(evaluation)
    if HELDOUT in evaluation.tasks and heldout is None:
        raise InterveneError(
            f"the task {HELDOUT} needs held-out rows",
            "data.heldout",
            f"name them, or leave {HELDOUT} out of evaluation.tasks",
        )
    began = time.perf_counter()
    with hush(), pin():
        names = tuple(sorted(set(evaluation.tasks) - {HELDOUT}))
        digests = digest_asked(replace(evaluation, tasks=names), items) if names else {}
        tasks = _load_tasks(names, evaluation.tasks_from, str(items), str(digests))
        device = "cuda" if torch.cuda.is_available() else "cpu"
        model = load_model(weights, evaluation.precision, device)
        texts = sum(map(_count_texts, tasks.values()))
        progress = Progress(f"scoring {weights.name}", texts, "texts")
        scorer = Scorer(model, tokenizer, evaluation.batch_size, weights, progress)
        questions: list[Question] = []
        if HELDOUT in evaluation.tasks and heldout is not None:
            vocabulary = model.get_input_embeddings().num_embeddings
            questions = pose_rows(heldout, vocabulary, scorer.max_length)
            progress.total += len(questions)
        with progress:
            cells = [*_ask_tasks(scorer, tasks), *_ask_rows(scorer, questions)]
    return Scored(
        _tabulate(cells),
        {name: quote_items(task) for name, task in tasks.items()},
        {
            "device": torch.cuda.get_device_name() if device == "cuda" else device,
            "threads": torch.get_num_threads(),
            "dtype": str(model.dtype).removeprefix("torch."),
            "softmax": "float32",
            "attention": model.config._attn_implementation,
            "seconds": round(time.perf_counter() - began, 3),
            **scorer.facts,
        },
    )


@contextlib.contextmanager
def pin() -> Iterator[None]:
    """Full float32 products and operations that give the same bits each time."""
    precision = torch.get_float32_matmul_precision()
    strict = torch.are_deterministic_algorithms_enabled()
    warn = torch.is_deterministic_algorithms_warn_only_enabled()
    fill = torch.utils.deterministic.fill_uninitialized_memory
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # read when cuBLAS starts
    torch.set_float32_matmul_precision("highest")
    torch.use_deterministic_algorithms(True, warn_only=True)
    torch.utils.deterministic.fill_uninitialized_memory = False
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message=".*deterministic.*")
            yield
    finally:
        torch.set_float32_matmul_precision(precision)
        torch.use_deterministic_algorithms(strict, warn_only=warn)
        torch.utils.deterministic.fill_uninitialized_memory = fill


@contextlib.contextmanager
def hush() -> Iterator[None]:
    """Silence what lm-eval, datasets and transformers print about settings that are not ours."""
    logger = logging.getLogger("lm_eval")
    level, bars = logger.level, lm_eval.api.task.tqdm
    theirs = datasets.are_progress_bars_disabled()
    logger.setLevel(logging.ERROR)
    lm_eval.api.task.tqdm = lambda docs, **_: docs  # it has no switch of its own
    datasets.disable_progress_bars()
    transformers.utils.logging.disable_progress_bar()
    verbosity = transformers.utils.logging.get_verbosity()
    transformers.utils.logging.set_verbosity_error()
    try:
        yield
    finally:
        logger.setLevel(level)
        lm_eval.api.task.tqdm = bars
        if not theirs:
            datasets.enable_progress_bars()
        transformers.utils.logging.enable_progress_bar()
        transformers.utils.logging.set_verbosity(verbosity)


@cache
def _load_tasks(
    names: tuple[str, ...], own: Path | None, items: str, digest: str
) -> dict[str, Any]:
    """lm-eval's task objects by name, built once a process, or anew when `digest` changes."""
    if not names:
        return {}
    folders: list[str | Path] = [FOLDER] if own is None else [FOLDER, own]
    manager = TaskManager(include_path=folders, include_defaults=False, metadata={"items": items})
    for name in names:
        if name not in manager.all_tasks:
            raise InterveneError(
                f"its file does not say `task: {name}`",
                f"{own}/{name}.yaml",
                "name the task as its file is named",
            )
    tasks: dict[str, Any] = manager.load(list(names))["tasks"]
    for name, task in tasks.items():
        check_docs(name, task.eval_docs)
    return tasks


def _count_texts(task: Any) -> int:
    """How many requests a task makes: one per item, or one per choice."""
    docs = task.eval_docs
    choices = task.doc_to_choice(docs[0]) if task.OUTPUT_TYPE == "multiple_choice" else [""]
    return len(docs) * len(choices)


def _ask_tasks(scorer: Scorer, tasks: dict[str, Any]) -> Iterator[Cell]:
    if not tasks:
        return
    # No bootstrap: lm-eval's would be per task, and contrasts need it per pair of checkpoints.
    results = evaluate(scorer, {"tasks": tasks}, bootstrap_iters=0, log_samples=True)
    assert results is not None
    for task, samples in results["samples"].items():
        for sample in samples:
            doc, kept = sample["doc"], [metric for metric in METRICS if metric in sample]
            check_kept(task, kept)
            about = (task, doc["item"], doc["cluster"], doc["stereotype"])
            for metric in kept:
                yield *about, metric, float(sample[metric])


def _ask_rows(scorer: Scorer, questions: list[Question]) -> Iterator[Cell]:
    for question, loss in zip(questions, scorer.lose(HELDOUT, questions), strict=True):
        yield HELDOUT, question.item, question.item, "", question.loss, loss


def _tabulate(cells: list[Cell]) -> pa.Table:
    columns = zip(*sorted(cells), strict=True)
    return pa.table(
        [pa.array(column, field.type) for column, field in zip(columns, SCHEMA, strict=True)],
        schema=SCHEMA,
    )
