"""What became of every pronoun of a row: swapped, or the reason why it stays."""

from dataclasses import dataclass
from enum import StrEnum

import numpy as np
import regex
from numpy.typing import NDArray

from intervene.rewriting.confirm import confirm
from intervene.rewriting.find import Hit
from intervene.rewriting.language import is_english
from intervene.rewriting.lexicon import Gender, Role
from intervene.rewriting.scan import Scanner
from intervene.rewriting.swap import ROLES, EditLog
from intervene.rewriting.tokens import TokenTable
from intervene.sources.rows import END_OF_DOCUMENT

ELIGIBLE, LENGTH, IRREGULAR, LANGUAGE = "eligible", "length", "irregular", "language"
IN_LOG = (ELIGIBLE, LENGTH)
"""Reasons of pronouns that the edit log can swap; all others stay."""

_TAG = regex.compile(r"</?[A-Za-z][^<>]*>|\\[A-Za-z]+\{|&[a-z]+;")
_STATEMENT = regex.compile(
    r"[;{}()\[\]:=\\>]\s*$|^\s*(?:#|//|/\*|\* |@|import |return |def |else\b)"
)
_ENTRY = regex.compile(r"^\s*(?:[-*+•|]|\d+[.)])\s|\t|\S {3,}\S| \| ")
_SURROGATE = regex.compile(r"[\ud800-\udfff]")
_MARKED_SHARE, _CODED_SHARE, _LISTED_SHARE = 0.3, 0.4, 0.5


class Kind(StrEnum):
    """What sort of document it is, by its lines (`classify`)."""

    prose = "prose"
    code = "code"
    markup = "markup"
    table = "table"


@dataclass(frozen=True)
class Document:
    """The part of a document that lies in a row.

    Args:
        start, stop: its tokens, without the end of document.
        kind: by its lines.
        english: what the language gate says of it, whether or not that guard is on.
    """

    start: int
    stop: int
    kind: Kind
    english: bool


@dataclass(frozen=True)
class Pronoun:
    """One pronoun of a row and what becomes of it.

    Args:
        token: the token of the row in which it begins.
        start, stop: its characters in the row's text.
        form: lower case.
        role, gender: what it does there, and its series.
        reason: one of REASONS.
        swap: its index in the row's log, or None for one that stays.
        edit_start, edit_stop: the characters that give way, those of a verb that agrees too.
        edit_after: what they give way to, or would.
        document: the one that it stands in.
    """

    token: int
    start: int
    stop: int
    form: str
    role: Role
    gender: Gender
    reason: str
    swap: int | None
    edit_start: int
    edit_stop: int
    edit_after: str
    document: Document


@dataclass(frozen=True)
class Account:
    """A row's text and every pronoun in it.

    Args:
        row: the training row.
        text: the row decoded; U+FFFD stands for each byte that is no whole character.
        documents: in order.
        pronouns: in order.
    """

    row: int
    text: str
    documents: tuple[Document, ...]
    pronouns: tuple[Pronoun, ...]


@dataclass(frozen=True)
class Spelled:
    """A row's text, and where things begin in it.

    Args:
        data: its bytes.
        text: the same decoded; U+FFFD stands for each byte that is no whole character.
        token_bytes, character_bytes: int64 [tokens + 1] and [characters + 1], where each begins in
            `data`.
    """

    data: bytes
    text: str
    token_bytes: NDArray[np.int64]
    character_bytes: NDArray[np.int64]


def give_account(scanner: Scanner, tokens: NDArray[np.uint16], row: int, log: EditLog) -> Account:
    """Say of every pronoun of a row what the scan made of it.

    Args:
        scanner: the scanner that wrote the log.
        tokens: uint16 [row_tokens].
        row: the training row.
        log: the swaps of this row alone.
    """
    spelled = spell_row(scanner.table, tokens)
    documents = _list_documents(spelled, tokens)
    starts = np.array([document.start for document in documents])
    pronouns = []
    for hit in scanner.finder.iterate(spelled.text, 0, len(spelled.text)):
        at = spelled.character_bytes[hit.start]
        token = int(np.searchsorted(spelled.token_bytes, at, "right")) - 1
        document = documents[int(np.searchsorted(starts, token, "right")) - 1]
        swap = _find_swap(log, token, hit)
        if swap is None:
            reason = _explain(scanner, tokens, token, hit, document)
            role, after = hit.role, hit.edit_after
        else:
            reason = LENGTH if log.changes_length[swap] else ELIGIBLE
            role, after = ROLES[log.role[swap]], _spell_after(scanner, spelled, log, swap, hit)
        pronouns.append(
            Pronoun(
                token, hit.start, hit.stop, hit.spelling.form, role, hit.spelling.gender, reason,
                swap, hit.edit_start, hit.edit_stop, after, document,
            )
        )  # fmt: skip
    return Account(row, spelled.text, tuple(documents), tuple(pronouns))


