"""GPT-NeoX's tensors: what transformers calls them, and how tensor-parallel slices become one.

A row-parallel bias is the one delicate case. With parallel residuals (Pythia) every rank adds its
own bias before the ranks' outputs are summed, so the model that they are together has the sum. The
loss sees only that sum: its gradient is each rank's gradient, and so the sum's moments are any one
rank's, not their sum. (Each rank's bias takes a full update, so the sum moves by as many updates
as there are ranks; a merged model moves by one. docs/conversion.md has what that costs.) Without
parallel residuals the bias is added after the sum, and the ranks hold copies of one.
"""

import re
from collections.abc import Sequence
from enum import StrEnum
from pathlib import Path

import torch
from torch import Tensor

from intervene.errors import InterveneError
from intervene.training.neox.shards import MASTER


class Cut(StrEnum):
    """How a tensor is divided among tensor-parallel ranks."""

    rows = "rows"
    columns = "columns"
    copies = "copies"
    bias = "row-parallel bias"


NORM = {"weight": Cut.copies, "bias": Cut.copies}
COLUMN_PARALLEL = {"weight": Cut.rows, "bias": Cut.rows}
ROW_PARALLEL = {"weight": Cut.columns, "bias": Cut.bias}
LAYER = {
    "input_layernorm": NORM,
    "post_attention_layernorm": NORM,
    "attention.query_key_value": COLUMN_PARALLEL,
    "attention.dense": ROW_PARALLEL,
    "mlp.dense_h_to_4h": COLUMN_PARALLEL,
    "mlp.dense_4h_to_h": ROW_PARALLEL,
}
RENAMED = {"mlp.linear1": "mlp.dense_h_to_4h", "mlp.linear2": "mlp.dense_4h_to_h"}
OTHERS = {  # by their place behind the layers: modules 0, n + 3 and n + 4 of the pipeline
    "word_embeddings": ("gpt_neox.embed_in", {"weight": Cut.rows}),
    "norm": ("gpt_neox.final_layer_norm", NORM),
    "final_linear": ("lm_head", {"weight": Cut.rows}),
}
BEFORE, BEHIND = 2, 3  # pipeline modules before the first layer; from the last layer to the norm
BUFFERS = ("inv_freq", "masked_bias", "attention.bias", "_extra_state")
NAME = re.compile(r"(\d+)\.(.+)\.(weight|bias)")
WRAPPERS = re.compile(r"(module\.|sequential\.)+")  # of models saved in a single file


def list_modules(layers: int) -> list[int]:
    """The pipeline's modules that hold parameters: embedding, layers, norm, unembedding."""
    first = layers + BEHIND
    return [0, *range(BEFORE, BEFORE + layers), first, first + 1]


def canonical(name: str) -> str:
    """A parameter's name as pipeline module and the rest: `2.attention.dense.bias`."""
    return WRAPPERS.sub("", name, count=1) if WRAPPERS.match(name) else name


def is_buffer(name: str) -> bool:
    """Whether a saved tensor is no parameter."""
    return name.endswith(BUFFERS)


def decays(name: str) -> bool:
    """Whether GPT-NeoX decays a parameter: all but biases and norms, embeddings too."""
    return not name.endswith(".bias") and "norm" not in name


def translate(name: str, layers: int, path: Path) -> tuple[str, Cut]:
    """What transformers calls GPT-NeoX's `index.module.kind`, and how it is cut.

    Errors: InterveneError for a name that no GPTNeoXForCausalLM has.
    """
    if match := NAME.fullmatch(name):
        index, module, kind = int(match[1]), RENAMED.get(match[2], match[2]), match[3]
        inside = BEFORE <= index < BEFORE + layers
        if inside and kind in LAYER.get(module, {}):
            return f"gpt_neox.layers.{index - BEFORE}.{module}.{kind}", LAYER[module][kind]
        place = dict(zip((0, layers + BEHIND, layers + BEHIND + 1), OTHERS, strict=True))
        if place.get(index) == module and kind in OTHERS[module][1]:
            return f"{OTHERS[module][0]}.{kind}", OTHERS[module][1][kind]
    raise InterveneError(
        f"{name} has no place in transformers' GPT-NeoX of {layers} layers",
        str(path),
        "convert a GPT-NeoX model with rotary embeddings, LayerNorms and an untied unembedding",
    )


def merge(parts: Sequence[Tensor], cut: Cut, state: str, *, parallel: bool) -> Tensor:
    """One tensor from its slices, by tensor-parallel rank.

    Args:
        parts: fp32 slices.
        cut: how they were cut.
        state: which of STATES.
        parallel: whether the residuals are parallel.
    """
    if len(parts) == 1:
        return parts[0]
    if cut is Cut.rows or cut is Cut.columns:
        return join(parts, cut)
    if cut is Cut.bias and parallel and state == MASTER:
        return torch.stack(list(parts)).sum(0)
    if all(torch.equal(part, parts[0]) for part in parts):
        return parts[0]
    return torch.stack(list(parts)).double().mean(0).float()


def join(parts: Sequence[Tensor], cut: Cut) -> Tensor:
    """Slices side by side; of copies, the first."""
    if cut is Cut.rows or cut is Cut.columns:
        return torch.cat(list(parts), dim=0 if cut is Cut.rows else 1)
    return parts[0]


def measure_spread(parts: Sequence[Tensor]) -> float:
    """By how much copies differ between ranks, at most."""
    return max((float((part - parts[0]).abs().max()) for part in parts[1:]), default=0.0)
