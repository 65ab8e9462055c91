"""The compiled scan of a few rows: every pronoun with its verdict, then the swaps as columns."""

import numpy as np

from intervene.rewriting.compiled import compiled, inlined
from intervene.rewriting.decide import (
    EDGE,
    ELIGIBLE,
    GUARDS,
    HELD,
    LENGTH,
    NO_WORD,
    UNDECIDED,
    UNDECIDED_FOREIGN,
    decide,
    match_entry,
)
from intervene.rewriting.guards import GUARD_NAMES
from intervene.rewriting.lexicon import Role
from intervene.rewriting.rules import LETTER_BIT, SCORE_BIAS, SCORE_BIT, START, STOP

COLUMNS = 6
PLACE, ENTRY, SIZE, VERDICT, SEGMENT, VERB = range(COLUMNS)
"""Columns of a hit: its flat position, its entry or -1, its tokens, its verdict, where its document
begins in the row, and the plural of the verb that follows and agrees, or -1."""

ROLES = len(Role)
_LANGUAGE = GUARDS + GUARD_NAMES.index("language")
_ANY = np.uint64(0x0101010101010101 * (START | STOP))


@compiled
def find_hits(rows, rules, marks, eights, window, hits):  # type: ignore[no-untyped-def]
    """Find every pronoun of some rows.

    Args:
        rows: uint16 [n, row_tokens].
        rules: `Rules`.
        marks: uint8 [more than row_tokens, a multiple of 8], zeros, room for a row's codes.
        eights: uint64, the same memory: tokens that are nothing are passed over eight at a time.
        window: uint8 [WINDOW], room to spell text in.
        hits: int32 [tokens, 6], filled with what `PLACE` and so on name.

    Returns:
        How many were filled.
    """
    found = 0
    for number in range(rows.shape[0]):
        row = rows[number]
        for place in range(len(row)):
            marks[place] = rules.code[row[place]]
        segment = taken = 0
        first = found
        for eight in range(len(eights)):
            if not eights[eight] & _ANY:
                continue
            for place in range(8 * eight, 8 * eight + 8):
                if marks[place] & STOP:
                    _tell_language(marks[segment:place], hits, first, found)
                    segment, first = place + 1, found
                if not marks[place] & START or place < taken:
                    continue
                entry, size = match_entry(
                    row, place, rules.sides, rules.tokens,
                    rules.groups, rules.sequences, rules.heads,
                )  # fmt: skip
                if entry == NO_WORD:
                    continue
                verdict = decide(
                    row, place, size, entry, window, rules.sides, rules.tokens, rules.spellings,
                    rules.data, rules.letters, rules.firsts, rules.lasts, rules.guards,
                    rules.joined, rules.classes, rules.weights,
                )  # fmt: skip
                if verdict == NO_WORD:
                    continue
                taken = place + size
                begin = place
                if verdict < 0 and size > 1 and rules.tokens[row[place]].size == entry & 1:
                    begin += 1  # the pronoun's space is a token of its own
                hits[found, PLACE], hits[found, ENTRY] = number * len(row) + begin, entry
                hits[found, SIZE], hits[found, VERDICT] = size, verdict
                hits[found, SEGMENT], hits[found, VERB] = segment, -1
                if 0 <= verdict < HELD and rules.spellings[entry >> 1].agrees:
                    hits[found, VERB] = rules.tokens[row[place + size]].plural
                found += 1
        _tell_language(marks[segment : len(row)], hits, first, found)
    return found


@inlined
def _tell_language(marks, hits, first, found):  # type: ignore[no-untyped-def]
    """Hold back the hits [first, found) if their document has more foreign words than English.

    A listed word counts if no word character follows it. The loop has no branch, so that it is
    vectorised.
    """
    if first == found:
        return
    score = np.int32(0)
    following = marks[1:]
    for place in range(len(following)):
        goes_on = following[place] >> LETTER_BIT & 1
        score += (np.int32(marks[place] >> SCORE_BIT) - SCORE_BIAS) * np.int32(1 - goes_on)
    score += np.int32(marks[len(following)] >> SCORE_BIT) - SCORE_BIAS
    if score < 0:
        for hit in range(first, found):
            if hits[hit, VERDICT] == UNDECIDED:
                hits[hit, VERDICT] = UNDECIDED_FOREIGN
            elif hits[hit, VERDICT] < HELD or hits[hit, VERDICT] == HELD + EDGE:
                hits[hit, VERDICT] = HELD + _LANGUAGE


@compiled
def measure_swaps(hits, swaps):  # type: ignore[no-untyped-def]
    """How many swaps the hits hold, and their tokens before and after."""
    count = before = after = 0
    for hit in range(len(hits)):
        verdict = hits[hit, VERDICT]
        if 0 <= verdict < HELD:
            swap = hits[hit, ENTRY] * ROLES + verdict
            count += 1
            before += hits[hit, SIZE] + (hits[hit, VERB] >= 0)
            after += swaps[swap + 1] - swaps[swap] + (hits[hit, VERB] >= 0)
    return count, before, after


@compiled
def write_swaps(hits, rows, first_row, rules, out, counts, undecided):  # type: ignore[no-untyped-def]
    """Count the hits, write the swaps among them, and list the undecided.

    Args:
        hits: int32 [n, 6], as `find_hits` filled them.
        rows, first_row: uint16 [n, row_tokens] and the training row of the first.
        rules, out: `Rules` and `Columns`.
        counts: int64 [reasons, forms], added to.
        undecided: int32 [n], filled with the indices of such hits.

    Returns:
        How many hits are undecided.
    """
    row_tokens = rows.shape[1]
    written = skipped = 0
    for hit in range(len(hits)):
        verdict = hits[hit, VERDICT]
        if verdict < 0:
            undecided[skipped] = hit
            skipped += 1
            continue
        entry = hits[hit, ENTRY]
        spelling = rules.spellings[entry >> 1]
        if verdict >= HELD:
            counts[verdict - HELD, spelling.form] += 1
            continue
        number = hits[hit, PLACE] // row_tokens
        place = hits[hit, PLACE] - number * row_tokens
        out.row[written] = first_row + number
        out.start[written] = place
        out.segment[written] = hits[hit, SEGMENT]
        out.form[written] = spelling.form
        out.role[written] = verdict
        out.gender[written] = spelling.gender
        begin, size = out.before_offsets[written], hits[hit, SIZE] + (hits[hit, VERB] >= 0)
        for step in range(size):
            out.before[begin + step] = rows[number, place + step]
        out.before_offsets[written + 1] = begin + size
        low, high = rules.swaps[entry * ROLES + verdict], rules.swaps[entry * ROLES + verdict + 1]
        begin = out.after_offsets[written]
        for step in range(high - low):
            out.after[begin + step] = rules.tails[low + step]
        end = begin + high - low
        if hits[hit, VERB] >= 0:
            out.after[end] = hits[hit, VERB]
            end += 1
        out.after_offsets[written + 1] = end
        counts[ELIGIBLE if end - begin == size else LENGTH, spelling.form] += 1
        written += 1
    return skipped
