"""The one linguistic decision: whether `her` is him or his, and whether `his` is her or hers."""

from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from intervene.compiled import compiled, inlined
from intervene.rewriting.edge_words import UNREAD, read_tokens_after, read_tokens_before
from intervene.rewriting.lexicon import Role
from intervene.rewriting.role_words import KIND, SPACE, mix, read_after, read_before

BEFORE, AFTER = 32, 40
"""How many bytes on either side of a pronoun its role may depend on."""

WORDS = 3
"""Words that begin with a space on either side: of more text than that nothing is read."""

HER_SLOTS, HIS_SLOTS = 1 << 20, 1 << 16
"""How many weights each form has; its features share them by hash."""

MODEL = Path(__file__).with_name("roles.npz")


@cache
def load_roles() -> NDArray[np.int8]:
    """The weights of the decision, int8 [HER_SLOTS + HIS_SLOTS]; `make roles` makes them."""
    with np.load(MODEL) as model:
        weights: NDArray[np.int8] = model["weights"]
    return weights


def choose_role(roles: tuple[Role, ...], before: str, after: str) -> Role:
    """The role of a pronoun in its context.

    Args:
        roles: what the form can be; one role leaves nothing to decide.
        before, after: the text on either side; where it ends, the text ends.
    """
    if len(roles) == 1:
        return roles[0]
    other = other_role(roles)
    left, right = before[-BEFORE:].encode(), after[:AFTER].encode()
    window, at = np.frombuffer(bytearray(left + right), np.uint8), len(left)
    possessive = other is Role.possessive
    if is_determiner(window, at, at, len(window), possessive, load_roles()):
        return Role.determiner
    return other


def other_role(roles: tuple[Role, ...]) -> Role:
    """What an ambiguous form is where it is no possessive determiner."""
    return next(role for role in roles if role is not Role.determiner)


@compiled
def is_determiner(
    window: NDArray[np.uint8],
    start: int,
    stop: int,
    limit: int,
    possessive: bool,
    weights: NDArray[np.int8],
) -> bool:
    """Whether a pronoun is a possessive determiner.

    Args:
        window: uint8, UTF-8 text; it begins there, unless more than BEFORE bytes precede.
        start, stop: the pronoun's bytes.
        limit: where the text ends, unless more than AFTER bytes follow.
        possessive: the form is `his` (else a possessive) rather than `her` (else an object).
        weights: int8, as `load_roles` gives them.
    """
    if possessive:
        return bool(_weigh_his(hash_around_his(window, start, stop, limit), weights))
    return bool(_weigh_her(hash_around_her(window, start, stop, limit), weights))


@inlined
def rate_tokens(  # type: ignore[no-untyped-def]
    row, place, stop, spaced, possessive, firsts, lasts, tokens, data, weights
):  # fmt: skip
    """What `is_determiner` says of a pronoun, as 0 or 1; UNREAD where the bytes must be read.

    Args:
        row: uint16 [row_tokens].
        place, stop: the pronoun's tokens.
        spaced: how many spaces they begin with.
        possessive, weights: as for `is_determiner`.
        firsts, lasts: as `tabulate_edges` gives them.
        tokens, data: as `Rules` has them.
    """
    a, a_end, a_shape, at, left = read_tokens_after(row, stop, AFTER, firsts, tokens, data)
    c, c_end, c_shape, at, _ = read_tokens_after(row, at, left, firsts, tokens, data)
    b, b_end, back, left = read_tokens_before(row, place - 1, BEFORE - spaced, lasts, tokens, data)
    if at == UNREAD or back == UNREAD:
        return UNREAD
    a = mix(a, firsts[row[stop]].is_spaced)
    shapes = 5 * a_shape + c_shape
    if possessive:
        return np.int64(_weigh_his(_combine_his(a, a_end, c, b, shapes), weights))
    z, _, back, _ = read_tokens_before(row, back, left, lasts, tokens, data)
    if back == UNREAD:
        return UNREAD
    return np.int64(_weigh_her(_combine_her(a, a_end, c, c_end, b, b_end, z, shapes), weights))


