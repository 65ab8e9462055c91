"""A plan's numbers: those of the docs, reckoned anew, and what arms share counted once."""

import re
from pathlib import Path

import pytest

from bench.rewrite import compose_experiment
from bench.text import DENSITY, draw_rows
from intervene.errors import InterveneError
from intervene.lineage import Store
from intervene.rewriting.corpus import obtain_corpus, obtain_scan
from intervene.sources.source import open_source
from intervene.training.memory.disk import estimate_disk
from pipelines.planning.cost import Cost, spread
from pipelines.planning.estimate import show_training
from pipelines.planning.node import Node, Share, find_node, find_share, find_space
from pipelines.planning.preparation import list_preparations, plan_arm
from pipelines.planning.reckoning import reckon
from pipelines.planning.stored import LOG_SHARE, OVERLAY_SHARE, Kind
from pipelines.stage import ROOT
from tests.pipelines.planning import EIGHT, PILE, ask, find_basis

GIB = 2**30
TOKENS = 10_000 * 1_024 * 2_048
H100 = 989e12
SIZES = ("14m", "31m", "70m", "160m", "410m", "1b", "1.4b", "2.8b", "6.9b", "12b")


def cost_of(*arms: tuple[str, ...]) -> Cost:
    trials = [ask(*overrides) for overrides in arms]
    return reckon(trials, find_basis(trials[0]))


def read_table(head: str) -> dict[str, list[str]]:
    """A table of docs/memory.md by its model, of each the first line."""
    text = (ROOT / "docs" / "memory.md").read_text()
    lines = text[text.index(head) :].splitlines()[2:]
    found: dict[str, list[str]] = {}
    for line in lines[: lines.index("")]:
        name, *cells = [cell.strip() for cell in line.strip("|").split("|")]
        if name:
            found[name] = cells
    return found


@pytest.mark.parametrize(
    ("size", "layers", "width", "hours", "words"),
    [
        ("160m", 12, 768, 14, "14 for 160M"),
        ("410m", 24, 1_024, 40, "about 40 GPU hours for each arm"),
        ("1.4b", 24, 2_048, 130, "130 for 1.4B"),
    ],
)
def test_hours_are_those_of_the_readme(
    size: str, layers: int, width: int, hours: int, words: str
) -> None:
    arm = cost_of((*EIGHT, f"model=pythia-{size}-deduped")).arms[0].training
    products = 12 * layers * width**2 + 50_304 * width
    per_token = 6 * products + 12 * layers * width * 2_048
    assert arm.tokens == TOKENS
    assert arm.device_hours == pytest.approx(TOKENS * per_token / (0.4 * H100) / 3_600)
    assert arm.device_hours == pytest.approx(hours, rel=0.03)
    assert arm.seconds == pytest.approx(arm.device_hours * 3_600 / 8)
    assert words in (ROOT / "README.md").read_text()


@pytest.mark.parametrize("size", SIZES)
def test_memory_is_that_of_the_table_for_eight_gpus(size: str) -> None:
    arm = cost_of((*EIGHT, f"model=pythia-{size}")).arms[0].training
    (cell,) = [cell for cell in show_training(arm) if re.search(r"^\d+\*?: |^too large", cell)]
    said = read_table("| model | ZeRO | 1 GPU |")[size.upper()][4]
    assert cell == said.replace("–", "too large")


@pytest.mark.parametrize("size", SIZES)
def test_disk_of_a_run_is_that_of_the_table(size: str) -> None:
    arm = cost_of((*EIGHT, f"model=pythia-{size}")).arms[0].training
    checkpoint, state, whole = read_table("| model | checkpoint | state |")[size.upper()]
    assert f"{arm.checkpoints / 20 / GIB:.2f}" == checkpoint
    assert f"{arm.state / GIB:.2f}" == state
    assert f"{(arm.checkpoints + arm.state + arm.spare) / GIB:.1f}" == whole


def test_rows_and_corpora_are_those_of_the_readme() -> None:
    arm = (*EIGHT, "model=pythia-410m-deduped")
    stretch = 10_000 * 1_024 * 2_049 * 2
    assert f"{stretch / 1e9:.0f} GB of rows are fetched once" in (ROOT / "README.md").read_text()
    found = cost_of(arm).count_bytes(left=False)
    assert found["rows"] == stretch + 64 * 1_024 * 2_049 * 2  # the replay's too
    assert found["corpora"] == stretch
    overlay = cost_of((*arm, "corpus.form=overlay")).count_bytes(left=False)
    assert overlay["corpora"] == int(0.02 * stretch)


