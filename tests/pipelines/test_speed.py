"""Where a plan's speeds come from, and which is taken."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from bench.step import make_record, run_fresh
from intervene.errors import InterveneError
from intervene.experiment import to_json
from intervene.lineage import Recipe, Store
from intervene.training.job import JOB
from pipelines.planning.node import Node
from pipelines.planning.preparation import plan_arm
from pipelines.planning.reckoning import reckon
from pipelines.planning.speed import (
    Measurement,
    Origin,
    Setting,
    Speed,
    describe_setting,
    find_speed,
    read_speeds,
    read_trained,
    spell_kernels,
    write_speeds,
)
from tests.pipelines.planning import EIGHT, PILE, ask, find_basis

MODEL = "model=pythia-70m-deduped"
SETTING = Setting(6, 512, 50_304, 2_049, "bf16", "sdpa+fused_adam+fused_loss+compile")
H100 = "NVIDIA H100 80GB HBM3"


def find(
    *overrides: str, table: tuple[Measurement, ...] = (), trained: tuple[Measurement, ...] = ()
) -> Speed | None:
    trial = ask(*EIGHT, MODEL, *overrides)
    basis = find_basis(trial, table, trained)
    return find_speed(trial.experiment, basis.hardware, basis.node, basis.known)


def test_a_setting_is_of_numbers_and_not_of_names() -> None:
    assert describe_setting(ask(*EIGHT, MODEL).experiment) == SETTING
    renamed = ("model.name=other", "kernels.name=other", "hardware.name=other")
    assert describe_setting(ask(*EIGHT, MODEL, *renamed).experiment) == SETTING


@pytest.mark.parametrize(
    ("kernels", "words"),
    [("reference", "eager+deterministic"), ("sdpa", "sdpa+fused_adam+deterministic")],
)
def test_kernels_are_spelled_by_what_is_on(kernels: str, words: str) -> None:
    assert spell_kernels(ask(f"kernels={kernels}").experiment.kernels) == words


def test_what_is_given_wins_then_the_table_then_the_store_then_an_assumption() -> None:
    given = "+hardware.tokens_per_s={pythia-70m-deduped: 500}"
    table, trained = Measurement(H100, SETTING, 400.0), Measurement(H100, SETTING, 300.0)
    assert find(given, table=(table,), trained=(trained,)) == Speed(500, Origin.given)
    assert find(table=(table,), trained=(trained,)) == Speed(400, Origin.table, 1)
    assert find(trained=(trained,)) == Speed(300, Origin.measured, 1)
    flops = 6 * (12 * 6 * 512**2 + 50_304 * 512) + 12 * 6 * 512 * 2_048
    assumed = find("hardware.mfu=0.25")
    assert assumed is not None
    assert assumed.origin is Origin.assumed
    assert assumed.tokens_per_s == pytest.approx(0.25 * 989e12 / flops)


def test_a_speed_that_is_given_is_of_the_model_that_is_named() -> None:
    found = find("+hardware.tokens_per_s={pythia-70m: 500}")
    assert found is not None
    assert found.origin is Origin.assumed


def test_of_several_measurements_the_median_is_taken() -> None:
    table = tuple(Measurement(H100, SETTING, speed) for speed in (100.0, 900.0, 300.0))
    assert find(table=table) == Speed(300, Origin.table, 3)


@pytest.mark.parametrize(
    "change",
    [
        lambda m: replace(m, device="NVIDIA A100-SXM4-80GB"),
        lambda m: replace(m, device="cpu"),
        lambda m: replace(m, setting=replace(m.setting, layers=7)),
        lambda m: replace(m, setting=replace(m.setting, width=513)),
        lambda m: replace(m, setting=replace(m.setting, vocab=50_432)),
        lambda m: replace(m, setting=replace(m.setting, row_tokens=1_025)),
        lambda m: replace(m, setting=replace(m.setting, precision="fp16")),
        lambda m: replace(m, setting=replace(m.setting, kernels="eager")),
    ],
)
def test_a_measurement_of_something_else_is_not_taken(
    change: Callable[[Measurement], Measurement],
) -> None:
    found = find(table=(change(Measurement(H100, SETTING, 400.0)),))
    assert found is not None
    assert found.origin is Origin.assumed


def test_of_a_cpu_nothing_is_assumed_and_no_gpu_is_taken_for_one() -> None:
    trial, node = ask(*PILE, MODEL, "hardware=here"), Node("cpu", 0, 1 << 34)
    gpu, cpu = Measurement(H100, SETTING, 400.0), Measurement("cpu", SETTING, 40.0)
    for table, speed in (((gpu,), None), ((gpu, cpu), Speed(40.0, Origin.table, 1))):
        basis = replace(find_basis(trial, table), node=node)
        assert find_speed(trial.experiment, basis.hardware, node, basis.known) == speed


@pytest.mark.parametrize(
    ("overrides", "words"),
    [
        (("hardware.gpu=B200",), "hardware.gpu=B200: its peak is not known"),
        (("trainer.precision=fp32",), "hardware.gpu=H100: its peak in fp32 is not known"),
    ],
)
def test_a_peak_that_is_not_known_is_one_line_and_the_arm_has_no_hours(
    overrides: tuple[str, ...], words: str
) -> None:
    trial = ask(*EIGHT, MODEL, *overrides)
    cost = reckon([trial], find_basis(trial))
    (problem,) = cost.problems
    assert str(problem).startswith(words)
    assert "+hardware.tokens_per_s={pythia-70m-deduped: TOKENS}" in problem.remedy
    assert [training.device_hours for training in cost.trainings] == [None, None]
    assert cost.unknown == 2
    given = "+hardware.tokens_per_s={pythia-70m-deduped: 1000}"
    trial = ask(*EIGHT, MODEL, *overrides, given)
    assert reckon([trial], find_basis(trial)).problems == ()


def test_hours_follow_the_speed_and_the_gpus() -> None:
    given = "+hardware.tokens_per_s={pythia-70m-deduped: 200000}"
    trial = ask(*EIGHT, MODEL, given, "launcher.slurm.train.nodes=2")
    arm = reckon([trial], find_basis(trial)).arms[0].training
    assert arm.device_hours == pytest.approx(20_971_520_000 / 200_000 / 3_600)
    assert arm.seconds == pytest.approx(20_971_520_000 / 200_000 / 16)


def test_gpus_that_a_job_holds_and_does_not_use_are_counted() -> None:
    given = "+hardware.tokens_per_s={pythia-70m-deduped: 200000}"
    trial = ask(*EIGHT, MODEL, given, "launcher.slurm.train.tasks=4")
    arm = reckon([trial], find_basis(trial)).arms[0].training
    assert arm.seconds == pytest.approx(20_971_520_000 / 200_000 / 4)
    assert arm.device_hours == pytest.approx(20_971_520_000 / 200_000 / 3_600 * 8 / 4)


def test_a_training_on_several_ranks_has_the_speed_of_one(tmp_path: Path) -> None:
    job = plan_arm(ask(*EIGHT, MODEL).experiment)
    facts = {"device": H100, "tokens_per_s": 1_200_000, "world_size": 8}

    def leave(draft: Path) -> dict[str, Any]:
        (draft / JOB).write_text(to_json(job))
        return facts

    store = Store(tmp_path)
    store.obtain(Recipe("run", 1, {}), leave)
    store.obtain(Recipe("run", 1, {"not": "ours"}), lambda _: facts)  # without a job
    assert read_trained(store) == (Measurement(H100, SETTING, 150_000.0),)


def test_what_the_bench_measures_comes_back_from_its_table(tmp_path: Path) -> None:
    size = "4 layers of 256"
    found = run_fresh(size, "engine, sdpa")
    record = make_record(size, "engine, sdpa", found)
    assert record is not None
    assert make_record(size, "transformers' Trainer", found) is None
    assert make_record(size, "engine, sdpa", found | {"tokens_per_s": 0.0}) is None
    write_speeds(tmp_path / "speeds.csv", [record])
    (back,) = read_speeds(tmp_path / "speeds.csv")
    assert back.tokens_per_s == pytest.approx(found["tokens_per_s"], rel=1e-4)
    assert replace(back, tokens_per_s=record.tokens_per_s) == record
    trial = ask(
        "model.layers=4", "model.width=256", "model.vocab=8192", "data.row_tokens=257",
        "hardware=here", f"hardware.table={tmp_path / 'speeds.csv'}",
    )  # fmt: skip
    basis = find_basis(trial, (back,))
    speed = find_speed(trial.experiment, basis.hardware, basis.node, basis.known)
    assert speed == Speed(back.tokens_per_s, Origin.table, 1)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (None, "no such file"),
        ("device,layers\ncpu,4\n", "it has no column width"),
        ("", "it has no column device"),
        ("{head}\ncpu,4,256,8192,257,fp32,sdpa,fast\n", "line 2: could not convert"),
        ("{head}\ncpu,4,256,8192,257,fp32,sdpa,1\ncpu,4\n", "line 3: "),
        ("{head}\ncpu,4,256,8192,257,fp32,sdpa,-1\n", "line 2: tokens_per_s is -1"),
        ("{head}\ncpu,4,256,8192,257,fp32,sdpa,nan\n", "line 2: tokens_per_s is nan"),
    ],
)
def test_a_table_that_is_none_is_named_with_the_line(
    tmp_path: Path, text: str | None, words: str
) -> None:
    path = tmp_path / "speeds.csv"
    if text is not None:
        write_speeds(path, [])
        path.write_text(text.replace("{head}", path.read_text().strip()))
    with pytest.raises(InterveneError) as raised:
        read_speeds(path)
    assert str(raised.value).startswith(f"hardware.table={path}: {words}")
    assert "python -m bench step --table FILE" in raised.value.remedy
