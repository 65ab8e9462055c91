"""The corpus as an overlay: the arm's replacements in the source's rows, written block by block."""

import hashlib
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np

from intervene.arm import Method
from intervene.console import Progress
from intervene.errors import InterveneError
from intervene.experiment import Experiment
from intervene.parallel import Form
from intervene.rewriting.blocks import Block, work_blocks
from intervene.rewriting.edits import list_logs, read_log
from intervene.rewriting.jobs import CorpusJob
from intervene.rewriting.swap import EditLog
from intervene.rewriting.writer import MARKERS, Mask, Rewriter, find_marker, write_marker
from intervene.sources.overlay import PATCHES, write_base
from intervene.sources.patches import encode_patches, join_patches, load_patches, save_patches
from intervene.sources.rows import CHUNK_TOKENS, TOKEN_BYTES, iterate_chunks
from intervene.sources.splice import patch_rows


def check_form(experiment: Experiment) -> None:
    """Refuse an arm that an overlay cannot hold."""
    arm = experiment.intervention
    by_log = arm.method is Method.exact or arm.is_control
    if experiment.corpus.form is Form.overlay and not by_log:
        raise InterveneError(
            f"{arm.method} rewrites whole rows, and an overlay keeps replacements alone",
            "corpus.form=overlay",
            "use corpus.form=materialised",
        )


class OverlayJob(CorpusJob):
    """The corpus as replacements by row, which are made while the source's rows are read.

    What is drawn, counted and recorded is what a materialised corpus of the arm records, and so
    is the sha256 of the rows: they are read once, with their replacements, when all is written.
    """

    def fill(self, draft: Path, blocks: list[Block]) -> None:
        """Write the patches of those of these blocks that are missing."""
        rewriter, logs = self._open_rewriter(), list_logs(self.scanned.path)
        (draft / MARKERS).mkdir(parents=True, exist_ok=True)
        work_blocks(
            "rewrite",
            blocks,
            lambda block: self.is_done(draft, block),
            lambda block: self._write(draft, block, read_log(logs[block.number]), rewriter),
            self.experiment.corpus.workers,
        )

    def finish(self, draft: Path) -> dict[str, Any]:
        """The facts of the corpus, and how large the overlay is beside its rows."""
        facts = super().finish(draft)
        size = sum(path.stat().st_size for path in (draft / PATCHES).iterdir())
        share = size / (facts["tokens"] * TOKEN_BYTES)
        return facts | {"overlay": {"bytes": size, "share_of_rows": share}}

    def _write(self, draft: Path, block: Block, log: EditLog, rewriter: Rewriter) -> None:
        mask = rewriter.select(log)
        # All that is drawn: one that no longer fits leaves a part of itself at its row's end.
        drawn = log.take(mask)
        patches = encode_patches(
            len(block.rows),
            drawn.row - block.rows.start,
            drawn.start,
            np.diff(drawn.before_offsets),
            drawn.after_offsets,
            drawn.after,
        )
        save_patches(_name_part(draft, block), patches)
        counts = self._count(block, log, mask, rewriter)
        write_marker(draft, block, log, mask, counts)

    def _count(self, block: Block, log: EditLog, mask: Mask, rewriter: Rewriter) -> Counter[str]:
        """Correct the mask to the swaps that are made, and count what is done, as a writer does.

        Neither depends on the tokens that stay, so that empty rows do for the source's.
        """
        counts: Counter[str] = Counter()
        row_tokens = self.experiment.data.row_tokens
        rows = np.zeros((max(1, CHUNK_TOKENS // row_tokens), row_tokens), np.uint16)
        for first in range(block.rows.start, block.rows.stop, len(rows)):
            counts.update(rewriter.rewrite(rows[: block.rows.stop - first], first, log, mask))
        return counts

    def _seal(self, draft: Path) -> str:
        """Join the blocks' patches, say what they are for, and read the rows once."""
        span, source = self.experiment.data.rows, self.source
        join_patches(draft / PATCHES, [_name_part(draft, block) for block in self.blocks])
        known = source.artefact.manifest["params"]["sha256"]
        write_base(draft, source.path, source.rows, span, known)
        patches, digest = load_patches(draft / PATCHES), hashlib.sha256()
        with Progress("reading", len(span), "rows") as progress:
            for first, chunk in iterate_chunks(source.rows, span.start, span.stop):
                patch_rows(chunk, first - span.start, patches)
                digest.update(chunk.data)
                progress.advance(len(chunk))
        return digest.hexdigest()


def _name_part(draft: Path, block: Block) -> Path:
    """The folder of a block's patches."""
    return find_marker(draft, block).with_suffix("")
