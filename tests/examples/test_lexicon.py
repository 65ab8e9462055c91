"""A lexicon from a folder of one's own, through the pipeline."""

import re
from pathlib import Path

import numpy as np
import pytest

from intervene import open_rows
from intervene.rewriting.edits import list_logs, read_log
from intervene.rewriting.tokens import open_tokenizer
from tests.examples.pages import PAGES, ROOT, find, list_commands, run

REWRITE, COUNT = list_commands(PAGES[1])
ROWS = ("data.stretch.stop=64",)
FIRST, STOP, ROW_TOKENS = 4 * 8, 64 * 8, 65
PEOPLE = (ROOT / "examples" / "conf" / "lexicon" / "people.yaml").read_text()
PARTNERS = {
    word: other
    for masculine, feminine, _ in re.findall(r"- (\w+) (\w+) (\w+)", PEOPLE)
    for word, other in ((masculine, feminine), (feminine, masculine))
}


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the page's first command was run."""
    home = tmp_path_factory.mktemp("people")
    done = run(REWRITE, *ROWS, home=home)
    assert done.returncode == 0, done.stderr
    return home


def swap(text: str) -> str:
    """Every listed word replaced by its partner, by a plain expression."""

    def spell(match: re.Match[str]) -> str:
        word = PARTNERS[match[0].lower()]
        return word.capitalize() if match[0][0].isupper() else word

    return re.sub(rf"\b(?:{'|'.join(PARTNERS)})\b", spell, text, flags=re.IGNORECASE)


def test_the_listed_words_are_swapped_and_nothing_else(home: Path) -> None:
    toy, corpus, scan = (find(home, kind) for kind in ("toy", "corpus", "scan"))
    tokenizer = open_tokenizer(toy.path / "tokenizer.json")
    source = open_rows(toy.path / "rows", ROW_TOKENS).read(FIRST, STOP)
    rewritten = open_rows(corpus.path, ROW_TOKENS).read(0, STOP - FIRST)
    texts = [tokenizer.decode_batch(rows.tolist()) for rows in (source, rewritten)]
    kept = sum(sum(scan.facts["counts"][r].values()) for r in scan.facts["counts"]) - len(
        np.load(corpus.path / "applied.npy")
    )
    differing = sum(swap(before) != after for before, after in zip(*texts, strict=True))
    assert differing <= kept  # one at a row's edge, or held back by a guard
    assert sum(before != after for before, after in zip(*texts, strict=True)) > 10


def test_tokens_outside_the_swaps_are_the_sources(home: Path) -> None:
    toy, corpus, scan = (find(home, kind) for kind in ("toy", "corpus", "scan"))
    source = open_rows(toy.path / "rows", ROW_TOKENS).read(FIRST, STOP)
    rewritten = open_rows(corpus.path, ROW_TOKENS).read(0, STOP - FIRST)
    (path,) = list_logs(scan.path).values()
    log = read_log(path)
    assert set(log.lexicon.forms) == set(PARTNERS)
    moved = set(log.row[log.changes_length].tolist())
    outside = np.ones(source.shape, bool)
    for edit in log:
        outside[edit.row - FIRST, edit.start : edit.stop] = False
    for row in range(len(source)):
        if row + FIRST not in moved:
            assert np.array_equal(source[row][outside[row]], rewritten[row][outside[row]])


def test_the_scan_is_keyed_by_its_words_and_names_them(home: Path) -> None:
    params = find(home, "scan").manifest["params"]
    assert params["words"]["pairs"][0] == "man woman person"
    assert not params["words"]["pronouns"]


def test_forms_of_the_lexicon_are_counted(home: Path) -> None:
    done = run(COUNT, home=home)
    assert done.returncode == 0, done.stderr
    head = (home / "runs/intervene/inspect/pronouns.csv").read_text().splitlines()[0]
    assert "man,men,father,brother,son,uncle,widower,woman,women" in head


def test_a_form_with_two_partners_is_one_line(tmp_path: Path) -> None:
    done = run(REWRITE, "lexicon.pairs=[man woman,man lady]", home=tmp_path)
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1] == (
        "error: lexicon.pairs: 'man' stands twice; give each form one partner"
    )
