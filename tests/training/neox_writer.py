"""A known state, written to files as GPT-NeoX and DeepSpeed divide one."""

import json
import math
from collections import OrderedDict
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from deepspeed.runtime.fp16.loss_scaler import DynamicLossScaler
from deepspeed.runtime.zero.config import ZeroStageEnum
from torch import Tensor

WIDTH, LAYERS, HEADS, VOCAB = 16, 2, 4, 24
STATES = ("fp32", "exp_avg", "exp_avg_sq")
SETTINGS = {
    "num-layers": LAYERS,
    "hidden-size": WIDTH,
    "num-attention-heads": HEADS,
    "max-position-embeddings": 32,
    "pos-emb": "rotary",
    "rotary-pct": 0.5,
    "no-weight-tying": True,
    "gpt-j-residual": True,
    "bias-gelu-fusion": True,
    "weight-decay": 0.1,
}


@dataclass(frozen=True)
class Layout:
    """How a checkpoint is divided.

    Args:
        tensor, data, stages: parallel ranks.
        shards: `intervals` (DeeperSpeed), `own` (the same, not elastic), `lists`, `dicts` (later
            DeepSpeed), `flat` (fp16 without ZeRO) or `plain` (fp32 without).
        interval: elements of a communication interval.
        prefix: of the ZeRO files.
    """

    tensor: int = 1
    data: int = 1
    stages: int = 1
    shards: str = "intervals"
    interval: int = 1 << 30
    dtype: torch.dtype = torch.float16
    prefix: str = ""
    single_file: bool = False
    newer_names: bool = False
    parallel_residual: bool = True
    decay: bool = True
    iteration: int = 20
    skipped: int = 0


def list_parameters(newer: bool) -> list[tuple[str, tuple[int, ...], int | None]]:
    """Name, whole shape and cut dimension (None: copied) in the order of GPT-NeoX's modules."""
    up, down = ("linear1", "linear2") if newer else ("dense_h_to_4h", "dense_4h_to_h")
    parameters: list[tuple[str, tuple[int, ...], int | None]] = []
    parameters.append(("0.word_embeddings.weight", (VOCAB, WIDTH), 0))
    for layer in range(2, 2 + LAYERS):
        parameters += [
            (f"{layer}.input_layernorm.weight", (WIDTH,), None),
            (f"{layer}.input_layernorm.bias", (WIDTH,), None),
            (f"{layer}.attention.query_key_value.weight", (3 * WIDTH, WIDTH), 0),
            (f"{layer}.attention.query_key_value.bias", (3 * WIDTH,), 0),
            (f"{layer}.attention.dense.weight", (WIDTH, WIDTH), 1),
            (f"{layer}.attention.dense.bias", (WIDTH,), None),
            (f"{layer}.post_attention_layernorm.weight", (WIDTH,), None),
            (f"{layer}.post_attention_layernorm.bias", (WIDTH,), None),
            (f"{layer}.mlp.{up}.weight", (4 * WIDTH, WIDTH), 0),
            (f"{layer}.mlp.{up}.bias", (4 * WIDTH,), 0),
            (f"{layer}.mlp.{down}.weight", (WIDTH, 4 * WIDTH), 1),
            (f"{layer}.mlp.{down}.bias", (WIDTH,), None),
        ]
    last = LAYERS + 3
    parameters += [(f"{last}.norm.weight", (WIDTH,), None), (f"{last}.norm.bias", (WIDTH,), None)]
    parameters.append((f"{last + 1}.final_linear.weight", (VOCAB, WIDTH), 0))
    return parameters


def name_in_transformers(name: str) -> str:
    index, rest = name.split(".", 1)
    rest = rest.replace("linear1", "dense_h_to_4h").replace("linear2", "dense_4h_to_h")
    outer = {0: "gpt_neox.embed_in", LAYERS + 3: "gpt_neox.final_layer_norm", LAYERS + 4: "lm_head"}
    if int(index) in outer:
        return f"{outer[int(index)]}.{rest.split('.')[-1]}"
    return f"gpt_neox.layers.{int(index) - 2}.{rest}"


Slices = dict[str, dict[str, list[Tensor]]]  # state → parameter → by tensor-parallel rank


