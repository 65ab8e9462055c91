"""The edit log, what an arm selects from it, and what is written."""

import dataclasses
import itertools

import numpy as np
import pytest

from intervene.arm import Arm, Direction, Length, Unit
from intervene.experiment import Guards
from intervene.rewriting import scan as scan_module
from intervene.rewriting.lexicon import Gender
from intervene.rewriting.materialise import apply
from intervene.rewriting.scan import REASONS, build_scanner
from intervene.rewriting.swap import EditLog
from tests.rewriting.conftest import SENTENCES
from tests.rewriting.oracle import NONE, decode, encode_row

ROW_TOKENS = 97


@pytest.fixture(scope="module")
def rows(small):
    """Rows that hold several documents each, and documents that run over rows."""
    rng = np.random.default_rng(3)
    tokens: list[int] = []
    while len(tokens) < 300 * ROW_TOKENS:
        picked = rng.choice(SENTENCES, rng.integers(1, 6))
        tokens += [*small.encode(" ".join(picked)), 0]
    return np.array(tokens[: 300 * ROW_TOKENS], np.uint16).reshape(300, ROW_TOKENS)


@pytest.fixture(scope="module")
def log(small, rows) -> EditLog:
    return build_scanner(small, Guards()).scan_rows(rows, 0)[0]


def columns(log: EditLog) -> list[list[object]]:
    return [np.array(getattr(log, field.name)).tolist() for field in dataclasses.fields(log)]


def test_a_span_holds_the_pronoun_that_the_log_names(small, rows, log):
    assert len(log) > 1000
    for index in range(len(log)):
        swap = log[index]
        assert tuple(rows[swap.row, swap.start : swap.stop].tolist()) == swap.before
        assert small.join(np.array(swap.before)).decode().strip(" '").lower() == swap.form
        assert (len(swap.before) != len(swap.after)) == log.changes_length[index]


def test_the_log_is_in_row_order(log):
    place = log.row * ROW_TOKENS + log.start
    assert (np.diff(place) > 0).all()


def test_a_segment_starts_after_the_last_end_of_document(rows, log):
    for index in range(0, len(log), 7):
        swap = log[index]
        ends = np.flatnonzero(rows[swap.row, : swap.start] == 0)
        assert swap.segment == (ends[-1] + 1 if len(ends) else 0)


def test_row_numbers_are_those_of_the_whole_corpus(small, rows, log):
    part, _ = build_scanner(small, Guards()).scan_rows(rows[100:200], 100)
    kept = log.take((log.row >= 100) & (log.row < 200))
    assert columns(part) == columns(kept)


def test_a_log_that_needs_more_room_is_the_same(small, rows, log, monkeypatch):
    scanner = build_scanner(small, Guards())
    counts = scanner.scan_rows(rows, 0)[1]
    monkeypatch.setattr(scan_module, "TOKENS_PER_SWAP", 500)
    again, counted = scanner.scan_rows(rows, 0)
    assert len(log) > 2 * rows.size // 500
    assert columns(again) == columns(log)
    assert np.array_equal(counted, counts)


def test_logs_that_were_taken_apart_join_to_the_whole(log):
    parts = [log.take(log.row < 70), EditLog.empty(), log.take(np.flatnonzero(log.row >= 70))]
    assert columns(EditLog.join(parts)) == columns(log)


def test_a_control_is_the_source(rows, log):
    assert np.array_equal(apply(rows, 0, log, log.select(Arm(rate=0.0))), rows)


@pytest.mark.parametrize("unit", list(Unit))
def test_rates_are_nested(log, unit):
    masks = [log.select(Arm(rate=rate, unit=unit, seed=5)) for rate in (0.0, 0.25, 0.5, 1.0)]
    for lower, higher in itertools.pairwise(masks):
        assert not (lower & ~higher).any()
        assert lower.sum() < higher.sum()


def test_a_document_is_swapped_whole_or_not_at_all(log):
    arm = Arm(Direction.swap, rate=0.5, unit=Unit.document, seed=1)
    kept = log.take(log.eligible(arm))
    mask = kept.select(arm)
    drawn: dict[tuple[int, int], set[bool]] = {}
    for row, segment, taken in zip(kept.row, kept.segment, mask, strict=True):
        drawn.setdefault((int(row), int(segment)), set()).add(bool(taken))
    assert all(len(takes) == 1 for takes in drawn.values())
    assert len({frozenset(takes) for takes in drawn.values()}) == 2


@pytest.mark.parametrize(
    ("direction", "gender"),
    [(Direction.feminise, Gender.masculine), (Direction.masculinise, Gender.feminine)],
)
def test_a_direction_takes_one_gender(log, direction, gender):
    mask = log.select(Arm(direction))
    assert {log[int(index)].gender for index in np.flatnonzero(mask)} == {gender}


def test_both_directions_together_are_the_swap(log):
    feminised, masculinised = (
        log.select(Arm(d)) for d in (Direction.feminise, Direction.masculinise)
    )
    assert np.array_equal(feminised ^ masculinised, log.select(Arm(Direction.swap)))


def test_each_swap_stands_alone(neox):
    """Whichever of its neighbours are applied too, the row stays canonical."""
    rows = encode_row(neox, "ok'he'he so'she'he 'she her's")
    log, _ = build_scanner(neox, NONE).scan_rows(rows, 0)
    assert len(log) == 6
    for number in range(1 << len(log)):
        mask = np.array([number >> place & 1 for place in range(len(log))], np.bool_)
        rewritten = apply(rows, 0, log, mask)
        assert neox.encode(decode(neox.tokenizer, rewritten)[0]) == rewritten[0].tolist()


@pytest.mark.parametrize("length", [Length.shift, Length.reindex])
@pytest.mark.parametrize("direction", list(Direction))
def test_the_length_policy_decides_on_swaps_that_change_the_length(log, direction, length):
    skip, every = (log.select(Arm(direction, length=policy)) for policy in (Length.skip, length))
    assert np.array_equal(skip, every & ~log.changes_length)
    assert (every & log.changes_length).any()


def test_guards_hold_back_what_the_log_without_them_has(small):
    row = np.array([small.encode("ok he/she ok his or her ok")], np.uint16)
    with_guards, counts = build_scanner(small, Guards()).scan_rows(row, 0)
    without, _ = build_scanner(small, NONE).scan_rows(row, 0)
    assert (len(with_guards), counts[REASONS.index("pairs")].sum()) == (0, 4)
    assert len(without) == 4