def classify(text: str) -> Kind:
    r"""What sort of document a text is, by its lines that are not blank.

    Markup: at least 30% hold a tag, an entity or a LaTeX command. Code: at least 40% end as a
    statement does, in one of `;{}()[]:=\>`, or begin with a comment or a keyword. Table: at
    least half begin with a bullet or a number, or hold a tab, ` | ` or a run of spaces. Prose: all
    else, dialogue and verse too.
    """
    lines = [line for line in text.splitlines() if line.strip()]
    for kind, pattern, share in (
        (Kind.markup, _TAG, _MARKED_SHARE),
        (Kind.code, _STATEMENT, _CODED_SHARE),
        (Kind.table, _ENTRY, _LISTED_SHARE),
    ):
        if lines and sum(bool(pattern.search(line)) for line in lines) >= share * len(lines):
            return kind
    return Kind.prose


def spell_row(table: TokenTable, tokens: NDArray[np.uint16]) -> Spelled:
    """Decode a row, uint16 [row_tokens]."""
    pieces = [table.pieces[token] for token in tokens.tolist()]
    data = b"".join(pieces)
    text = data.decode(errors="surrogateescape")
    codes = np.frombuffer(text.encode("utf-32-le", "surrogatepass"), np.uint32)
    sizes = 1 + (codes >= 0x80) + (codes >= 0x800).astype(np.int64) + (codes >= 0x10000)
    sizes[(codes >= 0xD800) & (codes < 0xE000)] = 1  # a byte that is no character, escaped
    return Spelled(
        data,
        _SURROGATE.sub("\ufffd", text),
        np.cumsum([0, *map(len, pieces)], dtype=np.int64),
        np.concatenate([[0], np.cumsum(sizes)]),
    )


def _list_documents(spelled: Spelled, tokens: NDArray[np.uint16]) -> list[Document]:
    documents, start = [], 0
    for stop in [*np.flatnonzero(tokens == END_OF_DOCUMENT).tolist(), len(tokens)]:
        low, high = spelled.token_bytes[[start, stop]]
        text = spelled.data[low:high].decode(errors="replace")
        documents.append(Document(start, stop, classify(text), is_english(text)))
        start = stop + 1
    return documents


def _find_swap(log: EditLog, token: int, hit: Hit) -> int | None:
    """The swap of the log whose tokens hold a pronoun's first."""
    swap = int(np.searchsorted(log.start, token, "right")) - 1
    if swap < 0 or token >= log.stop[swap] or log[swap].form != hit.spelling.form:
        return None
    return swap


def _explain(
    scanner: Scanner, tokens: NDArray[np.uint16], token: int, hit: Hit, document: Document
) -> str:
    """Why a pronoun is not in the log."""
    if hit.guard is not None:
        return hit.guard
    if scanner.finder.guards.language and not document.english:
        return LANGUAGE
    verdicts = confirm(tokens, token, scanner.table, scanner.finder, foreign=False)
    found = [v.reason for v in verdicts if v.hit.spelling == hit.spelling]
    return next(filter(None, found), IRREGULAR)  # it can be swapped, but not with its neighbour


def _spell_after(scanner: Scanner, spelled: Spelled, log: EditLog, swap: int, hit: Hit) -> str:
    """What the log writes in the place of the characters that give way."""
    edit = log[swap]
    low, high = spelled.token_bytes[[edit.start, edit.stop]]
    after = scanner.table.join(np.array(edit.after, np.uint16))
    head = int(spelled.character_bytes[hit.edit_start] - low)
    tail = int(high - spelled.character_bytes[hit.edit_stop])
    return after[head : len(after) - tail].decode(errors="replace")