@inlined
def _weigh_her(features, weights):  # type: ignore[no-untyped-def]
    total = 0
    for feature in features:
        total += weights[feature & np.uint32(HER_SLOTS - 1)]
    return total > 0


@inlined
def _weigh_his(features, weights):  # type: ignore[no-untyped-def]
    total = 0
    for feature in features:
        total += weights[HER_SLOTS + (feature & np.uint32(HIS_SLOTS - 1))]
    return total > 0


@compiled
def hash_around_her(
    window: NDArray[np.uint8], start: int, stop: int, limit: int
) -> tuple[np.uint32, ...]:
    """The features of a context, hashed: two words on either side, alone and together.

    A word counts by its letters, by its ending (the last three) and by its shape; a mark is a word
    of its own. The last feature is the same in every context. Arguments as for `is_determiner`.
    """
    cut, cut_before = stop + AFTER, start - BEFORE
    high, low = min(limit, cut), max(0, cut_before)
    a, a_end, a_shape, at = read_after(window, stop, high, cut)
    c, c_end, c_shape, _ = read_after(window, at, high, cut)
    b, b_end, at = read_before(window, start, low, cut_before)
    z, _, _ = read_before(window, at, low, cut_before)
    a = _join_spacing(a, window, stop, high)
    features: tuple[np.uint32, ...] = _combine_her(
        a, a_end, c, c_end, b, b_end, z, 5 * a_shape + c_shape
    )
    return features


@compiled
def hash_around_his(
    window: NDArray[np.uint8], start: int, stop: int, limit: int
) -> tuple[np.uint32, ...]:
    """The features of a context of `his`, which mostly needs the next word: as for `her`."""
    cut, cut_before = stop + AFTER, start - BEFORE
    high, low = min(limit, cut), max(0, cut_before)
    a, a_end, a_shape, at = read_after(window, stop, high, cut)
    c, _, c_shape, _ = read_after(window, at, high, cut)
    b, _, _ = read_before(window, start, low, cut_before)
    a = _join_spacing(a, window, stop, high)
    features: tuple[np.uint32, ...] = _combine_his(a, a_end, c, b, 5 * a_shape + c_shape)
    return features


@inlined
def _combine_her(a, a_end, c, c_end, b, b_end, z, shapes):  # type: ignore[no-untyped-def]
    """The features of `her`: a and c are the words after, b and z those before, from the near."""
    ac, zb, ba, b_a_end = mix(a, c), mix(z, b), mix(b, a), mix(b, a_end)
    return (
        mix(a, 1),
        mix(a_end, 2),
        mix(c, 3),
        mix(shapes, 4),
        mix(ac, 5),
        mix(mix(a_end, c_end), 6),
        mix(mix(a_end, c), 7),
        mix(mix(a, c_end), 8),
        mix(b, 9),
        mix(b_end, 10),
        mix(z, 11),
        mix(zb, 12),
        mix(ba, 13),
        mix(b_a_end, 14),
        mix(mix(b_end, a), 15),
        mix(mix(b_end, a_end), 16),
        mix(mix(b, shapes), 17),
        mix(mix(b, c), 18),
        mix(mix(b, ac), 19),
        mix(mix(b_a_end, c), 20),
        mix(mix(zb, a), 21),
        mix(0, 22),
    )


@inlined
def _combine_his(a, a_end, c, b, shapes):  # type: ignore[no-untyped-def]
    """The features of `his`, named as those of `her`."""
    return (
        mix(a, 31),
        mix(a_end, 32),
        mix(shapes, 33),
        mix(mix(a, c), 34),
        mix(b, 35),
        mix(mix(b, a), 36),
        mix(mix(b, a_end), 37),
        mix(0, 38),
    )


@inlined
def _join_spacing(word: np.uint32, window: NDArray[np.uint8], stop: int, high: int) -> np.uint32:
    """The next word together with whether white space precedes it."""
    joined: np.uint32 = mix(word, stop < high and KIND[window[stop]] == SPACE)
    return joined
