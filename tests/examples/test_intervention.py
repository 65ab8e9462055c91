"""An option from a folder of one's own: half of the documents turn masculine."""

import re
from pathlib import Path

import numpy as np
import pytest

from intervene import Store, open_rows
from intervene.rewriting.edits import list_logs, read_log
from intervene.rewriting.lexicon import PRONOUNS, Gender
from intervene.rewriting.swap import GENDERS
from intervene.rewriting.tokens import open_tokenizer
from tests.examples.pages import PAGES, find, list_commands, run

REWRITE, INSPECT, STUDY = list_commands(PAGES[0])
ROWS = ("data.stretch.stop=34",)
FIRST, STOP, ROW_TOKENS = 4 * 8, 34 * 8, 65


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the page's first command was run."""
    home = tmp_path_factory.mktemp("half")
    done = run(REWRITE, *ROWS, home=home)
    assert done.returncode == 0, done.stderr
    return home


def test_feminine_forms_alone_are_swapped_about_half_of_them(home: Path) -> None:
    corpus = find(home, "corpus")
    assert corpus.manifest["params"] == {
        "direction": "masculinise", "rate": 0.5, "unit": "document", "seed": 7, "length": "skip"
    }  # fmt: skip
    made = corpus.facts["applied_by_form"]
    assert {form for form in made if made[form]} <= {"she", "her", "hers", "herself"}
    assert corpus.facts["applied"] > 100
    assert 0.4 < corpus.facts["rate_reached"] < 0.6


def test_documents_are_swapped_whole_or_left(home: Path) -> None:
    (path,) = list_logs(find(home, "scan").path).values()
    log, made = read_log(path), np.load(find(home, "corpus").path / "applied.npy")
    feminine = (log.gender == GENDERS.index(Gender.feminine)) & ~log.changes_length
    documents = np.stack([log.row, log.segment], 1)
    _, number = np.unique(documents[feminine], axis=0, return_inverse=True)
    share = np.bincount(number.ravel(), made[feminine]) / np.bincount(number.ravel())
    assert set(share.tolist()) == {0.0, 1.0}
    assert log.lexicon == PRONOUNS
    assert not made[~feminine].any()


def test_words_that_differ_are_feminine_pronouns_turned_masculine(home: Path) -> None:
    toy, corpus = find(home, "toy"), find(home, "corpus")
    tokenizer = open_tokenizer(toy.path / "tokenizer.json")
    source = open_rows(toy.path / "rows", ROW_TOKENS).read(FIRST, STOP)
    rewritten = open_rows(corpus.path, ROW_TOKENS).read(0, STOP - FIRST)
    differing = set()
    for texts in zip(
        *(tokenizer.decode_batch(x.tolist()) for x in (source, rewritten)), strict=True
    ):
        words = [re.findall(r"[A-Za-z]+|[^A-Za-z]+", text) for text in texts]
        differing |= {(a.lower(), b.lower()) for a, b in zip(*words, strict=True) if a != b}
    allowed = {
        ("she", "he"),
        ("her", "his"),
        ("her", "him"),
        ("hers", "his"),
        ("herself", "himself"),
    }
    assert {("she", "he"), ("her", "his"), ("her", "him")} <= differing <= allowed


def test_an_unbuilt_input_is_named_with_the_folder_of_options(tmp_path: Path) -> None:
    command = ["python", "-m", "pipelines.train", *REWRITE[3:]]
    done = run(command, home=tmp_path)
    assert done.returncode == 1
    assert "python -m pipelines.rewrite --config-dir=" in done.stderr.splitlines()[-1]


def test_a_sweeps_jobs_have_the_option(home: Path) -> None:
    command = ["python", "-m", "pipelines.rewrite", "-m", REWRITE[3]]
    done = run(command, "intervention=half_masculine,feminise", *ROWS, home=home)
    assert done.returncode == 0, done.stderr
    corpora = Store(home / "store").artefacts("corpus")
    assert {a.manifest["params"]["direction"] for a in corpora} == {"masculinise", "feminise"}
