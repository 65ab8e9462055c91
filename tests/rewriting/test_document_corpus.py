"""The corpus of documents as an artefact: counted, resumed, shared out, refused."""

import dataclasses
import signal
import time
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from intervene.arm import Direction, Length, Method, Unit
from intervene.errors import InterveneError
from intervene.lineage import Store
from intervene.parallel import Form
from intervene.rewriting.corpus import demand_corpus
from intervene.rewriting.document_patches import check_arm
from intervene.rewriting.tokens import TokenTable
from intervene.sources.documents import open_documents
from intervene.sources.rows import ArrayRows
from tests.rewriting.small_documents import (
    ARM,
    Built,
    Oracle,
    build,
    build_arm,
    describe,
    draw_documents,
    start_build,
    write_documents,
)

STEPS = (3, 9)


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory, small: TokenTable) -> Path:
    """Documents of all kinds in a vocabulary in which many pronouns take several tokens."""
    folder = tmp_path_factory.mktemp("documents")
    return write_documents(folder, small, draw_documents(small, 90))


@pytest.fixture(scope="module")
def built(path: Path, tmp_path_factory: pytest.TempPathFactory) -> Built:
    return build(describe(path, tmp_path_factory.mktemp("built") / "store", STEPS))


def test_control_is_the_source(built: Built) -> None:
    control = build_arm(built, rate=0.0)
    assert np.array_equal(control.read(), control.read_source())
    assert control.facts["applied"] == control.facts["changes"]["rows_moved"] == 0
    assert control.facts["sha256"] == built.source.artefact.manifest["params"]["sha256"]


def test_facts_count_what_is_there(built: Built) -> None:
    before, after, facts = built.read_source(), built.read(), built.facts
    assert facts["rows_changed"] == int((before != after).any(axis=1).sum())
    oracle, arm = Oracle(built), built.experiment.intervention
    assert facts["applied"] == int(built.log.select(arm).sum())
    assert built.corpus is not None
    assert facts["applied"] == int(np.load(built.corpus.path / "applied.npy").sum())
    gained = sum(len(oracle.rewrite(n)[0]) - len(oracle.rewrite(n)[1]) + 1 for n in built.numbers)
    known = facts["documents"]
    assert known["tokens_after"] - known["tokens_before"] == gained != 0
    assert known["changed"] == len(np.unique(built.log.row[built.log.select(arm)]))


@pytest.mark.parametrize("changes", [{"workers": 3}, {"form": "overlay"}])
def test_workers_and_form_change_no_token(
    built: Built, path: Path, tmp_path: Path, changes: dict[str, object]
) -> None:
    other = build(describe(path, tmp_path / "store", STEPS, **changes), block_tokens=700)
    assert np.array_equal(other.read(), built.read())
    assert other.facts["sha256"] == built.facts["sha256"]
    assert other.corpus is not None
    assert (other.corpus.path / "rows.bin").exists() == ("form" not in changes)
    ignored = ("overlay", "documents")
    assert {k: v for k, v in other.facts.items() if k not in ignored} == {
        k: v for k, v in built.facts.items() if k not in ignored
    }


@pytest.mark.parametrize("form", ["materialised", "overlay"])
def test_shards_write_the_same_corpus(built: Built, path: Path, tmp_path: Path, form: str) -> None:
    store = tmp_path / "store"
    shards = [
        start_build(path, store, STEPS, 700, shard=f"{place}/3", form=form) for place in range(3)
    ]
    for shard in shards:
        _, problem = shard.communicate(timeout=200)
        assert shard.returncode == 0, problem
    (corpus,) = Store(store).artefacts("corpus")
    assert corpus.facts["sha256"] == built.facts["sha256"]
    assert corpus.facts["changes"] == built.facts["changes"]


