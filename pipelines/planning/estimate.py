"""What a sweep is expected to cost, as lines for people and as JSON for programs."""

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from intervene.console import show_duration, show_rate
from intervene.launcher import Launcher
from intervene.training.memory.footprint import show_bytes
from intervene.training.network.throughput import find_peak
from pipelines.planning.cost import Arm, Cost, Training
from pipelines.planning.node import GIB
from pipelines.planning.reckoning import Basis
from pipelines.planning.speed import Origin

UNKNOWN = "–"
LEFT_OUT = (
    "left out: rewriting, scoring, start-up, saving, held-out loss, waiting in a queue; on disk "
    "readings, held-out rows rewritten, weights in the Hub's cache"
)
HEADS = ("training", "from step", "tokens", "{many}", "tokens/s each", "{one} h", "takes",
         "rows: GiB each", "checkpoints", "state", "there already")  # fmt: skip
ALIGNED_LEFT = (0, 10)


def show_cost(cost: Cost, basis: Basis, launcher: Launcher, free: int) -> list[str]:
    """The lines of a plan.

    Args:
        cost: what is shown.
        basis: what it rests on.
        launcher: where arms run.
        free: bytes on the store's disk.
    """
    one, many = ("GPU", "GPUs") if basis.node.gpus else ("process", "processes")
    lines = [[head.format(one=one, many=many) for head in HEADS]]
    lines += [[*show_training(each), show_there(each)] for each in cost.preparations]
    lines += [[*show_training(arm.training), show_stages(arm)] for arm in cost.arms]
    return [
        show_node(cost, basis, launcher),
        "",
        *align(lines, ALIGNED_LEFT),
        "",
        *show_hours(cost, one),
        "",
        *show_disk(cost, basis, free),
        "",
        *show_sources(cost, basis),
        LEFT_OUT,
    ]


def show_node(cost: Cost, basis: Basis, launcher: Launcher) -> str:
    """What is reckoned on."""
    node, where = basis.node, "slurm" if launcher.slurm else "local"
    has = f"{node.gpus} × {node.device}" if node.gpus else "a CPU"
    memory = f"{show_bytes(node.memory)}{' each' if node.gpus else ''}"
    return (
        f"hardware {basis.hardware.name}: {has}, {memory}; launcher {where}: {cost.at_once} at once"
    )


def show_training(training: Training) -> list[str]:
    """The cells of a training, but for the last."""
    speed, fit, memory = training.speed, training.fit, "too large"
    if fit is not None:
        marks = "*" * fit.activation_checkpointing + "!" * (fit.bytes > fit.room)
        memory = f"{fit.micro_batch}{marks}: {fit.bytes / GIB:.1f}"
    return [
        training.name,
        f"{training.start:,}",
        show_rate(training.tokens),
        str(training.share.devices),
        UNKNOWN if speed is None else f"{show_rate(speed.tokens_per_s)} {speed.origin}",
        show_number(training.device_hours),
        UNKNOWN if training.seconds is None else show_duration(training.seconds),
        memory,
        show_bytes(training.checkpoints) if training.checkpoints else UNKNOWN,
        show_bytes(training.state),
    ]


def show_there(training: Training) -> str:
    """Whether a training is there, or need not be."""
    if training.is_built:
        return "yes"
    return UNKNOWN if training.is_needed else "not needed"


def show_stages(arm: Arm) -> str:
    """Which stages of an arm are there."""
    there = ["corpus"] * arm.has_corpus + ["run"] * arm.training.is_built
    if arm.scored:
        there.append(f"{arm.scored} of {arm.wanted} readings")
    return ", ".join(there) or UNKNOWN


def show_number(hours: float | None) -> str:
    """Hours in two digits or three: `0.26`, `40.1`, `1,274`."""
    if hours is None:
        return UNKNOWN
    if hours < 1:
        return f"{hours:.2g}"
    return f"{hours:.1f}" if hours < 99.95 else f"{hours:,.0f}"


