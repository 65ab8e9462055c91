"""The files of a GPT-NeoX checkpoint, by what they hold and whose they are."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from intervene.errors import InterveneError

LAYER = re.compile(r"layer_(\d+)-model_(\d+)-model_states\.pt")
MODEL = re.compile(r"mp_rank_(\d+)_model_states\.pt")
SHARD = re.compile(r"(?:bf16_|fp16_)?zero_pp_rank_(\d+)_mp_rank_(\d+)_optim_states\.pt")
STEP = re.compile(r"global_step(\d+)")


@dataclass(frozen=True)
class Files:
    """One checkpoint's files.

    Args:
        folder: `global_stepN`.
        layers: by pipeline module and tensor-parallel rank; empty in the single-file layout.
        models: `mp_rank_*`, by model-parallel rank: stage · tensor-parallel degree + its rank.
        shards: ZeRO's files by model-parallel and data-parallel rank; empty without ZeRO.
    """

    folder: Path
    layers: dict[tuple[int, int], Path]
    models: tuple[Path, ...]
    shards: tuple[tuple[Path, ...], ...]

    @property
    def all(self) -> list[Path]:
        """Every file, in one order wherever the folder lies."""
        shards = [path for row in self.shards for path in row]
        return [*(self.layers[key] for key in sorted(self.layers)), *self.models, *shards]

    @property
    def tensor_parallel(self) -> int:
        """Tensor-parallel ranks."""
        if not self.layers:
            return len(self.models)
        return 1 + max(rank for _, rank in self.layers)

    @property
    def stages(self) -> int:
        """Pipeline stages."""
        return len(self.models) // self.tensor_parallel

    @property
    def data_parallel(self) -> int:
        """Data-parallel ranks among which ZeRO divided the optimizer's state; 1 without ZeRO."""
        return len(self.shards[0]) if self.shards else 1


def find_files(folder: Path) -> Files:
    """The files in a folder.

    Errors: InterveneError for what is no GPT-NeoX checkpoint, and for a rank whose file is missing.
    """
    if not folder.is_dir():
        raise InterveneError(
            "there is no such folder", f"checkpoint={folder}", "give a folder global_stepN"
        )
    layers: dict[tuple[int, int], Path] = {}
    models: dict[int, Path] = {}
    shards: dict[tuple[int, int], Path] = {}
    for path in sorted(folder.iterdir()):
        if match := LAYER.fullmatch(path.name):
            layers[int(match[1]), int(match[2])] = path
        elif match := MODEL.fullmatch(path.name):
            models[int(match[1])] = path
        elif match := SHARD.fullmatch(path.name):
            shards[int(match[2]), int(match[1])] = path
    if not models:
        steps = [path for path in sorted(folder.glob("global_step*")) if path.is_dir()]
        raise InterveneError(
            "it is no GPT-NeoX checkpoint: it has no mp_rank_00_model_states.pt",
            f"checkpoint={folder}",
            f"give one of its steps, checkpoint={steps[-1]}" if steps else "give a global_stepN",
        )
    demand(folder, (f"mp_rank_{r:02}_model_states.pt" for r in range(max(models) + 1)))
    if shards:
        prefix = "bf16_" if next(iter(shards.values())).name.startswith("bf16_") else ""
        ranks = range(1 + max(rank for _, rank in shards))
        names = [
            [f"{prefix}zero_pp_rank_{r}_mp_rank_{m:02}_optim_states.pt" for r in ranks]
            for m in range(len(models))
        ]
        demand(folder, (name for row in names for name in row))
        rows = tuple(tuple(shards[m, r] for r in ranks) for m in range(len(models)))
    else:
        rows = ()
    files = Files(folder, layers, tuple(models[rank] for rank in sorted(models)), rows)
    if len(models) % files.tensor_parallel:
        raise InterveneError(
            f"{len(models)} mp_rank files and {files.tensor_parallel} tensor-parallel ranks",
            str(folder),
            "copy the checkpoint's files again: some are missing",
        )
    return files


def check_modules(files: Files, modules: Iterable[int]) -> None:
    """Refuse a layered checkpoint with a module or a rank's part of one missing.

    Errors: InterveneError that names the file.
    """
    ranks = range(files.tensor_parallel)
    names = (f"layer_{m:02}-model_{r:02}-model_states.pt" for m in modules for r in ranks)
    demand(files.folder, names)


def demand(folder: Path, names: Iterable[str]) -> None:
    """Refuse a folder that lacks one of some files.

    Errors: InterveneError.
    """
    missing = [name for name in names if not (folder / name).is_file()]
    if missing:
        more = f" and {len(missing) - 1} more" if len(missing) > 1 else ""
        raise InterveneError(
            f"{missing[0]}{more} is missing", str(folder), "copy the files of all ranks and layers"
        )


def check_step(files: Files, iterations: set[int]) -> int:
    """The iteration, on which all files and the folder's name agree.

    Errors: InterveneError where they do not.
    """
    named = STEP.fullmatch(files.folder.name)
    if named:
        iterations = iterations | {int(named[1])}
    if len(iterations) > 1:
        raise InterveneError(
            f"its files and its name are of iterations {sorted(iterations)}",
            str(files.folder),
            "do not mix the files of different iterations",
        )
    return next(iter(iterations))
