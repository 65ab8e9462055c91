"""Whole documents are rewritten, and rows read on in them from where they always started."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest
from tokenizers import Tokenizer

from intervene.arm import Arm, Direction, Length, Unit
from intervene.experiment import Guards
from intervene.rewriting.document_scan import scan_documents
from intervene.rewriting.scan import REASONS
from intervene.rewriting.tokens import TokenTable
from intervene.sources.documents import open_documents
from tests.rewriting.oracle import swap_text
from tests.rewriting.small_documents import (
    ARM,
    Built,
    Oracle,
    build,
    build_arm,
    describe,
    draw_documents,
    read_documents,
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


@pytest.mark.parametrize("direction", list(Direction))
@pytest.mark.parametrize("length", [Length.reindex, Length.skip])
def test_rows_are_those_of_the_oracle(built: Built, direction: Direction, length: Length) -> None:
    other = build_arm(built, direction=direction, length=length)
    assert np.array_equal(other.read(), Oracle(other).read_all())
    moved = other.facts["changes"]["rows_moved"]
    assert moved == 0 if length is Length.skip else other.facts["rows_changed"] >= moved > 0


@pytest.mark.parametrize("unit", [Unit.document, Unit.occurrence])
def test_rows_of_a_drawn_arm_are_those_of_the_oracle(built: Built, unit: Unit) -> None:
    other = build_arm(built, unit=unit, rate=0.4)
    assert np.array_equal(other.read(), Oracle(other).read_all())
    assert 0.2 < other.facts["rate_reached"] < 0.7


def test_documents_are_rewritten_whole(built: Built) -> None:
    assert built.corpus is not None
    oracle, folder = Oracle(built), built.corpus.path
    assert np.load(folder / "documents.npy").tolist() == built.numbers
    assert read_documents(folder) == [oracle.rewrite(n)[0] for n in built.numbers]


def test_scan_holds_every_document_of_the_rows(built: Built) -> None:
    touched = set()
    for row in built.experiment.data.rows:
        places, starts = built.rows.starts(row, row + 1)
        place, left = int(places[0]), built.rows.row_tokens + int(starts[0])
        while left > 0:
            number = int(built.rows.doc_idx[place])
            size = int(built.rows.documents.sizes[number])
            touched |= {number} if size and left > 0 else set()
            place, left = place + 1, left - size
    assert touched <= set(built.numbers)
    reached = built.scan.facts["documents_reached"]
    assert len(built.numbers) == built.scan.facts["documents"] == len(touched) + reached


def test_log_is_that_of_each_document_alone(built: Built) -> None:
    log, oracle = built.log, Oracle(built)
    for number in built.numbers:
        alone, here = oracle.scan(number), log.take(log.row == number)
        for column in dataclasses.fields(alone):
            assert np.array_equal(getattr(alone, column.name), getattr(here, column.name))
    assert built.scan.facts["counts"]["edge"] == dict.fromkeys(built.facts["applied_by_form"], 0)


def test_draws_do_not_depend_on_the_stretch(built: Built, path: Path, tmp_path: Path) -> None:
    arm = dataclasses.replace(ARM, rate=0.5)
    near, far = (
        build(describe(path, tmp_path / "store", steps, arm)) for steps in (STEPS, (7, 12))
    )
    shared = sorted(set(near.numbers) & set(far.numbers))
    assert len(shared) > 5
    for one, other in zip(*(read_shared(b, shared) for b in (near, far)), strict=True):
        assert one == other


def read_shared(built: Built, numbers: list[int]) -> list[list[int]]:
    assert built.corpus is not None
    documents = read_documents(built.corpus.path)
    return [documents[built.numbers.index(number)] for number in numbers]


def test_a_pronoun_that_rows_cut_is_swapped_in_both(bytes_only: TokenTable, tmp_path: Path) -> None:
    # Samples overlap by a token: without their last ones they are the stream.
    path = write_documents(tmp_path, bytes_only, draw_documents(bytes_only, 20))
    arm = dataclasses.replace(ARM, length=Length.skip)
    built = build(describe(path, tmp_path / "store", (0, 9), arm))
    order = np.argsort(built.rows.maps.shuffle_idx[: len(built.experiment.data.rows)])
    samples = built.rows.maps.shuffle_idx[order].astype(int)
    rows, oracle, cut = built.read()[order], Oracle(built), 0
    for here, after in zip(range(len(rows)), range(1, len(rows)), strict=False):
        if samples[after] == samples[here] + 1:
            assert rows[here][-1] == rows[after][0]
            cut += is_cut(built, oracle, int(order[after]))
    assert cut >= 4
    assert np.array_equal(rows, oracle.read_all()[order])


def is_cut(built: Built, oracle: Oracle, row: int) -> bool:
    """Whether a swap is made over a row's first token and the token before it."""
    places, starts = built.rows.starts(row, row + 1)
    log = oracle.scan(int(built.rows.doc_idx[places[0]]))
    log = log.take(log.select(oracle.arm))
    return bool(((log.start < starts[0]) & (starts[0] < log.stop)).any())


