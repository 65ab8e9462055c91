"""What a rewritten row is held against: words swapped in the decoded row by a plain expression."""

from dataclasses import dataclass

import numpy as np
import regex
from numpy.typing import NDArray
from tokenizers import Tokenizer

from intervene.arm import Arm, Direction, Length
from intervene.experiment import Guards
from intervene.rewriting.find import compile_finder, target_of
from intervene.rewriting.lexicon import Lexicon, Role
from intervene.rewriting.materialise import apply
from intervene.rewriting.role import choose_role
from intervene.rewriting.scan import REASONS, build_scanner
from intervene.rewriting.swap import FORMS, EditLog
from intervene.rewriting.tokens import TokenTable

NONE = Guards.none()
MASCULINE = {"he": "she", "him": "her", "his": "her", "himself": "herself"}
FEMININE = {"she": "he", "her": "him", "hers": "his", "herself": "himself"}
NEUTRAL = {"he": "they", "she": "they", "him": "them", "her": "them", "his": "their",
           "hers": "theirs", "himself": "themselves", "herself": "themselves"}  # fmt: skip
TAKEN = {
    Direction.feminise: MASCULINE,
    Direction.masculinise: FEMININE,
    Direction.swap: MASCULINE | FEMININE,
    Direction.neutral: NEUTRAL,
}
FORM = "|".join(f"{form}|{form.capitalize()}|{form.upper()}" for form in NEUTRAL)
PLAIN = regex.compile(rf"(?<![\p{{L}}\p{{M}}\p{{N}}_])(?:{FORM})(?![\p{{L}}\p{{M}}\p{{N}}_])")


@dataclass(frozen=True)
class Replacement:
    """Characters [start, stop) of a text that give way to others."""

    start: int
    stop: int
    after: str


def list_replacements(text: str, direction: Direction, guards: Guards) -> list[Replacement]:
    """By a plain expression where no guard is on; with guards, by the text-level finder."""
    if guards == NONE and direction is not Direction.neutral:
        return list_plain(text, direction)
    taken = TAKEN[direction]
    hits = compile_finder(guards, Lexicon.english(target_of(direction))).iterate(text, 0, len(text))
    return [
        Replacement(hit.edit_start, hit.edit_stop, hit.edit_after)
        for hit in hits
        if hit.guard is None and hit.spelling.form in taken
    ]


def list_plain(text: str, direction: Direction) -> list[Replacement]:
    taken, found = TAKEN[direction], []
    for match in PLAIN.finditer(text):
        form = match[0].lower()
        if form in taken:
            before, after = text[: match.start()], text[match.end() :]
            spelled = recase(choose_partner(form, taken[form], before, after), match[0])
            found.append(Replacement(match.start(), match.end(), spelled))
    return found


def choose_partner(form: str, partner: str, before: str, after: str) -> str:
    """The roles are the project's own: what is tested here is where and what, not which."""
    if form == "her":
        role = choose_role((Role.object, Role.determiner), before, after)
        return "his" if role is Role.determiner else partner
    if form == "his":
        role = choose_role((Role.determiner, Role.possessive), before, after)
        return "hers" if role is Role.possessive else partner
    return partner


def recase(word: str, like: str) -> str:
    if like.isupper():
        return word.upper()
    return word.capitalize() if like[0].isupper() else word


def swap_text(text: str, direction: Direction, guards: Guards) -> str:
    parts, at = [], 0
    for found in list_replacements(text, direction, guards):
        parts += [text[at : found.start], found.after]
        at = found.stop
    return "".join([*parts, text[at:]])


def decode(tokenizer: Tokenizer, rows: list[list[int]]) -> list[str]:
    return tokenizer.decode_batch(rows, skip_special_tokens=False)


