"""What is said of every pronoun, what is counted and sampled, and the sheet that is judged."""

import csv
import dataclasses

import numpy as np
import pytest

from intervene.arm import Variant
from intervene.errors import InterveneError
from intervene.experiment import Guards
from intervene.rewriting.account import IN_LOG, Kind, classify, give_account, spell_row
from intervene.rewriting.audit import (
    COUNTED,
    audit_rows,
    sample_rows,
    show_counts,
    write_counts,
)
from intervene.rewriting.changes import Change, find_changes
from intervene.rewriting.original import swap_string, swap_token_map
from intervene.rewriting.scan import REASONS, build_scanner
from intervene.rewriting.sheet import (
    Line,
    find_interval,
    measure_precision,
    read_sheet,
    write_sheet,
)
from intervene.rewriting.swap import FORMS
from intervene.sources.backend import open_rows
from intervene.sources.rows import ArrayRows
from tests.rewriting.conftest import SENTENCES
from tests.rewriting.oracle import encode_row, splice

TEXTS = (
    *SENTENCES,
    "Either he or she signs; s/he, his/her; 'he's here,' and 'she said HE WAS HIS OWN.",
    "Kaiming He wrote it, and a she-wolf ran past him. See he.po or `he`; _him_, not he_1.",
    "日本の he と彼女 — ｈe, hé, “she”\thers\r\nHERSELF himself\x1b[2J her\u202e.",
    "Det er ikke her, men der, og jeg kan ikke se det for mig, som du var her.",
)
LINE = Line(7, 3, "he", "subject", "eligible", "he", "so ", "he", " is", "she")


def account_for(table, text, guards=None):
    return account_of(table, encode_row(table, text)[0], guards)


def account_of(table, row, guards=None):
    scanner = build_scanner(table, guards or Guards())
    return give_account(scanner, row, 0, scanner.scan_rows(row[None], 0)[0])


def count(accounts):
    counts = np.zeros((len(REASONS), len(FORMS)), np.int64)
    for account in accounts:
        for pronoun in account.pronouns:
            counts[REASONS.index(pronoun.reason), FORMS.index(pronoun.form)] += 1
    return counts


@pytest.fixture(params=["small", "bytes_only", "neox", "neox_neutral"])
def table(request):
    return request.getfixturevalue(request.param)


