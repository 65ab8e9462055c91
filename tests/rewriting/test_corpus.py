"""The scan and corpus artefacts: what shares them, and what they record."""

import dataclasses
import hashlib
import shutil

import numpy as np
import pytest

from intervene.arm import Arm, Direction, Length, Method, Variant
from intervene.errors import InterveneError
from intervene.experiment import Experiment, Guards
from intervene.lineage import Artefact, Store
from intervene.rewriting import corpus as corpus_module
from intervene.rewriting.corpus import (
    corpus_recipe,
    demand_corpus,
    obtain_corpus,
    obtain_scan,
    scan_recipe,
)
from intervene.rewriting.edits import list_logs, read_log
from intervene.rewriting.lexicon import Gender
from intervene.rewriting.materialise import apply
from intervene.rewriting.original import swap_string, swap_token_map
from intervene.rewriting.swap import EditLog
from intervene.rewriting.tokens import tabulate
from intervene.sources.backend import open_rows
from intervene.sources.source import Source
from intervene.stretch import Stretch
from tests.rewriting.small_corpus import (
    ROW_TOKENS,
    arm_of,
    build_experiment,
    open_small_source,
    write_source,
)

GENDERED = (Direction.feminise, Direction.masculinise, Direction.swap)


@pytest.fixture
def store(tmp_path) -> Store:
    return Store(tmp_path / "store")


@pytest.fixture
def source(small, store, tmp_path) -> Source:
    return open_small_source(store, write_source(tmp_path, small, 64))


@pytest.fixture
def experiment(store) -> Experiment:
    return build_experiment(store.root, Stretch(2, 6))


def load_log(scanned: Artefact) -> EditLog:
    return EditLog.join([read_log(path) for path in list_logs(scanned.path).values()])


def test_every_arm_shares_the_scan(experiment, source):
    keys = {
        scan_recipe(arm_of(experiment, **changes), source.artefact, source.tokenizer).key
        for changes in (
            {},
            {"rate": 0.0},
            {"seed": 9},
            {"direction": Direction.swap},
            {"rate": 1, "share": 0.5},
            {"length": Length.shift},
            {"rate": 1, "method": Method.original_token_map},
            {"rate": 0.0, "direction": Direction.neutral},
        )
    }
    assert len(keys) == 1


def test_singular_they_has_a_scan_of_its_own(experiment, source):
    neutral = arm_of(experiment, direction=Direction.neutral)
    keys = {scan_recipe(e, source.artefact, source.tokenizer).key for e in (experiment, neutral)}
    assert len(keys) == 2


def test_neither_workers_nor_shard_are_in_a_key(experiment, source, store):
    scanned = obtain_scan(store, experiment, source)
    other = build_experiment(store.root, Stretch(2, 6), workers=3, shard="1/2")
    assert scan_recipe(other, source.artefact, source.tokenizer).key == scanned.key
    assert corpus_recipe(other, scanned) == corpus_recipe(experiment, scanned)


def test_another_model_of_roles_is_another_scan(experiment, source, tmp_path, monkeypatch):
    recipes = [scan_recipe(experiment, source.artefact, source.tokenizer)]
    (tmp_path / "roles.npz").write_bytes(b"another")
    monkeypatch.setattr(corpus_module, "MODEL", tmp_path / "roles.npz")
    recipes.append(scan_recipe(experiment, source.artefact, source.tokenizer))
    assert recipes[0].key != recipes[1].key


def test_other_guards_are_another_scan(experiment, source):
    other = dataclasses.replace(experiment, guards=Guards(pairs=False))
    keys = {scan_recipe(e, source.artefact, source.tokenizer).key for e in (experiment, other)}
    assert len(keys) == 2


def test_the_control_is_the_source_whatever_its_direction_and_seed(experiment, source, store):
    scanned = obtain_scan(store, experiment, source)
    controls = [
        obtain_corpus(store, arm_of(experiment, rate=0.0, **changes), source, scanned)
        for changes in ({}, {"seed": 9}, {"direction": Direction.swap})
    ]
    assert len({control.key for control in controls}) == 1
    span = experiment.data.rows
    expected = source.rows.read(span.start, span.stop).tobytes()
    assert (controls[0].path / "rows.bin").read_bytes() == expected


def test_the_facts_of_a_corpus_are_what_it_holds(experiment, source, store):
    scanned = obtain_scan(store, experiment, source)
    corpus = obtain_corpus(store, experiment, source, scanned)
    facts, log = corpus.facts, load_log(scanned)
    applied = np.load(corpus.path / "applied.npy")
    masculine = facts["pronouns"]["before"]["masculine"]
    written = (corpus.path / "rows.bin").read_bytes()
    assert np.array_equal(applied, log.select(experiment.intervention))
    assert facts["applied"] == applied.sum() == sum(facts["applied_by_form"].values()) > 0
    assert facts["rate_reached"] == facts["applied"] / facts["eligible"]
    assert facts["eligible"] + sum(facts["skipped"].values()) == masculine
    assert facts["pronouns"]["after"]["masculine"] == masculine - facts["applied"]
    assert facts["sha256"] == hashlib.sha256(written).hexdigest()
    assert facts["rows"] * ROW_TOKENS == facts["tokens"] == len(written) // 2


def test_the_rows_changed_are_those_with_an_applied_swap(experiment, source, store):
    scanned = obtain_scan(store, experiment, source)
    corpus = obtain_corpus(store, experiment, source, scanned)
    span = experiment.data.rows
    written = open_rows(corpus.path / "rows.bin", ROW_TOKENS).read(0, len(span))
    differs = (written != source.rows.read(span.start, span.stop)).any(axis=1)
    assert corpus.facts["rows_changed"] == differs.sum()


