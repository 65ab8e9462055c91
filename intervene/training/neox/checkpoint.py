"""A GPT-NeoX checkpoint with optimizer state, read one parameter at a time.

GPT-NeoX v1.0 with DeeperSpeed, and later ones with DeepSpeed; `shards.py` has the optimizers'
formats and `slices.py` the tensor-parallel cuts. Nothing is read before it is asked for: files are
mapped from the disk, as a half-precision layer file may hold its rank's whole flat group.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from transformers import GPTNeoXConfig, GPTNeoXForCausalLM

from intervene.errors import InterveneError
from intervene.training.neox.files import Files, check_step, find_files
from intervene.training.neox.pickles import demand_keys, open_pickle
from intervene.training.neox.placement import Place, measure_padding, read_shapes, split_groups
from intervene.training.neox.settings import build_settings, find_settings, read_settings
from intervene.training.neox.shards import (
    FLAT,
    MASTER,
    PLAIN,
    STATES,
    Optimizer,
    join_shards,
    read_whole,
)
from intervene.training.neox.slices import Cut, join, measure_spread, merge, translate
from intervene.training.neox.weights import NeoxWeights

PRECISIONS = {torch.float32: "fp32", torch.float16: "fp16", torch.bfloat16: "bf16"}
FIRST = "0.word_embeddings.weight"


@dataclass(frozen=True)
class Parameter:
    """One whole parameter.

    Args:
        states: fp32 tensors by name: the master weight and Adam's two moments.
        source: GPT-NeoX's name.
        cut: how tensor-parallel ranks had it.
        spread: by how much the ranks' copies differed, at most; 0 for what is no copy.
    """

    states: dict[str, Tensor]
    source: str
    cut: Cut
    spread: float


class NeoxCheckpoint:
    """A folder `global_stepN`.

    Args:
        folder: the checkpoint.
        config: the YAML it was trained with, where that is neither in it nor beside it.

    Errors: InterveneError for a folder that is incomplete, mixed, or of another architecture.
    """

    def __init__(self, folder: Path, config: Path | None = None) -> None:
        self.files: Files = find_files(folder)
        self._models: list[dict[str, Any]] = [open_pickle(path) for path in self.files.models]
        self._check_headers()
        arguments = self._models[0].get("args")
        self.settings = read_settings(
            find_settings(folder, config), arguments if isinstance(arguments, dict) else {}
        )
        self._layers: int = self.settings["num_layers"]
        self.parallel: bool = self.settings["gpt_j_residual"]
        self._weights = NeoxWeights(self.files, self._models, self._layers)
        self._optimizers: list[Optimizer] = []
        self._places: dict[str, list[Place]] = {}
        self.paddings: list[list[int]] = []
        for slot in range(len(self.files.models)):
            self._place(slot)
        self._check_optimizers()
        self._names: dict[str, tuple[str, Cut]] = {}
        for source in self._places:
            name, cut = translate(source, self._layers, folder)
            self._names[name] = source, cut
        self.config: GPTNeoXConfig = self._build_config()
        self.shapes: dict[str, torch.Size] = self._check_shapes()
        self.dtype: torch.dtype = self._weights.read(FIRST, 0).dtype

    @property
    def optimizer(self) -> Optimizer:
        """The first rank's optimizer, whose counter and scale are all ranks'."""
        return self._optimizers[0]

    @property
    def adam_step(self) -> int:
        """Adam's counter: the updates that its bias correction has counted.

        DeeperSpeed's ZeRO and fp16 optimizers step once on zero gradients to make their state, and
        then do not save the counter: it is one ahead of the updates (seen by running v1.0).
        """
        saved = self.optimizer.step
        if saved is not None:
            return saved
        return self.iteration - self.skipped + (self.dtype is not torch.float32)

    def read(self, name: str) -> Parameter:
        """A parameter by transformers' name, put together and checked against its weight.

        Errors: InterveneError if a master weight does not round to the weight beside it.
        """
        source, cut = self._names[name]
        states, spread = {}, 0.0
        for state in STATES:
            slices = []
            for place in self._places[source]:
                group = self._optimizers[place.slot].groups[place.group]
                stop = place.start + place.shape.numel()
                slices.append(group.cut(state, place.start, stop).view(place.shape))
            if state == MASTER:
                for rank, master in enumerate(slices):
                    self._check(name, rank, master)
                copies = cut is Cut.copies or (cut is Cut.bias and not self.parallel)
                spread = measure_spread(slices) if copies else 0.0
            states[state] = merge(slices, cut, state, parallel=self.parallel)
        return Parameter(states, source, cut, spread)

    def _check(self, name: str, rank: int, master: Tensor) -> None:
        """The self-check: the master, rounded, is the weight."""
        source = self._names[name][0]
        weight = self._weights.read(source, rank)
        same_shape = weight.shape == master.shape
        differs = master.to(weight.dtype) != weight if same_shape else torch.ones_like(weight)
        unequal = int(differs.sum())
        if unequal:
            of = f" of tensor-parallel rank {rank}" if self.files.tensor_parallel > 1 else ""
            raise InterveneError(
                f"{name} ({source}{of}): {unequal:,} of {weight.numel():,} fp32 master weights do "
                f"not round to the {PRECISIONS[weight.dtype]} weights saved beside them",
                str(self.files.folder),
                "do not mix the files of different iterations or runs, and copy them again",
            )

    def _check_headers(self) -> None:
        """Read the iteration; refuse files of several, and a model-parallel rank missing."""
        models, folder = self._models, self.files.folder
        for model, path in zip(models, self.files.models, strict=True):
            demand_keys(model, ("global_steps", "skipped_steps"), path)
        iterations = {
            int(model["global_steps"] if model.get("iteration") is None else model["iteration"])
            for model in models
        }
        self.iteration: int = check_step(self.files, iterations)
        skipped = {int(model["skipped_steps"]) for model in models}
        world = models[0].get("mp_world_size")
        # Pipeline stages count as model-parallel ranks, except in some releases of DeepSpeed.
        if len(skipped) > 1 or world not in (None, len(models), self.files.tensor_parallel):
            raise InterveneError(
                f"{len(models)} mp_rank files, of {world} ranks, skipped {sorted(skipped)} steps",
                str(folder),
                "copy the files of all ranks, and of one iteration",
            )
        self.skipped: int = skipped.pop()
        self.samples = int(models[0].get("global_samples", 0))
        # Without ZeRO one rank saves for all, and only this number tells how many there were.
        self.data_parallel = int(models[0].get("dp_world_size", self.files.data_parallel))

    def _place(self, slot: int) -> None:
        """Find where a model-parallel rank's optimizer has each of its parameters."""
        shapes, optimizer = self._read_optimizer(slot)
        path = self.files.shards[slot][0] if self.files.shards else self.files.models[slot]
        if len(shapes) == 1 and len(optimizer.groups) == 2:
            shapes = split_groups(shapes[0])
        if len(shapes) != len(optimizer.groups):
            raise InterveneError(
                f"its optimizer has {len(optimizer.groups)} parameter groups",
                str(path),
                "convert a checkpoint whose groups are GPT-NeoX's: decayed, and not decayed",
            )
        paddings = []
        for index, named in enumerate(shapes):
            start = 0
            for name, shape in named.items():
                self._places.setdefault(name, []).append(Place(slot, index, start, shape))
                start += shape.numel()
            paddings.append(measure_padding(optimizer, index, start, path))
        self._optimizers.append(optimizer)
        self.paddings.append(paddings)

    def _read_optimizer(self, slot: int) -> tuple[list[dict[str, torch.Size]], Optimizer]:
        """A model-parallel rank's parameters' shapes, in its optimizer's order, and that."""
        model, path = self._models[slot], self.files.models[slot]
        if self.files.shards:
            paths = self.files.shards[slot]
            saved = [open_pickle(shard) for shard in paths]
            for shard, file in zip(saved, paths, strict=True):
                demand_keys(shard, ("optimizer_state_dict",), file)
            shapes = saved[0].get("param_shapes") or model.get("param_shapes")
            optimizer = join_shards([shard["optimizer_state_dict"] for shard in saved], paths)
            return read_shapes(shapes or dict(self._weights.list_shapes(slot))), optimizer
        state = model.get("optimizer")
        if not state:
            raise InterveneError(
                "it has weights and no optimizer state: no zero_pp_rank_* files",
                str(self.files.folder),
                "copy those too; if none were published, only the weights can be used",
            )
        if self.files.stages > 1:
            raise InterveneError(
                f"{self.files.stages} pipeline stages without ZeRO",
                str(self.files.folder),
                "convert a checkpoint with ZeRO, or one of a single stage",
            )
        shapes = read_shapes(dict(self._weights.list_shapes(slot)))
        if len(state.get(FLAT) or state[PLAIN]) == 2:
            shapes = split_groups(shapes[0])
        masters = [[self._weights.read(name, slot) for name in group] for group in shapes]
        return shapes, read_whole(state, masters, path)

    def _check_optimizers(self) -> None:
        """Refuse model-parallel ranks whose optimizers are not of one kind and iteration."""
        kinds = {str((each.format, each.step, each.loss_scale)) for each in self._optimizers}
        if len(kinds) > 1:
            raise InterveneError(
                f"the ranks' formats, counters or loss scales differ: {', '.join(sorted(kinds))}",
                str(self.files.folder),
                "do not mix the files of different iterations",
            )

    def _build_config(self) -> GPTNeoXConfig:
        """The architecture: numbers from the tensors where they have them, else from the YAML.

        Errors: InterveneError for tensors that are missing, and for heads or a rotary share that
        are not the checkpoint's.
        """
        sizes, where = [], str(self.files.folder)
        for name in ("gpt_neox.embed_in.weight", "gpt_neox.layers.0.mlp.dense_h_to_4h.weight"):
            if name not in self._names:
                raise InterveneError(f"it has no {name}", where, "copy its files again")
            sizes.append(sum(place.shape[0] for place in self._places[self._names[name][0]]))
        width, heads = self.settings["hidden_size"], self.settings["num_attention_heads"]
        rotating = int(width // heads * self.settings["rotary_pct"]) // 2
        saved = self._weights.count_frequencies()
        if width % heads or saved not in (None, rotating):
            raise InterveneError(
                f"{heads} heads of width {width}, rotary_pct {self.settings['rotary_pct']:g}, "
                f"rotate {rotating} pairs of dimensions, the checkpoint's {saved or 'others'}",
                where,
                "run pipelines.convert with config=<the .yml that the model was trained with>",
            )
        return build_settings(self.settings, *sizes)

    def _check_shapes(self) -> dict[str, torch.Size]:
        """Every parameter's whole shape, in transformers' order.

        Errors: InterveneError where the checkpoint and its config do not fit.
        """
        with torch.device("meta"):
            network = GPTNeoXForCausalLM(self.config)
        expected = {name: parameter.shape for name, parameter in network.named_parameters()}
        found = {}
        for name, (source, cut) in self._names.items():
            slices = [torch.empty(place.shape, device="meta") for place in self._places[source]]
            parts = self.files.tensor_parallel
            found[name] = join(slices, cut).shape if len(slices) == parts else torch.Size()
        wrong = [name for name in expected | found if expected.get(name) != found.get(name)]
        if wrong:
            name = wrong[0]
            raise InterveneError(
                f"{name} is {list(found.get(name, ())) or 'missing'}, its config asks for "
                f"{list(expected.get(name, ())) or 'none'}",
                str(self.files.folder),
                "run pipelines.convert with config=<the .yml that the model was trained with>",
            )
        return expected
