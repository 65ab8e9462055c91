"""What `pipelines.clean` removes from real stores, and what it never does."""

import contextlib
import datetime
import fcntl
import io
import json
import os
import pty
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from hydra import compose, initialize_config_dir
from hypothesis import given, settings
from hypothesis import strategies as st
from omegaconf import OmegaConf

from intervene.errors import InterveneError
from intervene.experiment import Experiment, Scope
from intervene.housekeeping import list_drafts, list_remainders
from intervene.lineage import MANIFEST, Artefact, Recipe, Store
from pipelines.clean import Action, CleanExperiment, clean
from pipelines.cleaning.surplus import Part
from pipelines.compare import publish
from pipelines.trial import Trial, list_names
from tests.pipelines.conftest import ROOT, build_environment, digest_store, run_micro

OLD = 100.0
"""Hours, more than the 24 that young things are kept."""


def make(
    store: Store,
    kind: str,
    *inputs: Artefact,
    salt: int = 0,
    hours: float = OLD,
    rows: tuple[int, int] = (0, 8),
    **facts: Any,
) -> Artefact:
    """An artefact that was built so many hours ago; a run has a state, a scan is of some rows."""

    def build(draft: Path) -> dict[str, Any]:
        (draft / "data").write_bytes(b"x" * 1000)
        if kind == "run":
            (draft / "state" / "step4").mkdir(parents=True)
            (draft / "state" / "latest").write_text("step4")
        return facts

    params = {"salt": salt} | ({"start": rows[0], "stop": rows[1]} if kind == "scan" else {})
    artefact = store.obtain(Recipe(kind, 1, params, inputs), build)
    manifest = artefact.manifest
    at = datetime.datetime.now(datetime.UTC) - datetime.timedelta(hours=hours)
    manifest["built"]["at"] = at.isoformat(timespec="seconds")
    (artefact.path / MANIFEST).write_text(json.dumps(manifest))
    return artefact


def interrupt(recipe: Recipe, store: Store, hours: float = OLD) -> Path:
    """The draft of a build that failed so many hours ago."""

    def fail(draft: Path) -> dict[str, Any]:
        write(draft / "half", "x" * 500, hours)
        raise RuntimeError

    with contextlib.suppress(RuntimeError):
        store.obtain(recipe, fail, resumable=True)
    return store.root / recipe.kind / f".{recipe.key}.draft"


def write(path: Path, text: str, hours: float = OLD) -> None:
    """A file of a draft, and the draft, as of so many hours ago."""
    path.write_text(text)
    for changed in (path, path.parent):
        then = time.time() - 3600 * hours
        os.utime(changed, (then, then))


@cache
def compose_plain() -> Experiment:
    with initialize_config_dir(config_dir=str(ROOT / "conf"), version_base="1.3"):
        experiment = OmegaConf.to_object(compose("config"))
    assert isinstance(experiment, Experiment)
    return experiment


def pose(home: Path, name: str = "intervene", seed: int = 0, checkpoint: str = "ladder") -> Trial:
    """An arm over the store and the runs in a folder."""
    plain = compose_plain()
    paths = replace(plain.paths, store=home / "store", runs=home / "runs")
    model = replace(plain.model, checkpoint=checkpoint)
    arm = replace(plain.intervention, seed=seed)
    return Trial(replace(plain, name=name, paths=paths, intervention=arm, model=model), ())


def call(home: Path, *overrides: str, **keys: Any) -> dict[str, Any]:
    """What the stage prints as JSON, run in this process."""
    given = [word.removeprefix("name=") for word in overrides if word.startswith("name=")]
    trial = pose(home, *given)
    experiment = CleanExperiment(**{**vars(trial.experiment), **keys, "json": True})
    with contextlib.redirect_stdout(io.StringIO()) as printed:
        clean(Trial(experiment, overrides))
    found: dict[str, Any] = json.loads(printed.getvalue())
    return found


def list_command(*words: str) -> list[str]:
    return [sys.executable, "-m", "pipelines.clean", *words]


def run(home: Path, *words: str, code: int = 0) -> subprocess.CompletedProcess[str]:
    """The stage's command, without a terminal."""
    done = subprocess.run(
        list_command(*words),
        cwd=ROOT,
        env=build_environment(home),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
    )
    assert done.returncode == code, done.stderr
    assert "Traceback" not in done.stderr
    return done


def names(*artefacts: Artefact) -> set[str]:
    return {artefact.name for artefact in artefacts}


def listed(bill: dict[str, Any], part: str) -> set[str]:
    return {item["name"] for item in bill[part]}


