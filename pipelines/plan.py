"""Plan: what arms cost on named hardware, before anything is started."""

import shutil
import sys
from collections.abc import Sequence
from pathlib import Path

from intervene.errors import InterveneError
from pipelines.planning.cost import Cost
from pipelines.planning.estimate import describe_cost, show_cost
from pipelines.planning.node import HERE, find_node
from pipelines.planning.reckoning import Basis, reckon
from pipelines.planning.speed import Known, read_speeds, read_trained
from pipelines.planning.stock import take_stock
from pipelines.readout import print_json, print_lines
from pipelines.stage import reporting, stage
from pipelines.trial import Trial


def plan(trials: Sequence[Trial]) -> None:
    """Print what arms cost, a line a training, and then report what cannot be.

    Args:
        trials: the arms, controls among them, each once.

    Errors: as `find_basis`.
    """
    basis = find_basis(trials)
    cost, store = reckon(trials, basis), basis.stock.store.root
    if cost.arms:
        print_lines(show_cost(cost, basis, trials[0].experiment.launcher, find_free(store)))
    report(cost)


def plan_json(trials: Sequence[Trial]) -> None:
    """As `plan`, as one JSON object."""
    basis = find_basis(trials)
    cost, store = reckon(trials, basis), basis.stock.store.root
    print_json(describe_cost(cost, basis, find_free(store)))
    report(cost)


def find_basis(trials: Sequence[Trial]) -> Basis:
    """What the reckoning of these arms rests on: one kind of machine, one store.

    Errors: InterveneError for arms of several, a released model, and a table that is none.
    """
    experiment = trials[0].experiment
    if any(trial.is_released for trial in trials):
        raise InterveneError("a released model is not trained", "arm=none", "leave it out")
    for key in ("hardware", "launcher", "paths"):
        if any(getattr(t.experiment, key) != getattr(experiment, key) for t in trials):
            raise InterveneError("a plan is of one, and arms have several", key, "choose one")
    hardware, store = experiment.hardware or HERE, trials[0].store
    table = () if hardware.table is None else read_speeds(Path(hardware.table).expanduser())
    known = Known(table, read_trained(store))
    return Basis(hardware, find_node(hardware), known, take_stock(store))


def find_free(folder: Path) -> int:
    """Bytes that are free where a folder is, or will be."""
    there = next(path for path in (folder, *folder.parents) if path.exists())
    return shutil.disk_usage(there).free


def report(cost: Cost) -> None:
    """Report each problem once, so that the command ends with exit code 1."""
    for problem in cost.problems:
        with reporting("the plan"):
            raise problem


def list_arms(trials: Sequence[Trial]) -> list[Trial]:
    """The arms that are asked for, and the control of each before it; each once."""
    arms: dict[tuple[str, str], Trial] = {}
    for trial in trials:
        for arm in (trial.control, trial):
            arms.setdefault((arm.digest, str(arm.experiment.hardware)), arm)
    return list(arms.values())


def main() -> None:
    """Run the stage; `--json` is for programs."""
    show = plan_json if "--json" in sys.argv else plan

    def run(trial: Trial) -> None:
        show(list_arms([trial]))

    def sweep(trials: Sequence[Trial]) -> None:
        show(list_arms(trials))

    sys.argv = [word for word in sys.argv if word != "--json"]
    stage(run, sweep=sweep)()


if __name__ == "__main__":
    main()
