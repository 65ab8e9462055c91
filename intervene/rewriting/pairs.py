"""Both genders side by side, `he/she` or `his or her`: a one-way swap would leave `she/she`."""

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

_LEXICON = Lexicon.english()
FORMS = hash_words(_LEXICON.forms)
HE = _LEXICON.forms.index("he")
FIRST_FEMININE = [_LEXICON.gender(form) for form in _LEXICON.forms].index(Gender.feminine)
LONGEST = max(len(form) for form in _LEXICON.forms)
OPENING, CLOSING, SLASH = ord("("), ord(")"), ord("/")


@compiled
def holds_pair(text, start, stop, limit, form, classes):  # type: ignore[no-untyped-def]
    """Whether a pronoun is one of a pair: `he/she`, `his or her`, `he (or she)`, `s/he`, `(s)he`.

    Args:
        text: uint8, UTF-8 bytes.
        start, stop: the pronoun's bytes.
        limit: where the text ends.
        form: its index among the lexicon's forms.
        classes: as `characters.classify` gives them.
    """
    partners = FIRST_FEMININE if form < FIRST_FEMININE else 0
    at = skip_gap_after(text, stop, limit, classes)
    if at < limit and text[at] == SLASH:
        at = skip_gap_after(text, at + 1, limit, classes)
        if _is_form_after(text, at, limit, partners, classes):
            return True
    elif at < limit and (at > stop or text[at] == OPENING):
        at += text[at] == OPENING
        if _is_or(text, at, limit) and has(SPACE, read_after(text, at + 2, limit)[0], classes):
            at = skip_gap_after(text, at + 2, limit, classes)
            if _is_form_after(text, at, limit, partners, classes):
                return True
    at = skip_gap_before(text, start, classes)
    if at > 0 and text[at - 1] == SLASH:
        at = skip_gap_before(text, at - 1, classes)
        if _is_form_before(text, at, partners, classes):
            return True
    elif at < start and at >= 3 and _is_or(text, at - 2, at):
        at -= 2
        bracket = text[at - 1] == OPENING
        if bracket or has(SPACE, read_before(text, at)[0], classes):
            at = skip_gap_before(text, at - bracket, classes)
            if _is_form_before(text, at, partners, classes):
                return True
    return form == HE and _is_half_before(text, start, classes)


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
def _is_form_after(text, at, limit, first, classes):  # type: ignore[no-untyped-def]
    """Whether a pronoun of the gender whose forms begin at `first` stands at byte `at`."""
    stop = at
    while stop < limit and stop - at <= LONGEST and is_ascii_letter(text[stop]):
        stop += 1
    if has(WORD, read_after(text, stop, limit)[0], classes):
        return False
    return _is_form(hash_bytes(text, at, stop), first)


@compiled
def _is_form_before(text, at, first, classes):  # type: ignore[no-untyped-def]
    start = at
    while start > 0 and at - start <= LONGEST and is_ascii_letter(text[start - 1]):
        start -= 1
    if has(WORD, read_before(text, start)[0], classes):
        return False
    return _is_form(hash_bytes(text, start, at), first)


@compiled
def _is_form(word, first):  # type: ignore[no-untyped-def]
    stop = FIRST_FEMININE if first == 0 else len(FORMS)
    for place in range(first, stop):  # noqa: SIM110 (any() of a generator cannot be compiled)
        if FORMS[place] == word:
            return True
    return False
