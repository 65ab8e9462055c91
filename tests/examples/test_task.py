"""A task from a folder of one's own: found, scored item by item, keyed, and contrasted."""

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from tokenizers import Tokenizer
from transformers import GPTNeoXConfig, GPTNeoXForCausalLM

from intervene import InterveneError, Store, contrast, gather, make_toy
from intervene.evaluation.own import digest_asked
from intervene.evaluation.score import score
from intervene.experiment import Evaluation
from intervene.trainer import Precision
from tests.examples.pages import PAGES, ROOT, list_blocks, list_commands, run

OWN = ROOT / "examples" / "occupations"
TASK = "occupation_pairs"
ALL, RELEASED = list_commands(PAGES[2])
ITEMS = [json.loads(line) for line in (OWN / "items.jsonl").read_text().splitlines()]


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Two checkpoints of random weights, with the toy's tokenizer."""
    _, tokenizer = make_toy(1)
    folders = []
    for seed in range(2):
        torch.manual_seed(seed)
        config = GPTNeoXConfig(
            vocab_size=1024, hidden_size=32, num_hidden_layers=1, num_attention_heads=2,
            intermediate_size=64, max_position_embeddings=128, initializer_range=0.1,
            bos_token_id=0, eos_token_id=0, hidden_act="gelu_pytorch_tanh",
        )  # fmt: skip
        folder = tmp_path_factory.mktemp(f"random{seed}")
        GPTNeoXForCausalLM(config).save_pretrained(folder)
        tokenizer.save(str(folder / "tokenizer.json"))
        folders.append(folder)
    return folders


@pytest.fixture
def ask() -> Callable[..., Evaluation]:
    def build(folder: Path = OWN, task: str = TASK) -> Evaluation:
        return Evaluation(
            name="test", tasks=(task,), data="embedded", batch_size=8, processes=None,
            precision=Precision.fp32, resamples=200, seed=0, tasks_from=folder,
        )  # fmt: skip

    return build


def read(model: Path, evaluation: Evaluation) -> pd.DataFrame:
    return score(model, model / "tokenizer.json", evaluation, Path()).table.to_pandas()