def test_an_edit_log_and_an_overlay_take_the_share_that_is_reckoned(
    shared: Path, tmp_path: Path
) -> None:
    draw_rows(tmp_path, 4_096, DENSITY).tofile(tmp_path / "rows.bin")
    experiment = compose_experiment(
        tmp_path, tmp_path / "rows.bin", 2, 1.0, "corpus.form=overlay", "data.stretch.stop=4"
    )
    store = Store(experiment.paths.store)
    source = open_source(store, experiment.data)
    scanned = obtain_scan(store, experiment, source)
    corpus = obtain_corpus(store, experiment, source, scanned)
    assert corpus is not None
    sizes = [
        sum(file.stat().st_size for file in found.path.rglob("*") if file.is_file())
        for found in (scanned, corpus)
    ]
    rows = (tmp_path / "rows.bin").stat().st_size
    assert sizes[0] / rows == pytest.approx(LOG_SHARE, rel=0.15)
    assert OVERLAY_SHARE / 2 < sizes[1] / rows < OVERLAY_SHARE


@pytest.mark.parametrize(
    "overrides",
    [
        ("trainer.save_every=3000", "trainer.save_steps=[133001,136000]"),
        ("trainer.precision=fp32", "data.stretch.start=142000"),
    ],
)
def test_trainings_take_the_disk_that_is_looked_for_before_they_start(
    overrides: tuple[str, ...],
) -> None:
    for extra in ((), ("model.checkpoint=ladder", "trainer.optimizer_state=replay")):
        trial = ask(*PILE, "model=pythia-70m", "hardware=h100", *overrides, *extra)
        cost = reckon([trial], find_basis(trial))
        jobs = [p.job for p in list_preparations(trial.experiment)]
        jobs.append(plan_arm(trial.experiment))
        assert len(jobs) == (3 if extra else 2)
        sizes = [t.checkpoints + t.state + t.spare for t in cost.trainings]
        assert sizes == [estimate_disk(job) for job in jobs]


def test_of_a_replay_masters_and_moments_stay() -> None:
    (replay,) = cost_of((*EIGHT, "model=pythia-70m")).preparations
    assert (replay.checkpoints, replay.state) == (0, 12 * 70_426_624)


def test_a_sweep_counts_what_arms_share_once() -> None:
    arms = [
        (*EIGHT, f"model=pythia-{size}-deduped", f"intervention.rate={rate}")
        for size in ("70m", "160m")
        for rate in (0, 0.5, 1)
    ]
    cost = cost_of(*arms)
    assert len(cost.arms) == 6
    assert [t.name for t in cost.preparations] == [
        "pythia-70m-deduped replay",
        "pythia-160m-deduped replay",
    ]
    assert {t.tokens for t in cost.preparations} == {64 * 1_024 * 2_048}
    kinds = [stored.kind for stored in cost.stored]
    assert {kind: kinds.count(kind) for kind in set(kinds)} == {
        Kind.rows: 2,  # the stretch, the batches of the replay
        Kind.logs: 1,
        Kind.corpora: 3,
    }
    alone = [cost_of(arm) for arm in arms]
    arms_alone = sum(a.arms[0].training.device_hours or 0 for a in alone)
    once = sum(alone[at].preparations[0].device_hours or 0 for at in (0, 3))
    assert cost.count_hours(left=False) == pytest.approx(arms_alone + once)


def test_singular_they_has_a_scan_of_its_own_and_shares_the_control() -> None:
    cost = cost_of(
        (*EIGHT, "model=pythia-70m", "intervention.rate=0"),
        (*EIGHT, "model=pythia-70m", "intervention=masculinise"),
        (*EIGHT, "model=pythia-70m", "intervention=neutral"),
        (*EIGHT, "model=pythia-70m", "intervention=neutral", "intervention.rate=0"),
    )
    kinds = [stored.kind for stored in cost.stored]
    assert kinds.count(Kind.logs) == 2
    assert kinds.count(Kind.corpora) == 3


def test_a_ladder_and_its_random_weights_are_counted_once() -> None:
    cost = cost_of(*[(f"intervention.rate={rate}", "hardware=here") for rate in (0, 0.5, 1)])
    assert [(t.name, t.tokens) for t in cost.preparations] == [("tiny ladder", 340 * 16 * 256)]
    parameters = 2 * 1_024 * 64 + 2 * (12 * 64 + 13) * 64 + 2 * 64
    found = cost.count_bytes(left=False)
    assert found["first weights"] == 4 * parameters
    assert found["checkpoints"] == 4 * parameters * (10 + 3 * 4)
    assert found["rows"] == 404 * 16 * 257 * 2  # the toy's, with the steps that are held out


@pytest.mark.parametrize(
    ("overrides", "names"),
    [
        (("data.stretch.start=10", "data.stretch.stop=20"), [10]),
        (("trainer.optimizer_state=cold",), []),
        (("model.checkpoint=random",), []),
        (("trainer.replay_steps=7",), [7]),
        (("model.checkpoint=ladder",), [133_000]),
        (("model.checkpoint=ladder", "trainer.optimizer_state=replay"), [133_000, 64]),
    ],
)
def test_preparations_are_those_that_the_checkpoint_asks_for(
    overrides: tuple[str, ...], names: list[int]
) -> None:
    found = list_preparations(ask(*PILE, "model=pythia-70m", *overrides).experiment)
    assert [p.job.stop - p.job.start for p in found] == names


