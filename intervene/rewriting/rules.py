"""Everything that the compiled scan looks up, as flat arrays, and the columns that it writes."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from intervene.experiment import Guards
from intervene.rewriting.characters import classify
from intervene.rewriting.edge_words import tabulate_edges
from intervene.rewriting.guards import pack_guards
from intervene.rewriting.language import ENGLISH, FOREIGN, FOREIGN_WEIGHT
from intervene.rewriting.lexicon import Casing, Role, Spelling, Target
from intervene.rewriting.neighbours import tabulate_neighbours
from intervene.rewriting.pairs import Forms, pack_forms
from intervene.rewriting.role import load_roles, other_role
from intervene.rewriting.swap import GENDERS, ROLES
from intervene.rewriting.tokens import IDS, Edge, TokenTable
from intervene.rewriting.verbs import VerbTable, tabulate_verbs
from intervene.sources.rows import END_OF_DOCUMENT

START, STOP, LETTER_BIT, SCORE_BIT, SCORE_BIAS = 1, 2, 2, 3, 8
"""A token's code: a pronoun may begin, a document ends, at LETTER_BIT whether its first character
is a word character, from SCORE_BIT on SCORE_BIAS + what it says for English."""

CONTRACTIONS = ("s", "t", "re", "ve", "m", "ll", "d")
"""What the pre-tokenizer tears off after an apostrophe: `'she` is `'s` and `he`."""


FREE, BEYOND, BEHIND, BREAKS, BEGINS_VERB, ENDS_VERB, ENDS_BLANK = 1, 2, 4, 8, 16, 32, 64
BEGINS_WORD = 128
"""Bits of a side's flags. FREE: its first character is no word character; BEGINS_WORD: a space and
more; the others as `Neighbours` and `VerbTable` have them."""

PAD = 8
"""Bytes are copied eight at a time, so that some around those meant are read too."""

SIDE = np.dtype([(name, np.uint8) for name in ("after", "before", "spaced", "flags")])
"""What a token tells a pronoun beside it: four bytes, so that the common ones stay in the cache."""

TOKEN = np.dtype(
    [
        ("offset", np.int32),  # of its bytes in `data`
        ("size", np.int32),  # how many they are
        ("beginnings", np.uint64),  # as in `TokenTable`
        ("completions", np.uint64),
        ("single", np.int16),  # the entry (2 × spelling + whether a space leads) that it is, or -1
        ("group", np.int16),  # the group of entries of several tokens that begin with it, or -1
        ("plural", np.int32),  # as in `VerbTable`
        ("is_partial", np.bool_),  # as in `TokenTable`
        ("is_bare", np.bool_),
        ("is_odd", np.bool_),
    ],
    align=True,
)

SPELLING = np.dtype(
    [
        ("offset", np.int32),  # of its bytes in `letters`
        ("size", np.int32),  # how many they are
        ("form", np.int8),  # index among the lexicon's forms
        ("gender", np.int8),  # index in GENDERS
        ("role", np.int8),  # the one role, or -1
        ("other", np.int8),  # what an ambiguous form is if it is no determiner
        ("possessive", np.bool_),  # whether that is a possessive
        ("is_read", np.bool_),  # whether a guard may hold it back whatever stands beside it
        ("is_name", np.bool_),  # whether it may be the surname He
        ("contracts", np.bool_),  # whether an apostrophe before it may be torn from its token
        ("agrees", np.bool_),  # whether a verb changes with it
    ],
    align=True,
)


class Rules(NamedTuple):
    """Everything that the compiled scan looks up.

    Args:
        code: uint8 [65536], as `START` and so on say.
        sides: SIDE [65536].
        tokens: TOKEN [65536].
        spellings: SPELLING [spellings].
        data, letters: uint8, the bytes of all tokens and of all spellings, eight zeros around.
        firsts, lasts: EDGE_WORD [65536], as `tabulate_edges` gives them.
        groups: int32 [groups + 1], where each group lies among the sequences, longest first.
        sequences: int32 [sequences, 3], the entry of each and its tokens' span in `heads`.
        heads: uint16, their tokens.
        swaps: int32 [entries × roles + 1], where what each gives way to lies in `tails`.
        tails: uint16, those tokens.
        guards: the guards that are on, as `pack_guards` gives them.
        joined: whether this guard is on.
        classes: as `characters.classify` gives them.
        weights: as `load_roles` gives them.
        forms: as `pack_forms` gives them.
    """

    code: NDArray[np.uint8]
    sides: NDArray[np.void]
    tokens: NDArray[np.void]
    spellings: NDArray[np.void]
    data: NDArray[np.uint8]
    letters: NDArray[np.uint8]
    firsts: NDArray[np.void]
    lasts: NDArray[np.void]
    groups: NDArray[np.int32]
    sequences: NDArray[np.int32]
    heads: NDArray[np.uint16]
    swaps: NDArray[np.int32]
    tails: NDArray[np.uint16]
    guards: int
    joined: bool
    classes: NDArray[np.uint8]
    weights: NDArray[np.int8]
    forms: Forms


class Columns(NamedTuple):
    """What the compiled scan writes: the columns of an `EditLog`, in its order and dtypes."""

    row: NDArray[np.int64]
    start: NDArray[np.int32]
    segment: NDArray[np.int32]
    form: NDArray[np.int8]
    role: NDArray[np.int8]
    gender: NDArray[np.int8]
    before_offsets: NDArray[np.int64]
    after_offsets: NDArray[np.int64]
    before: NDArray[np.uint16]
    after: NDArray[np.uint16]


def contracts(table: TokenTable, word: str) -> bool:
    """Whether an apostrophe before a spelling may be torn from its token, before or after."""
    known = table.lexicon.spellings[word]
    after = [table.lexicon.partner(word, role) for role in known.roles]
    return any(form.startswith(CONTRACTIONS) for form in (word, *after))


def build_rules(table: TokenTable, guards: Guards) -> Rules:
    """The rules of a vocabulary under these guards."""
    verbs = tabulate_verbs(table)
    tokens = _tabulate_tokens(table, verbs)
    groups, sequences, heads = _tabulate_sequences(table, tokens)
    swaps = _list_swaps(table)
    firsts, lasts = tabulate_edges(table)
    return Rules(
        code=_tabulate_codes(table, tokens, guards),
        sides=_tabulate_sides(table, guards, verbs),
        tokens=tokens,
        spellings=_tabulate_spellings(table, guards),
        data=np.pad(table.data, PAD),
        letters=np.pad(np.frombuffer("".join(table.spellings).encode(), np.uint8), PAD),
        firsts=firsts,
        lasts=lasts,
        groups=groups,
        sequences=sequences,
        heads=heads,
        swaps=_measure(swaps),
        tails=_join(swaps),
        guards=pack_guards(guards),
        joined=guards.joined,
        classes=classify(),
        weights=load_roles(),
        forms=pack_forms(table.lexicon),
    )


def _tabulate_sides(table: TokenTable, guards: Guards, verbs: VerbTable) -> NDArray[np.void]:
    neighbours = tabulate_neighbours(table, guards)
    sides = np.zeros(IDS, SIDE)
    for name in ("after", "before", "spaced"):
        sides[name] = getattr(neighbours, name)
    flags = {
        FREE: table.first == Edge.free,
        BEYOND: neighbours.beyond,
        BEHIND: neighbours.behind,
        BREAKS: neighbours.breaks,
        BEGINS_VERB: verbs.begins,
        ENDS_VERB: verbs.ends,
        ENDS_BLANK: verbs.blank,
        BEGINS_WORD: _mark_words(table),
    }
    for bit, marked in flags.items():
        sides["flags"][marked] |= bit
    return sides


def _mark_words(table: TokenTable) -> NDArray[np.bool_]:
    """Tokens, bool [65536], that are a space and then anything but white space."""
    marked = np.zeros(IDS, np.bool_)
    for token, piece in enumerate(table.pieces):
        marked[token] = piece[:1] == b" " and bool(piece[1:2].strip()) and piece[1] < 0x80
    return marked


def _tabulate_tokens(table: TokenTable, verbs: VerbTable) -> NDArray[np.void]:
    tokens = np.zeros(IDS, TOKEN)
    tokens["plural"] = verbs.plural
    tokens["offset"], tokens["size"] = PAD + table.offsets[:-1], np.diff(table.offsets)
    tokens["beginnings"], tokens["completions"] = table.beginnings, table.completions
    tokens["single"] = tokens["group"] = -1
    for name in ("partial", "bare", "odd"):
        tokens[f"is_{name}"] = getattr(table, name)
    return tokens


def _tabulate_spellings(table: TokenTable, guards: Guards) -> NDArray[np.void]:
    spellings = np.zeros(len(table.spellings), SPELLING)
    at = PAD
    for place, (word, known) in enumerate(table.lexicon.spellings.items()):
        only = len(known.roles) == 1
        other = known.roles[0] if only else other_role(known.roles)
        agrees = table.lexicon.target is Target.neutral and Role.subject in known.roles
        spellings[place] = (
            at, len(word), table.lexicon.forms.index(known.form), GENDERS.index(known.gender),
            ROLES.index(other) if only else -1, ROLES.index(other), other is Role.possessive,
            _is_read(known, guards), known.form == "he" and known.casing is Casing.capitalised,
            contracts(table, word), agrees,
        )  # fmt: skip
        at += len(word)
    return spellings


def _is_read(spelling: Spelling, guards: Guards) -> bool:
    if guards.capitals and spelling.casing is Casing.capitals:
        return True
    return guards.titles and Role.determiner in spelling.roles


def _tabulate_sequences(
    table: TokenTable, tokens: NDArray[np.void]
) -> tuple[NDArray[np.int32], NDArray[np.int32], NDArray[np.uint16]]:
    """`groups`, `sequences` and `heads`; fills in `single` and `group` of the tokens."""
    long: list[tuple[tuple[int, ...], int]] = []
    for place, word in enumerate(table.spellings):
        for spaced in (0, 1):
            spelled = table.spell(" " * spaced + word)
            if len(spelled) == 1:
                tokens["single"][spelled[0]] = 2 * place + spaced
            else:
                long.append((spelled, 2 * place + spaced))
    long.sort(key=lambda sequence: (sequence[0][0], -len(sequence[0])))
    groups = [0]
    for at, (spelled, _) in enumerate(long):
        if tokens["group"][spelled[0]] < 0:
            tokens["group"][spelled[0]] = len(groups) - 1
            groups.append(at)
        groups[-1] = at + 1
    spans = _measure([spelled for spelled, _ in long])
    entries = np.array([entry for _, entry in long], np.int32)
    sequences = np.stack([entries, spans[:-1], spans[1:]], axis=1)
    return np.array(groups, np.int32), sequences, _join([spelled for spelled, _ in long])


def _list_swaps(table: TokenTable) -> list[tuple[int, ...]]:
    """What each entry gives way to in each role, tokens; none where it has not that role."""
    swaps = []
    for word, spelling in table.lexicon.spellings.items():
        for spaced in (0, 1):
            for role in ROLES:
                known = role in spelling.roles
                after = " " * spaced + table.lexicon.partner(word, role) if known else ""
                swaps.append(table.spell(after))
    return swaps


def _tabulate_codes(
    table: TokenTable, tokens: NDArray[np.void], guards: Guards
) -> NDArray[np.uint8]:
    """`code`."""
    score = np.full(IDS, SCORE_BIAS, np.uint8)
    if guards.language:
        for words, weight in ((ENGLISH, 1), (FOREIGN, -FOREIGN_WEIGHT)):
            spelled = [table.spell(f" {word}") for word in sorted(words)]
            score[[ids[0] for ids in spelled if len(ids) == 1]] = SCORE_BIAS + weight
    goes_on = (table.first == Edge.word) | (table.first == Edge.underscore)
    code: NDArray[np.uint8] = score << SCORE_BIT | goes_on.astype(np.uint8) << LETTER_BIT
    begins = (tokens["single"] >= 0) | (tokens["group"] >= 0) | (table.beginnings > 0) | table.odd
    code[begins] |= START
    code[END_OF_DOCUMENT] |= STOP
    return code


def _measure(sequences: list[tuple[int, ...]]) -> NDArray[np.int32]:
    return np.cumsum([0, *(len(tokens) for tokens in sequences)]).astype(np.int32)


def _join(sequences: list[tuple[int, ...]]) -> NDArray[np.uint16]:
    return np.array([token for tokens in sequences for token in tokens], np.uint16)
