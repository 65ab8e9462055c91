"""Rewriting of rows in memory, for whoever has their own data pipeline."""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tokenizers import Tokenizer

from intervene.arm import Arm, Direction, Method
from intervene.errors import InterveneError
from intervene.experiment import Guards
from intervene.rewriting.find import target_of
from intervene.rewriting.lexicon import PRONOUNS, Lexicon, Target
from intervene.rewriting.materialise import apply
from intervene.rewriting.scan import Counts, build_scanner, name_counts
from intervene.rewriting.share import settle, solve_share
from intervene.rewriting.swap import EditLog
from intervene.rewriting.tokens import TokenTable, tabulate, tabulate_tokenizer

NAMED_GUARDS = {"default": Guards(), "none": Guards.none()}


def rewrite(
    rows: NDArray[np.uint16],
    *,
    tokenizer: Any,
    arm: Arm,
    guards: Guards | str = "default",
    lexicon: Lexicon = PRONOUNS,
) -> tuple[NDArray[np.uint16], EditLog]:
    """Rewrite rows of tokens; row 0 is training row 0 of the arm's draw.

    Args:
        rows: uint16 [n, row_tokens], left as it is.
        tokenizer: the path of a `tokenizer.json`, a `tokenizers.Tokenizer`, or a fast tokenizer of
            transformers.
        arm: what to swap.
        guards: what to hold back: `Guards`, `"default"` or `"none"` (every word-level pronoun).
        lexicon: the words; the arm's direction says whether they give way to the other gender's
            forms or to neutral ones.

    Returns:
        The rewritten rows, uint16 [n, row_tokens], and the swaps applied.

    Errors: InterveneError for another dtype or shape, ids outside the vocabulary, an unknown name
        of guards, a tokenizer that is not byte-level BPE as GPT-NeoX's is, a share out of reach,
        and an arm by the published study's methods (they are in rewriting/original.py).
    """
    if arm.method is not Method.exact:
        raise InterveneError(
            f"rewrite() does not know {arm.method}",
            "arm",
            "use intervene.rewriting.original, or pipelines.rewrite",
        )
    lexicon = lexicon.lead_to(target_of(arm.direction))
    log, counts = _scan(rows, tokenizer, guards, lexicon)
    if arm.share is not None:
        named = name_counts(counts, log.lexicon.forms)
        arm = settle(arm, solve_share(arm, named, lambda: [log], lexicon))
    return materialise(rows, log, arm), log.take(log.select(arm))


def scan(
    rows: NDArray[np.uint16],
    *,
    tokenizer: Any,
    guards: Guards | str = "default",
    lexicon: Lexicon = PRONOUNS,
    neutral: bool = False,
) -> EditLog:
    """Every swap that rows allow, whatever the rate; row 0 is training row 0 of an arm's draw.

    Args:
        rows, tokenizer, guards, lexicon: as of `rewrite`.
        neutral: scan for arms of `Direction.neutral`; all other directions share a scan.

    Errors: as of `rewrite`.
    """
    target = Target.neutral if neutral else Target.partner
    return _scan(rows, tokenizer, guards, lexicon.lead_to(target))[0]


def materialise(rows: NDArray[np.uint16], log: EditLog, arm: Arm) -> NDArray[np.uint16]:
    """The rows with the swaps that an arm makes, uint16 [n, row_tokens]; `rows` stay as they are.

    Args:
        rows: those that were scanned.
        log: their scan.
        arm: it has a rate; a share is solved by `rewrite`.

    Errors: InterveneError for an arm with a share, by the published study's methods, or to other
        forms than the scan's.
    """
    if arm.share is not None or arm.method is not Method.exact:
        raise InterveneError("an arm needs a rate and no method", "arm", "use rewrite()")
    if not arm.is_control and target_of(arm.direction) is not log.lexicon.target:
        needed = arm.direction is Direction.neutral
        raise InterveneError(
            f"the scan is not for {arm.direction}", "log", f"use scan(..., neutral={needed})"
        )
    return apply(rows, 0, log, log.select(arm))


def _scan(
    rows: NDArray[np.uint16], tokenizer: Any, guards: Guards | str, lexicon: Lexicon
) -> tuple[EditLog, Counts]:
    chosen = NAMED_GUARDS.get(guards) if isinstance(guards, str) else guards
    if chosen is None:
        raise InterveneError(
            f"unknown guards {guards!r}", "guards", "use default, none or Guards(...)"
        )
    _check_rows(rows)
    table = _open_table(tokenizer, lexicon)
    largest = int(rows.max(initial=0))
    if largest >= len(table.pieces):
        raise InterveneError(
            f"token id {largest:,} is outside the tokenizer's vocabulary of {len(table.pieces):,}",
            "rows",
            "give the tokenizer that the rows were made with",
        )
    return build_scanner(table, chosen).scan_rows(rows, 0)


def _check_rows(rows: NDArray[np.uint16]) -> None:
    if not isinstance(rows, np.ndarray) or rows.dtype != np.uint16:
        given = rows.dtype if isinstance(rows, np.ndarray) else type(rows).__name__
        raise InterveneError(f"need a uint16 array, got {given}", "rows", "convert it")
    if rows.ndim != 2 or rows.shape[1] == 0:
        raise InterveneError(f"need shape [n, row_tokens], got {rows.shape}", "rows", "reshape it")


def _open_table(tokenizer: Any, lexicon: Lexicon) -> TokenTable:
    backend = getattr(tokenizer, "backend_tokenizer", tokenizer)
    if isinstance(backend, Tokenizer):
        return tabulate_tokenizer(backend, "tokenizer", lexicon)
    if isinstance(backend, str | Path):
        return tabulate(Path(backend).resolve(), lexicon)
    raise InterveneError(
        f"cannot read a tokenizer from {type(tokenizer).__name__}",
        "tokenizer",
        "give the path of a tokenizer.json, a tokenizers.Tokenizer or a fast tokenizer",
    )