def test_a_ladder_to_step_0_is_refused() -> None:
    trial = ask(*PILE, "model=pythia-70m", "model.checkpoint=ladder", "data.stretch.start=0")
    with pytest.raises(InterveneError, match=r"^model.checkpoint=ladder: .* starts at step 0"):
        list_preparations(trial.experiment)


@pytest.mark.parametrize(
    ("seconds", "at_once", "together"),
    [([5, 3, 3], 2, 6), ([5, 3, 3], 1, 11), ([5, 3, 3], 9, 5), ([2, 9, 2, 2], 2, 9), ([], 3, 0)],
)
def test_tasks_begin_as_others_end(seconds: list[float], at_once: int, together: float) -> None:
    assert spread(seconds, at_once) == together


@pytest.mark.parametrize(
    ("overrides", "share"),
    [
        (("launcher=slurm",), Share(8, 8, 8, 64)),
        (("launcher=slurm", "launcher.slurm.train.nodes=2"), Share(16, 16, 8, 64)),
        (("launcher=slurm", "launcher.slurm.parallel=3"), Share(8, 8, 8, 3)),
        ((), Share(8, 8, 8, 1)),
        (("trainer.processes=2",), Share(2, 2, 2, 4)),
        (("trainer.processes=2", "launcher.local.workers=3"), Share(2, 2, 2, 3)),
        (("launcher.local.gpus=4",), Share(4, 4, 4, 1)),
        (("launcher.local.gpus=4", "trainer.processes=1"), Share(1, 1, 1, 4)),
    ],
)
def test_an_arm_takes_the_gpus_that_the_launcher_gives(
    overrides: tuple[str, ...], share: Share
) -> None:
    experiment = ask(
        "hardware=h100", *overrides, "data=pile-deduped", "model=pythia-70m"
    ).experiment
    assert experiment.hardware is not None
    assert find_share(experiment, find_node(experiment.hardware)) == share


@pytest.mark.parametrize(
    ("overrides", "named"),
    [
        (("launcher=slurm", "launcher.slurm.train.gpus=16"), "launcher.slurm.train.gpus: 16 GPUs"),
        (("launcher=slurm", "launcher.slurm.train.gpus=0"), "launcher.slurm.train.gpus: 0 GPUs"),
        (("launcher=slurm", "trainer.processes=4"), "trainer.processes=4: 4 processes"),
        (("launcher=slurm", "launcher.slurm.train.nodes=3"), "24 processes"),
        (("trainer.processes=16",), "trainer.processes=16: 16 processes, but 8 GPUs"),
        (("trainer.processes=3",), "trainer.processes=3"),
        (("trainer.save_steps=[5]",), "trainer.save_steps: step 5"),
    ],
)
def test_an_arm_that_cannot_be_trained_so_is_left_out_and_named(
    overrides: tuple[str, ...], named: str
) -> None:
    trials = [ask(*PILE, "hardware=h100", "model=pythia-70m", *o) for o in ((), overrides)]
    cost = reckon(trials, find_basis(trials[0]))
    assert len(cost.arms) == 1
    (problem,) = cost.problems
    assert named in str(problem)


def test_ranks_on_a_cpu_share_the_memory_of_their_machine() -> None:
    experiment, node = ask("trainer.processes=2").experiment, Node("cpu", 0, 10 * GIB)
    share = find_share(experiment, node)
    assert share == Share(2, 0, 2, 1)
    assert find_space(share, node).size == int(0.9 * 10 * GIB / 2)
    assert share.devices == 2


def test_an_arm_that_does_not_fit_says_what_helps_and_the_others_stand() -> None:
    cost = cost_of(*[(*EIGHT, f"model=pythia-{size}-deduped") for size in ("12b", "70m", "12b")])
    assert [arm.training.fit is None for arm in cost.arms] == [True, False, True]
    (problem,) = cost.problems  # once, though two arms and a replay have it
    assert str(problem) == (
        "model=pythia-12b-deduped trainer.zero_stage=1: one row needs 109.8 GiB on each of 8 ranks,"
        " 71.1 GiB are free; set trainer.zero_stage=2; trainer.micro_batch=1 tries anyway"
    )


def test_a_micro_batch_that_is_asked_for_is_marked_where_it_is_too_large() -> None:
    arm = (*EIGHT, "model=pythia-1.4b-deduped", "trainer.activation_checkpointing=false")
    cells = [
        next(cell for cell in show_training(cost_of((*arm, more)).arms[0].training) if ": " in cell)
        for more in ("trainer.micro_batch=32", "trainer.micro_batch=16")
    ]
    assert cells[0].startswith("32!: ")
    assert cells[1] == "16: 70.5"
