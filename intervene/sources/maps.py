"""The three index maps of an order, as this project or GPT-NeoX itself left them on disk."""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from intervene.errors import InterveneError
from intervene.sources.order import CHUNK_SAMPLES, Plan, walk_samples

NAMES = ("doc_idx.npy", "sample_idx.npy", "shuffle_idx.npy")
KINDS = ((np.int32,), (np.int32,), (np.uint32, np.int64))
"""The dtypes that GPT-NeoX v1.0 writes each of them with."""


@dataclass(frozen=True)
class Maps:
    """Index maps, mapped into memory.

    Args:
        prefix: what the paths of the three files begin with, up to `doc_idx.npy` and so on.
    """

    prefix: str

    @property
    def files(self) -> list[Path]:
        """The three files, in the order of `NAMES`."""
        return [Path(self.prefix + name) for name in NAMES]

    @cached_property
    def doc_idx(self) -> NDArray[np.int32]:
        """The document at each place, int32 [documents * epochs]."""
        return _load(self.files[0])

    @cached_property
    def sample_idx(self) -> NDArray[np.int32]:
        """Where each sample begins, a place in `doc_idx` and a token there, int32 [n + 1, 2]."""
        return _load(self.files[1])

    @cached_property
    def shuffle_idx(self) -> NDArray[np.uint32] | NDArray[np.int64]:
        """The sample that each training row is, uint32 or, past 2^32 - 2 of them, int64 [n]."""
        return _load(self.files[2])


def find_maps(where: Path, stem: str, plan: Plan) -> Maps:
    """The maps that GPT-NeoX left for this order, by their names.

    Args:
        where: a folder that they lie in, or what their paths begin with.
        stem: the name of the documents' files; of several maps those named so are meant.
        plan: the order.

    Errors: InterveneError for none, several, or some of the three missing.
    """
    if not where.is_dir():
        text = str(where)
        text = text if text.endswith("_") else f"{text}_"
        if not Path(text + NAMES[0]).exists():
            raise InterveneError(
                f"no such folder, and no {Path(text).name}{NAMES[0]} either",
                f"data.order.maps={where}",
                "give the folder of GPT-NeoX's *_doc_idx.npy, or null to rebuild the maps",
            )
        return _demand_all(Maps(text))
    middle = f"{plan.route}_indexmap_{plan.asked}ns_{plan.stride}sl_{plan.seed}s_"
    found = sorted(str(path)[: -len(NAMES[0])] for path in where.glob(f"*_{middle}{NAMES[0]}"))
    own = [prefix for prefix in found if prefix == str(where / f"{stem}_{middle}")]
    if len(own or found) != 1:
        names = ", ".join(Path(prefix).name for prefix in found[:3])
        raise InterveneError(
            f"{len(found)} files named NAME_{middle}{NAMES[0]}" + (f" ({names})" if found else ""),
            f"data.order.maps={where}",
            "check data.order, data.row_tokens and data.rows_per_step against the names there, "
            "give the path of one up to _doc_idx.npy, or null to rebuild the maps",
        )
    return _demand_all(Maps((own or found)[0]))


def _demand_all(maps: Maps) -> Maps:
    for path in maps.files:
        if not path.is_file():
            raise InterveneError(
                "this map is missing", str(path), "copy all three, or set data.order.maps=null"
            )
    return maps


def check_maps(maps: Maps, sizes: NDArray[np.int32], plan: Plan) -> None:
    """Check that maps are those of this order over documents of these sizes, to the last sample.

    Which permutation `doc_idx` and `shuffle_idx` are is theirs to say; that each names what there
    is, and where all samples begin, is checked.

    Errors: InterveneError for another shape, dtype or value, with its place.
    """
    shapes = ((plan.documents * plan.epochs,), (plan.samples + 1, 2), (plan.samples,))
    held = (maps.doc_idx, maps.sample_idx, maps.shuffle_idx)
    for path, array, shape, kinds in zip(maps.files, held, shapes, KINDS, strict=True):
        if array.shape != shape or array.dtype not in kinds:
            wanted = " or ".join(np.dtype(kind).name for kind in kinds)
            raise InterveneError(
                f"{array.dtype} {list(array.shape)}, but this order has {wanted} {list(shape)}",
                str(path),
                "check data.path and data.order, or set data.order.maps=null",
            )
    _check_range(maps.files[0], maps.doc_idx, plan.documents, "document")
    _check_range(maps.files[2], maps.shuffle_idx, plan.samples, "sample")
    for first, chunk in walk_samples(sizes, maps.doc_idx, plan):
        theirs = maps.sample_idx[first : first + len(chunk)]
        if (other := (theirs != chunk).any(axis=1)).any():
            at = int(other.argmax())
            raise InterveneError(
                f"sample {first + at:,} begins at {theirs[at].tolist()}, but at "
                f"{chunk[at].tolist()} in documents of these sizes",
                str(maps.files[1]),
                "give the documents that the maps were made of, or set data.order.maps=null",
            )


def _check_range(
    path: Path,
    values: NDArray[np.int32] | NDArray[np.uint32] | NDArray[np.int64],
    stop: int,
    of: str,
) -> None:
    for start in range(0, len(values), CHUNK_SAMPLES):
        chunk = values[start : start + CHUNK_SAMPLES]
        if (outside := (chunk < 0) | (chunk >= stop)).any():
            at = int(outside.argmax())
            raise InterveneError(
                f"entry {start + at:,} is {of} {chunk[at]:,}, but there are {stop:,}",
                str(path),
                "give the documents that the maps were made of, or set data.order.maps=null",
            )


def _load(path: Path) -> NDArray[Any]:
    try:
        return np.asarray(np.load(path, mmap_mode="r"))
    except (OSError, ValueError) as problem:
        raise InterveneError(
            f"not to be read as an array: {str(problem).splitlines()[0]}",
            str(path),
            "it is truncated or no .npy file; copy it again, or set data.order.maps=null",
        ) from problem
