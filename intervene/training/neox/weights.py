"""The weights of a GPT-NeoX checkpoint, by its own names, tensor-parallel rank by rank."""

import functools
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor

from intervene.errors import InterveneError
from intervene.training.neox.files import Files, check_modules
from intervene.training.neox.pickles import open_pickle
from intervene.training.neox.slices import BEFORE, canonical, is_buffer, list_modules

FREQUENCIES = f"{BEFORE}.attention.rotary_emb.inv_freq"


class NeoxWeights:
    """The weights in `layer_*` files, or in the `mp_rank_*` files of the single-file layout.

    Args:
        files: the checkpoint's.
        models: what its `mp_rank_*` files hold.
        layers: how many the model has.

    Errors: InterveneError for a layer's file that is missing.
    """

    def __init__(self, files: Files, models: list[dict[str, Any]], layers: int) -> None:
        self._files, self._layers = files, layers
        # Not more at once: under ZeRO a layer's file may hold its rank's whole flat group.
        self._open = functools.lru_cache(maxsize=files.tensor_parallel)(open_pickle)
        self._modules: list[dict[str, Tensor]] = []
        if files.layers:
            check_modules(files, list_modules(layers))
            return
        for model, path in zip(models, files.models, strict=True):
            if not isinstance(model.get("module"), dict):
                raise InterveneError(
                    "it holds no weights, and there are no layer_* files beside it",
                    str(path),
                    "copy the layer_* files too",
                )
            saved = model["module"].items()
            self._modules.append({canonical(name): tensor for name, tensor in saved})

    def list_shapes(self, rank: int) -> Iterator[tuple[str, torch.Size]]:
        """Parameters' names and shapes in the model's order."""
        modules = list_modules(self._layers) if self._files.layers else [None]
        for module in modules:
            for name, tensor in self._read_module(module, rank).items():
                if not is_buffer(name):
                    yield name, tensor.shape

    def read(self, name: str, rank: int) -> Tensor:
        """A parameter's slice.

        Errors: InterveneError for one that is not there.
        """
        module = int(name.split(".")[0]) if self._files.layers else None
        weights = self._read_module(module, rank)
        if name not in weights:
            raise InterveneError(
                f"the weights have no {name}, which the optimizer has",
                str(self._files.folder),
                "do not mix the files of different runs",
            )
        return weights[name].detach()

    def count_frequencies(self) -> int | None:
        """Half the dimensions of a head that rotate; None where that was not saved."""
        module = BEFORE if self._files.layers else None
        saved = self._read_module(module, 0).get(FREQUENCIES)
        return None if saved is None else saved.numel()

    def _read_module(self, module: int | None, rank: int) -> dict[str, Tensor]:
        if module is None:
            return self._modules[rank]
        saved = self._open(self._files.layers[module, rank])
        return {f"{module}.{name}": tensor for name, tensor in saved.items()}
