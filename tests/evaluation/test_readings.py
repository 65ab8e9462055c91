"""Readings in the store: which key, which bytes, which facts."""

import dataclasses
import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from intervene.evaluation.quotes import recall_quotes
from intervene.evaluation.readings import (
    TABLE,
    find_readings,
    name_harness,
    obtain_readings,
    readings_recipe,
)
from intervene.evaluation.targets import Target
from intervene.evaluation.tasks import digest_tasks
from intervene.experiment import Evaluation, from_json, to_json
from intervene.lineage import Recipe, Store
from intervene.trainer import Precision

TASKS = ("winobias_pair_type1", "crows_pairs_english_gender")
Point = Callable[..., Target]


@pytest.fixture
def point(
    tmp_path: Path, evaluation: Evaluation, checkpoint: Path, tokenizer: Path, made: Path
) -> Point:
    """A checkpoint to score into a store of a name, with other terms or another evaluation."""

    def build(name: str = "store", terms: dict[str, Any] | None = None, **changes: Any) -> Target:
        store = Store(tmp_path / name)
        parent = store.obtain(Recipe("run", 1, {}), lambda draft: {})
        chosen = dataclasses.replace(evaluation, **({"tasks": TASKS} | changes))
        facts = {"model": "tiny", "arm": "control", "terms": {"heldout": None} | (terms or {})}
        digests = digest_tasks(chosen.tasks, made)
        return Target(
            store.root, parent, checkpoint, 7, tokenizer, made, chosen, digests, None, facts
        )

    return build


def test_key_follows_step_questions_and_precision_but_not_how_it_is_computed(point: Point) -> None:
    def key(target: Target) -> str:
        return readings_recipe(target).key

    same = [point(), point(batch_size=1), point(processes=3), point(resamples=999)]
    others = [
        dataclasses.replace(point(), step=8),
        point(precision=Precision.bf16),
        point(tasks=TASKS[:1]),
        point(terms={"heldout": ["a", "b"]}),
        point(terms={"released": "tiny"}),
    ]
    assert len({key(target) for target in same}) == 1
    assert len({key(target) for target in [*same, *others]}) == 6


def test_readings_name_their_parent_and_record_the_facts(point: Point) -> None:
    target = point()
    readings = obtain_readings(target)
    assert readings.manifest["inputs"] == [{"kind": "run", "key": target.parent.key}]
    facts = readings.facts
    assert facts["arm"] == "control"
    assert facts["tasks"]["winobias_pair_type1"] == {
        "n": 4, "digest": target.digests["winobias_pair_type1"], "unclean": 0,
    }  # fmt: skip
    assert "unclean" not in facts["tasks"]["crows_pairs_english_gender"]
    assert facts["harness"] == name_harness()
    assert (facts["precision"], facts["batch_size"]) == ("fp32", 8)
    assert facts["scored"]


def test_what_is_scored_is_found(point: Point) -> None:
    assert find_readings(point()) is None
    assert obtain_readings(point()) == find_readings(point())


def test_a_target_survives_the_way_to_another_process(point: Point) -> None:
    assert from_json(Target, to_json(point())) == point()


def test_table_is_the_same_bytes_every_time(point: Point) -> None:
    digests = {
        hashlib.sha256((obtain_readings(point(name)).path / TABLE).read_bytes()).hexdigest()
        for name in ("a", "b")
    }
    assert len(digests) == 1


def test_table_is_read_back_by_pandas(point: Point) -> None:
    table = pq.read_table(obtain_readings(point()).path / TABLE)
    assert table.column_names == ["task", "item", "cluster", "stereotype", "metric", "value"]
    assert table.schema.metadata is None
    assert table.to_pandas().value.notna().all()


def test_what_was_asked_is_noted_beside_the_readings(point: Point) -> None:
    target = point()
    table = pq.read_table(obtain_readings(target).path / TABLE)
    quotes = recall_quotes(target.store, target.digests)
    for task in TASKS:
        asked = {row["item"] for row in table.to_pylist() if row["task"] == task}
        assert quotes[task].keys() == asked
