"""How fast a model trains on a device, and how that is known."""

import csv
import statistics
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, fields
from enum import StrEnum
from pathlib import Path

from intervene.errors import InterveneError
from intervene.experiment import Experiment, from_json
from intervene.hardware import Hardware
from intervene.lineage import Store
from intervene.trainer import Kernels, Precision
from intervene.training.job import JOB, Job
from intervene.training.network.throughput import count_flops, find_peak
from pipelines.planning.node import CPU, Node

TRAININGS = ("run", "replay")
"""Kinds of artefacts whose facts have a speed; a ladder is a run."""


class Origin(StrEnum):
    """How a speed is known, the surest first."""

    given = "given"
    table = "table"
    measured = "measured"
    assumed = "assumed"


@dataclass(frozen=True)
class Setting:
    """What a speed is of, by its numbers and not by a preset's name.

    Args:
        layers, width, vocab: the architecture.
        row_tokens: tokens of a row, one more than its targets.
        precision: as `trainer.precision`.
        kernels: as `spell_kernels` writes them.
    """

    layers: int
    width: int
    vocab: int
    row_tokens: int
    precision: str
    kernels: str


@dataclass(frozen=True)
class Measurement:
    """A speed that was measured.

    Args:
        device: its full name as the driver gives it, or `cpu`.
        setting: what was trained.
        tokens_per_s: per GPU, or per process on a CPU.
    """

    device: str
    setting: Setting
    tokens_per_s: float


@dataclass(frozen=True)
class Speed:
    """A speed to reckon with.

    Args:
        tokens_per_s: per GPU, or per process on a CPU.
        origin: how it is known.
        count: measurements of which it is the median; 0 for what was not measured.
    """

    tokens_per_s: float
    origin: Origin
    count: int = 0


@dataclass(frozen=True)
class Known:
    """Measured speeds: those of `hardware.table`, and those of trainings in the store."""

    table: tuple[Measurement, ...]
    trained: tuple[Measurement, ...]


def spell_kernels(kernels: Kernels) -> str:
    """What is on, such as `sdpa+fused_adam+deterministic`."""
    flags = [field.name for field in fields(kernels) if field.name not in ("name", "attention")]
    return "+".join([kernels.attention, *(flag for flag in flags if getattr(kernels, flag))])


def describe_setting(experiment: Experiment) -> Setting:
    """What the speed of an experiment's training depends on, beside the device."""
    model, precision = experiment.model, str(experiment.trainer.precision)
    kernels, row_tokens = spell_kernels(experiment.kernels), experiment.data.row_tokens
    return Setting(model.layers, model.width, model.vocab, row_tokens, precision, kernels)


COLUMNS = ("device", *(field.name for field in fields(Setting)), "tokens_per_s")


def write_speeds(path: Path, measured: Iterable[Measurement]) -> None:
    """Write a table of speeds as CSV."""
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS)
        writer.writeheader()
        for each in measured:
            speed = {"device": each.device, "tokens_per_s": f"{each.tokens_per_s:.6g}"}
            writer.writerow(speed | asdict(each.setting))


def read_speeds(path: Path) -> tuple[Measurement, ...]:
    """Read a table of speeds.

    Errors: InterveneError for a file that is not there, lacks a column, or has a line that is none.
    """
    where = f"hardware.table={path}"
    remedy = "give a CSV that `python -m bench step --table FILE` wrote"
    if not path.is_file():
        raise InterveneError("no such file", where, remedy)
    found = []
    with path.open(newline="") as file:
        reader = csv.DictReader(file)
        if lacking := [name for name in COLUMNS if name not in (reader.fieldnames or ())]:
            raise InterveneError(f"it has no column {lacking[0]}", where, remedy)
        for line in reader:
            try:
                found.append(_read_line(line))
            except (TypeError, ValueError) as problem:
                what = f"line {reader.line_num:,}: {problem}"
                raise InterveneError(what, where, remedy) from problem
    return tuple(found)


def _read_line(line: dict[str, str]) -> Measurement:
    layers, width, vocab, row_tokens = (
        int(line[name]) for name in ("layers", "width", "vocab", "row_tokens")
    )
    speed = float(line["tokens_per_s"])
    if not speed > 0:
        raise ValueError(f"tokens_per_s is {speed:g}")
    setting = Setting(layers, width, vocab, row_tokens, line["precision"], line["kernels"])
    return Measurement(line["device"], setting, speed)


def read_trained(store: Store) -> tuple[Measurement, ...]:
    """The speeds that the store's trainings had, over their steps alone."""
    found = []
    for artefact in (each for kind in TRAININGS for each in store.artefacts(kind)):
        facts, path = artefact.facts, artefact.path / JOB
        if path.is_file() and {"device", "tokens_per_s", "world_size"} <= facts.keys():
            setting = describe_setting(from_json(Job, path.read_text()).experiment)
            speed = facts["tokens_per_s"] / facts["world_size"]
            found.append(Measurement(facts["device"], setting, speed))
    return tuple(found)


def find_speed(
    experiment: Experiment, hardware: Hardware, node: Node, known: Known
) -> Speed | None:
    """The speed of an experiment's training: given, of the table, of the store, or assumed.

    Returns:
        None for a CPU where nothing is given or measured.

    Errors: InterveneError for a GPU whose peak is not known, where nothing is given or measured.
    """
    model, setting = experiment.model, describe_setting(experiment)
    if given := hardware.tokens_per_s.get(model.name):
        return Speed(given, Origin.given)
    for origin, measured in ((Origin.table, known.table), (Origin.measured, known.trained)):
        speeds = _select(measured, setting, node.device)
        if speeds:
            return Speed(statistics.median(speeds), origin, len(speeds))
    if node.device == CPU:
        return None
    peak = find_peak(node.device)
    if peak is None or experiment.trainer.precision is Precision.fp32:
        unknown = "peak is not known" if peak is None else "peak in fp32 is not known"
        raise InterveneError(
            f"its {unknown}, and the speed of {model.name} was neither given nor measured",
            f"hardware.gpu={node.device}",
            f"give +hardware.tokens_per_s={{{model.name}: TOKENS}}, or hardware.table",
        )
    flops = count_flops(model, experiment.data.row_tokens)
    return Speed(hardware.mfu * peak / flops, Origin.assumed)


def _select(measured: Sequence[Measurement], setting: Setting, device: str) -> list[float]:
    """The speeds of a setting on devices whose name holds `device`."""
    return [
        each.tokens_per_s for each in measured if each.setting == setting and device in each.device
    ]