def draw_state(layout: Layout, seed: int = 0) -> tuple[Slices, dict[str, dict[str, Tensor]]]:
    """Random slices, and what conversion must give: state → transformers' name → whole tensor."""
    generator = torch.Generator().manual_seed(seed)
    slices: Slices = {state: {} for state in STATES}
    wanted: dict[str, dict[str, Tensor]] = {state: {} for state in STATES}
    for name, shape, dim in list_parameters(layout.newer_names):
        for state in STATES:
            whole = torch.randn(shape, generator=generator)
            parts = list(whole.chunk(layout.tensor, dim)) if dim is not None else None
            if parts is None:
                parts = [whole] * layout.tensor
                own_bias = name.endswith("bias") and ("dense" in name or "linear" in name)
                if own_bias and layout.parallel_residual and state == "fp32":
                    parts = [torch.randn(shape, generator=generator) for _ in parts]
                    whole = torch.stack(parts).sum(0)
            slices[state][name] = parts
            wanted[state][name_in_transformers(name)] = whole
    return slices, wanted


def write_checkpoint(root: Path, layout: Layout, seed: int = 0) -> tuple[Path, dict[str, Any]]:
    """Write `global_stepN` under a folder, with its config beside it; it and what it must give."""
    slices, wanted = draw_state(layout, seed)
    folder = root / f"global_step{layout.iteration}"
    folder.mkdir(parents=True)
    (folder / "configs").mkdir()
    write_settings(folder / "configs", parallel_residual=layout.parallel_residual)
    names = [name for name, _, _ in list_parameters(layout.newer_names)]
    if not layout.single_file:
        write_layers(folder, layout, slices["fp32"])
    half = 1 + math.ceil(LAYERS / layout.stages)
    for stage in range(layout.stages):
        mine = [
            name
            for name in names
            if layout.stages == 1 or (int(name.split(".")[0]) <= half) is (stage == 0)
        ]
        for rank in range(layout.tensor):
            write_rank(folder, layout, slices, mine, stage * layout.tensor + rank, rank)
    return folder, wanted


def write_settings(folder: Path, *, parallel_residual: bool = True) -> None:
    """GPT-NeoX's config, as it writes one: JSON with comments."""
    settings = SETTINGS | {"gpt-j-residual": parallel_residual}
    lines = [f'"{key}": {json.dumps(value)}' for key, value in settings.items()]
    (folder / "config.yml").write_text("{\n# a comment\n" + ",\n".join(lines) + "\n}")


def write_layers(folder: Path, layout: Layout, weights: dict[str, list[Tensor]]) -> None:
    for module in {int(name.split(".")[0]) for name in weights}:
        for rank in range(layout.tensor):
            saved = OrderedDict(
                (name.split(".", 1)[1], parts[rank].to(layout.dtype))
                for name, parts in weights.items()
                if name.startswith(f"{module}.")
            )
            if 2 <= module < 2 + LAYERS:
                saved["attention.rotary_emb.inv_freq"] = torch.ones(1)
            torch.save(saved, folder / f"layer_{module:02}-model_{rank:02}-model_states.pt")


def write_rank(
    folder: Path, layout: Layout, slices: Slices, names: list[str], slot: int, rank: int
) -> None:
    """The `mp_rank` file of a model-parallel rank, and its ZeRO files."""
    groups = [[n for n in names if "norm" not in n and not n.endswith("bias")], []]
    groups[1] = [n for n in names if n not in groups[0]]
    groups = groups if layout.decay else [names]
    flats = [
        {state: torch.cat([slices[state][n][rank].flatten() for n in group]) for state in STATES}
        for group in groups
    ]
    step = layout.iteration - layout.skipped
    module, prefix = None, "sequential."
    if layout.single_file:
        parts = {f"{prefix}{n}": slices["fp32"][n][rank].to(layout.dtype) for n in names}
        module = OrderedDict(parts)
        module[f"{prefix}2.attention.rotary_emb.inv_freq"] = torch.ones(1)
    model: dict[str, Any] = {
        "module": module,
        "optimizer": None,
        "lr_scheduler": {"num_iters": step},
        "csr_tensor_module_names": set(),
        "skipped_steps": layout.skipped,
        "global_steps": layout.iteration,
        "global_samples": 8 * layout.iteration,
        "dp_world_size": layout.data,
        "mp_world_size": layout.tensor * layout.stages,
        "iteration": layout.iteration,
        "args": {"num_layers": LAYERS, "hidden_size": WIDTH, "num_attention_heads": HEADS},
        "np_rng_state": np.random.get_state(),
    }
    outer = prefix if layout.single_file else ""
    shapes = OrderedDict((f"{outer}{n}", slices["fp32"][n][rank].shape) for n in names)
    if layout.shards == "plain":
        model["optimizer"] = state_dict(
            [[(slices, n, rank) for n in group] for group in groups], step
        )
    elif layout.shards == "flat":
        model["optimizer"] = {
            "dynamic_loss_scale": True,
            "cur_scale": 4096,
            "fp32_groups_flat": [flat["fp32"] for flat in flats],
            "optimizer_state_dict": number([[flat] for flat in flats], step + 1),
        }
    if layout.shards in ("lists", "dicts"):
        model["param_shapes"] = [OrderedDict((f"{outer}{n}", shapes[f"{outer}{n}"]) for n in g)
                                 for g in groups]  # fmt: skip
    torch.save(model, folder / f"mp_rank_{slot:02}_model_states.pt")
    if layout.shards in ("plain", "flat"):
        return
    for data in range(layout.data):
        shard: dict[str, Any] = {"optimizer_state_dict": cut_shard(flats, layout, data, step)}
        if layout.shards in ("intervals", "own"):
            shard["param_shapes"] = shapes
        name = f"{layout.prefix}zero_pp_rank_{data}_mp_rank_{slot:02}_optim_states.pt"
        torch.save(shard, folder / name)