@pytest.mark.parametrize("guards", [Guards(), Guards.none()], ids=["guards", "none"])
def test_the_account_counts_as_the_scan_does(table, guards):
    tokens = [token for text in TEXTS for token in [*table.encode(text), 0]] * 3
    rows = np.array(tokens[: len(tokens) // 61 * 61], np.uint16).reshape(-1, 61)
    scanner = build_scanner(table, guards)
    accounts = [account_of(table, row, guards) for row in rows]
    assert np.array_equal(count(accounts), scanner.scan_rows(rows, 0)[1])


def test_the_account_of_real_rows_counts_as_the_scan_does(neox, shared):
    rows = open_rows(shared / "mini_pile" / "preshuffled", 2049)
    chosen = [rows.read(row, row + 1)[0] for row in sample_rows(range(len(rows)), 20, 0)]
    counts = build_scanner(neox, Guards()).scan_rows(np.array(chosen), 0)[1]
    assert np.array_equal(count(account_of(neox, row) for row in chosen), counts)


def test_the_account_tells_what_the_log_writes(table):
    for text in TEXTS:
        row = encode_row(table, text)
        log, _ = build_scanner(table, Guards()).scan_rows(row, 0)
        account, parts, at = account_for(table, text), [], 0
        for pronoun in account.pronouns:
            if pronoun.reason in IN_LOG:
                parts += [account.text[at : pronoun.edit_start], pronoun.edit_after]
                at = pronoun.edit_stop
        rewritten = splice(row[0], log, list(range(len(log))))
        assert "".join([*parts, account.text[at:]]) == table.join(np.array(rewritten)).decode()


def test_a_pronoun_lies_where_it_is_said_to(table):
    for text in TEXTS:
        account = account_for(table, text)
        for pronoun in account.pronouns:
            assert account.text[pronoun.start : pronoun.stop].lower() == pronoun.form


@pytest.mark.parametrize("variant", [None, *Variant])
def test_changes_lead_from_one_text_to_the_other(neox, shared, variant):
    rows = open_rows(shared / "mini_pile" / "preshuffled", 2049).read(2025, 2028)
    if variant is None:
        rewritten, _ = swap_token_map(rows, neox)
    else:
        rewritten, _ = swap_string(rows, neox, variant)
    for before, after in zip(rows, rewritten, strict=True):
        text, parts, at = spell_row(neox, before).text, [], 0
        for change in find_changes(neox, before, after):
            parts += [text[at : change.start], change.after]
            at = change.stop
        assert "".join([*parts, text[at:]]) == spell_row(neox, after).text


def test_a_change_inside_a_character_is_one_of_the_character(bytes_only):
    before, after = (np.array(bytes_only.encode(text), np.uint16) for text in ("a é b", "a è b"))
    assert find_changes(bytes_only, before, after) == [Change(2, 3, "è")]


@pytest.mark.parametrize(
    ("text", "reasons"),
    [
        ("Ask him again.", ["eligible"]),
        ("Say he or she.", ["pairs", "pairs"]),
        ("A she-wolf met him.", ["hyphens", "eligible"]),
        (TEXTS[-1], ["language", "language"]),
    ],
)
def test_a_pronoun_that_stays_has_its_guard_as_the_reason(neox, text, reasons):
    assert [pronoun.reason for pronoun in account_for(neox, text).pronouns] == reasons


def test_a_pronoun_at_the_rows_edge_stays_for_that(small):
    row = np.array(small.encode("he told her"), np.uint16)
    assert [pronoun.reason for pronoun in account_of(small, row).pronouns] == ["edge", "edge"]


def test_a_character_cut_by_the_row_shifts_nothing(bytes_only):
    tokens = bytes_only.encode("日 said that he left 本")
    account = account_of(bytes_only, np.array(tokens[1:-1], np.uint16))
    (pronoun,) = account.pronouns
    assert account.text == "\ufffd\ufffd said that he left \ufffd\ufffd"
    assert account.text[pronoun.start : pronoun.stop] == "he"
    assert tokens[pronoun.token + 1] == bytes_only.encode("h")[0]


def test_documents_are_told_apart(small):
    account = account_for(small, f"He waits.<|endoftext|>{TEXTS[-1]}")
    assert [d.english for d in account.documents] == [True, True, False, True]
    assert [p.document.english for p in account.pronouns] == [True, False, False]


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("She came in.\n\n“Well,” said he, “what now?”\nNobody knew; he laughed.", Kind.prose),
        ("def f(he):\n    # his\n    return he;\n\nif (x) {\n    y();\n}", Kind.code),
        ("<p>He said</p>\n<ul>\n<li>her book\n</ul>", Kind.markup),
        ("- his hat\n- her coat\n1. himself\nand so on", Kind.table),
        ("", Kind.prose),
    ],
)
def test_kind_of_a_document_is_told_by_its_lines(text, kind):
    assert classify(text) is kind


def test_a_smaller_sample_of_rows_is_the_beginning_of_a_larger(small):
    span = range(1000, 5000)
    assert sample_rows(span, 50, 3) == sample_rows(span, 400, 3)[:50]
    assert sorted(sample_rows(span, 4000, 3)) == list(span)
    assert sample_rows(span, 50, 4) != sample_rows(span, 50, 3)