@dataclass(frozen=True)
class Lab:
    """A store with a ladder, two arms that went on from it, and what was left behind.

    Args:
        home: where `store` and `runs` are.
        ladder, runs, readings: noted, or needed by what is.
        loose: nothing needs them, descendants first.
    """

    home: Path
    ladder: Artefact
    runs: tuple[Artefact, ...]
    readings: tuple[Artefact, ...]
    loose: tuple[Artefact, ...]

    @property
    def store(self) -> Store:
        return Store(self.home / "store")


@pytest.fixture
def lab(tmp_path: Path) -> Lab:
    store = Store(tmp_path / "store")
    toy = make(store, "toy")
    source = make(store, "source", path=str(toy.path / "rows"))
    scan = make(store, "scan", source)
    ladder = make(store, "run", make(store, "checkpoint"))
    runs, readings = [], []
    for seed in range(2):
        corpus = make(store, "corpus", scan, salt=seed)
        runs.append(make(store, "run", corpus, ladder))
        readings.append(make(store, "readings", runs[-1]))
        pose(tmp_path, seed=seed).note(scan, corpus, runs[-1], readings[-1])
    report = make(store, "comparison", *readings)
    publish(pose(tmp_path), report)
    lone = make(store, "run", make(store, "corpus", scan, salt=9), ladder)
    read = make(store, "readings", lone)
    older = make(store, "comparison", readings[0], read)
    corpus = store.ancestors(lone)[0]
    return Lab(tmp_path, ladder, tuple(runs), tuple(readings), (older, read, lone, corpus))


def test_by_default_it_only_lists(lab: Lab) -> None:
    before = digest_store(lab.home)
    done = run(lab.home)
    assert digest_store(lab.home) == before
    assert "4 artefacts from which nothing that is kept descends: " in done.stdout
    for artefact in lab.loose:
        assert f"  {artefact.name} " in done.stdout
    assert "2 states of runs that no other goes on from" in done.stdout
    assert f"only {lab.loose[0].name} needs it, and goes too" in done.stdout
    assert run(lab.home, "--dry-run").stdout == done.stdout


def test_the_command_that_is_listed_removes_what_is_listed(lab: Lab) -> None:
    done = run(lab.home, "what=[artefacts]", "hours=1.5")
    command = shlex.split(done.stdout.split("to remove: ")[1])
    assert command == shlex.split("python -m pipelines.clean 'what=[artefacts]' hours=1.5 --remove")
    kept = names(*lab.store.artefacts()) - names(*lab.loose)
    run(lab.home, *command[3:-1], "--yes")
    assert names(*lab.store.artefacts()) == kept
    assert all((r.path / "state").exists() for r in (*lab.runs, lab.ladder))


def test_removed_is_what_nothing_needs_and_then_there_is_nothing_more(lab: Lab) -> None:
    kept = names(*lab.store.artefacts()) - names(*lab.loose)
    done = run(lab.home, "--yes")
    assert names(*lab.store.artefacts()) == kept
    assert "removed 4 artefacts and 2 states, " in done.stderr.splitlines()[-1]
    assert [(r.path / "state").exists() for r in (*lab.runs, lab.ladder)] == [False, False, True]
    assert [(r.path / "data").exists() for r in lab.runs] == [True, True]
    assert list_remainders(lab.store) == []
    assert run(lab.home, "--yes").stdout.splitlines()[-1] == "nothing to remove"


def test_bytes_listed_are_those_that_are_freed(lab: Lab) -> None:
    def weigh() -> int:
        return sum(p.lstat().st_size for p in (lab.home / "store").rglob("*") if p.is_file())

    before, bill = weigh(), call(lab.home, action=Action.remove)
    assert bill["bytes"] == before - weigh() > 4000
    assert bill["bytes"] == sum(i["bytes"] for part in Part for i in bill[part])


def test_what_is_young_is_kept_with_what_it_was_made_from(lab: Lab) -> None:
    make(lab.store, "comparison", lab.loose[1], hours=23)
    young = make(lab.store, "run", make(lab.store, "checkpoint", salt=3), hours=23)
    draft = interrupt(Recipe("scan", 1, {}), lab.store, hours=23)
    bill = call(lab.home)
    assert listed(bill, "artefacts") == names(lab.loose[0])
    assert listed(bill, "drafts") == set()
    spared = [(entry["what"], entry["name"]) for entry in bill["young"]]
    assert ("states", young.name) in spared
    assert young.name not in listed(bill, "states")
    assert ("drafts", f"scan/{draft.name[1:13]}") in spared
    assert [what for what, _ in spared].count("artefacts") == 6
    assert {entry["what"] for entry in call(lab.home, what="drafts")["young"]} == {"drafts"}
    assert "kept: 6 artefacts, 1 state and 1 draft, built or " in run(lab.home).stdout
    assert len(listed(call(lab.home, hours=22.0), "artefacts")) == 7


