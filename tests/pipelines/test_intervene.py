"""The main job, end to end on a miniature: what it leaves, and repeated."""

import shutil
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from intervene.lineage import Artefact, Store
from intervene.sources.backend import open_rows
from pipelines.trial import list_trials
from tests.pipelines.conftest import digest_store, run_micro


def list_artefacts(home: Path, kind: str) -> list[Artefact]:
    return Store(home / "store").artefacts(kind)


def read_corpora(home: Path) -> dict[float, Artefact]:
    return {a.manifest["params"]["rate"]: a for a in list_artefacts(home, "corpus")}


def test_sweep_builds_one_scan_and_a_corpus_and_a_run_per_arm(undisturbed: Path) -> None:
    count = {
        kind: len(list_artefacts(undisturbed, kind)) for kind in ("scan", "corpus", "comparison")
    }
    assert count == {"scan": 1, "corpus": 3, "comparison": 1}
    arms = [a for a in list_artefacts(undisturbed, "run") if "corpus" in str(a.manifest["inputs"])]
    assert len(arms) == 3


def test_every_checkpoint_has_readings_and_the_resume_checkpoint_has_them_once(
    undisturbed: Path,
) -> None:
    facts = [a.facts for a in list_artefacts(undisturbed, "readings")]
    seen = sorted((f["step"], f["arm"]) for f in facts)
    arms = ["control", "feminise-r0.5-document-s0", "feminise-r1-document-s0"]
    assert seen == [(4, "base")] + [(step, arm) for step in (6, 8, 10) for arm in arms]


def test_control_corpus_is_the_source(undisturbed: Path) -> None:
    corpus = read_corpora(undisturbed)[0.0]
    toy = list_artefacts(undisturbed, "toy")[0]
    rows = open_rows(toy.path / "rows", 65)
    assert (corpus.path / "rows.bin").read_bytes() == rows.read(32, 80).tobytes()


def test_rates_are_nested_in_the_corpora(undisturbed: Path) -> None:
    corpora = read_corpora(undisturbed)
    rows = {rate: open_rows(a.path / "rows.bin", 65).read(0, 48) for rate, a in corpora.items()}
    half, whole = rows[0.5] != rows[0.0], rows[1.0] != rows[0.0]
    assert half.any()
    assert whole.sum() > half.sum()
    assert not (half & ~whole).any()


def test_control_run_reproduces_the_uninterrupted_one(undisturbed: Path, tmp_path: Path) -> None:
    """Resuming from the ladder's own state equals never having stopped, bit for bit."""
    stop = run_micro("rewrite", "intervention=none", "data.stretch.start=9", home=tmp_path)
    assert stop.returncode == 0, stop.stderr
    trained = run_micro("train", "intervention=none", "data.stretch.start=9", home=tmp_path)
    assert trained.returncode == 0, trained.stderr
    (ladder,) = [
        a for a in list_artefacts(tmp_path, "run") if (a.path / "checkpoints" / "step8").exists()
    ]
    (control,) = [
        a
        for a in list_artefacts(undisturbed, "run")
        if read_corpora(undisturbed)[0.0].key in str(a.manifest["inputs"])
    ]
    weights = [a.path / "checkpoints" / "step8" / "model.safetensors" for a in (ladder, control)]
    assert weights[0].read_bytes() == weights[1].read_bytes()


def test_readings_are_finite_and_per_item(undisturbed: Path) -> None:
    for artefact in list_artefacts(undisturbed, "readings"):
        table = pq.read_table(artefact.path / "items.parquet").to_pandas()
        assert np.isfinite(table["value"]).all()
        assert not table.duplicated(["task", "item", "metric"]).any()


def test_report_is_whole_and_opens_without_a_network(undisturbed: Path) -> None:
    link = undisturbed / "runs" / "intervene" / "comparison"
    names = ("figures/overview.png", "figures/association.pdf", "tables/contrasts.csv",
             "readings.parquet", "summary.json")  # fmt: skip
    assert [name for name in names if not (link / name).is_file()] == []
    page = (link / "report/index.html").read_text()
    assert "feminise" in page
    assert 'src="http' not in page


def test_repeating_the_sweep_builds_nothing(undisturbed: Path) -> None:
    before = digest_store(undisturbed)
    done = run_micro("intervene", "sweep=rates", home=undisturbed)
    assert done.returncode == 0, done.stderr
    assert "building" not in done.stderr
    assert digest_store(undisturbed) == before


def test_status_counts_what_is_there(undisturbed: Path) -> None:
    done = run_micro("status", home=undisturbed)
    assert done.returncode == 0
    assert done.stdout.count("evaluate 4 checkpoints") == 3
    assert "missing" not in done.stdout


def test_more_questions_take_the_place_of_the_first_in_the_arms_that_are_asked(
    undisturbed: Path, tmp_path: Path
) -> None:
    home = tmp_path / "home"
    shutil.copytree(undisturbed, home, symlinks=True)
    first = {"winobias_pair_type2", "crows_pairs_english_gender"}
    more = {"winobias_pair_type1", *first}
    asked = f"evaluation.tasks=[{','.join(sorted(more))}]"
    done = run_micro("intervene", "intervention.rate=1", asked, home=home)
    assert done.returncode == 0, done.stderr
    trials = list_trials(Store(home / "store"), "intervene")
    tasks = {t.label: {name for a in t.artefacts("readings") for name in a.facts["tasks"]}
             for t in trials}  # fmt: skip
    assert tasks == {
        "tiny control": more,
        "tiny feminise-r0.5-document-s0": first,
        "tiny feminise-r1-document-s0": more,
    }


@pytest.mark.parametrize("override", ["shard=0/2", "arm=none", "step=6"])
def test_what_evaluate_alone_takes_is_refused_before_any_work(
    tmp_path: Path, override: str
) -> None:
    done = run_micro("intervene", override, home=tmp_path)
    assert done.returncode == 1
    assert override in done.stderr.splitlines()[-1]
    assert not (tmp_path / "store").exists()


def test_changed_artefact_folder_is_named_missing(undisturbed: Path, tmp_path: Path) -> None:
    home = tmp_path / "home"
    shutil.copytree(undisturbed, home, symlinks=True)
    shutil.rmtree(read_corpora(home)[0.5].path)
    done = run_micro("train", "intervention.rate=0.5", home=home)
    assert done.returncode == 1
    assert "pipelines.rewrite" in done.stderr.splitlines()[-1]
