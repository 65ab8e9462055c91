"""Both genders side by side, `he/she` or `his or her`: a one-way swap would leave `she/she`."""

from functools import cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from intervene.compiled import compiled
from intervene.rewriting.characters import (
    SPACE,
    WORD,
    has,
    is_ascii_letter,
    read_after,
    read_before,
    skip_gap_after,
    skip_gap_before,
)
from intervene.rewriting.lexicon import Gender, Lexicon
from intervene.rewriting.words import hash_bytes, hash_words

OPENING, CLOSING, SLASH = ord("("), ord(")"), ord("/")


class Forms(NamedTuple):
    """A lexicon's forms, as guards look at them; a pronoun that is not among them is -1.

    Args:
        words: uint64 [forms], each form as `hash_words` gives it, the masculine first.
        feminine: where the feminine ones begin.
        longest: letters of the longest.
        he, his, her: where these stand.
    """

    words: NDArray[np.uint64]
    feminine: int
    longest: int
    he: int
    his: int
    her: int


@cache
def pack_forms(lexicon: Lexicon) -> Forms:
    """The forms of a lexicon."""
    forms = lexicon.forms
    he, his, her = (forms.index(form) if form in forms else -1 for form in ("he", "his", "her"))
    return Forms(
        hash_words(forms),
        [lexicon.gender(form) for form in forms].index(Gender.feminine),
        max(len(form) for form in forms),
        he,
        his,
        her,
    )


@compiled
def holds_pair(text, start, stop, limit, form, classes, forms):  # type: ignore[no-untyped-def]
    """Whether a pronoun is one of a pair: `he/she`, `his or her`, `he (or she)`, `s/he`, `(s)he`.

    Args:
        text: uint8, UTF-8 bytes.
        start, stop: the pronoun's bytes.
        limit: where the text ends.
        form: its index among the lexicon's forms.
        classes: as `characters.classify` gives them.
        forms: as `pack_forms` gives them.
    """
    low, high = (forms.feminine, len(forms.words)) if form < forms.feminine else (0, forms.feminine)
    partners = forms.words[low:high]
    at = skip_gap_after(text, stop, limit, classes)
    if at < limit and text[at] == SLASH:
        at = skip_gap_after(text, at + 1, limit, classes)
        if _is_form_after(text, at, limit, partners, forms.longest, classes):
            return True
    elif at < limit and (at > stop or text[at] == OPENING):
        at += text[at] == OPENING
        if _is_or(text, at, limit) and has(SPACE, read_after(text, at + 2, limit)[0], classes):
            at = skip_gap_after(text, at + 2, limit, classes)
            if _is_form_after(text, at, limit, partners, forms.longest, classes):
                return True
    at = skip_gap_before(text, start, classes)
    if at > 0 and text[at - 1] == SLASH:
        at = skip_gap_before(text, at - 1, classes)
        if _is_form_before(text, at, partners, forms.longest, classes):
            return True
    elif at < start and at >= 3 and _is_or(text, at - 2, at):
        at -= 2
        bracket = text[at - 1] == OPENING
        if bracket or has(SPACE, read_before(text, at)[0], classes):
            at = skip_gap_before(text, at - bracket, classes)
            if _is_form_before(text, at, partners, forms.longest, classes):
                return True
    return form == forms.he and _is_half_before(text, start, classes)


@compiled
def _is_half_before(text, start, classes):  # type: ignore[no-untyped-def]
    """`s/` or `(s)` right before `he`."""
    if start >= 3 and text[start - 1] == CLOSING and text[start - 3] == OPENING:
        return text[start - 2] | 0x20 == ord("s")
    if start >= 2 and text[start - 1] == SLASH and text[start - 2] | 0x20 == ord("s"):
        return not has(WORD, read_before(text, start - 2)[0], classes)
    return False


@compiled
def _is_or(text, at, limit):  # type: ignore[no-untyped-def]
    return at + 2 <= limit and text[at] | 0x20 == ord("o") and text[at + 1] | 0x20 == ord("r")


@compiled
def _is_form_after(text, at, limit, words, longest, classes):  # type: ignore[no-untyped-def]
    """Whether one of the words stands at byte `at`."""
    stop = at
    while stop < limit and stop - at <= longest and is_ascii_letter(text[stop]):
        stop += 1
    if has(WORD, read_after(text, stop, limit)[0], classes):
        return False
    return _is_form(hash_bytes(text, at, stop), words)


@compiled
def _is_form_before(text, at, words, longest, classes):  # type: ignore[no-untyped-def]
    start = at
    while start > 0 and at - start <= longest and is_ascii_letter(text[start - 1]):
        start -= 1
    if has(WORD, read_before(text, start)[0], classes):
        return False
    return _is_form(hash_bytes(text, start, at), words)


@compiled
def _is_form(word, words):  # type: ignore[no-untyped-def]
    for known in words:  # noqa: SIM110 (any() of a generator cannot be compiled)
        if known == word:
            return True
    return False