def test_a_name_that_is_given_up_needs_nothing(lab: Lab) -> None:
    other = pose(lab.home, "other")
    other.note(lab.runs[0])
    kept = lab.store.tree([lab.runs[0]])
    source = lab.store.artefacts("source") + lab.store.artefacts("toy")
    bill = call(lab.home, "name=intervene", action=Action.remove)
    assert names(*lab.store.artefacts()) == {line.split()[0] for line in kept} | names(*source)
    assert {item["why"] for item in bill["artefacts"]} >= {"only name=intervene needs it"}
    assert list_names(lab.store) == ["other"]
    assert not (lab.home / "runs" / "intervene" / "comparison").is_symlink()
    assert call(lab.home)["artefacts"] == []


def test_the_default_name_is_given_up_only_if_it_is_given(lab: Lab) -> None:
    assert "given up" not in run(lab.home, "what=artefacts").stdout
    assert "name=intervene is given up:" in run(lab.home, "name=intervene").stdout


def test_a_name_below_another_counts_too(lab: Lab) -> None:
    pose(lab.home, "study/one").note(lab.loose[1])
    assert listed(call(lab.home), "artefacts") == names(lab.loose[0])
    publish(pose(lab.home, "study/one"), lab.loose[0])
    assert listed(call(lab.home), "artefacts") == set()
    call(lab.home, "name=study/one", action=Action.remove)
    assert names(*lab.loose) & names(*lab.store.artefacts()) == set()


def test_the_hubs_items_stay(lab: Lab) -> None:
    items = make(lab.store, "items")
    call(lab.home, action=Action.remove)
    assert items in lab.store.artefacts()


def test_what_a_noted_arm_is_measured_on_stays(lab: Lab) -> None:
    """Training demands the corpora of held-out rows, which no note names."""
    data = compose_plain().data
    assert data.heldout
    held = data.heldout.rows(data.rows_per_step)
    (source,) = lab.store.artefacts("source")
    scan = make(lab.store, "scan", source, rows=(held.start, held.stop))
    patches = make(lab.store, "patches", scan)
    corpora = [make(lab.store, "corpus", parent) for parent in (scan, patches)]
    other = make(lab.store, "corpus", make(lab.store, "scan", source, rows=(held.start, 1 << 20)))
    listed_names = listed(call(lab.home), "artefacts")
    assert not names(*corpora, scan, patches) & listed_names
    assert other.name in listed_names


def test_what_an_arm_can_go_on_from_stays_until_it_is_trained(lab: Lab) -> None:
    start = make(lab.store, "checkpoint", salt=7)
    ladder, replay = (make(lab.store, kind, start) for kind in ("run", "replay"))
    starts = names(start, ladder, replay)
    late, released = pose(lab.home, "late"), pose(lab.home, "late", seed=1)
    replace(released, experiment=replace(released.experiment, arm=Scope.none)).note(start)
    assert starts - names(start) <= listed(call(lab.home), "artefacts")
    late.note()
    bill = call(lab.home)
    assert not starts & (listed(bill, "artefacts") | listed(bill, "states"))
    late.note(lab.runs[0])
    assert starts - names(start) <= listed(call(lab.home), "artefacts")


def test_a_state_that_a_noted_arm_is_to_go_on_from_stays(lab: Lab) -> None:
    folder = lab.runs[0].path / "checkpoints" / "step4"
    pose(lab.home, "longer", checkpoint=str(folder)).note()
    assert listed(call(lab.home), "states") == names(lab.runs[1])


def test_a_state_that_only_what_goes_went_on_from_goes_too(lab: Lab) -> None:
    child = make(lab.store, "run", lab.loose[3], lab.runs[0])
    assert listed(call(lab.home, what="states"), "states") == names(
        lab.runs[1], lab.loose[2], child
    )
    bill = call(lab.home, action=Action.remove)
    assert child.name in listed(bill, "artefacts")
    assert listed(bill, "states") == names(*lab.runs)


def test_a_state_that_a_folder_of_weights_was_adopted_from_stays(lab: Lab) -> None:
    folder = lab.runs[1].path / "checkpoints" / "step4"
    make(lab.store, "checkpoint", salt=1, hours=1, path=str(folder))
    assert listed(call(lab.home), "states") == names(lab.runs[0])


