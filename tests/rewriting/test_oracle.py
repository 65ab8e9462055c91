"""The token path does what the text-level oracle does."""

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from intervene.arm import Direction
from intervene.experiment import Guards
from intervene.rewriting.tokens import TokenTable
from intervene.sources.backend import open_rows
from tests.rewriting.oracle import NONE, check_rows, encode_row

FORMS = ["he", "she", "him", "her", "his", "hers", "himself", "herself"]
PRONOUNS = [spelled for form in FORMS for spelled in (form, form.capitalize(), form.upper())]
NEIGHBOURS = [
    " ", "  ", "\n", "\n\n", "\t", "\x1c", "\xa0", "\u200b", "\ufeff", " " * 24, " " * 25, "'",
    " '", "''", "\u2019", '"', "\u201d", ".", ",", "-", "\u2011", "_", "/", "@", "(", ")",
    "(s)", "s/", "s", "t", "'s", " or ", " or", "or", " a", " the", " in", " inaug", "ural",
    " fr", "i", "end", "THE", " SAID", "0", "\u2082", "\xe9", "\ufb01", "\uff48", "\u0301",
    "\u0332", "\u65e5", "\U0001f600", "\ufffd", "<|endoftext|>", "they", "self", "aps", "r",
    "e", "h", "H", "S", "x",
]  # fmt: skip
texts = st.lists(st.sampled_from(PRONOUNS + NEIGHBOURS + ["'", " ", " "]), max_size=12).map("".join)
many = settings(
    max_examples=60, deadline=None, derandomize=True, database=None,
    suppress_health_check=list(HealthCheck),
)  # fmt: skip
# The language gate looks at a document, not at a text: tests/rewriting/test_language.py
GUARDED = Guards(titles=True, language=False)
every_guard = pytest.mark.parametrize("guards", [NONE, GUARDED], ids=["none", "guarded"])
WORDS = (
    "about", "all", "always", "an", "and", "at", "because", "before", "but", "by", "can", "cry",
    "day", "does", "every", "for", "from", "had", "him", "himself", "if", "in", "into", "is",
    "leave", "more", "mother", "names", "nor", "not", "of", "off", "on", "or", "other", "own",
    "she", "so", "than", "that", "the", "there", "they", "to", "too", "under", "up", "was", "way",
    "what", "when", "who", "with", "yesterday", "you",
)  # fmt: skip
NEUTRAL = (Direction.neutral,)


def check_texts(sample: list[str], table: TokenTable, guards: Guards) -> dict[str, int]:
    """Texts one after another, with words between, cut into one long row."""
    tokens = [token for text in sample for token in table.encode(f"ok{text} ok.")]
    return check_rows(np.array([tokens], np.uint16), table, guards)


@every_guard
@given(sample=st.lists(texts, min_size=20, max_size=20))
@many
def test_neox_agrees_with_the_oracle(neox, guards, sample):
    assert check_texts(sample, neox, guards)["irregular"] == 0


@every_guard
@given(sample=st.lists(texts, min_size=20, max_size=20))
@many
def test_a_small_vocabulary_agrees_with_the_oracle(small, guards, sample):
    assert check_texts(sample, small, guards)["irregular"] == 0


@every_guard
@given(sample=st.lists(texts, min_size=20, max_size=20))
@many
def test_a_folding_normalizer_agrees_with_the_oracle(folding, guards, sample):
    check_texts(sample, folding, guards)


@every_guard
@given(sample=st.lists(texts, min_size=8, max_size=8))
@many
def test_a_vocabulary_of_bytes_agrees_with_the_oracle(bytes_only, guards, sample):
    assert check_texts(sample, bytes_only, guards)["irregular"] == 0


@pytest.mark.parametrize("vocabulary", ["neox", "small", "bytes_only"])
@pytest.mark.parametrize("pronoun", ["her", "his", "Her"])
def test_every_next_word_decides_as_in_the_oracle(request, vocabulary, pronoun):
    words = [f"{space}{word}{tail}" for word in WORDS for space in (" ", "\n")
             for tail in ("", "ural")]  # fmt: skip
    sample = [f" {pronoun}{word}" for word in words]
    check_texts(sample, request.getfixturevalue(vocabulary), NONE)


@given(
    sample=st.lists(st.sampled_from(range(340)), min_size=3, max_size=200),
    words=st.lists(st.sampled_from(PRONOUNS), min_size=3, max_size=3),
)
@many
def test_tokens_that_no_text_gives_agree_too(small, sample, words):
    third = len(sample) // 3
    tokens = []
    for place, word in enumerate(words):
        tokens += [*sample[place * third : (place + 1) * third], *small.encode(word)]
    check_rows(np.array([tokens + sample[:1]], np.uint16), small, NONE)


@given(text=texts, cut=st.integers(0, 8))
@many
def test_rows_cut_anywhere_agree_with_the_oracle(neox, text, cut):
    tokens = neox.encode(text + " she'd he's 'she" + text)[cut:]
    if tokens:
        check_rows(np.array([tokens], np.uint16), neox, NONE)


@every_guard
def test_real_rows_agree_with_the_oracle(neox, shared, guards):
    rows = open_rows(shared / "mini_pile" / "preshuffled", 2049)
    check_rows(rows.read(0, 100), neox, guards)


@pytest.mark.slow
@every_guard
def test_all_real_rows_agree_with_the_oracle(neox, shared, guards):
    rows = open_rows(shared / "mini_pile" / "preshuffled", 2049)
    counts = check_rows(rows.read(0, len(rows)), neox, guards)
    assert counts["irregular"] == 0


VERBS = [
    " is", " was", " has", " does", "'s", "\u2019s", " isn't", " never", " walks", " been", "Is",
    " Was", "\nwas", " nor", " how", "?", " what",
]  # fmt: skip
sentences = st.lists(
    st.sampled_from([*PRONOUNS[:12], *VERBS, *VERBS, " ", "'", ".", ","]), max_size=12
)


@every_guard
@given(sample=st.lists(sentences.map("".join), min_size=8, max_size=8))
@many
def test_neutral_agrees_with_the_oracle(neox_neutral, guards, sample):
    tokens = [token for text in sample for token in neox_neutral.encode(f"ok{text} ok.")]
    check_rows(np.array([tokens], np.uint16), neox_neutral, guards, NEUTRAL)


@pytest.mark.slow
def test_all_real_rows_agree_with_the_oracle_in_neutral(neox_neutral, shared):
    rows = open_rows(shared / "mini_pile" / "preshuffled", 2049)
    check_rows(rows.read(0, len(rows)), neox_neutral, GUARDED, NEUTRAL)


def test_real_rows_agree_with_the_oracle_in_neutral(neox_neutral, shared):
    rows = open_rows(shared / "mini_pile" / "preshuffled", 2049)
    check_rows(rows.read(0, 60), neox_neutral, GUARDED, NEUTRAL)


@given(text=texts)
@many
def test_touched_text_stays_canonical(neox, text):
    check_rows(encode_row(neox, f"ok{text} 'she'he {text}"), neox, NONE)
