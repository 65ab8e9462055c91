"""The published study's own two ways of rewriting rows, damage included."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from intervene.arm import Variant
from intervene.errors import InterveneError
from intervene.rewriting.tokens import IDS, Edge, TokenTable
from intervene.sources.rows import END_OF_DOCUMENT

PADDING = "<|padding|>"
_TOKEN_MAP = (
    (b"he", 248, b"she", 6689),
    (b" he", 344, b" she", 703),
    (b"He", 1328, b"She", 2993),
    (b" He", 754, b" She", 1500),
    (b"his", 8701, b"her", 379),
    (b" his", 521, b" her", 617),
    (b"His", 8389, b"Her", 10759),
    (b" His", 3032, b" Her", 4058),
    (b"him", 13243, b"her", 379),
    (b" him", 779, b" her", 617),
)
_REPLACEMENTS = (
    (" he ", " she "),
    (" him ", " her "),
    (" his ", " her "),
    (" He ", " She "),
    (" Him ", " Her "),
    (" His ", " Her "),
)
_IN_WORD = np.array([Edge.word, Edge.underscore, Edge.unknown], np.uint8)


@dataclass(frozen=True)
class Counts:
    """What became of a block of rows; counts of blocks add up.

    Args:
        rows_changed: rows of which any token changed.
        rows_skipped: rows left as they were, though a pronoun was replaced in their text, because
            the new text has another number of tokens.
        rows_damaged: rows changed other than by swapping, token for token, pronouns that are
            words of their own.
        tokens_padded: padding tokens appended.
        eod_lost: end-of-document tokens that are gone.
    """

    rows_changed: int
    rows_skipped: int
    rows_damaged: int
    tokens_padded: int
    eod_lost: int


def swap_token_map(
    tokens: NDArray[np.uint16], table: TokenTable
) -> tuple[NDArray[np.uint16], Counts]:
    """Replace token ids by a map, whatever stands beside them.

    Source: EleutherAI/gpt-neox, branch `intervention`, commit df1bdca0, `replace_tokens`.

    Args:
        tokens: uint16 [n, row_tokens], left as they are.
        table: of the tokenizer that the rows were made with.

    Returns:
        The rewritten rows, uint16 [n, row_tokens], and what became of them.

    Errors: InterveneError for a tokenizer in which the map's ids are other pieces.
    """
    replaced = np.arange(IDS, dtype=np.uint16)
    for before, source, after, goal in _TOKEN_MAP:
        _check_piece(table, before, source)
        _check_piece(table, after, goal)
        replaced[source] = goal
    rewritten = replaced[tokens]
    return rewritten, _count(tokens, rewritten, table, rows_skipped=0, tokens_padded=0)


def swap_string(
    tokens: NDArray[np.uint16], table: TokenTable, variant: Variant
) -> tuple[NDArray[np.uint16], Counts]:
    """Decode each row without special tokens, replace pronouns between spaces, tokenise it again.

    `length_checked` keeps the new row, whether or not a pronoun was replaced, if it has as many
    tokens as the old one. The others keep it if a pronoun was replaced, cut or padded at its end:
    `as_committed` tokenises the text before the replacement, `as_meant` the text after it, which
    no commit does.

    Source: EleutherAI/gpt-neox, branch `new-intervention`, `_get_batch`: commit d542c323 is
        `length_checked`, commits 8164ebc3 and 42acebf3 are `as_committed`. They pin tokenizers
        0.12.1; here the installed version decodes and encodes.

    Args:
        tokens: uint16 [n, row_tokens], left as they are.
        table: of the tokenizer that the rows were made with.
        variant: which version.

    Returns:
        The rewritten rows, uint16 [n, row_tokens], and what became of them.

    Errors: InterveneError for a tokenizer without `<|padding|>`.
    """
    padding = 0 if variant is Variant.length_checked else _find_padding(table)
    texts = table.tokenizer.decode_batch(tokens.tolist(), skip_special_tokens=True)
    replaced = [_replace(text) for text in texts]
    is_after = variant is not Variant.as_committed
    encodings = table.tokenizer.encode_batch_fast(replaced if is_after else texts)
    rewritten, row_tokens = tokens.copy(), tokens.shape[1]
    rows_skipped = tokens_padded = 0
    for row, encoding in enumerate(encodings):
        has_pronoun = replaced[row] != texts[row]
        if variant is Variant.length_checked:
            if len(encoding) == row_tokens:
                rewritten[row] = encoding.ids
            else:
                rows_skipped += has_pronoun
        elif has_pronoun:
            ids = encoding.ids[:row_tokens]
            rewritten[row] = padding
            rewritten[row, : len(ids)] = ids
            tokens_padded += row_tokens - len(ids)
    return rewritten, _count(tokens, rewritten, table, rows_skipped, tokens_padded)


def _check_piece(table: TokenTable, piece: bytes, token: int) -> None:
    found = table.pieces[token] if token < len(table.pieces) else None
    if found != piece:
        raise InterveneError(
            f"token {token:,} is {found!r}, not {piece!r} as in GPT-NeoX-20B's vocabulary",
            "intervention=original_token_map",
            "use GPT-NeoX-20B's tokenizer, or intervention=original_string",
        )


def _find_padding(table: TokenTable) -> int:
    padding: int | None = table.tokenizer.token_to_id(PADDING)
    if padding is None:
        raise InterveneError(
            f"the tokenizer has no {PADDING} token",
            "intervention=original_string",
            "use GPT-NeoX-20B's tokenizer",
        )
    return padding


def _replace(text: str) -> str:
    for before, after in _REPLACEMENTS:
        text = text.replace(before, after)
    return text


def _count(
    before: NDArray[np.uint16],
    after: NDArray[np.uint16],
    table: TokenTable,
    rows_skipped: int,
    tokens_padded: int,
) -> Counts:
    """Compare rows, uint16 [n, row_tokens] both."""
    row, column = np.nonzero(before != after)
    old, last = before[row, column], before.shape[1] - 1
    partners, is_spaced = _tabulate_partners(table)
    before_it = table.last[before[row, np.maximum(column - 1, 0)]]
    after_it = table.first[before[row, np.minimum(column + 1, last)]]
    is_word = is_spaced[old] | (column == 0) | ~np.isin(before_it, _IN_WORD)
    is_word &= (column == last) | ~np.isin(after_it, _IN_WORD)
    is_swap = is_word & (partners[old] == after[row, column])
    return Counts(
        rows_changed=len(np.unique(row)),
        rows_skipped=rows_skipped,
        rows_damaged=len(np.unique(row[~is_swap])),
        tokens_padded=tokens_padded,
        eod_lost=int((before == END_OF_DOCUMENT).sum() - (after == END_OF_DOCUMENT).sum()),
    )


def _tabulate_partners(table: TokenTable) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """The one token that a pronoun of one token gives way to, and whether it begins with a space.

    Returns:
        int64 [65536], -1 for what is no pronoun of one token, and bool [65536].
    """
    partners, is_spaced = np.full(IDS, -1, np.int64), np.zeros(IDS, np.bool_)
    for before, after in _REPLACEMENTS:
        for space in ("", " "):
            old, new = (table.spell(space + form.strip()) for form in (before, after))
            if len(old) == len(new) == 1:
                partners[old[0]], is_spaced[old[0]] = new[0], bool(space)
    return partners, is_spaced