def test_an_interrupted_build_is_listed_with_who_asks_for_it(lab: Lab) -> None:
    asked, loose = Recipe("run", 1, {}, (lab.loose[3],)), Recipe("scan", 1, {})
    pose(lab.home, "third").note(asked)
    drafts = [interrupt(recipe, lab.store) for recipe in (asked, loose)]
    write(drafts[0] / "experiment.json", lab.loose[0].name)
    bill = call(lab.home, action=Action.remove)
    why = {item["name"]: item["why"] for item in bill["drafts"]}
    assert why == {
        f"run/{asked.key}": "asked for under name=third",
        f"scan/{loose.key}": "no trial asks for it",
    }
    assert not any(draft.exists() for draft in drafts)
    # It is asked for, so what it would be built from stays though its draft has gone; what the
    # draft alone named goes with it.
    assert names(*lab.loose) & names(*lab.store.artefacts()) == names(lab.loose[3])
    assert call(lab.home)["artefacts"] == []


def test_a_draft_that_stays_keeps_what_it_is_built_from(lab: Lab) -> None:
    draft = interrupt(Recipe("run", 1, {}, (lab.loose[3],)), lab.store)
    write(draft / "experiment.json", json.dumps({"state": str(lab.runs[0].path / "state")}))
    bill = call(lab.home, what=("artefacts", "states"), action=Action.remove)
    assert draft.exists()
    assert lab.loose[3] in lab.store.artefacts()
    assert listed(bill, "states") == names(lab.runs[1])


HOLD = """
import fcntl, sys, time
with open(sys.argv[1], "a+") as lock:
    fcntl.flock(lock, fcntl.LOCK_SH)
    print("held", flush=True)
    time.sleep(120)
"""


@contextlib.contextmanager
def held(*locks: Path) -> Iterator[None]:
    """Another process holds locks meanwhile."""
    with contextlib.ExitStack() as stack:
        for lock in locks:
            command = [sys.executable, "-c", HOLD, str(lock)]
            process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
            stack.callback(process.wait)
            stack.callback(process.kill)
            assert process.stdout
            stack.callback(process.stdout.close)
            assert process.stdout.readline() == "held\n"
        yield


def test_a_lock_that_another_process_holds_is_respected(lab: Lab) -> None:
    (_, read, lone, corpus), locks = lab.loose, lab.home / "store" / ".locks"
    draft = interrupt(Recipe("scan", 1, {}), lab.store)
    building = f"scan/{draft.name[1:13]}"
    with held(
        locks / f"readings-{read.key}",
        locks / building.replace("/", "-"),
        locks / f"run-{lab.runs[0].key}",
    ):
        done = run(lab.home, "--yes")
    assert f"left {read.name}: another process is at it" in done.stderr
    assert f"left {lone.name}: {read.name} is made from it" in done.stderr
    assert f"left state of {lab.runs[0].name}: another process is at it" in done.stderr
    assert f"being built, and left alone: {building}" in done.stdout
    assert draft.exists()
    assert (lab.runs[0].path / "state").exists()
    assert not (lab.runs[1].path / "state").exists()
    assert names(*lab.loose) & names(*lab.store.artefacts()) == names(read, lone, corpus)
    run(lab.home, "--yes")
    assert names(*lab.loose) & names(*lab.store.artefacts()) == set()
    assert not draft.exists()


def answer(home: Path, text: str, meanwhile: Any = lambda: None) -> tuple[str, str]:
    """What is asked at a terminal, and what is said once it is answered."""
    leader, follower = pty.openpty()
    process = subprocess.Popen(
        list_command("--remove"), cwd=ROOT, env=build_environment(home), stdin=follower,
        stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
    )  # fmt: skip
    os.close(follower)
    assert process.stderr
    asked = b""
    while not asked.endswith(b"[y/N] "):
        read = process.stderr.read(1)
        assert read, asked
        asked += read
    meanwhile()
    os.write(leader, text.encode())
    said = process.stderr.read().decode()
    process.stderr.close()
    assert process.wait() == 0, said
    os.close(leader)
    return asked.decode(), said


def test_on_a_terminal_it_asks_and_takes_only_yes(lab: Lab) -> None:
    before = digest_store(lab.home)
    for text in ("n\n", "\n", "yess\n", "\x04"):
        asked, _ = answer(lab.home, text)
        assert asked.startswith("remove 4 artefacts and 2 states, ")
        assert digest_store(lab.home) == before
    answer(lab.home, "y\n")
    assert names(*lab.loose) & names(*lab.store.artefacts()) == set()