def count_kept(source: str, rewritten: str, direction: Direction, guards: Guards) -> int:
    """Pronouns that the oracle swaps and the row keeps; any other difference is an error."""
    kept = at = place = 0
    for found in list_replacements(source, direction, guards):
        gap, own = source[at : found.start], source[found.start : found.stop]
        assert rewritten[place : place + len(gap)] == gap
        place += len(gap)
        is_swapped = rewritten.startswith(found.after, place)
        if is_swapped and found.after.startswith(own):  # `hers` begins with `her`
            rest = source[found.stop : found.stop + 1]
            is_swapped = rewritten[place + len(found.after) :][:1] == rest
        assert is_swapped or rewritten.startswith(own, place)
        kept += not is_swapped
        place, at = place + len(found.after if is_swapped else own), found.stop
    assert rewritten[place:] == source[at:]
    return kept


def splice(row: NDArray[np.uint16], log: EditLog, chosen: list[int]) -> list[int]:
    """A row of any length with the chosen swaps made."""
    tokens = row.tolist()
    for index in reversed(chosen):
        swap = log[index]
        assert tuple(tokens[swap.start : swap.stop]) == swap.before
        tokens[swap.start : swap.stop] = swap.after
    return tokens


def check_rows(
    rows: NDArray[np.uint16],
    table: TokenTable,
    guards: Guards,
    directions: tuple[Direction, ...] = (
        Direction.feminise, Direction.masculinise, Direction.swap
    ),
) -> dict[str, int]:  # fmt: skip
    """Hold every row and direction against the oracle; return the scan's counts by reason."""
    log, counts = build_scanner(table, guards).scan_rows(rows, 0)
    sources = decode(table.tokenizer, rows.tolist())
    canonical = [table.encode(t) == row.tolist() for t, row in zip(sources, rows, strict=True)]
    for direction in directions:
        forms = [FORMS.index(form) for form in TAKEN[direction]]
        mask = log.select(Arm(direction, 1.0, length=Length.shift))
        spliced = [
            splice(row, log, np.flatnonzero(mask & (log.row == place)).tolist())
            for place, row in enumerate(rows)
        ]
        texts = decode(table.tokenizer, spliced)
        kept = sum(
            count_kept(*pair, direction, guards) for pair in zip(sources, texts, strict=True)
        )
        for place in np.flatnonzero(canonical):
            assert table.encode(texts[place]) == spliced[place]
        reasons = [REASONS.index(reason) for reason in ("edge", "irregular")]
        assert kept == counts[reasons][:, forms].sum()
        check_skipped(rows, log, direction)
    return dict(zip(REASONS, counts.sum(axis=1).tolist(), strict=True))


def check_skipped(rows: NDArray[np.uint16], log: EditLog, direction: Direction) -> None:
    """By default no row changes its length, and nothing changes outside the swaps' tokens."""
    mask = log.select(Arm(direction, 1.0))
    assert not (mask & log.changes_length).any()
    rewritten = apply(rows, 0, log, mask)
    marked = np.zeros(rows.shape, np.bool_)
    for index in np.flatnonzero(mask):
        swap = log[int(index)]
        marked[swap.row, swap.start : swap.stop] = True
        assert tuple(rewritten[swap.row, swap.start : swap.stop].tolist()) == swap.after
    assert np.array_equal(rewritten[~marked], rows[~marked])


def encode_row(table: TokenTable, text: str) -> NDArray[np.uint16]:
    """One row that holds a text between fillers, so that nothing touches its edges."""
    return np.array([table.encode(f"<|endoftext|>{text}<|endoftext|>")], np.uint16)


def rewrite_text(table: TokenTable, text: str, direction: Direction, guards: Guards = NONE) -> str:
    """What the token path makes of a text at rate 1, whatever the length."""
    row = encode_row(table, text)
    log, _ = build_scanner(table, guards).scan_rows(row, 0)
    chosen = np.flatnonzero(log.select(Arm(direction, 1.0, length=Length.shift))).tolist()
    rewritten = decode(table.tokenizer, [splice(row[0], log, chosen)])[0]
    return rewritten.removeprefix("<|endoftext|>").removesuffix("<|endoftext|>")