def show_hours(cost: Cost, one: str) -> list[str]:
    """Hours in all and left; `one`: what they are of."""
    lines = []
    if cost.unknown < len(cost.trainings):
        hours = [show_number(cost.count_hours(left=left)) for left in (False, True)]
        takes = [show_duration(cost.count_seconds(left=left)) for left in (False, True)]
        lines = [
            f"{one} hours: {hours[0]} in all, {hours[1]} left",
            f"takes: {takes[0]} in all, {takes[1]} left",
        ]
    if cost.unknown:
        lines.append(
            f"not known: the speed of {cost.unknown} of {len(cost.trainings)} trainings, whose "
            "hours are missing; measure it (python -m bench step --table FILE) or give it"
        )
    return lines


def show_disk(cost: Cost, basis: Basis, free: int) -> list[str]:
    """What is kept by kind, and whether there is room for what is left."""
    whole, left = cost.count_bytes(left=False), cost.count_bytes(left=True)
    need, store = sum(left.values()), basis.stock.store.root
    lines = [["disk", "in all", "left"]]
    for kind, size in whole.items():
        lines.append([kind, show_bytes(size), show_bytes(left[kind]) if kind in left else UNKNOWN])
    lines.append(["together", show_bytes(sum(whole.values())), show_bytes(need)])
    found = [*align(lines, (0,)), f"free in {store}: {show_bytes(free)}"]
    if need > free:
        found.append(
            f"not enough: {show_bytes(need - free)} are missing; give another paths.store, raise "
            "trainer.save_every, or set corpus.form=overlay"
        )
    return found


def show_sources(cost: Cost, basis: Basis) -> list[str]:
    """Where the speeds come from, those that were used."""
    hardware, node = basis.hardware, basis.node
    used = {training.speed.origin for training in cost.trainings if training.speed}
    peak = (find_peak(node.device) or 0) / 1e12
    said = {
        Origin.given: "hardware.tokens_per_s",
        Origin.table: f"{hardware.table}; the median where there are several",
        Origin.measured: f"trainings in the store on {node.device}; the median of each model's",
        Origin.assumed: f"{hardware.mfu:.0%} (hardware.mfu) of {peak:,.0f} TFLOP/s; not measured",
    }
    return [f"speed, {origin}: {said[origin]}" for origin in Origin if origin in used]


def align(lines: Sequence[Sequence[str]], left: Sequence[int]) -> list[str]:
    """Lines of cells in columns, those named aligned to the left."""
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return [
        "  ".join(
            cell.ljust(width) if at in left else cell.rjust(width)
            for at, (cell, width) in enumerate(zip(line, widths, strict=True))
        ).rstrip()
        for line in lines
    ]


def describe_cost(cost: Cost, basis: Basis, free: int) -> dict[str, Any]:
    """A plan for programs: bytes, seconds, hours, tokens per second and device."""
    parts = {"all": False, "left": True}
    return {
        "hardware": basis.hardware.name,
        "node": asdict(basis.node),
        "at_once": cost.at_once,
        "arms": [
            {
                **describe_training(arm.training),
                "corpus": arm.has_corpus,
                "readings": arm.scored,
                "readings_wanted": arm.wanted,
            }
            for arm in cost.arms
        ],
        "preparations": [describe_training(training) for training in cost.preparations],
        "hours": {key: cost.count_hours(left=left) for key, left in parts.items()},
        "seconds": {key: cost.count_seconds(left=left) for key, left in parts.items()},
        "speeds_unknown": cost.unknown,
        "bytes": {key: cost.count_bytes(left=left) for key, left in parts.items()},
        "bytes_free": free,
        "problems": [str(problem) for problem in cost.problems],
    }


def describe_training(training: Training) -> dict[str, Any]:
    """A training for programs."""
    return {
        "name": training.name,
        "start": training.start,
        "tokens": training.tokens,
        "devices": training.share.devices,
        "ranks": training.share.ranks,
        "speed": None if training.speed is None else asdict(training.speed),
        "hours": training.device_hours,
        "seconds": training.seconds,
        "memory": None if training.fit is None else asdict(training.fit),
        "checkpoints_bytes": training.checkpoints,
        "state_bytes": training.state,
        "is_built": training.is_built,
        "is_needed": training.is_needed,
    }
