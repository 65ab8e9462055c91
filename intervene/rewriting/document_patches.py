"""An arm's replacements in the documents of a scan, one entry per document.

The folder holds the columns of `Patches` (`sources/patches.py`), `documents.npy` and `blocks.npy`
of the scan, and `applied.npy`: bool, which swaps of the scan's log were made.
"""

import shutil
from collections import Counter
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from intervene.arm import Arm, Length, Method, Unit
from intervene.errors import InterveneError
from intervene.experiment import Experiment
from intervene.lineage import Artefact, Recipe
from intervene.rewriting.blocks import Block, work_blocks
from intervene.rewriting.document_scan import GRID_NAME, read_blocks
from intervene.rewriting.edits import list_logs, read_log
from intervene.rewriting.jobs import describe_swaps, find_solution
from intervene.rewriting.share import Solution, settle
from intervene.rewriting.writer import MARKERS, find_marker, join_masks, read_markers, write_marker
from intervene.sources.documents import DocumentRows
from intervene.sources.patches import NAMES, encode_patches, join_patches, save_patches
from intervene.sources.rewritten import NUMBERS_NAME
from intervene.sources.rows import Rows

PARTS = "parts"


def patches_recipe(experiment: Experiment, scanned: Artefact) -> Recipe:
    """The replacements of the experiment's arm in the documents of a scan."""
    return Recipe("patches", 1, experiment.intervention.identity(), (scanned,))


def check_arm(arm: Arm, rows: Rows) -> None:
    """Refuse what has no meaning for rows of documents, or for rows that are all there is.

    Errors: InterveneError for the unit `row`, the length policy `shift` and methods that rewrite
    rows where documents are rewritten, and for the policy `reindex` where they are not.
    """
    if not isinstance(rows, DocumentRows):
        if arm.length is Length.reindex:
            raise InterveneError(
                "there are no documents here in which a row could read on",
                f"intervention.length={arm.length}",
                "use skip or shift, or data=documents",
            )
        return
    is_original = arm.method is not Method.exact and not arm.is_control
    for wrong, where, remedy in (
        (arm.unit is Unit.row, f"unit={arm.unit}", "use document or occurrence"),
        (arm.length is Length.shift, f"length={arm.length}", "use reindex or skip"),
        (is_original, f"method={arm.method}", "use exact"),
    ):
        if wrong:
            raise InterveneError(
                "this rewrites rows, but with data.order whole documents are rewritten",
                f"intervention.{where}",
                f"{remedy}, or give preshuffled rows",
            )


@dataclass(frozen=True)
class PatchesJob:
    """An arm's replacements in the documents of a scan, encoded block by block of its log.

    Args:
        experiment: its arm counts.
        scanned: the scan of the documents.
    """

    experiment: Experiment
    scanned: Artefact

    @cached_property
    def blocks(self) -> list[Block]:
        """The blocks of the scan."""
        return read_blocks(self.scanned.path)

    def is_done(self, draft: Path, block: Block) -> bool:
        """Whether a block's replacements are written."""
        return find_marker(draft, block).exists()

    def fill(self, draft: Path, blocks: list[Block]) -> None:
        """Draw and encode those of these blocks that are missing."""
        solution, arm = self._solution, self.experiment.intervention
        arm = arm if solution is None else settle(arm, solution)
        logs = list_logs(self.scanned.path)
        numbers = np.load(self.scanned.path / NUMBERS_NAME, mmap_mode="r")
        (draft / MARKERS).mkdir(exist_ok=True)

        def encode(block: Block) -> None:
            log = read_log(logs[block.number])
            mask = log.select(arm)
            made, here = log.take(mask), numbers[block.rows.start : block.rows.stop]
            patches = encode_patches(
                len(here),
                np.searchsorted(here, made.row),
                made.start,
                np.diff(made.before_offsets),
                made.after_offsets,
                made.after,
            )
            save_patches(draft / PARTS / block.name, patches)
            counts = {
                "documents_changed": len(np.unique(made.row)),
                "tokens_gained": len(made.after) - len(made.before),
            }
            write_marker(draft, block, log, mask, Counter(counts))

        work_blocks(
            "encode",
            blocks,
            lambda block: self.is_done(draft, block),
            encode,
            self.experiment.corpus.workers,
            unit="documents",
        )

    def finish(self, draft: Path) -> dict[str, Any]:
        """Join the blocks' replacements; the facts on the swaps made in whole documents."""
        arm, solution = self.experiment.intervention, self._solution
        join_patches(draft, [draft / PARTS / block.name for block in self.blocks])
        counts, by_form = read_markers(draft, self.blocks)
        join_masks(draft, self.blocks)
        for name in (NUMBERS_NAME, GRID_NAME):
            shutil.copyfile(self.scanned.path / name, draft / name)
        names = [f"{name}.npy" for name in NAMES]
        facts = {
            "bytes": sum((draft / name).stat().st_size for name in [*names, NUMBERS_NAME]),
            "rate": arm.rate if solution is None else solution.rate,
            "share": solution and asdict(solution),
            **describe_swaps(self.experiment, self.scanned.facts["counts"], by_form),
            "documents": {
                "count": self.scanned.facts["documents"],
                "changed": counts["documents_changed"],
                "tokens_before": self.scanned.facts["document_tokens"],
                "tokens_after": self.scanned.facts["document_tokens"] + counts["tokens_gained"],
            },
        }
        shutil.rmtree(draft / MARKERS)
        shutil.rmtree(draft / PARTS)
        return facts

    @cached_property
    def _solution(self) -> Solution | None:
        return find_solution(self.experiment, self.scanned)