def test_what_came_to_be_needed_since_it_was_listed_stays(lab: Lab) -> None:
    older, _, lone, _ = lab.loose

    def meanwhile() -> None:
        make(lab.store, "readings", lone, salt=4, hours=0)
        pose(lab.home, "late").note(older)
        make(lab.store, "run", lab.runs[0])

    _, said = answer(lab.home, "y\n", meanwhile)
    assert f"left {older.name}: it is needed now" in said
    assert f"left {lone.name}: " in said
    assert f"left state of {lab.runs[0].name}: run/" in said
    assert set(lab.loose) <= set(lab.store.artefacts())
    assert (lab.runs[0].path / "state").exists()
    assert not (lab.runs[1].path / "state").exists()


class Listener(io.StringIO):
    """Standard error that does something once, when the first thing has been removed."""

    def __init__(self, react: Callable[[], object]) -> None:
        super().__init__()
        self.react = [react]

    def write(self, text: str) -> int:
        if text.startswith("removed ") and self.react:
            self.react.pop()()
        return super().write(text)


def test_what_comes_to_be_needed_while_it_removes_stays(lab: Lab) -> None:
    _, _, lone, corpus = lab.loose
    with contextlib.redirect_stderr(Listener(lambda: pose(lab.home, "late").note(lone))):
        left = call(lab.home, action=Action.remove)["left"]
    assert left == {lone.name: "it is needed now", corpus.name: f"{lone.name} is made from it"}
    assert set(lab.loose) & set(lab.store.artefacts()) == {lone, corpus}


def test_what_is_built_on_while_it_removes_stays(lab: Lab) -> None:
    def build() -> None:
        built.append(make(lab.store, "run", lab.loose[3], lab.runs[0]))

    built: list[Artefact] = []
    with contextlib.redirect_stderr(Listener(build)):
        left = call(lab.home, action=Action.remove)["left"]
    why = f"{built[0].name} is made from it"
    assert left == {lab.loose[3].name: why, f"state of {lab.runs[0].name}": why}
    assert (lab.runs[0].path / "state").exists()


def test_what_somebody_else_removes_meanwhile_stops_nothing(lab: Lab) -> None:
    _, read, *_ = lab.loose
    with contextlib.redirect_stderr(Listener(lambda: shutil.rmtree(read.path))):
        left = call(lab.home, action=Action.remove)["left"]
    assert left == {read.name: "it is gone"}
    assert set(lab.loose) & set(lab.store.artefacts()) == set()


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (["what=[foo]"], "what: 'foo' is none of artefacts, states, drafts; "),
        (["--remove"], "--remove: there is no terminal to ask at; give --yes "),
        (["--force"], "--force: no such option; use --dry-run, --remove, --yes, --json"),
        (["--yes", "--dry-run"], "--dry-run --yes: only one can be meant; "),
        (["name=nobody"], "name=nobody: nothing is noted under this name (names: intervene); "),
    ],
)
def test_a_mistake_is_one_line_and_removes_nothing(lab: Lab, words: list[str], line: str) -> None:
    before = digest_store(lab.home)
    done = run(lab.home, *words, code=1)
    assert done.stdout == ""
    (told,) = done.stderr.splitlines()
    assert told.startswith(f"error: {line}")
    assert digest_store(lab.home) == before


@pytest.mark.parametrize(
    ("overrides", "keys", "told"),
    [
        ((), {"what": []}, "what: names none of artefacts, states, drafts; "),
        ((), {"what": ["states", 3]}, "what: 3 is none of artefacts, "),
        ((), {"hours": -1.0}, "hours: need 0 or more, got -1.0; "),
        ((), {"hours": float("nan")}, "hours: need 0 or more, got nan; "),
        (("name=..",), {}, "name=..: nothing is noted under this name "),
        (("name=intervene",), {"what": "states"}, "name=intervene: a name is given up with its "),
        (("action=ask", "++action=remove"), {}, "--remove --yes: only one can be meant; "),
    ],
)
def test_a_mistake_in_a_key_names_the_key(
    lab: Lab, overrides: tuple[str, ...], keys: dict[str, Any], told: str
) -> None:
    before = digest_store(lab.home)
    with pytest.raises(InterveneError) as raised:
        call(lab.home, *overrides, **{"action": Action.remove, **keys})
    assert str(raised.value).startswith(told)
    assert digest_store(lab.home) == before


