"""Training steps: the engine with each kernel set, transformers' Trainer and a plain loop."""

import json
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch

from bench.contestants import list_contestants
from bench.trial import KERNELS, SIZES, compose, list_sizes
from intervene.console import say
from intervene.training.network.throughput import mfu
from pipelines.planning.node import CPU
from pipelines.planning.speed import Measurement, describe_setting


def measure() -> list[dict[str, Any]]:
    """One row per model and contestant, each timed in a process of its own.

    `note` is the speed as a multiple of the reference's, the share of the device's peak (MFU) where
    that is known, and the micro-batch. `measured` of the engine's rows is the line of `--table`.
    """
    rows = []
    for size in list_sizes():
        measured = {name: run_fresh(size, name) for name, _, _ in list_contestants()}
        base = measured["engine, reference"]["tokens_per_s"]
        for name, found in measured.items():
            row = {
                "what": f"{size}: {name}",
                "tokens_per_s": found["tokens_per_s"],
                "peak_mib": found["peak_mib"],
                "note": describe(size, found, base),
            }
            record = make_record(size, name, found)
            rows.append(row if record is None else row | {"measured": asdict(record)})
    return rows


def make_record(size: str, name: str, found: dict[str, Any]) -> Measurement | None:
    """A speed of our engine for `python -m pipelines.plan`; None of others, and out of memory."""
    kernels = name.removeprefix("engine, ")
    if kernels not in KERNELS or not found["tokens_per_s"]:
        return None
    device = torch.cuda.get_device_name() if torch.cuda.is_available() else CPU
    setting = describe_setting(compose(SIZES[size], KERNELS[kernels], Path()))
    return Measurement(device, setting, found["tokens_per_s"])


def run_fresh(size: str, name: str) -> dict[str, Any]:
    """Time one contestant."""
    say(f"  {size}: {name}")
    command = [sys.executable, "-m", "bench.contestants", size, name]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def describe(size: str, found: dict[str, Any], base: float) -> str:
    """What a row says beside its numbers."""
    speed, said = found["tokens_per_s"], []
    if base:
        said.append(f"{speed / base:.2f} x the reference")
    if torch.cuda.is_available():
        model = compose(SIZES[size], KERNELS["sdpa"], Path()).model
        device = torch.cuda.get_device_name()
        share = mfu(model, SIZES[size].tokens + 1, speed, device, gpus=1)
        said += [] if share is None else [f"MFU {share:.1%}"]
    said.append(f"micro-batch {found['micro_batch']}")
    if "first_s" in found:
        said.append(f"first step {found['first_s']:.1f} s")
    return ", ".join([*said, *filter(None, [found["note"]])])
