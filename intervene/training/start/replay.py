"""Adam's moments rebuilt from the batches before the resume step, for weights that lack them."""

import dataclasses
import math
import shutil
from pathlib import Path
from typing import Any

from intervene.errors import InterveneError
from intervene.experiment import Experiment
from intervene.lineage import Artefact, Recipe, Store
from intervene.sources.rows import SpanRows
from intervene.sources.source import digest_span, find_rows
from intervene.training.job import LATEST, STATE, Job, key_job, run_job
from intervene.training.neox import universal
from intervene.training.neox.shards import MASTER, MOMENTS

KIND = "replay"
SAVES = 4
"""How often a replay saves what it has, so that little is lost when it is killed."""


def plan_replay(
    store: Store, experiment: Experiment, weights: Path, of: Artefact, skipped: int
) -> tuple[Job, Recipe]:
    """Training on the `trainer.replay_steps` batches before the stretch, from the weights after.

    At the learning rates that these steps had: of gradients at one point, at a rate of 0, m comes
    out up to three times too long (docs/replay.md). The rows are the source's, never an arm's, so
    that all arms start from one state.

    Args:
        store: keeps rows that are fetched.
        experiment: any arm's.
        weights: folder in Hugging Face format, the weights of the resume step.
        of: the artefact of these weights.
        skipped: earlier batches without an update.

    Errors: InterveneError for a source that does not hold these rows.
    """
    start, path, digest = find_batches(store, experiment)
    stop = experiment.data.stretch.start
    trainer = dataclasses.replace(
        experiment.trainer, save_every=math.ceil((stop - start) / SAVES), save_steps=()
    )
    replaying = dataclasses.replace(experiment.control, trainer=trainer)
    job = Job(replaying, path, 0, start, stop, weights, None, skipped, replay=True)
    return job, Recipe(KIND, 1, key_job(job) | {"rows_sha256": digest}, (of,))


def find_batches(store: Store, experiment: Experiment) -> tuple[int, Path, str]:
    """The first step that a replay reads, what `open_rows` opens as the rows, and their sha256.

    Errors: InterveneError for a source that does not hold these rows.
    """
    start = max(0, experiment.data.stretch.start - experiment.trainer.replay_steps)
    path, digest = find_earlier(
        store, experiment, start, "set trainer.optimizer_state=cold, or give the rows before too"
    )
    return start, path, digest


def build_replay(draft: Path, job: Job) -> dict[str, Any]:
    """Train on the batches before, then put the moments beside the weights of the resume step.

    Returns:
        The facts of the training.
    """
    facts = run_job(draft, job)
    # Here, so that stages which replay nothing do not wait for these to be imported.
    from transformers.utils.logging import disable_progress_bar

    from intervene.training.network.network import load_network
    from intervene.training.saving.partitions import Partitions

    disable_progress_bar()
    tag = f"step{job.stop}"
    saved, folder = Partitions(draft / STATE / tag), draft / universal.FOLDER
    shutil.rmtree(folder, ignore_errors=True)  # of a build that was killed here
    for name, weight in load_network(job.weights, job.experiment.kernels).named_parameters():
        states = {state: saved.read(name, state) for state in MOMENTS}
        universal.write_parameter(
            folder / tag, name, {MASTER: weight.detach().clone(), **states}, saved.step
        )
    universal.write_common(folder, tag, saved.groups, saved.header, saved.step, saved.scaler)
    (draft / STATE / LATEST).unlink()  # first, so that no half of a state is gone on from
    shutil.rmtree(draft / STATE)
    return facts


def find_earlier(store: Store, experiment: Experiment, start: int, remedy: str) -> tuple[Path, str]:
    """What `open_rows` opens as the rows of steps `start` to the stretch, and their sha256.

    Errors: InterveneError, with the remedy, for a source that does not hold them.
    """
    data = experiment.data
    span = range(start * data.rows_per_step, data.rows.start)
    path, rows = find_rows(store, data, span)
    if isinstance(rows, SpanRows) and rows.first > span.start:
        raise InterveneError(
            f"steps {start:,} to {data.stretch.start:,} are read from row {span.start:,} on, and "
            f"the first that is held is row {rows.first:,}",
            f"data.path={path}",
            remedy,
        )
    digest, _ = digest_span(store, rows, span)
    return path, digest