@pytest.fixture(scope="module")
def rows(small):
    tokens = [token for text in TEXTS for token in [*small.encode(text), 0]] * 20
    return ArrayRows(np.array(tokens[: len(tokens) // 97 * 97], np.uint16).reshape(-1, 97))


def test_every_pronoun_of_the_rows_is_counted_once(small, rows):
    scanner = build_scanner(small, Guards())
    found = audit_rows(scanner, rows, list(range(len(rows))), 2, 0)
    counted = scanner.scan_rows(rows.tokens, 0)[1]
    for reason, by_form in zip(REASONS, counted.tolist(), strict=True):
        for form, number in zip(FORMS, by_form, strict=True):
            assert number == sum(
                n for (f, _, r, *_), n in found.counts.items() if (f, r) == (form, reason)
            )


def test_the_sheet_has_so_many_of_every_stratum(small, rows):
    found = audit_rows(build_scanner(small, Guards()), rows, list(range(len(rows))), 3, 0)
    strata = [line.stratum for line in found.lines]
    assert {("he", "subject"), ("himself", "reflexive"), ("he", "pairs")} <= set(strata)
    assert max(strata.count(stratum) for stratum in strata) == 3
    assert not {line.reason for line in found.lines} & {"edge", "irregular"}


def test_the_sheet_depends_on_the_seed_and_not_on_the_order_of_rows(small, rows):
    scanner, every = build_scanner(small, Guards()), list(range(len(rows)))
    lines = audit_rows(scanner, rows, every, 3, 0).lines
    assert audit_rows(scanner, rows, every[::-1], 3, 0).lines == lines
    assert audit_rows(scanner, rows, every, 3, 1).lines != lines


def test_counts_are_a_table_with_names(small, rows, tmp_path):
    found = audit_rows(build_scanner(small, Guards()), rows, [0, 1, 2], 1, 0)
    write_counts(tmp_path / "counts.csv", found.counts)
    with (tmp_path / "counts.csv").open() as file:
        table = list(csv.DictReader(file))
    assert list(table[0]) == [*COUNTED, "count"]
    assert sum(int(cells["count"]) for cells in table) == found.counts.total()


def test_a_sheet_holds_one_line_a_pronoun_whatever_the_text(tmp_path):
    path = tmp_path / "sample.tsv"
    write_sheet(path, [dataclasses.replace(LINE, left="a\tb\r\n\\\x1b[2J\u2028", right='"q"')])
    assert len(path.read_text().split("\n")) == 3
    assert path.read_bytes().count(b"\t") == 20
    (line,) = read_sheet(path)
    assert line.left == r"a\tb\r\n\\\x1b[2J\u2028"
    assert line.right == '"q"'


@pytest.mark.parametrize("left", ["=1+1", "+1", "-1", "@SUM(A1)"])
def test_no_cell_of_a_sheet_is_a_formula(tmp_path, left):
    write_sheet(tmp_path / "sample.tsv", [dataclasses.replace(LINE, left=left)])
    assert read_sheet(tmp_path / "sample.tsv")[0].left == f"'{left}"


def test_a_judgement_may_come_back_from_a_spreadsheet(tmp_path):
    path = tmp_path / "sample.tsv"
    write_sheet(path, [LINE])
    text = path.read_text().replace("she\t\n", "she\t Y \n").replace("\n", "\r\n")
    path.write_bytes(b"\xef\xbb\xbf" + text.encode())
    assert read_sheet(path) == [dataclasses.replace(LINE, judgement="y")]


@pytest.mark.parametrize(
    ("old", "new", "what"),
    [("she\t\n", "she\tmaybe\n", "line 2"), ("\nr", "\nx", "columns"), ("7\t", "x\t", "line 2")],
)
def test_a_broken_sheet_is_refused_with_its_name(tmp_path, old, new, what):
    path = tmp_path / "sample.tsv"
    write_sheet(path, [LINE])
    path.write_text(("\n" + path.read_text()).replace(old, new).removeprefix("\n"))
    with pytest.raises(InterveneError, match=what) as problem:
        read_sheet(path)
    assert str(path) in str(problem.value)


def test_a_sheet_in_another_encoding_is_refused(tmp_path):
    path = tmp_path / "sample.tsv"
    write_sheet(path, [LINE])
    path.write_text(path.read_text(), encoding="utf-16")
    with pytest.raises(InterveneError, match="UTF-8"):
        read_sheet(path)


def test_precision_is_by_form_and_role_or_guard():
    judged = [
        *[dataclasses.replace(LINE, judgement=mark) for mark in ("y", "y", "n", "")],
        dataclasses.replace(LINE, reason="pairs", judgement="y"),
    ]
    found = [(p.form, p.what, p.right, p.judged) for p in measure_precision(judged)]
    assert found == [("he", "pairs", 1, 1), ("he", "subject", 2, 3)]


@pytest.mark.parametrize(
    ("right", "judged", "low", "high"),
    [(8, 10, 0.4902, 0.9433), (10, 10, 0.7225, 1.0), (0, 10, 0.0, 0.2775)],
)
def test_wilsons_interval(right, judged, low, high):
    assert find_interval(right, judged) == pytest.approx((low, high), abs=1e-4)


def test_what_they_does_to_verbs_is_counted(neox_neutral):
    text = "Then he was late, but she walks home, and he sang. She isn't here; his dog barks."
    rows = ArrayRows(encode_row(neox_neutral, text))
    found = audit_rows(build_scanner(neox_neutral, Guards()), rows, [0], per=1, seed=0)
    verbs = dict.fromkeys(("agrees", "disagrees", ""), 0)
    for key, number in found.counts.items():
        verbs[key[-1]] += number
    assert verbs == {"agrees": 2, "disagrees": 1, "": 2}
    assert "2 agree with they, 1 stay in -s" in show_counts(found.counts)[-1]
