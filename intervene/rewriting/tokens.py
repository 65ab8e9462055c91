"""A tokenizer's vocabulary as the scan sees it: pieces, boundary classes, parts of pronouns."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from enum import IntEnum
from functools import cache, lru_cache, partial
from pathlib import Path
from typing import Any

import numpy as np
import regex
from numpy.typing import NDArray
from tokenizers import Tokenizer

from intervene.errors import InterveneError
from intervene.rewriting.lexicon import PRONOUNS, Lexicon, Role
from intervene.sources.rows import END_OF_DOCUMENT

IDS = 1 << 16
NORMALIZERS = (None, "NFC", "NFKC")
"""What may come before the pre-tokenizer: what leaves ASCII letters as they are."""
ROLES = tuple(Role)
_IS_WORD = regex.compile(r"[\p{L}\p{M}\p{N}]")
_IS_BARE = regex.compile(r"[\p{L}\p{N}]")
_ASCII_HEAD = regex.compile(rb"[A-Za-z0-9]*")
_ASCII_TAIL = regex.compile(rb"[A-Za-z0-9]*\Z")
_ASCII_WORD = regex.compile(rb"[A-Za-z0-9]+")


class Edge(IntEnum):
    """The first or last character of a token, as a neighbour of a pronoun."""

    free = 0  # not a word character
    word = 1
    underscore = 2
    unknown = 3  # a piece of a character
    apostrophe = 4  # may be half of the pre-token `'s`; last characters only


@dataclass(frozen=True, eq=False)
class TokenTable:
    """A vocabulary, tabulated over all 65,536 uint16 ids.

    Args:
        tokenizer: the tokenizer, without truncation and padding.
        lexicon: the forms and what they give way to.
        pieces: the bytes of each id of the vocabulary.
        data, offsets: the same, uint8 one after another, and int64 [65537] where each id's begin.
        partial: bool [65536], ids whose bytes are not whole characters.
        added: bool [65536], added tokens, which cut the text before anything else does.
        first, last: uint8 [65536], the `Edge` of the first and last character.
        beginnings: uint64 [65536], bit p is set if the token ends in proper prefix p of a pronoun;
            prefixes beyond the 64th share bits, so that more is looked at and nothing missed.
        bare: bool [65536], whether that prefix is the whole token (then the token before counts).
        completions: uint64 [65536], bit p is set if the token can follow prefix p.
        odd: bool [65536], a token that holds a pronoun and more: no BPE token does, an added may.
    """

    tokenizer: Tokenizer
    lexicon: Lexicon
    pieces: tuple[bytes, ...]
    data: NDArray[np.uint8]
    offsets: NDArray[np.int64]
    partial: NDArray[np.bool_]
    added: NDArray[np.bool_]
    first: NDArray[np.uint8]
    last: NDArray[np.uint8]
    beginnings: NDArray[np.uint64]
    bare: NDArray[np.bool_]
    completions: NDArray[np.uint64]
    odd: NDArray[np.bool_]

    @property
    def spellings(self) -> tuple[str, ...]:
        """Every cased form, in the order that `spelling` counts in."""
        return tuple(self.lexicon.spellings)

    def encode(self, text: str) -> list[int]:
        """The canonical tokens of a text."""
        ids: list[int] = self.tokenizer.encode(text, add_special_tokens=False).ids
        return ids

    def spell(self, word: str) -> tuple[int, ...]:
        """The canonical tokens of a pre-token, remembered."""
        return _spell(self, word)

    def join(self, tokens: NDArray[np.uint16]) -> bytes:
        """The bytes that tokens spell, special tokens included."""
        return b"".join([self.pieces[token] for token in tokens.tolist()])


@lru_cache(maxsize=1 << 10)
def _spell(table: TokenTable, word: str) -> tuple[int, ...]:
    return tuple(table.encode(word))


def open_tokenizer(path: Path) -> Tokenizer:
    """Read a `tokenizer.json`.

    Errors: InterveneError for a missing or unreadable file.
    """
    if not path.is_file():
        raise InterveneError("no such file", str(path), "give the tokenizer.json of the rows")
    try:
        return Tokenizer.from_file(str(path))
    except Exception as problem:  # the tokenizers library raises bare Exception
        raise InterveneError(
            f"not a tokenizer.json: {problem}", str(path), "give a Hugging Face tokenizer.json"
        ) from problem


@cache
def tabulate(path: Path, lexicon: Lexicon = PRONOUNS) -> TokenTable:
    """The table of a `tokenizer.json`; the file must not change under a running process."""
    return tabulate_tokenizer(open_tokenizer(path), str(path), lexicon)


def tabulate_tokenizer(tokenizer: Tokenizer, where: str, lexicon: Lexicon = PRONOUNS) -> TokenTable:
    """The table of a tokenizer.

    Errors: InterveneError for one that is not byte-level BPE as GPT-2's and GPT-NeoX's are.
    """
    described = json.loads(tokenizer.to_str())
    _check(described, tokenizer, where)
    described.update(truncation=None, padding=None)
    # What is encoded here stands inside a row, where no space is put before it.
    described["pre_tokenizer"]["add_prefix_space"] = False
    pieces, added = _spell_pieces(described)
    lengths = np.zeros(IDS + 1, np.int64)
    lengths[1 : len(pieces) + 1] = [len(piece) for piece in pieces]
    first, last = np.full((2, IDS), Edge.unknown, np.uint8)
    for token, piece in enumerate(pieces):
        first[token], last[token] = _classify_first(piece), _classify_last(piece)
    beginnings, bare, completions = _tabulate_parts(pieces, lexicon)
    return TokenTable(
        tokenizer=Tokenizer.from_str(json.dumps(described)),
        lexicon=lexicon,
        pieces=pieces,
        data=np.frombuffer(b"".join(pieces), np.uint8),
        offsets=np.cumsum(lengths),
        partial=_mark(pieces, lambda piece: not _is_whole(piece)),
        added=added,
        first=first,
        last=last,
        beginnings=beginnings,
        bare=bare,
        completions=completions,
        odd=_mark(pieces, partial(_is_odd, lexicon)),
    )


def _mark(pieces: tuple[bytes, ...], is_so: Callable[[bytes], bool]) -> NDArray[np.bool_]:
    marked = np.zeros(IDS, np.bool_)
    marked[: len(pieces)] = [is_so(piece) for piece in pieces]
    return marked


def _is_whole(piece: bytes) -> bool:
    try:
        return bool(piece.decode())
    except UnicodeDecodeError:
        return False


def _is_odd(lexicon: Lexicon, piece: bytes) -> bool:
    if piece.removeprefix(b" ").decode(errors="replace") in lexicon.spellings:
        return False
    return any(word[0].decode() in lexicon.spellings for word in _ASCII_WORD.finditer(piece))


def _check(described: dict[str, Any], tokenizer: Tokenizer, where: str) -> None:
    normalizer, splitter, model = (
        described[key] or {} for key in ("normalizer", "pre_tokenizer", "model")
    )
    problems = {
        f"its normalizer is {normalizer.get('type')}": normalizer.get("type") not in NORMALIZERS,
        f"its pre-tokenizer is {splitter.get('type')}": splitter.get("type") != "ByteLevel",
        "its pre-tokenizer does not split words": splitter.get("use_regex", True) is not True,
        f"its model is {model.get('type')}": model.get("type") != "BPE",
        "its model drops merges at random": bool(model.get("dropout")),
        "its model marks subwords": any(
            model.get(key) for key in ("continuing_subword_prefix", "end_of_word_suffix")
        ),
        "<|endoftext|> is not token 0": tokenizer.token_to_id("<|endoftext|>") != END_OF_DOCUMENT,
        "its ids do not fit uint16": max(tokenizer.get_vocab().values(), default=0) >= IDS,
    }
    for problem, is_so in problems.items():
        if is_so:
            raise InterveneError(
                problem,
                where,
                "use a byte-level BPE tokenizer such as GPT-NeoX's, without or with NFC or NFKC",
            )


def _spell_pieces(described: dict[str, Any]) -> tuple[tuple[bytes, ...], NDArray[np.bool_]]:
    """The bytes of every id, and which ids are added tokens."""
    model, extra = described["model"], described["added_tokens"]
    letters = _byte_letters()
    spelled: dict[int, bytes] = {}
    for token, index in model["vocab"].items():
        known = all(letter in letters for letter in token)
        spelled[index] = bytes(letters[letter] for letter in token) if known else token.encode()
    added = np.zeros(IDS, np.bool_)
    for token in extra:
        spelled[token["id"]], added[token["id"]] = token["content"].encode(), True
    return tuple(spelled.get(index, b"") for index in range(max(spelled) + 1)), added


def _byte_letters() -> dict[str, int]:
    """GPT-2's letter for each byte: itself where it prints, else the next from U+0100."""
    printing = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    others = [byte for byte in range(256) if byte not in printing]
    return {chr(byte): byte for byte in printing} | {
        chr(0x100 + place): byte for place, byte in enumerate(others)
    }


