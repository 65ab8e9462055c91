"""What a plan finds in a store: it is told from what is left, and from what only looks like it."""

import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from intervene.lineage import Artefact, Recipe, Store
from intervene.training.job import key_job
from intervene.training.start.replay import plan_replay
from pipelines.planning.preparation import list_preparations
from pipelines.planning.reckoning import reckon
from pipelines.planning.stock import find_place, take_stock
from tests.pipelines.planning import EIGHT, PILE, ask, ask_micro, find_basis, reckon_micro


@pytest.fixture
def built(undisturbed: Path) -> Path:
    """A store with a trained and scored sweep."""
    return undisturbed / "store"


def test_what_is_built_is_not_left(built: Path) -> None:
    cost = reckon_micro(built)
    for arm in cost.arms:  # whose checkpoints are of step 4, where it resumes, and 6, 8, 10
        assert (arm.has_corpus, arm.training.is_built) == (True, True)
        assert (arm.scored, arm.wanted) == (4, 4)
    assert [(t.name, t.is_built) for t in cost.preparations] == [("tiny ladder", True)]
    assert cost.count_bytes(left=True) == {}
    assert cost.count_seconds(left=True) == cost.count_hours(left=True) == 0
    assert cost.count_hours(left=False) > 0


def test_a_new_rate_leaves_its_own_work_alone(built: Path) -> None:
    cost = reckon_micro(built, rates=(0, 0.25, 1))
    assert [training.is_left for training in cost.trainings] == [False, False, True, False]
    new = cost.arms[1].training
    left = cost.count_bytes(left=True)
    assert left == {
        "corpora": 6 * 8 * 65 * 2,
        "checkpoints": new.checkpoints,
        "states": new.state,
        "second states": new.spare,
    }
    assert cost.count_hours(left=True) == new.device_hours
    assert cost.count_seconds(left=True) == new.seconds


@pytest.mark.parametrize(
    ("override", "is_built"),
    [
        ("name=another", True),
        ("trainer.processes=2", True),
        ("trainer.micro_batch=2", True),
        ("kernels.name=another", True),
        ("corpus.form=overlay", False),
        ("guards=none", False),
        ("trainer.weight_decay=0.2", False),
        ("model.peak_lr=0.02", False),
        ("data.stretch.stop=8", False),
        ("intervention=swap", False),
    ],
)
def test_a_run_is_known_by_what_makes_it(built: Path, override: str, is_built: bool) -> None:
    cost = reckon_micro(built, override, rates=(0.5,))
    assert cost.arms[0].training.is_built is is_built


def test_corpora_are_known_to_arms_of_another_size(built: Path) -> None:
    cost = reckon_micro(built, "model.layers=2")
    assert [(arm.has_corpus, arm.training.is_built) for arm in cost.arms] == [(True, False)] * 3
    assert [training.is_left for training in cost.preparations] == [True]
    assert not {"corpora", "edit logs", "rows"} & cost.count_bytes(left=True).keys()


def test_readings_of_other_tasks_do_not_count(built: Path) -> None:
    cost = reckon_micro(built, "evaluation.tasks=[winobias_pair_type2]")
    assert [(arm.training.is_built, arm.scored) for arm in cost.arms] == [(True, 0)] * 3


def test_a_ladder_that_is_lost_is_not_needed_while_its_runs_stand(
    built: Path, tmp_path: Path
) -> None:
    store = Store(tmp_path / "store")
    shutil.copytree(built, store.root)
    for run in store.artefacts("run"):
        if "rows_sha256" in run.manifest["params"]:
            shutil.rmtree(run.path)
    cost = reckon_micro(store.root)
    (ladder,) = cost.preparations
    assert (ladder.is_built, ladder.is_needed, ladder.is_left) == (False, False, False)
    (ladder,) = reckon_micro(store.root, rates=(0, 0.25)).preparations
    assert ladder.is_left


def test_a_replay_is_known_by_its_recipe_and_its_weights(tmp_path: Path) -> None:
    store = Store(tmp_path)
    trial = ask_micro("trainer.optimizer_state=replay", store=tmp_path)
    _, replay = list_preparations(trial.experiment)
    origin = store.obtain(Recipe("checkpoint", 1, {"sha256": "of a folder"}), lambda _: {})
    job, recipe = plan_replay(store, trial.experiment, tmp_path, origin, 0)
    assert key_job(job) == key_job(replay.job)
    store.obtain(recipe, lambda _: {})
    assert not take_stock(store).holds(replay)  # the weights are not the ladder's

    folder = tmp_path / "weights"
    origin = store.obtain(Recipe("checkpoint", 1, {}), lambda _: {"path": str(folder.resolve())})
    store.obtain(replace(recipe, inputs=(origin,)), lambda _: {})
    given = ask_micro(f"model.checkpoint={folder}", store=tmp_path).experiment
    (replay,) = list_preparations(given)
    assert take_stock(store).holds(replay)
    (other,) = list_preparations(
        ask_micro(f"model.checkpoint={folder}", "trainer.replay_steps=2", store=tmp_path).experiment
    )
    assert not take_stock(store).holds(other)


def fetch(store: Store, rows: list[int], **params: object) -> Artefact:
    """What `fetch_rows` leaves, without the rows."""
    there = {"address": "hf://datasets/EleutherAI/pile-deduped-pythia-preshuffled"}
    kept = there | {"commit": "c" * 40, "row_tokens": 2_049, "rows": rows} | params
    return store.obtain(Recipe("fetched", 1, kept), lambda _: {"revision": "main"})


def test_rows_that_are_fetched_are_not_left(tmp_path: Path) -> None:
    trial = ask(*EIGHT, "model=pythia-70m", store=tmp_path)
    stretch, replay = [133_000 * 1_024, 143_000 * 1_024], [132_936 * 1_024, 133_000 * 1_024]
    sizes = [(span[1] - span[0]) * 2_049 * 2 for span in (stretch, replay)]

    def count_left() -> int:
        return reckon([trial], find_basis(trial)).count_bytes(left=True).get("rows", 0)

    assert count_left() == sum(sizes)
    fetch(Store(tmp_path), stretch, address="hf://datasets/another/set")
    fetch(Store(tmp_path), stretch, row_tokens=1_025)
    assert count_left() == sum(sizes)
    fetch(Store(tmp_path), stretch)
    assert count_left() == sizes[1]
    fetch(Store(tmp_path), replay)
    assert count_left() == 0


@pytest.mark.parametrize(
    ("overrides", "place"),
    [
        ((), ("hf://datasets/EleutherAI/pile-deduped-pythia-preshuffled", "main")),
        (("data.revision=v1",), ("hf://datasets/EleutherAI/pile-deduped-pythia-preshuffled", "v1")),
        (("data.path='hf://datasets/a/b@v2/c'",), ("hf://datasets/a/b/c", "v2")),
        (("data.path='https://me:secret@host/rows/'",), ("https://host/rows", None)),
    ],
)
def test_a_place_is_named_as_what_is_fetched_from_it(
    overrides: tuple[str, ...], place: tuple[str, str | None]
) -> None:
    assert find_place(ask(*PILE, "model=pythia-70m", *overrides).experiment.data) == place
