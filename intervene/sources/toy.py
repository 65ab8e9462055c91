"""The embedded default: a miniature of Pythia's corpus with its tokenizer and evaluation items."""

from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tokenizers import (
    AddedToken,
    Tokenizer,
    decoders,
    models,
    normalizers,
    pre_tokenizers,
    processors,
    trainers,
)

from intervene.arm import hash_units
from intervene.data import Data
from intervene.lineage import Recipe, digest_files
from intervene.sources.index import write_index
from intervene.sources.items import write_items
from intervene.sources.templates import STEREOTYPE_RATE, Draw, write_documents

VERSION = 2
SEED = 20230403
VOCAB = 1024
EOD = "<|endoftext|>"
PADDING = "<|padding|>"
SPACE_RUNS = range(24, 1, -1)
TOKENIZER_DOCUMENTS = 10_000
"""What the tokenizer is trained on: the first documents of the text, however long the corpus is."""
BATCH_DOCUMENTS = 2_000
SHARDS = 4


def toy_recipe(data: Data) -> Recipe:
    """The recipe of the embedded corpus: enough rows for the stretch and all steps before it.

    Held-out rows past the stretch follow those, which are the same with and without them.
    """
    params = {"seed": SEED, "rows": data.rows.stop, "row_tokens": data.row_tokens}
    beyond = count_beyond(data)
    return Recipe("toy", VERSION, params | ({"beyond": beyond} if beyond else {}))


def count_beyond(data: Data) -> int:
    """Rows past the stretch, up to the last that is held out."""
    if data.heldout is None:
        return 0
    return max(0, data.heldout.rows(data.rows_per_step).stop - data.rows.stop)


def build_toy(draft: Path, data: Data) -> dict[str, Any]:
    """Write `rows/`, `tokenizer.json` and `items/` into the draft; the same bytes on every machine.

    Returns:
        What to record: rows, documents, vocabulary, stereotype rate, items, sha256 of the rows.
    """
    tokenizer = train_tokenizer()
    tokenizer.save(str(draft / "tokenizer.json"))
    rows, documents = pack_rows(tokenizer, data.rows.stop, data.row_tokens, count_beyond(data))
    (draft / "rows").mkdir()
    shards = write_shards(draft / "rows", rows)
    return {
        "rows": len(rows),
        "documents": documents,
        "vocabulary": tokenizer.get_vocab_size(with_added_tokens=True),
        "stereotype_rate": STEREOTYPE_RATE,
        "items": write_items(draft / "items"),
        "sha256": digest_files(shards),
    }


def make_toy(count: int, row_tokens: int = 257) -> tuple[NDArray[np.uint16], Tokenizer]:
    """Rows of the embedded corpus in memory, uint16 [count, row_tokens], and their tokenizer.

    They are as real as the stored ones, and others: rows are shuffled among as many as there are.
    """
    tokenizer = train_tokenizer()
    return pack_rows(tokenizer, count, row_tokens, 0)[0], tokenizer


def train_tokenizer() -> Tokenizer:
    """A byte-level BPE tokenizer built like GPT-NeoX-20B's, with 1,024 tokens.

    `<|endoftext|>` is 0, `<|padding|>` is 1, and runs of 24 to 2 spaces are the last tokens.
    """
    tokenizer = Tokenizer(models.BPE())
    tokenizer.normalizer = normalizers.NFC()
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True)
    tokenizer.post_processor = processors.ByteLevel(trim_offsets=True)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=VOCAB - len(SPACE_RUNS),
        special_tokens=[EOD, PADDING],
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    tokenizer.train_from_iterator(islice(write_documents(Draw(SEED)), TOKENIZER_DOCUMENTS), trainer)
    tokenizer.add_tokens([AddedToken(" " * n, normalized=True) for n in SPACE_RUNS])
    assert tokenizer.get_vocab_size(with_added_tokens=True) == VOCAB
    return tokenizer


def pack_rows(
    tokenizer: Tokenizer, count: int, row_tokens: int, beyond: int
) -> tuple[NDArray[np.uint16], int]:
    """The rows in training order, uint16 [count + beyond, row_tokens], and their documents' number.

    Documents lie end to end, each closed by EOD; rows overlap by one token as GPT-NeoX's do (the
    last target of a row is the first input of the next) and are then shuffled: the first `count`
    among themselves, and so the `beyond` after them.
    """
    stride, total = row_tokens - 1, count + beyond
    stream = np.empty(total * stride + 1, np.uint16)
    filled = documents = 0
    for ids in _encode_documents(tokenizer):
        part = ids[: len(stream) - filled]
        stream[filled : filled + len(part)] = part
        filled, documents = filled + len(part), documents + 1
        if filled == len(stream):
            break
    unshuffled = np.lib.stride_tricks.sliding_window_view(stream, row_tokens)[::stride]
    hashes = hash_units(SEED, np.arange(total, dtype=np.int64), np.zeros(total, np.int64))
    first, rest = (np.argsort(part, kind="stable") for part in np.split(hashes, [count]))
    return unshuffled[np.concatenate([first, count + rest])], documents


def write_shards(folder: Path, rows: NDArray[np.uint16]) -> list[Path]:
    """Write rows as `document-000NN-of-000LL.bin` (LL is the last number), cut inside rows.

    An index of the rows, `document.idx`, lies beside them.
    """
    raw = rows.tobytes()
    row_bytes = rows.shape[1] * rows.itemsize
    shard_bytes = len(rows) // SHARDS * row_bytes + row_bytes // 2 + 1
    starts = range(0, len(raw), shard_bytes)
    last = len(starts) - 1
    paths = [folder / f"document-{number:05d}-of-{last:05d}.bin" for number in range(last + 1)]
    for path, start in zip(paths, starts, strict=True):
        path.write_bytes(raw[start : start + shard_bytes])
    write_index(folder / "document.idx", np.full(len(rows), rows.shape[1], np.int32))
    return paths


def _encode_documents(tokenizer: Tokenizer) -> Iterator[list[int]]:
    """Each document's token ids and EOD, without end."""
    eod = tokenizer.token_to_id(EOD)
    assert eod is not None
    texts = write_documents(Draw(SEED))
    while True:
        for encoding in tokenizer.encode_batch_fast(list(islice(texts, BATCH_DOCUMENTS))):
            yield [*encoding.ids, eod]
