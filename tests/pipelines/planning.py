"""Arms as a command line composes them, and what a plan of them rests on."""

from collections.abc import Sequence
from pathlib import Path

from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf

from intervene.experiment import Experiment
from intervene.lineage import Store
from pipelines.planning.cost import Cost
from pipelines.planning.node import HERE, find_node
from pipelines.planning.reckoning import Basis, reckon
from pipelines.planning.speed import Known, Measurement, read_trained
from pipelines.planning.stock import take_stock
from pipelines.stage import ROOT
from pipelines.trial import Trial
from tests.pipelines.conftest import MICRO

PILE = ("data=pile-deduped", "kernels=fused")
EIGHT = (*PILE, "hardware=h100", "launcher=slurm")
"""Eight H100 an arm."""


def ask(*overrides: str, store: Path = Path("/nowhere")) -> Trial:
    """The arm of a command line."""
    wanted = [*overrides, f"paths.store={store}"]
    with initialize_config_dir(config_dir=str(ROOT / "conf"), version_base="1.3"):
        experiment = OmegaConf.to_object(compose("config", overrides=wanted))
    assert isinstance(experiment, Experiment)
    return Trial(experiment, overrides)


def find_basis(
    trial: Trial,
    table: Sequence[Measurement] = (),
    trained: Sequence[Measurement] = (),
) -> Basis:
    """What a plan of an arm rests on, with these measurements."""
    hardware = trial.experiment.hardware or HERE
    known, stock = Known(tuple(table), tuple(trained)), take_stock(Store(trial.store.root))
    return Basis(hardware, find_node(hardware), known, stock)


def ask_micro(*overrides: str, store: Path) -> Trial:
    """An arm of the small trial that the tests train."""
    return ask(*MICRO, "hardware=here", *overrides, store=store)


def reckon_micro(store: Path, *overrides: str, rates: tuple[float, ...] = (0, 0.5, 1)) -> Cost:
    """What arms of the small trial cost at these rates."""
    trials = [ask_micro(f"intervention.rate={r}", *overrides, store=store) for r in rates]
    return reckon(trials, find_basis(trials[0], trained=read_trained(Store(store))))
