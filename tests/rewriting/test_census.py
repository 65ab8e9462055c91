"""The census counts what the decoded text holds, step by step."""

import csv
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from intervene.experiment import Guards
from intervene.rewriting.census import (
    FORMS_OF,
    StepCount,
    count_documents,
    show_census,
    take_census,
    write_census,
)
from intervene.rewriting.scan import build_scanner, open_scanner
from intervene.rewriting.swap import FORMS
from intervene.rewriting.tokens import TokenTable
from intervene.sources.backend import open_rows
from intervene.sources.rows import ArrayRows
from intervene.stretch import Stretch
from tests.rewriting.conftest import SENTENCES
from tests.rewriting.oracle import PLAIN

NONE = Guards.none()
ROWS_PER_STEP = 4
STRETCH = Stretch(2, 6)


def decode_documents(table: TokenTable, row: NDArray[np.uint16]) -> list[str]:
    parts = np.split(row, np.flatnonzero(row == 0))
    texts = [table.join(part[part != 0]).decode(errors="replace") for part in parts]
    return [text for text in texts if text]


def count_plainly(text: str) -> Counter[str]:
    return Counter(match[0].lower() for match in PLAIN.finditer(text))


@pytest.fixture(scope="module")
def rows(small: TokenTable) -> ArrayRows:
    """24 rows, each of whole documents and full stops: no pronoun stands at an edge."""
    rng, stop = np.random.default_rng(2), small.encode(".")
    tokens = np.full((24, 160), stop[0], np.uint16)
    for row in tokens:
        row[1] = 0
        at = 2
        for _ in range(rng.integers(0, 4)):
            document = [*small.encode(rng.choice([*SENTENCES, "It rained."])), 0]
            if at + len(document) < len(row):
                row[at : at + len(document)] = document
                at += len(document)
    return ArrayRows(tokens)


@pytest.fixture(scope="module")
def counts(small: TokenTable, rows: ArrayRows) -> list[StepCount]:
    return take_census(build_scanner(small, NONE), rows, STRETCH, ROWS_PER_STEP, 1)


def test_every_step_is_counted_as_in_its_decoded_documents(
    small: TokenTable, rows: ArrayRows, counts: list[StepCount]
) -> None:
    assert [count.step for count in counts] == [2, 3, 4, 5]
    for count in counts:
        read = rows.read(count.step * ROWS_PER_STEP, (count.step + 1) * ROWS_PER_STEP)
        documents = [text for row in read for text in decode_documents(small, row)]
        forms = [count_plainly(text) for text in documents]
        assert count.tokens == read.size
        assert count.documents == len(documents)
        assert count.with_pronouns == sum(bool(form) for form in forms)
        total = sum(forms, Counter())
        assert count.by_form == {form: total[form] for form in FORMS}
        assert count.held_back == 0
    assert sum(count.with_pronouns for count in counts) > 4


def test_the_share_is_that_of_she_her_hers_and_herself(counts: list[StepCount]) -> None:
    for count in counts:
        feminine = sum(count.by_form[form] for form in ("she", "her", "hers", "herself"))
        pronouns = sum(count.by_form.values())
        assert count.feminine_share == (feminine / pronouns if pronouns else None)


def test_what_a_guard_holds_back_is_counted_apart(small: TokenTable) -> None:
    row = small.encode(". See he.po; he said that it was not here. Or he/she. .")
    rows = ArrayRows(np.array([row], np.uint16))
    stretch = Stretch(0, 1)
    (free,) = take_census(build_scanner(small, NONE), rows, stretch, 1, 1)
    (held,) = take_census(build_scanner(small, Guards()), rows, stretch, 1, 1)
    assert (sum(free.by_form.values()), free.held_back) == (4, 0)
    assert (sum(held.by_form.values()), held.held_back) == (1, 3)


def test_threads_change_nothing(
    small: TokenTable, rows: ArrayRows, counts: list[StepCount]
) -> None:
    scanner = build_scanner(small, NONE)
    assert take_census(scanner, rows, STRETCH, ROWS_PER_STEP, 3) == counts


def test_real_rows_hold_as_many_as_their_text(shared: Path, neox_tokenizer: Path) -> None:
    rows = open_rows(shared / "mini_pile" / "preshuffled", 2049)
    scanner = open_scanner(neox_tokenizer, NONE)
    for count in take_census(scanner, rows, Stretch(3, 6), 8, 2):
        read = rows.read(count.step * 8, (count.step + 1) * 8)
        texts = [text for row in read for text in decode_documents(scanner.table, row)]
        assert count.documents == len(texts)
        wanted = sum(count_plainly(text).total() for text in texts)
        assert sum(count.by_form.values()) + count.held_back == wanted


@pytest.mark.parametrize(
    ("row", "documents"),
    [([0, 0, 0], 0), ([5, 6, 7], 1), ([0, 5, 0], 1), ([5, 0, 6], 2), ([5, 0, 0], 1)],
)
def test_a_document_counts_once_a_row(row: list[int], documents: int) -> None:
    assert count_documents(np.array([row, row], np.uint16)) == 2 * documents


def test_the_table_has_one_line_a_step(counts: list[StepCount], tmp_path: Path) -> None:
    write_census(tmp_path / "census.csv", counts)
    with (tmp_path / "census.csv").open() as file:
        lines = list(csv.DictReader(file))
    for line, count in zip(lines, counts, strict=True):
        assert {name: line[name] for name in FORMS} == {
            form: str(number) for form, number in count.by_form.items()
        }
        assert line["step"] == str(count.step)
        assert line["documents_with_pronouns"] == str(count.with_pronouns)


def test_a_step_without_pronouns_has_no_share(tmp_path: Path) -> None:
    none = StepCount(7, 100, 3, 0, dict.fromkeys(FORMS, 0), 0)
    write_census(tmp_path / "census.csv", [none])
    assert (tmp_path / "census.csv").read_text().endswith(",0,\n")
    assert "–" in show_census([none])[1]


def test_a_long_stretch_is_shown_in_ten_parts_and_all() -> None:
    by_form = dict.fromkeys(FORMS, 1)
    counts = [StepCount(step, 10, 2, 1, by_form, 0) for step in range(100, 195)]
    lines = show_census(counts)
    assert len(lines) == 1 + 10 + 1
    assert lines[1].split()[:3] == ["[100,", "110)", "100"]
    assert lines[10].split()[:3] == ["[190,", "195)", "50"]
    assert lines[11].split()[:3] == ["[100,", "195)", "950"]


def test_every_form_has_one_gender() -> None:
    assert sorted(form for forms in FORMS_OF.values() for form in forms) == sorted(FORMS)
