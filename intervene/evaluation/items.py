"""Benchmark rows, checked: WinoBias and CrowS-Pairs from a local folder or from the Hub."""

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from intervene.errors import InterveneError
from intervene.sources.remote.hub import explain_hub

HUB = "hub"
WINOBIAS = "winobias/type{number}_{side}.test.jsonl"
CROWS = "crows_pairs/crows_pairs_english.jsonl"
WINOBIAS_REPO = "uclanlp/wino_bias"
CROWS_REPO = "jannalu/crows_pairs_multilingual"

FEMALE, MALE = "female", "male"
GENDERS = {
    **dict.fromkeys(("she", "her", "hers", "herself"), FEMALE),
    **dict.fromkeys(("he", "him", "his", "himself"), MALE),
}
"""The gender of each gendered pronoun, lower case."""


@dataclass(frozen=True)
class Row:
    """One sentence of WinoBias.

    Args:
        item: `type1_test_007`; the same in the pro- and the anti-stereotypical file.
        tokens: the sentence's words and punctuation marks.
        referent: half-open token span of the person whom the pronoun means, with its determiner.
        pronoun: the token position of the first pronoun that means that person.
        where: file and line, or Hub dataset and row.
    """

    item: str
    tokens: tuple[str, ...]
    referent: tuple[int, int]
    pronoun: int
    where: str


def list_files(tasks: Sequence[str]) -> list[str]:
    """The benchmark files that these tasks read, relative to the items' folder."""
    numbers = sorted({name[-1] for name in tasks if name.startswith("winobias")})
    files = [WINOBIAS.format(number=n, side=side) for n in numbers for side in ("pro", "anti")]
    return files + [CROWS] * any(name.startswith("crows") for name in tasks)


def read_winobias(items: str, number: int) -> tuple[list[Row], list[Row]]:
    """The pro- and the anti-stereotypical rows of type `number`, aligned: row i of both is item i.

    Args:
        items: a folder that holds `winobias/`, or `hub`.
        number: 1 or 2.

    Errors: InterveneError for a missing or broken file, a malformed row, a repeated id, and files
    that do not align.
    """
    sides = []
    for side in ("pro", "anti"):
        if items == HUB:
            found = _download(WINOBIAS_REPO, f"type{number}_{side}")
        else:
            found = _read_lines(Path(items) / WINOBIAS.format(number=number, side=side))
        rows = [_check_winobias(record, where, number) for where, record in found]
        _refuse_repeats([(row.item, row.where) for row in rows])
        sides.append(rows)
    pro, anti = sides
    for one, other in zip(pro, anti, strict=False):
        if one.item != other.item:
            raise InterveneError(
                f"is {other.item}, but this row of the pro-stereotypical file is {one.item}",
                other.where,
                "put both files into the same order",
            )
    if len(pro) != len(anti):
        longer = max(pro, anti, key=len)
        raise InterveneError(
            f"has no counterpart: {len(pro):,} pro- but {len(anti):,} anti-stereotypical rows",
            longer[min(len(pro), len(anti))].where,
            "give both files the same rows",
        )
    return pro, anti


def read_crows(items: str) -> list[dict[str, str]]:
    """All pairs of English CrowS-Pairs: id, sent_more, sent_less, bias_type; texts as they are.

    `sent_more` is the more stereotyping sentence whatever `stereo_antistereo` says: that field
    tells whose stereotype it is, and lm-eval ignores it too.

    Errors: InterveneError for a missing or broken file, a malformed row and a repeated id.
    """
    on_hub = items == HUB
    found = _download(CROWS_REPO, "english") if on_hub else _read_lines(Path(items) / CROWS)
    pairs = []
    for where, record in found:
        texts = ("sent_more", "sent_less", "bias_type")
        _require(record, where, ("id", *texts))
        for field in texts:
            if not isinstance(record[field], str) or not record[field]:
                raise InterveneError(f"{field} is not a text", where, "restore the file")
        pairs.append({"id": str(record["id"])} | {field: record[field] for field in texts})
    _refuse_repeats([(p["id"], where) for p, (where, _) in zip(pairs, found, strict=True)])
    return pairs