def test_what_cannot_be_removed_is_one_line(lab: Lab) -> None:
    lock = lab.home / "store" / ".locks" / f"comparison-{lab.loose[0].key}"
    lock.unlink()
    lock.mkdir()
    done = run(lab.home, "--yes", code=1)
    assert done.stderr.splitlines()[-1].startswith(
        f"error: {lock}: cannot be read, locked or removed: "
    )
    lock.rmdir()
    run(lab.home, "--yes")
    assert names(*lab.loose) & names(*lab.store.artefacts()) == set()


def test_an_empty_place_is_no_mistake_and_is_left_empty(tmp_path: Path) -> None:
    done = run(tmp_path, "--yes")
    assert done.stdout.splitlines()[-1] == "nothing to remove"
    assert not (tmp_path / "store").exists()


def test_for_programs_it_prints_one_object(lab: Lab) -> None:
    bill = json.loads(run(lab.home, "--json").stdout)
    assert [item["name"] for item in bill["artefacts"]] == [a.name for a in lab.loose]
    assert bill["artefacts"][0]["hours"] == pytest.approx(OLD, abs=0.1)
    assert Path(bill["states"][0]["path"]).is_dir()
    assert bill["command"] == "python -m pipelines.clean --remove"
    assert not bill["is_removed"]
    gone = json.loads(run(lab.home, "--json", "--yes").stdout)
    assert gone == bill | {
        "is_removed": True,
        **{part: gone[part] for part in ("artefacts", "states")},  # older by a second
    }
    assert not Path(bill["states"][0]["path"]).exists()
    assert not json.loads(run(lab.home, "--json", "--yes").stdout)["is_removed"]


def kill_after(home: Path, lines: int, *words: str) -> None:
    """Start the command and SIGKILL it as soon as it has said so many lines."""
    process = subprocess.Popen(
        list_command(*words), cwd=ROOT, env=build_environment(home), text=True,
        stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
    )  # fmt: skip
    assert process.stderr
    for _ in range(lines):
        assert process.stderr.readline().startswith("removed ")
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    process.stderr.close()


def test_killed_and_repeated_it_ends_in_the_same_store(lab: Lab, tmp_path: Path) -> None:
    for salt in range(20):
        make(lab.store, "readings", lab.loose[2], salt=100 + salt)
    twin = tmp_path / "twin"
    for name in ("store", "runs"):
        shutil.copytree(lab.home / name, twin / name, symlinks=True)
    for home in (lab.home, twin):
        pose(home, "other").note(lab.ladder)
    words = ("name=intervene", "--yes")
    run(twin, *words)
    for lines in (1, 5, 9):
        kill_after(lab.home, lines, *words)
        for artefact in lab.store.artefacts():
            assert len(lab.store.ancestors(artefact)) == len(artefact.manifest["inputs"])
    run(lab.home, *words)
    assert digest_store(lab.home) == digest_store(twin)
    kept = [lab.ladder, *lab.store.artefacts("checkpoint")]
    assert names(*lab.store.artefacts()) == names(*kept)
    assert list_names(lab.store) == ["other"]
    assert list_remainders(lab.store) == []


def test_what_an_interrupted_clean_left_goes_with_the_next(lab: Lab) -> None:
    rest = lab.home / "store" / "run" / f".{lab.ladder.key}.state.removed"
    rest.mkdir()
    (rest / "file").write_bytes(b"x" * 300)
    assert call(lab.home)["remainders"] == [{"path": str(rest), "bytes": 300}]
    assert rest.exists()
    call(lab.home, action=Action.remove)
    assert not rest.exists()


def test_a_store_that_is_being_cleaned_is_left_to_that(lab: Lab) -> None:
    with held(lab.home / "store" / ".locks" / "clean-store"):
        assert "4 artefacts" in run(lab.home).stdout
        done = run(lab.home, "--yes", code=1)
    assert done.stderr.startswith(f"error: {lab.store.root}: another process cleans it; ")
    assert set(lab.loose) <= set(lab.store.artefacts())


def test_several_at_once_end_in_the_same_store(lab: Lab) -> None:
    kept = names(*lab.store.artefacts()) - names(*lab.loose)
    workers = [
        subprocess.Popen(
            list_command("--yes"), cwd=ROOT, env=build_environment(lab.home),
            stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
        )
        for _ in range(3)
    ]  # fmt: skip
    said = [worker.communicate()[1] for worker in workers]
    assert 0 in [worker.returncode for worker in workers], said
    for worker, lines in zip(workers, said, strict=True):
        assert worker.returncode == 0 or lines.startswith(f"error: {lab.store.root}: another ")
    assert names(*lab.store.artefacts()) == kept
    assert list_remainders(lab.store) == []