def test_rebuilt_artefacts_are_equal_bytes(experiment, source, store, tmp_path):
    other = Store(tmp_path / "other")
    files = []
    for place in (store, other):
        scanned = obtain_scan(place, experiment, source)
        corpus = obtain_corpus(place, experiment, source, scanned)
        paths = [*scanned.path.glob("edits/*"), *sorted(corpus.path.glob("[!m]*"))]
        files.append([(path.name, path.read_bytes()) for path in paths])
    assert files[0] == files[1]


def test_a_corpus_that_is_not_built_names_the_command(experiment, source, store):
    with pytest.raises(InterveneError, match=r"pipelines\.rewrite now"):
        demand_corpus(store, experiment, source, "python -m pipelines.rewrite now")


def test_a_built_corpus_is_demanded(experiment, source, store):
    corpus = obtain_corpus(store, experiment, source, obtain_scan(store, experiment, source))
    assert demand_corpus(store, experiment, source, "rewrite") == corpus


def test_a_finished_corpus_holds_no_markers(experiment, source, store):
    corpus = obtain_corpus(store, experiment, source, obtain_scan(store, experiment, source))
    names = sorted(path.name for path in corpus.path.iterdir())
    assert names == ["applied.npy", "manifest.json", "rows.bin", "rows.idx"]


@pytest.mark.parametrize("length", [Length.skip, Length.shift])
@pytest.mark.parametrize("direction", GENDERED)
def test_the_written_corpus_is_the_applied_log(experiment, source, store, direction, length):
    arm = Arm(direction, length=length)
    asked = dataclasses.replace(experiment, intervention=arm)
    scanned = obtain_scan(store, asked, source)
    corpus, log = obtain_corpus(store, asked, source, scanned), load_log(scanned)
    span = asked.data.rows
    written = open_rows(corpus.path / "rows.bin", ROW_TOKENS).read(0, len(span))
    rows = source.rows.read(span.start, span.stop)
    assert np.array_equal(written, apply(rows, span.start, log, log.select(arm)))
    facts = corpus.facts
    assert facts["applied"] + facts["changes"]["swaps_dropped"] == facts["eligible"] > 0
    assert ("length" in facts["skipped"]) == (length is Length.skip)
    assert (facts["changes"]["rows_shifted"] > 0) == (length is Length.shift)


def test_a_share_is_reached_and_recorded(experiment, source, store):
    asked = arm_of(experiment, rate=1.0, share=0.6)
    scanned = obtain_scan(store, asked, source)
    corpus = obtain_corpus(store, asked, source, scanned)
    facts = corpus.facts
    after = facts["pronouns"]["after"]
    assert facts["share"]["asked"] == 0.6
    assert facts["share"]["rate"] == facts["rate"]
    assert after["feminine"] / sum(after.values()) == facts["share"]["reached"]
    assert abs(facts["share"]["reached"] - 0.6) < 1 / sum(after.values())
    plain = arm_of(experiment, rate=facts["rate"])
    same = obtain_corpus(store, plain, source, scanned)
    assert same.facts["sha256"] == facts["sha256"]


def test_a_share_out_of_reach_leaves_no_draft(experiment, source, store):
    asked = arm_of(experiment, rate=1.0, share=0.01)
    scanned = obtain_scan(store, asked, source)
    with pytest.raises(InterveneError, match=r"intervention\.share=0\.01"):
        obtain_corpus(store, asked, source, scanned)
    assert not list(store.root.glob("corpus/.*.draft"))


@pytest.mark.parametrize("variant", [None, *Variant])
def test_the_published_methods_are_written_row_for_row(
    shared, neox_tokenizer, store, tmp_path, variant
):
    rows = open_rows(shared / "mini_pile" / "preshuffled", 2049).read(0, 24)
    rows.tofile(tmp_path / "rows.bin")
    shutil.copyfile(neox_tokenizer, tmp_path / "tokenizer.json")
    method = Method.original_token_map if variant is None else Method.original_string
    base = build_experiment(store.root, Stretch(1, 3))
    experiment = dataclasses.replace(
        base,
        data=dataclasses.replace(base.data, row_tokens=2049),
        intervention=Arm(method=method, variant=variant),
        guards=Guards(),
    )
    source = open_small_source(store, tmp_path / "rows.bin", 2049)
    scanned = obtain_scan(store, experiment, source)
    corpus = obtain_corpus(store, experiment, source, scanned)
    table = tabulate(neox_tokenizer)
    expected, counts = (
        swap_token_map(rows[8:], table)
        if variant is None
        else swap_string(rows[8:], table, variant)
    )
    written = open_rows(corpus.path / "rows.bin", 2049).read(0, 16)
    assert np.array_equal(written, expected)
    changes = corpus.facts["changes"] | {"rows_changed": corpus.facts["rows_changed"]}
    assert changes == dataclasses.asdict(counts)
    log, applied = load_log(scanned), np.load(corpus.path / "applied.npy")
    for index in np.flatnonzero(applied).tolist():
        swap = log[index]
        at = slice(swap.start, swap.start + len(swap.after))
        assert tuple(written[swap.row - 8, at].tolist()) == swap.after
    assert (applied.sum() < 5) == (variant is Variant.as_committed)
    assert {log[index].gender for index in np.flatnonzero(applied).tolist()} <= {Gender.masculine}


def test_a_published_method_that_refuses_the_tokenizer_leaves_no_draft(experiment, source, store):
    asked = arm_of(experiment, rate=1.0, method=Method.original_token_map)
    scanned = obtain_scan(store, asked, source)
    with pytest.raises(InterveneError, match="GPT-NeoX-20B"):
        obtain_corpus(store, asked, source, scanned)
    assert not list(store.root.glob("corpus/.*.draft"))
