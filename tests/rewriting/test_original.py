"""The published study's methods do what its code does, damage included."""

import numpy as np
import pytest

from intervene.arm import Variant
from intervene.errors import InterveneError
from intervene.rewriting.original import Counts, swap_string, swap_token_map
from intervene.sources.backend import open_rows

PADDING = 1
every_variant = pytest.mark.parametrize("variant", Variant)
fitted = pytest.mark.parametrize("variant", [Variant.as_committed, Variant.as_meant])


@pytest.fixture(scope="session")
def real(shared):
    return open_rows(shared / "mini_pile" / "preshuffled", 2049).read(0, 200)


def to_row(table, text):
    return np.array([table.encode(text)], np.uint16)


def spell(table, *pieces):
    """A row of these tokens, though the tokenizer would choose others."""
    return np.array([[table.pieces.index(piece.encode()) for piece in pieces]], np.uint16)


def map_text(table, text):
    return table.join(swap_token_map(to_row(table, text), table)[0][0]).decode()


def swap_text(table, text, variant):
    return table.join(swap_string(to_row(table, text), table, variant)[0][0]).decode()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (" said he", " said she"),
        ("\nHe saw him", "\nShe saw her"),
        (" his hat. His", " her hat. Her"),
        ("his, him", "her, her"),
    ],
)
def test_token_map_swaps_pronouns_of_one_token(neox, text, expected):
    assert map_text(neox, text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("two sweethearts", "two sweetshearts"),
        ("\nHeathcliff", "\nSheathcliff"),
        ("(Heaven", "(Sheaven"),
        ("_heuristics", "_sheuristics"),
        (" createCipheriv", " createCipsheriv"),
        ("Hispanic", "Herpanic"),
        ("'the end", "'tshe end"),
    ],
)
def test_token_map_corrupts_longer_words(neox, text, expected):
    assert map_text(neox, text) == expected
    assert swap_token_map(to_row(neox, text), neox)[1].rows_damaged == 1


@pytest.mark.parametrize("text", [" himself", "\nHimself", " HIM", "Him", " Him"])
def test_token_map_leaves_what_it_does_not_list(neox, text):
    assert map_text(neox, text) == text


def test_token_map_never_makes_hers(neox):
    assert map_text(neox, " The book is his.") == " The book is her."


def test_token_map_leaves_every_other_token(neox, real):
    rewritten, _ = swap_token_map(real, neox)
    listed = [248, 344, 521, 754, 779, 1328, 3032, 8389, 8701, 13243]
    assert np.array_equal(rewritten != real, np.isin(real, listed))


def test_token_map_needs_the_vocabulary_that_it_was_made_for(small):
    with pytest.raises(InterveneError, match="not b'he' as in GPT-NeoX-20B's vocabulary"):
        swap_token_map(np.zeros((1, 2), np.uint16), small)


@every_variant
@pytest.mark.parametrize("text", [" said he, and", "\nhe said", " for his.", " himself said"])
def test_strings_need_a_space_on_both_sides(neox, text, variant):
    assert swap_text(neox, text, variant) == text


def test_strings_swap_one_of_two_that_share_a_space(neox):
    assert swap_text(neox, " and he he said", Variant.as_meant) == " and she he said"


def test_length_checked_swaps_where_the_length_stays(neox):
    row = to_row(neox, " and he said")
    rewritten, counts = swap_string(row, neox, Variant.length_checked)
    assert np.array_equal(rewritten, to_row(neox, " and she said"))
    assert counts == Counts(1, rows_skipped=0, rows_damaged=0, tokens_padded=0, eod_lost=0)


def test_length_checked_skips_rows_with_an_end_of_document(neox):
    row = to_row(neox, " and he said<|endoftext|> and")
    rewritten, counts = swap_string(row, neox, Variant.length_checked)
    assert np.array_equal(rewritten, row)
    assert counts == Counts(0, rows_skipped=1, rows_damaged=0, tokens_padded=0, eod_lost=0)