KINDS = ("items", "corpus", "checkpoint", "run", "run", "run", "readings", "comparison")
RESUMING = {"run", "replay", "checkpoint"}


@dataclass(frozen=True)
class Thing:
    """An artefact, or a draft, of a random store; parents are places in the list of artefacts."""

    kind: str
    inputs: frozenset[int]
    mentions: frozenset[int]
    is_young: bool
    is_held: bool = False


@dataclass(frozen=True)
class World:
    """A random store, with notes under two names, links, and what is asked for."""

    artefacts: tuple[Thing, ...]
    drafts: tuple[Thing, ...]
    notes: dict[str, frozenset[int]]
    noted_drafts: dict[str, frozenset[int]]
    resumed: dict[str, int | None]
    links: dict[str, int | None]
    released: frozenset[str]
    what: frozenset[str]
    given_up: str | None


@st.composite
def worlds(draw: st.DrawFn) -> World:
    def draw_thing(count: int, kinds: tuple[str, ...], *, held: bool = False) -> Thing:
        some = (
            st.frozensets(st.integers(0, count - 1), max_size=2) if count else st.just(frozenset())
        )
        young = draw(st.integers(0, 4)) == 0
        return Thing(
            draw(st.sampled_from(kinds)),
            draw(some),
            draw(some),
            young,
            held and draw(st.booleans()),
        )

    size = draw(st.integers(1, 7))
    artefacts = tuple(draw_thing(place, KINDS) for place in range(size))
    drafts = tuple(
        draw_thing(size, ("scan", "run", "readings"), held=True)
        for _ in range(draw(st.integers(0, 2)))
    )
    place = st.integers(0, size - 1)
    some, maybe = st.frozensets(place, max_size=2), st.none() | place
    what = draw(st.just(frozenset(Part)) | st.frozensets(st.sampled_from(list(Part)), min_size=1))
    given_up = draw(st.sampled_from([None, "one"])) if Part.artefacts in what else None
    few = st.frozensets(st.integers(0, len(drafts) - 1)) if drafts else st.just(frozenset())
    both = ("one", "two")
    return World(
        artefacts, drafts, {name: draw(some) for name in both}, {name: draw(few) for name in both},
        {name: draw(maybe) for name in both}, {name: draw(maybe) for name in both},
        draw(st.sampled_from([frozenset(both), frozenset(both), frozenset()])), what, given_up,
    )  # fmt: skip


def close(world: World, roots: set[int]) -> set[int]:
    """These artefacts and all that they were made from."""
    found = set(roots)
    for place in reversed(range(len(world.artefacts))):
        if place in found:
            found |= world.artefacts[place].inputs | world.artefacts[place].mentions
    return found


@dataclass(frozen=True)
class Outcome:
    """What must be left: places of artefacts, of runs with a state, of drafts."""

    artefacts: set[int]
    states: set[int]
    drafts: set[int]


def foretell(world: World) -> Outcome:
    """What must be left, reckoned from the plan of the store alone."""
    things, standing = world.artefacts, [n for n in ("one", "two") if n != world.given_up]
    drafts = {
        place
        for place, draft in enumerate(world.drafts)
        if draft.is_held or draft.is_young or Part.drafts not in world.what
    }
    asked = {place for name in standing for place in world.noted_drafts[name]} - drafts
    roots = {place for name in standing for place in world.notes[name]}
    for places in (world.links, world.resumed):
        roots |= {place for name in standing if (place := places[name]) is not None}
    for place in drafts:
        roots |= world.drafts[place].inputs | world.drafts[place].mentions
    for place in asked:
        roots |= world.drafts[place].inputs
    roots |= {place for place, t in enumerate(things) if t.is_young or t.kind == "items"}
    is_trained = [
        name in world.released or any(things[p].kind == "run" for p in world.notes[name])
        for name in standing
    ]
    starts = {
        place
        for place, thing in enumerate(things)
        if thing.kind in RESUMING
        and not any(things[i].kind == "corpus" for i in thing.inputs)
        and not all(is_trained)
    }
    roots |= starts
    left = close(world, roots) if Part.artefacts in world.what else set(range(len(things)))
    wanted = {place for name in standing if (place := world.resumed[name]) is not None}
    wanted |= starts
    for thing in (things[place] for place in left):
        wanted |= thing.inputs | thing.mentions if thing.kind in RESUMING else set()
    for place in drafts | asked:
        draft = world.drafts[place]
        if draft.kind in RESUMING:
            wanted |= draft.inputs | (draft.mentions if place in drafts else set())
    states = {
        place
        for place in left
        if things[place].kind == "run"
        and (place in wanted or things[place].is_young or Part.states not in world.what)
    }
    return Outcome(left, states, drafts)


