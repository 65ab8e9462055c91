"""A lexicon of other words: the token path does what a plain replacement of words does."""

import numpy as np
import pytest
import regex
from hypothesis import given
from hypothesis import strategies as st

from intervene.arm import Arm, Direction, Length
from intervene.errors import InterveneError
from intervene.experiment import Guards, Words
from intervene.rewriting.find import swap_text
from intervene.rewriting.lexicon import PRONOUNS, Casing, Lexicon, Role, Target
from intervene.rewriting.scan import REASONS, build_scanner
from intervene.rewriting.tokens import TokenTable, tabulate_tokenizer
from tests.rewriting.conftest import train_tokenizer
from tests.rewriting.oracle import NONE, decode, encode_row, rewrite_text, splice
from tests.rewriting.test_oracle import NEIGHBOURS, many

PAIRS = [
    ("father", "mother", "parent"), ("king", "queen", "ruler"), ("kings", "queens", "rulers"),
    ("son", "daughter", "child"), ("grandfather", "grandmother", "grandparent"),
    ("congressman", "congresswoman", "representative"), ("heir", "heiress", "successor"),
]  # fmt: skip
WORDS = Lexicon.from_pairs(PAIRS)
BOTH = Lexicon.of(Words(pairs=tuple(map(" ".join, PAIRS))))
SWAPPED = {a: b for m, f, _ in PAIRS for a, b in ((m, f), (f, m))}
SPELLED = [casing.spell(form) for form in SWAPPED for casing in Casing]
PARTS = ["fat", "her", "ki", "ng", "mo", "qu", "dom", "grand", "s"]
texts = st.lists(st.sampled_from([*SPELLED, *NEIGHBOURS, *PARTS, " ", " "]), max_size=12)
PLAIN = regex.compile(
    rf"(?<![\p{{L}}\p{{M}}\p{{N}}_])(?:{'|'.join(SPELLED)})(?![\p{{L}}\p{{M}}\p{{N}}_])"
)


@pytest.fixture(scope="session", params=[257, 340], ids=["bytes", "small"])
def words(request: pytest.FixtureRequest) -> TokenTable:
    """Small vocabularies, in which all these words take several tokens."""
    return tabulate_tokenizer(train_tokenizer(request.param), "words", WORDS)


def swap_plainly(text: str) -> str:
    def spell(match: regex.Match[str]) -> str:
        word = SWAPPED[match[0].lower()]
        if match[0].isupper():
            return word.upper()
        return word.capitalize() if match[0][0].isupper() else word

    return PLAIN.sub(spell, text)


@given(sample=st.lists(texts.map("".join), min_size=20, max_size=20))
@many
def test_decoding_a_rewritten_row_is_swapping_words_in_the_decoded_row(words, sample):
    text = "".join(f"ok{text} ok." for text in sample)
    row = encode_row(words, text)
    log, counts = build_scanner(words, NONE).scan_rows(row, 0)
    chosen = np.flatnonzero(log.select(Arm(Direction.swap, length=Length.shift))).tolist()
    spliced = splice(row[0], log, chosen)
    source, rewritten = decode(words.tokenizer, [row[0].tolist(), spliced])
    assert counts[REASONS.index("irregular")].sum() == 0
    assert rewritten == swap_plainly(source)
    assert words.encode(rewritten) == spliced


@given(sample=st.lists(texts.map("".join), min_size=20, max_size=20))
@many
def test_guards_hold_back_what_the_text_oracle_holds_back(words, sample):
    text = "".join(f"ok{text} ok." for text in sample)
    guards = Guards(language=False)
    source = decode(words.tokenizer, encode_row(words, text).tolist())[0]
    source = source.removeprefix("<|endoftext|>").removesuffix("<|endoftext|>")
    rewritten = rewrite_text(words, text, Direction.swap, guards)
    assert rewritten == swap_text(source, Direction.swap, guards, WORDS)


def test_a_pair_of_words_side_by_side_stays(words):
    text = " the king/queen, a father (or mother), and the king"
    assert rewrite_text(words, text, Direction.swap, Guards()) == (
        " the king/queen, a father (or mother), and the queen"
    )


def test_pronouns_and_other_words_go_in_one_scan():
    table = tabulate_tokenizer(train_tokenizer(340), "both", BOTH)
    text = " The king said he would give her his son."
    assert rewrite_text(table, text, Direction.swap) == (
        " The queen said she would give him her daughter."
    )


def test_neutral_forms_take_the_place_of_both():
    table = tabulate_tokenizer(train_tokenizer(340), "neutral", WORDS.lead_to(Target.neutral))
    text = " The king met his MOTHER."
    assert rewrite_text(table, text, Direction.neutral) == " The ruler met his PARENT."


def test_every_form_has_one_role_and_partner():
    assert {role for form in WORDS.forms for role in WORDS.roles(form)} == {Role.word}
    assert {form: WORDS.partner(form, Role.word) for form in WORDS.forms} == SWAPPED


def test_lexicons_differ_in_their_digest():
    lexicons = [PRONOUNS, WORDS, BOTH, WORDS.lead_to(Target.neutral), Lexicon.from_pairs(PAIRS[1:])]
    assert len({lexicon.digest for lexicon in lexicons}) == len(lexicons)


def test_the_pronouns_have_the_digest_that_scans_in_stores_are_keyed_by():
    assert PRONOUNS.digest[:12] == "46e00460983a"
    assert Lexicon.english(Target.neutral).digest[:12] == "b28c14ad1d9a"


@pytest.mark.parametrize(
    ("pairs", "told"),
    [
        ([("Father", "mother")], "'Father' is not 2 to 16 letters"),
        ([("père", "mère")], "'père' is not 2 to 16 letters"),
        ([("stepgranddaughters", "stepgrandsons")], "is not 2 to 16 letters"),
        ([("host", "hostess"), ("host", "emcee")], "'host' stands twice"),
        ([("he", "mother")], "'he' stands twice"),
        ([("father",)], "need two forms or three"),
        ([(f"a{chr(97 + i // 26)}{chr(97 + i % 26)}", f"b{chr(97 + i // 26)}{chr(97 + i % 26)}")
          for i in range(64)], "need 1 to 127 forms, got"),
    ],
)  # fmt: skip
def test_what_cannot_be_swapped_both_ways_is_refused(pairs, told):
    with pytest.raises(InterveneError, match=told):
        Lexicon.of(Words(pairs=tuple(map(" ".join, pairs))))


def test_words_without_a_neutral_form_do_not_lead_there():
    with pytest.raises(InterveneError, match="'host' has no neutral form"):
        Lexicon.from_pairs([("host", "hostess")]).lead_to(Target.neutral)