@pytest.mark.parametrize("rate", [1.0, 0.5])
def test_rows_read_on_however_much_text_shrinks(
    bytes_only: TokenTable, tmp_path: Path, rate: float
) -> None:
    rng = np.random.default_rng(2)
    documents = [
        [*bytes_only.encode("She saw hers. " * int(rng.integers(1, 4))), 0] for _ in range(300)
    ]
    path = write_documents(tmp_path, bytes_only, documents)
    arm = Arm(Direction.masculinise, rate, Unit.occurrence, 5, length=Length.reindex)
    built = build(describe(path, tmp_path / "store", (2, 4), arm, row_tokens=257, rows_per_step=2))
    assert built.scan.facts["documents_reached"] > 3
    assert np.array_equal(built.read(), Oracle(built).read_all())
    assert built.facts["changes"]["tokens_later"] > 0
    assert np.all(np.diff(built.numbers) > 0)
    assert np.all(np.diff(built.log.row) >= 0)


def test_rows_past_the_end_of_the_stream_are_filled_and_counted(
    bytes_only: TokenTable, tmp_path: Path
) -> None:
    # 190 documents of 16 tokens and one of 17 are 191 samples of 16 tokens and the last target.
    texts = ["She saw hers ok"] * 190 + ["She saw hers too"]
    documents = [[*bytes_only.encode(text), 0] for text in texts]
    path = write_documents(tmp_path, bytes_only, documents)
    arm = Arm(Direction.masculinise, 1.0, length=Length.reindex)
    store = tmp_path / "store"
    built = build(describe(path, store, (0, 190), arm, 190, row_tokens=17, rows_per_step=1))
    rows, last = built.read(), built.rows.maps.shuffle_idx[:190].tolist().index(190)
    assert np.array_equal(rows, Oracle(built).read_all())
    filled = built.facts["changes"]["tokens_filled"]
    assert filled > 0
    assert not rows[last][-filled:].any()


def test_texts_are_those_of_the_text_level_oracle(
    path: Path, small: TokenTable, tmp_path: Path
) -> None:
    experiment = describe(path, tmp_path / "store", STEPS)
    built = build(dataclasses.replace(experiment, guards=Guards.none()))
    assert built.corpus is not None
    check_texts(built, small.tokenizer)


def check_texts(built: Built, tokenizer: Tokenizer) -> None:
    """Every document reads as its text with words swapped, but for what the scan counts."""
    assert built.corpus is not None
    counts = {reason: sum(n.values()) for reason, n in built.scan.facts["counts"].items()}
    assert counts["edge"] == 0
    direction = built.experiment.intervention.direction
    other = 0
    for number, after in zip(built.numbers, read_documents(built.corpus.path), strict=True):
        before = built.rows.documents.read(number).tolist()
        texts = tokenizer.decode_batch([before, after], skip_special_tokens=False)
        other += swap_text(texts[0], direction, Guards.none()) != texts[1]
    assert other <= counts["irregular"]


def test_a_document_is_scanned_as_if_it_were_alone(
    neox: TokenTable, neox_tokenizer: Path, tmp_path: Path
) -> None:
    texts = ("I saw her", "kiln was his", "He", "she said", "her", "The book is his", "ran to him")
    documents = [neox.encode(text) for text in texts * 3]
    path = write_documents(tmp_path, neox, documents)
    scanner = Oracle(build(describe(path, tmp_path / "s", (0, 1), iterations=1))).scanner
    every, _ = scan_documents(scanner, open_documents(path), np.arange(len(documents)))
    assert len(every) > 15
    for number in range(len(texts)):
        same = [every[i] for i in range(len(every)) if every.row[i] % len(texts) == number]
        assert len({dataclasses.replace(swap, row=0) for swap in same}) <= 1


@pytest.mark.parametrize("direction", [Direction.swap, Direction.neutral])
def test_real_documents_and_rows_are_those_of_both_oracles(
    shared: Path, neox_tokenizer: Path, tmp_path: Path, direction: Direction
) -> None:
    path, arm = (
        shared / "mini_pile" / "documents.bin",
        dataclasses.replace(ARM, direction=direction),
    )
    asked = describe(path, tmp_path / "store", (88, 96), arm, 96, 2049, 32)
    data = dataclasses.replace(asked.data, tokenizer=str(neox_tokenizer))
    built = build(dataclasses.replace(asked, data=data, guards=Guards.none()), block_tokens=1 << 18)
    oracle = Oracle(built)
    assert np.array_equal(built.read(), oracle.read_all())
    check_texts(built, Tokenizer.from_file(str(neox_tokenizer)))
    # What the rows' own scan leaves at their edges is decided here; nearly all of it is swapped.
    log, counts = oracle.scanner.scan_rows(built.read_source(), 0)
    edge = int(counts[REASONS.index("edge")].sum())
    assert 0.8 * edge < built.facts["applied_in_rows"] - len(log) < 1.2 * edge
