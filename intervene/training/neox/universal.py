"""DeepSpeed's universal checkpoint files, which load at any number of ranks and any ZeRO stage."""

from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

FOLDER, LATEST, REPORT = "universal", "latest_universal", "report.json"
BYTES = 12  # of an element: the master weight and two moments, fp32


def write_parameter(folder: Path, name: str, states: Mapping[str, Tensor], step: int) -> None:
    """Write one parameter's files.

    Args:
        folder: of the tag.
        name: as the network that will be trained calls it.
        states: fp32 tensors: `fp32`, `exp_avg` and `exp_avg_sq`.
        step: the updates that Adam's bias correction has counted.
    """
    place = folder / "zero" / name
    place.mkdir(parents=True)
    for state, tensor in states.items():
        torch.save({"param": tensor.contiguous()}, place / f"{state}.pt")
    torch.save(torch.tensor(float(step)), place / "step.pt")


def write_common(root: Path, tag: str, groups: int, header: Mapping[str, Any]) -> None:
    """Write what DeepSpeed reads beside the parameters; `latest_universal` last.

    Args:
        root: the folder that `load_checkpoint` is given.
        tag: the folder in it.
        groups: parameter groups of the optimizer that will load it. Their rates, decay and betas
            are left as that optimizer has them.
        header: `global_steps`, `global_samples` and `skipped_steps`.
    """
    folder = root / tag
    common = {
        "param_groups": [{"params": []} for _ in range(groups)],
        "ds_version": version("deepspeed"),
    }
    torch.save(common, folder / "zero" / "optimizer_state.pt")
    model = {"module": {}, "dp_world_size": 1, "mp_world_size": 1, "lr_scheduler": None, **header}
    torch.save(model, folder / "mp_rank_00_model_states.pt")
    (root / LATEST).write_text(tag)