def raise_store(world: World, home: Path) -> tuple[list[Artefact], list[Path]]:
    """Build it."""
    store = Store(home / "store")
    built: list[Artefact] = []
    for place, thing in enumerate(world.artefacts):
        facts = {str(i): str(built[i].path / "rows") for i in thing.mentions}
        inputs = [built[i] for i in sorted(thing.inputs)]
        hours = 1 if thing.is_young else OLD
        built.append(make(store, thing.kind, *inputs, salt=place, hours=hours, **facts))
    drafts, recipes = [], []
    for place, thing in enumerate(world.drafts):
        inputs = tuple(built[i] for i in sorted(thing.inputs))
        recipes.append(Recipe(thing.kind, 1, {"draft": place}, inputs))
        drafts.append(interrupt(recipes[-1], store, hours=OLD))
        mentions = json.dumps([str(built[i].path) for i in thing.mentions])
        write(drafts[-1] / "experiment.json", mentions, 1 if thing.is_young else OLD)
    for name in ("one", "two"):
        resumed = world.resumed[name]
        folder = "ladder" if resumed is None else str(built[resumed].path / "checkpoints" / "step4")
        noted = [
            *(built[i] for i in world.notes[name]),
            *(recipes[i] for i in world.noted_drafts[name]),
        ]
        trial = pose(home, name, checkpoint=folder)
        scope = Scope.none if name in world.released else Scope.all
        replace(trial, experiment=replace(trial.experiment, arm=scope)).note(*noted)
        if (place := world.links[name]) is not None:
            publish(pose(home, name), built[place])
    return built, drafts


@settings(max_examples=300, deadline=None)
@given(worlds())
def test_of_any_store_what_is_needed_stays_and_the_rest_goes(world: World) -> None:
    with tempfile.TemporaryDirectory() as folder, contextlib.ExitStack() as locks:
        home, expected = Path(folder), foretell(world)
        built, drafts = raise_store(world, home)
        for thing, draft in zip(world.drafts, drafts, strict=True):
            if thing.is_held:
                name = f"{thing.kind}-{draft.name[1:13]}"
                lock = locks.enter_context((home / "store" / ".locks" / name).open("a+"))
                fcntl.flock(lock, fcntl.LOCK_EX)
        given = () if world.given_up is None else ("name=one",)
        what = tuple(world.what)
        listed = call(home, *given, what=what)
        removed = call(home, *given, what=what, action=Action.remove)
        assert removed["left"] == {}
        store = Store(home / "store")
        left = set(store.artefacts())
        assert left == {built[place] for place in expected.artefacts}
        for artefact in left:
            assert len(store.ancestors(artefact)) == len(artefact.manifest["inputs"])
        states = {artefact for artefact in left if (artefact.path / "state").exists()}
        assert states == {built[place] for place in expected.states}
        assert {d.path for d in list_drafts(store)} == {drafts[i] for i in expected.drafts}
        for part in Part:
            assert [i["name"] for i in listed[part]] == [i["name"] for i in removed[part]]
        again = call(home, what=what, action=Action.remove)
        assert not again["is_removed"]
        assert list_remainders(store) == []


def test_of_a_real_study_nothing_is_built_again(undisturbed: Path, tmp_path: Path) -> None:
    """Without the states of its arms, everything that was asked for is there as before."""
    for name in ("store", "runs"):
        shutil.copytree(undisturbed / name, tmp_path / name, symlinks=True)
    done = run(tmp_path, "hours=0", "--yes")
    assert "removed 3 states, " in done.stderr.splitlines()[-1]
    before, after = digest_store(undisturbed), digest_store(tmp_path)
    gone = before.keys() - after.keys()
    assert after == {name: digest for name, digest in before.items() if name not in gone}
    assert {(name.split("/")[0], name.split("/")[2]) for name in gone} == {("run", "state")}
    again = run_micro("intervene", "sweep=rates", home=tmp_path)
    assert again.returncode == 0, again.stderr
    assert "building" not in again.stderr
    assert digest_store(tmp_path) == after
    done = run(tmp_path, "name=intervene", "hours=0", "--yes")
    assert Store(tmp_path / "store").artefacts() == []
