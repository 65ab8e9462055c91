"""The compiled scan of rows, one by one: every pronoun with its verdict, the swaps as columns."""

import numpy as np
from numba.cpython.unsafe.numbers import trailing_zeros

from intervene.compiled import compiled, inlined
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
"""Columns of a hit: its flat position among all rows, its entry or -1, its tokens, its verdict,
where its document begins in the row, and the plural of the verb that follows and agrees, or -1."""

ROWS, SWAPS, LEFT = range(3)
"""What `fill_columns` has done: rows, swaps written, hits left undecided."""

ROLES = len(Role)
_LANGUAGE = GUARDS + GUARD_NAMES.index("language")
_ANY, _BYTE = np.uint64(0x0101010101010101 * (START | STOP)), np.uint64(0xFF)


@compiled
def fill_columns(  # type: ignore[no-untyped-def]
    rows, first_row, rules, marks, eights, window, hits, out, counts, undecided, filled
):  # fmt: skip
    """Write the swaps of some rows, until all is done or there is too little room.

    Args:
        rows, first_row: uint16 [n, row_tokens] and the training row of the first.
        rules, out: `Rules` and `Columns`.
        marks: uint8 [more than row_tokens, a multiple of 8], zeros, room for a row's codes.
        eights: uint64, the same memory: tokens that are nothing are passed over eight at a time.
        window: uint8 [WINDOW], room to spell text in.
        hits: int32 [row_tokens, 6], room for a row's hits.
        counts: int64 [reasons, forms], pronouns by what becomes of them, added to.
        undecided: int32 [room, 6], filled with the hits that only the tokenizer can decide.
        filled: int64 [3], what is done: ROWS, SWAPS and LEFT.

    Returns:
        Whether all rows are done; if not, this may be called again with more room.
    """
    for number in range(filled[ROWS], rows.shape[0]):
        found = _find_hits(rows[number], number, rules, marks, eights, window, hits)
        if found:
            here = hits[:found]
            if not _fits(here, rules.swaps, out, len(undecided) - filled[LEFT], filled[SWAPS]):
                return False
            _write_swaps(here, rows[number], first_row + number, rules, out, counts, filled)
            for hit in range(found):
                if hits[hit, VERDICT] < 0:
                    for column in range(COLUMNS):
                        undecided[filled[LEFT], column] = hits[hit, column]
                    filled[LEFT] += 1
        filled[ROWS] = number + 1
    return True


@inlined
def _find_hits(row, number, rules, marks, eights, window, hits):  # type: ignore[no-untyped-def]
    """Find every pronoun of row `number`; how many of `hits` were filled."""
    found = 0
    for token in range(len(row)):
        marks[token] = rules.code[row[token]]
    segment = first = taken = 0
    for eight in range(len(eights)):
        left = eights[eight] & _ANY
        while left:
            place = 8 * eight + (np.int64(trailing_zeros(left)) >> 3)  # type: ignore[call-arg]
            left &= ~(_BYTE << np.uint64(8 * (place & 7)))
            if marks[place] & STOP:
                _tell_language(marks[segment:place], hits, first, found)
                segment, first = place + 1, found
            if marks[place] & START and place >= taken:
                size = _judge(row, number, place, segment, rules, window, hits, found)
                if size:
                    taken = place + size
                    found += 1
    _tell_language(marks[segment : len(row)], hits, first, found)
    return found


@inlined
def _judge(row, number, place, segment, rules, window, hits, found):  # type: ignore[no-untyped-def]
    """Fill in the hit `found` if a pronoun begins at a token: its number of tokens, or 0."""
    entry, size = match_entry(
        row, place, rules.sides, rules.tokens, rules.groups, rules.sequences, rules.heads
    )
    if entry == NO_WORD:
        return 0
    verdict = decide(
        row, place, size, entry, window, rules.sides, rules.tokens, rules.spellings,
        rules.data, rules.letters, rules.firsts, rules.lasts, rules.guards, rules.joined,
        rules.classes, rules.weights, rules.forms,
    )  # fmt: skip
    if verdict == NO_WORD:
        return 0
    begin = place
    if verdict < 0 and size > 1 and rules.tokens[row[place]].size == entry & 1:
        begin += 1  # the pronoun's space is a token of its own
    hits[found, PLACE], hits[found, ENTRY] = number * len(row) + begin, entry
    hits[found, SIZE], hits[found, VERDICT] = size, verdict
    hits[found, SEGMENT], hits[found, VERB] = segment, -1
    if 0 <= verdict < HELD and rules.spellings[entry >> 1].agrees:
        hits[found, VERB] = rules.tokens[row[place + size]].plural
    return size


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


@inlined
def _fits(hits, swaps, out, room, written):  # type: ignore[no-untyped-def]
    """Whether there is room for the swaps among the hits, and for all of them undecided."""
    before, after = out.before_offsets[written], out.after_offsets[written]
    for hit in range(len(hits)):
        verdict = hits[hit, VERDICT]
        if 0 <= verdict < HELD:
            swap = hits[hit, ENTRY] * ROLES + verdict
            before += hits[hit, SIZE] + (hits[hit, VERB] >= 0)
            after += swaps[swap + 1] - swaps[swap] + (hits[hit, VERB] >= 0)
    return (
        len(hits) <= min(room, len(out.row) - written)
        and before <= len(out.before)
        and after <= len(out.after)
    )


@inlined
def _write_swaps(hits, row, training_row, rules, out, counts, filled):  # type: ignore[no-untyped-def]
    """Count a row's hits that are decided, and write the swaps among them."""
    written = filled[SWAPS]
    for hit in range(len(hits)):
        verdict = hits[hit, VERDICT]
        if verdict < 0:
            continue
        entry = hits[hit, ENTRY]
        spelling = rules.spellings[entry >> 1]
        if verdict >= HELD:
            counts[verdict - HELD, spelling.form] += 1
            continue
        place = hits[hit, PLACE] % len(row)
        out.row[written] = training_row
        out.start[written] = place
        out.segment[written] = hits[hit, SEGMENT]
        out.form[written] = spelling.form
        out.role[written] = verdict
        out.gender[written] = spelling.gender
        begin, size = out.before_offsets[written], hits[hit, SIZE] + (hits[hit, VERB] >= 0)
        for step in range(size):
            out.before[begin + step] = row[place + step]
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
    filled[SWAPS] = written
