"""How right and how fast rows are feminised, beside the published study's own methods."""

import os
import resource
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import regex
from numpy.typing import NDArray

from bench.text import ROW_TOKENS, SHARED, find_tokenizer, make_rows
from intervene.arm import Arm, Variant
from intervene.rewriting.memory import rewrite
from intervene.rewriting.original import swap_string, swap_token_map
from intervene.rewriting.tokens import END_OF_DOCUMENT, TokenTable, tabulate
from intervene.sources.backend import open_rows

Rows = NDArray[np.uint16]
WARM_ROWS = 64
WORD = regex.compile(r"([\p{L}\p{M}\p{N}_]+)")
SPECIAL = regex.compile(r"<\|endoftext\|>|<\|padding\|>")
PARTNERS = {"he": {"she"}, "him": {"her"}, "his": {"her", "hers"}, "himself": {"herself"}}
RIGHT = {
    mark + case(form) + mark: {mark + case(partner) + mark for partner in partners}
    for form, partners in PARTNERS.items()
    for case in (str.lower, str.capitalize, str.upper)
    for mark in ("", "_")
}
"""What each word that is a masculine pronoun may become, `_him_` with its emphasis included.

His may become either, since roles are measured apart.
"""


@dataclass(frozen=True)
class Judgement:
    """A row's swaps made at a pronoun, its other words changed, whether anything else changed."""

    right: int
    wrong: int
    is_damaged: bool


def measure() -> list[dict[str, Any]]:
    """Every method on one core: a call on a few rows to warm up, then one timed on all."""
    os.environ["TOKENIZERS_PARALLELISM"] = "false"
    with tempfile.TemporaryDirectory() as folder:
        rows, tokenizer, name = open_sample(Path(folder))
        table = tabulate(tokenizer)
        pronouns = sum(word in RIGHT for row in rows for word in WORD.findall(decode(table, row)))
        measured = []
        for what, run in list_methods(tokenizer, table).items():
            run(rows[:WARM_ROWS])
            began = time.perf_counter()
            rewritten = run(rows)
            seconds = time.perf_counter() - began
            peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
            note = f"{describe(table, rows, rewritten, pronouns)}; {name}"
            speed = rows.size / seconds
            measured.append({"what": what, "tokens_per_s": speed, "peak_mib": peak, "note": note})
    return measured


def open_sample(folder: Path) -> tuple[Rows, Path, str]:
    """The real rows beside the repository, else made ones: rows, their tokenizer, their name."""
    tokenizer = find_tokenizer(folder)
    if SHARED.is_dir():
        rows = open_rows(SHARED / "mini_pile" / "preshuffled", ROW_TOKENS)
        return rows.read(0, len(rows)), tokenizer, "mini_pile"
    return make_rows(tokenizer, 3_000), tokenizer, "made text, which has no hard cases"


def list_methods(tokenizer: Path, table: TokenTable) -> dict[str, Callable[[Rows], Rows]]:
    """Ours and the study's, of which made text allows but one: the others need NeoX's tokens."""

    def rewrite_with(guards: str) -> Callable[[Rows], Rows]:
        return lambda rows: rewrite(rows, tokenizer=tokenizer, arm=Arm(), guards=guards)[0]

    def replace_with(variant: Variant) -> Callable[[Rows], Rows]:
        return lambda rows: swap_string(rows, table, variant)[0]

    ours = {f"exact, guards {guards}": rewrite_with(guards) for guards in ("default", "none")}
    if not SHARED.is_dir():
        return ours | {"original string, length_checked": replace_with(Variant.length_checked)}
    token_map = {"original token map": lambda rows: swap_token_map(rows, table)[0]}
    return ours | token_map | {f"original string, {v}": replace_with(v) for v in Variant}


def decode(table: TokenTable, row: Rows) -> str:
    """The text of a row, with bytes that are not whole characters kept as lone surrogates."""
    return table.join(row).decode(errors="surrogateescape")


def describe(table: TokenTable, rows: Rows, rewritten: Rows, pronouns: int) -> str:
    """Precision and recall of the swaps, and what else changed."""
    changed = np.flatnonzero((rows != rewritten).any(axis=1))
    judged = [judge(table, rows[row], rewritten[row]) for row in changed]
    right, wrong = sum(one.right for one in judged), sum(one.wrong for one in judged)
    damaged = sum(one.is_damaged for one in judged)
    return (
        f"precision {f'{right / (right + wrong):.3%}' if right + wrong else 'none'}, "
        f"recall {right / pronouns:.2%}, "
        f"{wrong / pronouns * 1e6:,.0f} wrong edits per million pronouns, "
        f"{damaged:,} of {len(rows):,} rows damaged"
    )


def judge(table: TokenTable, before: Rows, after: Rows) -> Judgement:
    """Walk a row's words before and after side by side; no method adds or drops one before a cut.

    A lost end of document leaves the words beside it joined, so here they are joined before, too.
    """
    is_joined = (before == END_OF_DOCUMENT).sum() != (after == END_OF_DOCUMENT).sum()
    texts = [
        SPECIAL.sub("" if is_joined else lambda match: " " * len(match[0]), decode(table, tokens))
        for tokens in (before, after)
    ]
    old, new = (WORD.split(text) for text in texts)  # gap, word, gap, ..., word, gap
    pairs = list(zip(old, new, strict=False))
    if len(old) != len(new):
        del pairs[-2:]  # the word at the cut
    swapped = [place for place, (was, now) in enumerate(pairs) if now in RIGHT.get(was, ())]
    wrong = sum(was != now for was, now in pairs[1::2]) - len(swapped)
    is_damaged = is_joined or wrong > 0 or len(old) != len(new) or old[::2] != new[::2]
    if not is_damaged:
        is_damaged = bool((before != after)[~mark_touched(table, before, old, swapped)].any())
    return Judgement(len(swapped), wrong, is_damaged)


def mark_touched(
    table: TokenTable, tokens: Rows, parts: list[str], swapped: list[int]
) -> NDArray[np.bool_]:
    """Which tokens overlap a swapped part or the character before it, bool [row_tokens]."""
    stops = np.cumsum([len(part.encode(errors="surrogateescape")) for part in parts])
    touched = np.zeros(stops[-1] + 1, np.int64)
    for place in swapped:
        touched[max(0, stops[place - 1] - 1) + 1 : stops[place] + 1] = 1
    bounds = np.cumsum([0, *(len(table.pieces[token]) for token in tokens)])
    touched_until = np.cumsum(touched)[bounds]
    marked: NDArray[np.bool_] = np.diff(touched_until) > 0
    return marked
