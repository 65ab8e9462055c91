"""Compiled reading of rewritten documents, from any token of the source on."""

from intervene.compiled import compiled, inlined
from intervene.sources.gather import copy_bytes
from intervene.sources.patches import FAR
from intervene.sources.rows import TOKEN_BYTES

NEAR_BITS = 4
"""Documents are looked up by their number in groups of 2^4: a group is found at once, and what is
known of its few documents lies together."""

ROWS_CHANGED, ROWS_MOVED, SWAPS, EARLIER, LATER, FILLED = range(6)
"""Places of the counts of `write_rows`: rows in which a replacement shows, rows that stop at
another token of the source than before, replacements that show, by how many tokens of the source
rows stop earlier and later, and tokens that fill the stream's end."""

COUNTS = ("rows_changed", "rows_moved", "swaps", "tokens_earlier", "tokens_later", "tokens_filled")


@inlined
def find_entry(document, numbers, groups):  # type: ignore[no-untyped-def]
    """The place of a document's number in `numbers`, rising, or -1; `groups` as `list_groups`."""
    group = document >> NEAR_BITS
    if group + 1 >= len(groups):
        return -1
    for place in range(groups[group], groups[group + 1]):
        if numbers[place] == document:
            return place
    return -1


@inlined
def find_step(entry, read, offsets, gaps, codes, removed):  # type: ignore[no-untyped-def]
    """The first step of an entry whose replacement is not over before the token `read`.

    Returns:
        The step, where the entry's steps stop, and the token that the step counts from.
    """
    step = stop = place = 0
    if entry >= 0:
        step, stop = offsets[entry], offsets[entry + 1]
    while step < stop:
        gap = gaps[step]
        if gap != FAR:
            if place + gap + removed[codes[step]] > read:
                break
            place += removed[codes[step]]
        place += gap
        step += 1
    return step, stop, place


@inlined
def write_document(out, at, limit, target, document, start, entry, held, patches):  # type: ignore[no-untyped-def]
    """Write a document as rewritten into `out[at:limit]`, until either is at its end.

    A start within a replacement of as many tokens stays at its token; within one of another number
    it is the replacement's first token.

    Args:
        out: uint16 [tokens], contiguous.
        at, limit: where it is written; `limit - at` tokens at most.
        target: the address of `out`.
        document: its number.
        start: the token of the source's document to start at.
        entry: its entry among the patches, or -1 for a document without any.
        held: `Held`, the documents of the source.
        patches: `Patches.columns`.

    Returns:
        The token of `out` past what is written, the source's token at which the document was left,
        replacements that show, and whether the files hold the document.
    """
    single, offsets, gaps, codes, removed, inserted_offsets, inserted = patches
    read, swaps, size = start, 0, held.sizes[document]
    step, stop, place = find_step(entry, read, offsets, gaps, codes, removed)
    while at < limit and read < size:
        # All that fits is copied at once; then the replacements of one token by one are written.
        count = min(size - read, limit - at)
        if not copy_bytes(
            held.addresses, held.firsts, held.pointers[document] + read * TOKEN_BYTES,
            count * TOKEN_BYTES, target + at * TOKEN_BYTES,
        ):  # fmt: skip
            return at, read, swaps, False
        moved, upto, token = at - read, read + count, 0
        while step < stop:
            gap = gaps[step]
            if place + gap >= upto:
                break
            place += gap
            if gap != FAR:
                token = single[codes[step]]
                if token < 0:
                    break
                out[place + moved] = token
                place, swaps = place + 1, swaps + 1
            step += 1
        if step == stop or token >= 0:
            return upto + moved, upto, swaps, True
        # The text moves from here on: what was copied behind the replacement is copied again.
        code = codes[step]
        low, high = inserted_offsets[code], inserted_offsets[code + 1]
        if high - low == removed[code]:
            low += max(0, read - place)
        read = max(place, read)
        first = at = read + moved
        while at < limit and low < high:
            out[at] = inserted[low]
            at, low = at + 1, low + 1
        place += removed[code]
        read = place if low == high else min(place, read + at - first)
        swaps, step = swaps + 1, step + 1
    return at, read, swaps, True


@compiled
def write_rows(  # type: ignore[no-untyped-def]
    out, row_tokens, target, places, starts, doc_idx, held, numbers, groups, patches, counts
):
    """Write rows, each from where it starts in the source on, through the rewritten documents.

    Args:
        out: uint16 [rows * row_tokens], contiguous.
        row_tokens: tokens per row.
        target: the address of `out`.
        places, starts: int64 [rows], the place in `doc_idx` and the token at which each starts.
        doc_idx: documents in the order of the stream.
        held: `Held`.
        numbers, groups: the documents that have patches, rising, and `list_groups` of them.
        patches: `Patches.columns`, one entry for each of `numbers`.
        counts: int64 [len(COUNTS)], added to.

    Returns:
        How many rows were written before one that the files do not hold.
    """
    for row in range(len(places)):
        at, limit = row * row_tokens, (row + 1) * row_tokens
        place, start, read, swaps = places[row], starts[row], 0, 0
        while at < limit and place < len(doc_idx):
            document = doc_idx[place]
            entry = find_entry(document, numbers, groups)
            at, stop, made, whole = write_document(
                out, at, limit, target, document, start, entry, held, patches
            )
            if not whole:
                return row
            read, swaps = read + stop - start, swaps + made
            place, start = place + 1, 0
        counts[FILLED] += limit - at
        for filled in range(at, limit):
            out[filled] = 0
        counts[ROWS_CHANGED] += swaps > 0
        counts[SWAPS] += swaps
        counts[ROWS_MOVED] += read != row_tokens
        counts[EARLIER] += max(0, row_tokens - read)
        counts[LATER] += max(0, read - row_tokens)
    return len(places)


@compiled
def write_documents(out, target, firsts, documents, entry, held, patches):  # type: ignore[no-untyped-def]
    """Write whole documents as rewritten.

    Args:
        out: uint16 [tokens], contiguous.
        target: the address of `out`.
        firsts: int64 [documents], where in `out` each begins.
        documents: their numbers.
        entry: the entry of the first among the patches; the others follow.
        held: `Held`.
        patches: `Patches.columns`.

    Returns:
        How many were written before one that the files do not hold.
    """
    for number in range(len(documents)):
        _, _, _, whole = write_document(
            out, firsts[number], len(out), target, documents[number], 0, entry + number, held,
            patches,
        )  # fmt: skip
        if not whole:
            return number
    return len(documents)


@compiled
def add_gains(sizes, entry, patches):  # type: ignore[no-untyped-def]
    """Add to `sizes`, int64 [entries], the tokens that each entry from `entry` on gains."""
    _, offsets, gaps, codes, removed, inserted_offsets, _ = patches
    for number in range(len(sizes)):
        for step in range(offsets[entry + number], offsets[entry + number + 1]):
            if gaps[step] != FAR:
                code = codes[step]
                sizes[number] += inserted_offsets[code + 1] - inserted_offsets[code] - removed[code]