def test_length_checked_skips_only_where_a_pronoun_was_replaced(neox):
    row = to_row(neox, " so she said<|endoftext|> and him.")
    assert swap_string(row, neox, Variant.length_checked)[1].rows_skipped == 0


def test_length_checked_tokenises_again_what_has_no_pronoun(neox):
    row = spell(neox, "\n   ", "th", "en")
    rewritten, counts = swap_string(row, neox, Variant.length_checked)
    assert np.array_equal(rewritten, to_row(neox, "\n   then"))
    assert counts == Counts(1, rows_skipped=0, rows_damaged=1, tokens_padded=0, eod_lost=0)


@pytest.mark.parametrize(
    ("variant", "pronoun"), [(Variant.as_committed, " he"), (Variant.as_meant, " she")]
)
def test_ends_of_documents_go_and_padding_comes(neox, variant, pronoun):
    rewritten, counts = swap_string(
        to_row(neox, " and he said<|endoftext|><|endoftext|> so"), neox, variant
    )
    expected = [*neox.encode(f" and{pronoun} said so"), PADDING, PADDING]
    assert rewritten[0].tolist() == expected
    assert counts == Counts(1, rows_skipped=0, rows_damaged=1, tokens_padded=2, eod_lost=2)


@fitted
def test_rows_that_grow_lose_their_end(neox, variant):
    row = spell(neox, "\n   ", "But", " he", " said", " so")
    rewritten, counts = swap_string(row, neox, variant)
    pronoun = " he" if variant is Variant.as_committed else " she"
    assert np.array_equal(rewritten, to_row(neox, f"\n   But{pronoun} said"))
    assert counts == Counts(1, rows_skipped=0, rows_damaged=1, tokens_padded=0, eod_lost=0)


@fitted
def test_rows_without_a_pronoun_stay(neox, variant):
    row = to_row(neox, " so she said<|endoftext|> and him.")
    assert np.array_equal(swap_string(row, neox, variant)[0], row)


def test_as_committed_swaps_nothing(neox, real):
    rewritten, counts = swap_string(real, neox, Variant.as_committed)
    for before, after in zip(real, rewritten, strict=True):
        kept = neox.tokenizer.decode(after[after != PADDING].tolist())
        assert neox.tokenizer.decode(before.tolist()).startswith(kept)
    assert counts.rows_damaged == counts.rows_changed > 0


def test_as_meant_deletes_every_end_of_document_of_the_rows_it_touches(neox, real):
    rewritten, counts = swap_string(real, neox, Variant.as_meant)
    touched = (rewritten != real).any(axis=1)
    assert (rewritten[touched] != 0).all()
    assert counts.eod_lost == (real[touched] == 0).sum() > 0
    assert counts.rows_changed == touched.sum()


def test_padding_stands_at_the_end_and_is_counted(neox, real):
    rewritten, counts = swap_string(real, neox, Variant.as_meant)
    padded = rewritten == PADDING
    assert (np.diff(padded.astype(np.int8), axis=1) >= 0).all()
    assert counts.tokens_padded == padded.sum() > 0


@every_variant
def test_each_row_is_rewritten_for_itself(neox, real, variant):
    together, _ = swap_string(real[:20], neox, variant)
    alone = [swap_string(real[row : row + 1], neox, variant)[0] for row in range(20)]
    assert np.array_equal(together, np.concatenate(alone))


@fitted
def test_strings_need_a_padding_token(small, variant):
    with pytest.raises(InterveneError, match=r"no <\|padding\|> token"):
        swap_string(np.zeros((1, 2), np.uint16), small, variant)


def test_rows_given_are_left_as_they_are(neox, real):
    given = real.copy()
    swap_token_map(given, neox)
    swap_string(given[:20], neox, Variant.as_meant)
    assert np.array_equal(given, real)