def _check_winobias(record: dict[str, Any], where: str, number: int) -> Row:
    _require(record, where, ("document_id", "tokens", "coreference_clusters"))
    tokens = record["tokens"]
    if not isinstance(tokens, list) or not all(isinstance(t, str) and t for t in tokens):
        raise InterveneError("tokens is not a list of words", where, "restore the file")
    mentions = list(_read_mentions(record["coreference_clusters"], where, len(tokens)))
    pronouns = [
        start for start, stop in mentions if stop == start + 1 and tokens[start].lower() in GENDERS
    ]
    people = [(start, stop) for start, stop in mentions if start not in pronouns]
    if not pronouns or not people:
        raise InterveneError(
            f"coreference_clusters {record['coreference_clusters']} lack a person or a pronoun",
            where,
            "restore the file",
        )
    ident = re.search(r"//(\d+)$", str(record["document_id"]))
    item = f"type{number}_test_{int(ident[1]):03d}" if ident else str(record["document_id"])
    return Row(item, tuple(tokens), people[0], pronouns[0], where)


def _read_mentions(flat: Any, where: str, count: int) -> Iterator[tuple[int, int]]:
    """`["3", "4", "6", "6"]`, inclusive token spans, as half-open `(3, 5), (6, 7)`."""
    try:
        numbers = [int(text) for text in flat]
        mentions = [
            (first, last + 1) for first, last in zip(numbers[::2], numbers[1::2], strict=True)
        ]
    except (TypeError, ValueError) as problem:
        raise InterveneError(
            f"coreference_clusters {flat!r} are not pairs of token positions",
            where,
            "restore the file",
        ) from problem
    for start, stop in mentions:
        if not 0 <= start < stop <= count:
            raise InterveneError(
                f"coreference_clusters {flat} leave the sentence of {count} tokens",
                where,
                "restore the file",
            )
        yield start, stop


def _require(record: dict[str, Any], where: str, fields: Sequence[str]) -> None:
    missing = [field for field in fields if field not in record]
    if missing:
        raise InterveneError(
            f"has no field {', '.join(missing)}",
            where,
            "restore the file; the Hub's schema is expected",
        )


def _refuse_repeats(found: list[tuple[str, str]]) -> None:
    first: dict[str, str] = {}
    for item, where in found:
        if item in first:
            raise InterveneError(
                f"id {item} was used before, in {first[item]}", where, "make the ids unique"
            )
        first[item] = where


def _read_lines(path: Path) -> list[tuple[str, dict[str, Any]]]:
    """Each JSON object of the file with `file, line N`."""
    try:
        lines = path.read_text(encoding="utf-8").split("\n")
    except OSError as problem:
        raise InterveneError(
            f"cannot be read: {problem.strerror}",
            str(path),
            "set evaluation.data to the items' folder",
        ) from problem
    except UnicodeDecodeError as problem:
        raise InterveneError(
            f"not UTF-8 at byte {problem.start:,}", str(path), "restore the file"
        ) from problem
    records = []
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        where = f"{path}, line {number}"
        try:
            record = json.loads(line)
        except ValueError as problem:
            raise InterveneError(f"not JSON: {problem}", where, "restore the file") from problem
        if not isinstance(record, dict):
            raise InterveneError("not a JSON object", where, "restore the file")
        records.append((where, record))
    return records


def download_items(folder: Path, tasks: Sequence[str]) -> dict[str, Any]:
    """Write the Hub's rows of these tasks below `folder`, laid out as a local folder is.

    A store reads the Hub once: neither repository tags its versions, and the copy keeps the
    questions the same however they change.

    Returns:
        How many rows each file holds.

    Errors: InterveneError when the Hub does not give them.
    """
    counts = {}
    for name in list_files(tasks):
        if name == CROWS:
            found = _download(CROWS_REPO, "english")
        else:
            found = _download(WINOBIAS_REPO, Path(name).name.removesuffix(".test.jsonl"))
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        lines = [json.dumps(record, ensure_ascii=False) + "\n" for _, record in found]
        path.write_text("".join(lines), encoding="utf-8")
        counts[name] = len(lines)
    return counts


def _download(repo: str, name: str) -> list[tuple[str, dict[str, Any]]]:
    """Each row of the test split with `repo name, row N`."""
    from datasets import load_dataset  # a second to import, and only the Hub needs it

    try:
        rows = list(load_dataset(repo, name, split="test"))
    except Exception as problem:
        raise explain_hub(
            problem, f"evaluation.data=hub ({repo}, {name})", "set evaluation.data=<folder>"
        ) from problem
    return [(f"{repo} {name}, row {number}", dict(row)) for number, row in enumerate(rows)]
