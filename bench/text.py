"""The text that the rewriting is measured on, at a chosen density of pronouns."""

from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

from intervene.experiment import Guards
from intervene.rewriting.scan import open_scanner
from intervene.sources.backend import open_rows

ROW_TOKENS = 2_049
DENSITY = 0.014
"""Pronouns per token in 81 MB of varied text (issue 3)."""

SHARED = Path(__file__).resolve().parents[2] / "shared" / "data"
PEOPLE = (
    "The miller said that he would lend her his cart if she brought him the grain herself.",
    "She thanked him, and he went home with her brother.",
)
PLACES = (
    "The river bends twice below the mill and widens where the old bridge stood.",
    "Rain filled the quarry in spring, so the stones for the new road came by boat.",
    "Nothing in the ledger explains the price of copper in that year.",
)


def name_text() -> str:
    """What the text is: novels and code where the reference inputs lie beside the repository."""
    return "novels and code" if SHARED.is_dir() else "made text"


@cache
def find_tokenizer(folder: Path) -> Path:
    """The `tokenizer.json` of the text; one is trained into the folder for made text."""
    if SHARED.is_dir():
        return SHARED / "tokenizer" / "20B_tokenizer.json"
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=1_000,
        special_tokens=["<|endoftext|>"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator([" ".join(PEOPLE + PLACES)], trainer)
    path = folder / "tokenizer.json"
    tokenizer.save(str(path))
    return path


@cache
def list_rows(folder: Path) -> tuple[NDArray[np.uint16], NDArray[np.int64]]:
    """Some thousand rows, uint16 [n, ROW_TOKENS], and the swaps in each, int64 [n]."""
    tokenizer = find_tokenizer(folder)
    if SHARED.is_dir():
        source = open_rows(SHARED / "mini_pile" / "preshuffled", ROW_TOKENS)
        rows = source.read(0, len(source))
    else:
        rows = make_rows(tokenizer, 2_000)
    log, _ = open_scanner(tokenizer, Guards.none()).scan_rows(rows, 0)
    return rows, np.bincount(log.row, minlength=len(rows))


def make_rows(tokenizer: Path, rows: int) -> NDArray[np.uint16]:
    """Rows of documents of one sentence, half of them in rows about people, half about places."""
    rng, known = np.random.default_rng(0), Tokenizer.from_file(str(tokenizer))
    halves = []
    for sentences in (PEOPLE, PLACES):
        encoded = [np.array([*known.encode(" " + text).ids, 0], np.uint16) for text in sentences]
        picks = rng.integers(0, len(encoded), rows * ROW_TOKENS // 2 // 10)
        flat = np.concatenate([encoded[pick] for pick in picks])
        halves.append(flat[: rows // 2 * ROW_TOKENS].reshape(rows // 2, ROW_TOKENS))
    return np.concatenate(halves)


def draw_rows(folder: Path, count: int, density: float) -> NDArray[np.uint16]:
    """Rows of which `density` of the tokens begin a swap, as near as the text allows."""
    rows, swaps = list_rows(folder)
    order = np.argsort(swaps, kind="stable")
    few, many = order[: len(order) // 40], order[len(order) // 40 :]
    low, high = (swaps[part].mean() / ROW_TOKENS for part in (few, many))
    share = float(np.clip((density - low) / (high - low), 0, 1))
    rng = np.random.default_rng(0)
    picks = np.where(rng.random(count) < share, rng.choice(many, count), rng.choice(few, count))
    return rows[picks]