def state_dict(groups: list[list[tuple[Slices, str, int]]], step: int) -> dict[str, Any]:
    return number([[{s: sl[s][n][r] for s in STATES} for sl, n, r in g] for g in groups], step)


def number(groups: Iterable[list[dict[str, Tensor]]], step: int | None) -> dict[str, Any]:
    """An optimizer's own state_dict: moments under numbers, the counter in each group."""
    state: dict[int, Any] = {}
    headers = []
    for group in groups:
        first = len(state)
        for part in group:
            state[len(state)] = {key: part[key] for key in STATES[1:]}
        header = {"lr": 1e-3, "params": list(range(first, len(state)))}
        headers.append(header if step is None else header | {"step": step})
    return {"state": state, "param_groups": headers}


def cut_shard(
    flats: list[dict[str, Tensor]], layout: Layout, rank: int, step: int
) -> dict[str, Any]:
    """One data-parallel rank's part of the flat groups."""
    scaler = DynamicLossScaler(2048, 1000, 1, 2, False)
    scaler.cur_iter = layout.iteration
    shard: dict[str, Any] = {"loss_scaler": scaler, "dynamic_loss_scale": True, "overflow": False}
    shard["partition_count"] = layout.data
    padded, lean = [], []
    for flat in flats:
        runs = [cut_group(flat[state], layout, rank) for state in STATES]
        padded.append([dict(zip(STATES, run, strict=True)) for run in zip(*runs, strict=True)])
        count = flat["fp32"].numel()
        kept = []
        for interval, run in enumerate(padded[-1]):
            size = run["fp32"].numel()
            start = (interval * layout.data + rank) * size
            kept.append({s: t[: max(0, min(size, count - start))] for s, t in run.items()})
        lean.append(kept)
    if layout.shards == "own":
        masters = [[run["fp32"] for run in group] for group in padded]
        return shard | {
            "base_optimizer_state": number(padded, None),
            "local_sub_partitions_of_fp32_groups": masters,
        }
    moments = [[{s: run[s] for s in STATES[1:]} for run in group] for group in lean]
    if layout.shards == "intervals":
        return shard | {
            "base_optimizer_state": moments,
            "zero_stage": 1,
            "num_comm_intervals_per_group": [len(group) for group in lean],
            "local_sub_partitions_of_fp32_groups": [[r["fp32"] for r in g] for g in lean],
        }
    shard |= {"zero_stage": ZeroStageEnum.optimizer_states, "ds_version": "0.15.0"}
    if layout.shards == "lists":
        return shard | {
            "base_optimizer_state": [group[0] for group in moments],
            "base_optimizer_state_step": step,
            "single_partition_of_fp32_groups": [group[0]["fp32"] for group in lean],
        }
    del shard["loss_scaler"]
    return shard | {
        "base_optimizer_state": number(padded, step),
        "single_partition_of_fp32_groups": [group[0]["fp32"] for group in padded],
    }


def cut_group(flat: Tensor, layout: Layout, rank: int) -> list[Tensor]:
    """A rank's runs of a flat group, padded with zeros so that all runs are of one size."""
    size = min(math.ceil(flat.numel() / layout.data), layout.interval // layout.data)
    intervals = math.ceil(flat.numel() / (size * layout.data))
    whole = torch.zeros(intervals * size * layout.data)
    whole[: flat.numel()] = flat
    runs = whole.view(intervals, layout.data, size)
    return [runs[interval, rank].clone() for interval in range(intervals)]
