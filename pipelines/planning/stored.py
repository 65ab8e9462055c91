"""What a sweep keeps on disk beside its trainings: rows, edit logs, corpora, weights."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from intervene.data import Data
from intervene.experiment import Experiment
from intervene.parallel import Form
from intervene.sources.remote.fetched import is_far
from intervene.sources.rows import TOKEN_BYTES
from intervene.sources.source import TOY
from intervene.sources.toy import count_beyond
from intervene.training.memory.disk import WEIGHT_BYTES
from intervene.training.memory.footprint import count_parameters
from intervene.training.neox import universal
from intervene.training.start.folder import LADDER, RANDOM, find_neox
from pipelines.planning.preparation import Preparation
from pipelines.planning.stock import Stock, identify_corpus, identify_scan

LOG_SHARE = 0.2
"""Bytes of an edit log as a share of its rows', where 1.4% of the tokens are pronouns."""
OVERLAY_SHARE = 0.02
"""Of an overlay, the same, with what it keeps of the log."""


class Kind(StrEnum):
    """What is kept."""

    rows = "rows"
    logs = "edit logs"
    corpora = "corpora"
    weights = "first weights"


@dataclass(frozen=True)
class Stored:
    """An artefact that arms share, or that one has alone.

    Args:
        kind: what it is.
        identity: tells it from others of its kind.
        bytes: on disk, as expected.
        is_built: whether it is there already.
    """

    kind: Kind
    identity: str
    bytes: int
    is_built: bool


def list_stored(
    experiment: Experiment, preparations: Sequence[Preparation], stock: Stock
) -> list[Stored]:
    """What an arm needs on disk beside its trainings.

    Args:
        experiment: the arm's.
        preparations: the trainings before it, whose rows are fetched too.
        stock: what is there.
    """
    data, form = experiment.data, experiment.corpus.form
    size = len(data.rows) * count_row(data)
    kept = 1.0 if form is Form.materialised else OVERLAY_SHARE
    scan, corpus = identify_scan(experiment), identify_corpus(experiment, form)
    return [
        *_list_rows(data, preparations, stock),
        Stored(Kind.logs, scan, int(LOG_SHARE * size), scan in stock.scans),
        Stored(Kind.corpora, corpus, int(kept * size), corpus in stock.corpora),
        *_list_weights(experiment, stock),
    ]


def count_row(data: Data) -> int:
    """Bytes of a row."""
    return data.row_tokens * TOKEN_BYTES


def _list_rows(data: Data, preparations: Sequence[Preparation], stock: Stock) -> list[Stored]:
    """Rows that are generated, or fetched from far away; others stay where they are."""
    if data.name == TOY:
        rows = range(data.rows.stop + count_beyond(data))
        held = stock.holds_rows(data, rows)
        return [Stored(Kind.rows, f"{TOY} {rows.stop}", len(rows) * count_row(data), held)]
    if not is_far(data):
        return []
    spans = [data.rows]
    if data.heldout is not None:
        spans.append(data.heldout.rows(data.rows_per_step))
    for job in (preparation.job for preparation in preparations):
        spans.append(range(job.start * data.rows_per_step, job.stop * data.rows_per_step))
    found = []
    for span in spans:
        name = f"{data.path or data.repo} {data.revision} {span.start} {span.stop}"
        held = stock.holds_rows(data, span)
        found.append(Stored(Kind.rows, name, len(span) * count_row(data), held))
    return found


def _list_weights(experiment: Experiment, stock: Stock) -> list[Stored]:
    """Weights that are drawn or converted here; others lie outside the store."""
    model = experiment.model
    if model.checkpoint in (RANDOM, LADDER):
        each = WEIGHT_BYTES
    elif find_neox(model):
        each = WEIGHT_BYTES + universal.BYTES
    else:
        return []
    name = f"{model} {experiment.trainer.seed}"
    size = each * count_parameters(model)
    return [Stored(Kind.weights, name, size, stock.holds_start(experiment))]
