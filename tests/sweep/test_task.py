"""What of a sweep is one task, and what comes before what."""

from pathlib import Path

from intervene.experiment import to_json
from pipelines.attempt import Attempt, State
from pipelines.sweep.task import STAGES, Task, list_needs, list_tasks, read_task, write_task
from pipelines.trial import Trial
from tests.sweep.arms import compose_trial


def compose_arms(home: Path) -> list[Trial]:
    """Two sizes by two rates, and one size at another stretch."""
    asked = [
        ("model=nano", "intervention.rate=0"),
        ("model=nano", "intervention.rate=1"),
        ("model=tiny", "intervention.rate=0"),
        ("model=tiny", "intervention.rate=1"),
        ("model=tiny", "intervention.rate=1", "data.stretch.start=380"),
    ]
    return [compose_trial(*overrides, home=home) for overrides in asked]


def count(tasks: list[Task], stage: str) -> list[int]:
    return [len(task.trials) for task in tasks if task.stage == stage]


def test_arms_of_one_stretch_are_rewritten_by_one_task_and_sizes_prepared_by_one_each(
    tmp_path: Path,
) -> None:
    tasks = list_tasks(compose_arms(tmp_path), STAGES)
    assert count(tasks, "rewrite") == [4, 1]
    assert count(tasks, "prepare") == [2, 2, 1]
    assert count(tasks, "train") == count(tasks, "evaluate") == [1] * 5


def test_other_guards_are_another_scan(tmp_path: Path) -> None:
    arms = [compose_trial(f"guards={name}", home=tmp_path) for name in ("default", "none")]
    assert count(list_tasks(arms, STAGES), "rewrite") == [1, 1]
    assert count(list_tasks(arms, STAGES), "prepare") == [2]


def test_a_training_needs_its_own_corpus_and_checkpoint_only(tmp_path: Path) -> None:
    tasks = list_tasks(compose_arms(tmp_path), STAGES)
    last = [task for task in tasks if task.stage == "train"][-1]
    needed = list_needs(last, tasks)
    assert [task.stage for task in needed] == ["rewrite", "prepare"]
    assert all(task.trials == last.trials for task in needed)
    evaluation = tasks[-1]
    assert list_needs(evaluation, tasks) == [last]


def test_each_task_comes_after_what_it_needs(tmp_path: Path) -> None:
    tasks = list_tasks(compose_arms(tmp_path), STAGES)
    for place, task in enumerate(tasks):
        assert all(tasks.index(need) < place for need in list_needs(task, tasks))


def test_a_task_travels_whole(tmp_path: Path) -> None:
    arms = compose_arms(tmp_path)
    task = Task("rewrite", tuple(arms))
    back = read_task(write_task(task))
    assert (back.stage, back.trials) == (task.stage, task.trials)
    assert back.digests == task.digests


def test_arms_of_one_label_at_two_stretches_have_folders_of_their_own(tmp_path: Path) -> None:
    *_, first, second = compose_arms(tmp_path)
    assert first.label == second.label
    assert first.folder != second.folder


def test_where_a_sweep_runs_changes_no_arm(tmp_path: Path) -> None:
    here = compose_trial("intervention.rate=1", home=tmp_path)
    there = compose_trial("intervention.rate=1", "launcher=slurm", "hardware=h100", home=tmp_path)
    assert to_json(here.experiment) != to_json(there.experiment)
    assert here.digest == there.digest


def test_a_task_that_was_never_tried_waits(tmp_path: Path) -> None:
    [task] = list_tasks([compose_trial(home=tmp_path)], ["train"])
    assert task.attempts == [Attempt(State.waiting)]
