"""Which tasks become one job array, and what it waits for."""

from dataclasses import replace
from pathlib import Path

from pipelines.attempt import Attempt, State, note_attempt
from pipelines.sweep.slurm import adopt_jobs, show_jobs
from pipelines.sweep.submission import depend, group_tasks
from pipelines.sweep.task import STAGES, Task, list_tasks
from pipelines.trial import Trial
from tests.sweep.arms import compose_trial

RATES = ("0", "0.5", "1")


def compose_arms(home: Path, *overrides: str) -> list[Trial]:
    asked = ("launcher=slurm", *overrides)
    return [compose_trial(*asked, f"intervention.rate={rate}", home=home) for rate in RATES]


def select(tasks: list[Task], stage: str) -> list[Task]:
    return [task for task in tasks if task.stage == stage]


def number(tasks: list[Task], array: int) -> dict[Task, str]:
    return {task: f"{array}_{place}" for place, task in enumerate(tasks)}


def test_a_training_waits_for_the_end_of_what_it_needs_and_for_nothing_twice(
    tmp_path: Path,
) -> None:
    tasks = list_tasks(compose_arms(tmp_path), STAGES)
    [rewrite], [prepare] = select(tasks, "rewrite"), select(tasks, "prepare")
    [group] = group_tasks(select(tasks, "train"), {rewrite: "7", prepare: "8"})
    assert len(group) == 3
    assert depend(group, {rewrite: "7", prepare: "8"}) == "afterany:7:8"
    assert depend(group, {}) is None


def test_evaluations_follow_trainings_place_by_place(tmp_path: Path) -> None:
    tasks = list_tasks(compose_arms(tmp_path), STAGES)
    jobs = number(select(tasks, "train"), 9)
    [group] = group_tasks(select(tasks, "evaluate"), jobs)
    assert depend(group, jobs) == "aftercorr:9"


def test_an_evaluation_whose_training_is_done_waits_for_nothing(tmp_path: Path) -> None:
    tasks = list_tasks(compose_arms(tmp_path), STAGES)
    trainings = select(tasks, "train")
    jobs = number(trainings[1:], 9)
    alone, paired = group_tasks(select(tasks, "evaluate"), jobs)
    assert depend(alone, jobs) is None
    assert depend(paired, jobs) == "aftercorr:9"


def test_an_evaluation_of_a_single_job_follows_it_if_it_went_well(tmp_path: Path) -> None:
    tasks = list_tasks(compose_arms(tmp_path)[:1], STAGES)
    jobs = {select(tasks, "train")[0]: "12"}
    [group] = group_tasks(select(tasks, "evaluate"), jobs)
    assert depend(group, jobs) == "afterok:12"


def test_evaluations_of_a_part_of_an_array_wait_for_its_end(tmp_path: Path) -> None:
    tasks = list_tasks(compose_arms(tmp_path), STAGES)
    jobs = number(select(tasks, "train"), 9)
    evaluations = select(tasks, "evaluate")[1:]  # the first is done: places no longer pair
    [group] = group_tasks(evaluations, jobs)
    assert depend(group, jobs) == "afterany:9_1:9_2"


def test_arms_of_other_resources_are_another_array(tmp_path: Path) -> None:
    arms = compose_arms(tmp_path)
    more = compose_arms(tmp_path, "model=nano", "launcher.slurm.train.nodes=2")
    tasks = list_tasks([*arms, *more], STAGES)
    assert [len(group) for group in group_tasks(select(tasks, "train"), {})] == [3, 3]


def test_tasks_whose_job_is_in_the_queue_are_not_submitted_again(tmp_path: Path) -> None:
    arms = compose_arms(tmp_path)
    tasks = list_tasks(arms, STAGES)
    live, gone = Attempt(State.running, job="5_1"), Attempt(State.waiting, job="4_0")
    note_attempt(arms[1], "train", live)
    note_attempt(arms[2], "train", gone)
    note_attempt(arms[2], "evaluate", replace(live, state=State.done))
    adopted, rest = adopt_jobs(tasks, {"5_1": "RUNNING"})
    assert [(task.stage, task.trials, job) for task, job in adopted.items()] == [
        ("train", (arms[1],), "5_1")
    ]
    assert len(rest) == len(tasks) - 1


def test_a_shared_task_is_split_between_its_job_and_what_is_new(tmp_path: Path) -> None:
    arms = compose_arms(tmp_path)
    for arm in arms[:2]:
        note_attempt(arm, "rewrite", Attempt(State.waiting, job="3"))
    adopted, rest = adopt_jobs(select(list_tasks(arms, STAGES), "rewrite"), {"3": "PENDING"})
    assert [task.trials for task in adopted] == [tuple(arms[:2])]
    assert [task.trials for task in rest] == [(arms[2],)]


def test_jobs_are_shown_by_array() -> None:
    assert show_jobs(["1", "3_0", "3_1", "3_2", "4_7"]) == "1, 3[0-2], 4[7-7]"
