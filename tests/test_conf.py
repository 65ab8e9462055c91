"""Every config option composes into a valid experiment."""

from pathlib import Path

import pytest
from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf

from intervene.experiment import Experiment, from_json, to_json
from intervene.stretch import Stretch
from pipelines.stage import ROOT

CONF = ROOT / "conf"
LOCAL = ["data.path=/rows", "data.tokenizer=/tokenizer.json"]
# Published in arXiv 2304.01373, table 1, and the Pythia repository's model cards.
PARAMETERS = {
    "pythia-70m": 70_426_624,
    "pythia-160m": 162_322_944,
    "pythia-410m": 405_334_016,
    "pythia-1b": 1_011_781_632,
    "pythia-1.4b": 1_414_647_808,
    "pythia-2.8b": 2_775_208_960,
    "pythia-6.9b": 6_857_302_016,
    "pythia-12b": 11_846_072_320,
}


def compose_experiment(*overrides: str) -> Experiment:
    with initialize_config_dir(config_dir=str(CONF), version_base="1.3"):
        experiment = OmegaConf.to_object(compose("config", overrides=list(overrides)))
    assert isinstance(experiment, Experiment)
    return experiment


def list_options() -> list[tuple[str, str]]:
    files = [path for path in CONF.glob("*/*.yaml") if path.parent.name != "sweep"]
    return sorted((path.parent.name, path.stem) for path in files)


@pytest.mark.parametrize(("group", "option"), list_options())
def test_every_option_composes(group: str, option: str) -> None:
    extra = LOCAL if (group, option) in {("data", "local"), ("data", "documents")} else []
    experiment = compose_experiment(f"{group}={option}", *extra)
    assert from_json(Experiment, to_json(experiment)) == experiment
    assert hash(experiment) == hash(from_json(Experiment, to_json(experiment)))


@pytest.mark.parametrize("path", sorted((CONF / "sweep").glob("*.yaml")), ids=lambda p: p.stem)
def test_every_sweep_sets_multirun(path: Path) -> None:
    sweep = OmegaConf.load(path)
    assert sweep.hydra.mode == "MULTIRUN"
    for key, values in sweep.hydra.sweeper.params.items():
        for value in str(values).split(","):
            compose_experiment(f"{key}={value}")


@pytest.mark.parametrize("name", sorted(PARAMETERS))
def test_architecture_has_the_published_number_of_parameters(name: str) -> None:
    model = compose_experiment(f"model={name}", "data=pile-deduped").model
    layer = 12 * model.width**2 + 13 * model.width
    total = 2 * model.vocab * model.width + model.layers * layer + 2 * model.width
    assert total == PARAMETERS[name]


@pytest.mark.parametrize("size", ["70m", "160m", "410m", "1b", "1.4b", "2.8b", "6.9b", "12b"])
def test_deduped_twin_differs_in_name_and_repository_only(size: str) -> None:
    plain = compose_experiment(f"model=pythia-{size}", "data=pile-deduped").model
    twin = compose_experiment(f"model=pythia-{size}-deduped", "data=pile-deduped").model
    assert twin.repo == f"EleutherAI/pythia-{size}-deduped"
    assert vars(twin) | {"name": plain.name, "repo": plain.repo} == vars(plain)


@pytest.mark.parametrize("size", ["70m", "410m", "1.4b", "6.9b", "long-1.4b"])
def test_published_intervention_differs_from_its_counterpart_in_names_only(size: str) -> None:
    name = f"pythia-intervention-{size}-deduped"
    model = compose_experiment(f"model={name}", "data=pile-deduped").model
    twin = compose_experiment(f"model={model.counterpart}", "data=pile-deduped").model
    assert (model.repo, model.counterpart) == (f"EleutherAI/{name}", twin.name)
    assert twin.name == f"pythia-{size.removeprefix('long-')}-deduped"
    named = {"name": twin.name, "repo": twin.repo, "counterpart": None}
    assert vars(model) | named == vars(twin)


def test_published_intervention_is_the_last_21_billion_tokens() -> None:
    data = compose_experiment("data=pile-deduped", "model=pythia-70m-deduped").data
    assert len(data.rows) * (data.row_tokens - 1) == 20_971_520_000


def test_real_data_is_trained_on_as_pythia_was() -> None:
    experiment = compose_experiment("data=pile-deduped", "model=pythia-70m-deduped")
    assert experiment.trainer.name == "pythia"
    assert experiment.evaluation.data == "hub"


def test_what_a_preset_leaves_null_can_be_given_whole() -> None:
    data = compose_experiment("data=pile-deduped", "data.heldout={start:132999,stop:133000}").data
    assert data.heldout == Stretch(132999, 133000)
    assert compose_experiment("data.heldout=null").data.heldout is None


def test_what_the_toy_holds_out_follows_its_stretch() -> None:
    assert compose_experiment().data.heldout == Stretch(400, 404)
    assert compose_experiment("data.stretch.stop=420").data.heldout == Stretch(420, 424)


def test_command_line_wins_over_what_the_toy_brings() -> None:
    assert compose_experiment("trainer=pythia").trainer.name == "pythia"
    assert compose_experiment().trainer.name == "smoke"