@pytest.fixture(scope="module")
def home(models: list[Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the page's command for released models scored the first."""
    home = tmp_path_factory.mktemp("scored")
    kept = [word for word in RELEASED if not word.startswith(("model=", "data=", "step="))]
    done = run(kept, f"model.checkpoint={models[0]}", "step=7", home=home)
    assert done.returncode == 0, done.stderr
    return home


def test_its_values_are_in_the_readings_item_by_item(home: Path) -> None:
    (artefact,) = Store(home / "store").artefacts("readings")
    table = pd.read_parquet(artefact.path / "items.parquet")
    assert table.columns.tolist() == ["task", "item", "cluster", "stereotype", "metric", "value"]
    assert table.item.tolist() == sorted(item["id"] for item in ITEMS)
    assert set(table.task) == {TASK}
    assert set(table.metric) == {"preference"}
    assert artefact.facts["tasks"][TASK]["n"] == len(ITEMS)


def test_its_digest_is_in_the_readings_key(home: Path, ask: Callable[..., Evaluation]) -> None:
    (artefact,) = Store(home / "store").artefacts("readings")
    digests = digest_asked(ask(), Path())
    assert artefact.manifest["params"]["tasks"] == digests
    assert artefact.facts["tasks"][TASK]["digest"] == digests[TASK]


def test_a_value_is_the_difference_of_the_sentences_log_probabilities(
    home: Path, models: list[Path]
) -> None:
    reading = gather(Store(home / "store").artefacts("readings"))[0].table().set_index("item")
    model = GPTNeoXForCausalLM.from_pretrained(models[0]).eval()
    tokenizer = Tokenizer.from_file(str(models[0] / "tokenizer.json"))
    for item in ITEMS:
        logs = []
        for pronoun in ("she", "he"):
            text = item["sentence"].replace("[he/she]", pronoun)
            ids = torch.tensor([[0, *tokenizer.encode(text).ids]])
            with torch.no_grad():
                each = model(ids).logits[0, :-1].double().log_softmax(-1)
            logs.append(float(each.gather(1, ids[0, 1:, None]).sum()))
        assert np.isclose(reading.value[item["id"]], logs[0] - logs[1], atol=1e-4)


def test_two_models_are_contrasted_on_it(
    models: list[Path], ask: Callable[..., Evaluation]
) -> None:
    tables = [read(model, ask()) for model in models]
    found = contrast(*tables, resamples=200).set_index("estimand")
    assert found.index.tolist() == [f"{TASK}_preference", f"{TASK}_preference_association"]
    assert set(found.section) == {"other"}
    means = [table.value.mean() for table in tables]
    assert np.isclose(found.difference[f"{TASK}_preference"], means[0] - means[1])
    gaps = [t.groupby("stereotype").value.mean() for t in tables]
    gaps = [gap["female"] - gap["male"] for gap in gaps]
    assert np.isclose(found.difference[f"{TASK}_preference_association"], gaps[0] - gaps[1])
    assert found.clusters.tolist() == [6, 6]


def copy(folder: Path) -> Path:
    shutil.copytree(OWN, folder, ignore=shutil.ignore_patterns("__pycache__"))
    return folder


@pytest.mark.parametrize("name", ["items.jsonl", f"{TASK}.py", f"{TASK}.yaml"])
def test_any_byte_of_the_folder_changes_the_digest(
    name: str, tmp_path: Path, ask: Callable[..., Evaluation]
) -> None:
    folder = copy(tmp_path / "own")
    assert digest_asked(ask(folder), Path()) == digest_asked(ask(), Path())
    path = folder / name
    path.write_text(path.read_text() + "\n")
    assert digest_asked(ask(folder), Path()) != digest_asked(ask(), Path())


def edit(folder: Path, name: str, old: str, new: str) -> Path:
    text = (folder / name).read_text()
    assert old in text
    (folder / name).write_text(text.replace(old, new))
    return folder


@pytest.mark.parametrize(
    ("name", "old", "new", "told"),
    [
        (f"{TASK}.py", '"cluster": row["occupation"],', "", f"task {TASK}: .* no cluster"),
        ("items.jsonl", "florist_2", "florist_1", f"task {TASK}: item florist_1 is there twice"),
        (f"{TASK}.py", '{"preference"', '{"liking"', f"task {TASK}: none of its metrics is kept"),
        (f"{TASK}.yaml", f"task: {TASK}", "task: other", f"does not say `task: {TASK}`"),
    ],
)
def test_a_mistake_is_one_line(
    models: list[Path], tmp_path: Path, ask: Callable[..., Evaluation],
    name: str, old: str, new: str, told: str,
) -> None:  # fmt: skip
    folder = edit(copy(tmp_path / "own"), name, old, new)
    with pytest.raises(InterveneError, match=told):
        read(models[0], ask(folder))


def test_a_name_of_the_packages_is_refused(tmp_path: Path, ask: Callable[..., Evaluation]) -> None:
    folder = copy(tmp_path / "own")
    (folder / f"{TASK}.yaml").rename(folder / "winogender.yaml")
    with pytest.raises(InterveneError, match="the package has a task of this name: winogender"):
        digest_asked(ask(folder, "winogender"), Path())


@pytest.mark.slow
def test_a_trial_of_ones_own_options_words_and_task(tmp_path: Path) -> None:
    command = [
        "python", "-m", "pipelines.intervene", "--config-dir=examples/conf", "-m",
        "lexicon=people", "lexicon.pronouns=true", "intervention=half_masculine",
        "intervention.rate=0,1", *ALL[3:],
    ]  # fmt: skip
    done = run(command, home=tmp_path)
    assert done.returncode == 0, done.stderr
    rates = {a.facts["rate"]: a.facts for a in Store(tmp_path / "store").artefacts("corpus")}
    assert rates[0.0]["applied"] == 0
    assert rates[1.0]["applied_by_form"]["she"] > 0
    (page,) = [block for block in list_blocks(PAGES[2], "python") if "import Store" in block]
    printed = subprocess.run(
        [sys.executable, "-c", page], cwd=tmp_path, capture_output=True, text=True
    )
    assert printed.returncode == 0, printed.stderr
    assert f"{TASK}_preference_association" in printed.stdout
    assert "masculinise-r1-document-s7" in printed.stdout