def test_a_killed_build_goes_on_with_the_same_result(
    built: Built, path: Path, tmp_path: Path
) -> None:
    store = tmp_path / "store"
    for written in (
        "scan/.*.draft/edits/*.parquet",
        "scan/.*.draft/documents.npy",
        "patches/.*.draft/blocks/*.json",
        "corpus/.*.draft/blocks/*.json",
        "corpus/.*.draft/rows.idx",
    ):
        process = start_build(path, store, STEPS, 100)
        while process.poll() is None and not any(store.glob(written)):
            time.sleep(0.001)
        process.send_signal(signal.SIGKILL)
        process.wait()
    process = start_build(path, store, STEPS, 100)
    _, problem = process.communicate(timeout=200)
    assert process.returncode == 0, problem
    (corpus,) = Store(store).artefacts("corpus")
    assert corpus.facts == built.facts


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"unit": Unit.row}, "intervention.unit=row"),
        ({"length": Length.shift}, "intervention.length=shift"),
        (
            {"method": Method.original_token_map, "direction": Direction.feminise},
            "intervention.method=original_token_map",
        ),
    ],
)
def test_what_only_rows_can_have_is_refused(
    path: Path, tmp_path: Path, changes: dict[str, object], named: str
) -> None:
    arm = dataclasses.replace(ARM, **changes)
    with pytest.raises(InterveneError, match=named):
        build(describe(path, tmp_path / "store", STEPS, arm))


def test_rows_without_documents_cannot_be_indexed_anew() -> None:
    rows = ArrayRows(np.zeros((2, 5), np.uint16))
    with pytest.raises(InterveneError, match="no documents here"):
        check_arm(ARM, rows)


def test_an_overlay_of_other_documents_is_refused(
    small: TokenTable, path: Path, tmp_path: Path
) -> None:
    own = write_documents(tmp_path, small, [d.tolist() for d in list_documents(path)])
    built = build(describe(own, tmp_path / "store", STEPS, form=Form.overlay))
    before = built.read()
    tokens = np.fromfile(own, np.uint16)
    np.where(tokens == 0, 0, tokens ^ 1).astype(np.uint16).tofile(own)
    with pytest.raises(InterveneError, match="no longer those under the overlay"):
        built.read()
    tokens.tofile(own)
    assert np.array_equal(built.read(), before)
    own.unlink()
    with pytest.raises(InterveneError, match="no such file"):
        built.read()


def list_documents(path: Path) -> list[NDArray[np.uint16]]:
    documents = open_documents(path)
    return [documents.read(number) for number in range(len(documents))]


def test_share_is_solved_over_whole_documents(built: Built) -> None:
    asked = build_arm(built, direction=Direction.feminise, share=0.8)
    assert asked.facts["share"]["reached"] == pytest.approx(0.8, abs=0.05)
    pronouns = asked.facts["pronouns"]["after"]
    assert pronouns["feminine"] / sum(pronouns.values()) == pytest.approx(0.8, abs=0.1)


def test_corpus_is_found_again(built: Built) -> None:
    store = Store(built.experiment.paths.store)
    assert demand_corpus(store, built.experiment, built.source, "rewrite") == built.corpus


def test_other_documents_are_another_scan(
    built: Built, small: TokenTable, path: Path, tmp_path: Path
) -> None:
    # A token that no row of the stretch shows: the rows are the same, the document is not.
    folder = tmp_path / "other"
    documents = [document.tolist() for document in list_documents(path)]
    shown = find_shown(built)
    number, token = next(
        (n, t) for n in built.numbers for t in range(len(documents[n])) if (n, t) not in shown
    )
    documents[number][token] = 5
    other = build(
        describe(write_documents(folder, small, documents), built.experiment.paths.store, STEPS)
    )
    assert other.source.artefact == built.source.artefact
    assert other.scan.key != built.scan.key


def find_shown(built: Built) -> set[tuple[int, int]]:
    """Documents and tokens that the stretch's rows show."""
    shown = set()
    for row in built.experiment.data.rows:
        places, starts = built.rows.starts(row, row + 1)
        place, token, left = int(places[0]), int(starts[0]), built.rows.row_tokens
        while left:
            number = int(built.rows.doc_idx[place])
            upto = min(int(built.rows.documents.sizes[number]), token + left)
            shown |= {(number, at) for at in range(token, upto)}
            place, token, left = place + 1, 0, left - (upto - token)
    return shown