def _classify(character: str) -> Edge:
    if character == "_":
        return Edge.underscore
    return Edge.word if _IS_WORD.match(character) else Edge.free


def _classify_first(piece: bytes) -> Edge:
    character = _decode_one([piece[:length] for length in range(1, 5)])
    return Edge.unknown if character is None else _classify(character)


def _classify_last(piece: bytes) -> Edge:
    character = _decode_one([piece[-length:] for length in range(1, 5)])
    if character is None:
        return Edge.unknown
    if character == "'":
        inner = _decode_one([piece[-1 - length : -1] for length in range(1, 5)])
        # what precedes the apostrophe in its token has taken it, unless that is a letter or digit
        return Edge.apostrophe if inner is None or _IS_BARE.match(inner) else Edge.free
    return _classify(character)


def _decode_one(candidates: list[bytes]) -> str | None:
    """The first of the candidates that is one whole character."""
    for candidate in candidates:
        try:
            text = candidate.decode()
        except UnicodeDecodeError:
            continue
        return text or None
    return None


def _tabulate_parts(
    pieces: tuple[bytes, ...], lexicon: Lexicon
) -> tuple[NDArray[np.uint64], NDArray[np.bool_], NDArray[np.uint64]]:
    """`beginnings`, `bare` and `completions` of a TokenTable."""
    forms = [spelling.encode() for spelling in lexicon.spellings]
    prefixes = sorted({form[:cut] for form in forms for cut in range(1, len(form))})
    bits = {prefix: 1 << place % 64 for place, prefix in enumerate(prefixes)}
    going_on: dict[bytes, int] = {}
    ending: dict[bytes, int] = {}
    for form in forms:
        for cut in range(1, len(form)):
            rest, bit = form[cut:], bits[form[:cut]]
            ending[rest] = ending.get(rest, 0) | bit
            for length in range(1, len(rest)):
                going_on[rest[:length]] = going_on.get(rest[:length], 0) | bit
    beginnings, completions = np.zeros((2, IDS), np.uint64)
    bare = np.zeros(IDS, np.bool_)
    for token, piece in enumerate(pieces):
        head, tail = _ASCII_HEAD.match(piece), _ASCII_TAIL.search(piece)
        beginnings[token], bare[token] = bits.get(tail[0], 0), tail[0] == piece
        completions[token] = ending.get(head[0], 0) | going_on.get(piece, 0)
    return beginnings, bare, completions
