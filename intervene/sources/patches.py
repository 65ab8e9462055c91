"""An arm's replacements within rows or documents, two bytes each, in arrays that can be mapped."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, fields
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from intervene.compiled import compiled
from intervene.errors import InterveneError

FAR = 255
"""The gap that is no replacement but 255 tokens on the way to the next."""

Column = NDArray[Any]
Change = tuple[int, tuple[int, ...]]
"""How many tokens go, and which take their place."""


@dataclass(frozen=True)
class Patches:
    """What is replaced in consecutive entries, rows or documents, in the order of their tokens.

    An entry's replacements are steps from its first token on: so many tokens further, this change.
    Equal replacements have equal patches, in however many parts they were encoded.

    Args:
        offsets: uint32, or int64 past 2^32 steps, [entries + 1], where each entry's steps lie.
        gaps: uint8 [steps], tokens of the source from the end of the replacement before, or from
            the entry's start, to this one; `FAR`: so many further, and no replacement yet.
        codes: uint8, or the smallest unsigned type that holds them, [steps], which change; 0 for a
            step without one.
        removed: int32 [changes], how many tokens go.
        inserted_offsets: int64 [changes + 1], where each change's new tokens lie in `inserted`.
        inserted: uint16 [inserted_offsets[changes]], token ids.
    """

    offsets: Column
    gaps: NDArray[np.uint8]
    codes: Column
    removed: NDArray[np.int32]
    inserted_offsets: NDArray[np.int64]
    inserted: NDArray[np.uint16]

    def __post_init__(self) -> None:
        for name in NAMES:
            getattr(self, name).setflags(write=False)  # one type for compiled code, mapped or not

    def __len__(self) -> int:
        """How many entries there are."""
        return len(self.offsets) - 1

    @cached_property
    def columns(self) -> tuple[Column, ...]:
        """The columns for compiled loops, and one before them that most changes are made by.

        It is int32 [changes]: the new token of a change of one for one, -1 for any other.
        """
        is_single = (self.removed == 1) & (np.diff(self.inserted_offsets) == 1)
        single = np.full(len(self.removed), -1, np.int32)
        single[is_single] = self.inserted[self.inserted_offsets[:-1][is_single]]
        return (single, *(getattr(self, name) for name in NAMES))

    @property
    def changes(self) -> list[Change]:
        """The distinct changes, sorted."""
        stops = self.inserted_offsets[1:].tolist()
        tokens = self.inserted.tolist()
        starts = self.inserted_offsets[:-1].tolist()
        return [
            (removed, tuple(tokens[start:stop]))
            for removed, start, stop in zip(self.removed.tolist(), starts, stops, strict=True)
        ]


NAMES = tuple(field.name for field in fields(Patches))


def encode_patches(
    entries: int,
    entry: NDArray[np.int64],
    start: NDArray[np.integer],
    removed: NDArray[np.integer],
    after_offsets: NDArray[np.int64],
    after: NDArray[np.uint16],
) -> Patches:
    """The patches of n replacements, given as columns in the order of (entry, start).

    Args:
        entries: how many entries there are.
        entry: int64 [n], the entry of each replacement, from 0.
        start: [n], its first token in the entry; replacements do not overlap.
        removed: [n], how many tokens go.
        after_offsets: int64 [n + 1], where the tokens that take their place lie in `after`.
        after: uint16 [after_offsets[n]], token ids.
    """
    starts, sizes = start.astype(np.int64), removed.astype(np.int64)
    found, codes = _number_changes(sizes, after_offsets, after)
    gap = starts.copy()
    gap[1:] -= np.where(entry[1:] == entry[:-1], starts[:-1] + sizes[:-1], 0)
    assert (gap >= 0).all(), "replacements in the order of their tokens, none over another"
    place = np.cumsum(gap // FAR + 1) - 1  # of each replacement among the steps
    steps = int(place[-1]) + 1 if len(place) else 0
    gaps, every = np.full(steps, FAR, np.uint8), np.zeros(steps, codes.dtype)
    gaps[place], every[place] = gap % FAR, codes
    firsts = np.concatenate([[0], place + 1])[np.searchsorted(entry, np.arange(entries + 1))]
    return Patches(firsts.astype(_find_offset_type(steps)), gaps, every, *_list_changes(found))


def _number_changes(
    removed: NDArray[np.int64], after_offsets: NDArray[np.int64], after: NDArray[np.uint16]
) -> tuple[list[Change], Column]:
    """The distinct changes, sorted, and each replacement's place among them."""
    places = 1 << (2 * len(removed)).bit_length()
    codes, firsts = np.empty(len(removed), np.int64), np.empty(len(removed), np.int64)
    count = _find_changes(
        removed, after_offsets, after, np.full(places, -1, np.int32), codes, firsts
    )
    found = [
        (int(removed[n]), tuple(after[after_offsets[n] : after_offsets[n + 1]].tolist()))
        for n in firsts[:count].tolist()
    ]
    order = {change: code for code, change in enumerate(sorted(found))}
    renumbered = np.array([order[change] for change in found], np.int64)
    return sorted(found), renumbered[codes].astype(_find_type(count))


@compiled
def _find_changes(removed, after_offsets, after, table, codes, firsts):  # type: ignore[no-untyped-def]
    """Number the distinct changes as they come: how many; `firsts`: where each is met first.

    `table` holds numbers of changes by their hash, -1 where it is free; it is a power of two long.
    """
    count = 0
    for swap in range(len(removed)):
        start, size = after_offsets[swap], after_offsets[swap + 1] - after_offsets[swap]
        key = removed[swap]
        for at in range(start, start + size):
            key = (key * 0x9E3779B1 + after[at] + 1) & 0x7FFFFFFF
        key = (key ^ (key >> 15)) & (len(table) - 1)
        while table[key] >= 0:
            first = firsts[table[key]]
            same = removed[first] == removed[swap]
            same &= after_offsets[first + 1] - after_offsets[first] == size
            at = 0
            while same and at < size:
                same = after[after_offsets[first] + at] == after[start + at]
                at += 1
            if same:
                break
            key = (key + 1) & (len(table) - 1)
        if table[key] < 0:
            table[key] = count
            firsts[count] = swap
            count += 1
        codes[swap] = table[key]
    return count


def _find_type(count: int) -> np.dtype[Any]:
    """The smallest unsigned type that numbers so many changes."""
    return np.min_scalar_type(max(0, count - 1))


def _find_offset_type(steps: int) -> np.dtype[Any]:
    """The type of offsets to so many steps."""
    return np.dtype(np.uint32 if steps < 1 << 32 else np.int64)


def _list_changes(
    changes: list[Change],
) -> tuple[NDArray[np.int32], NDArray[np.int64], NDArray[np.uint16]]:
    """Changes as the columns of `Patches`."""
    sizes = [len(inserted) for _, inserted in changes]
    tokens = [token for _, inserted in changes for token in inserted]
    removed = np.array([removed for removed, _ in changes], np.int32)
    return removed, np.cumsum([0, *sizes], dtype=np.int64), np.array(tokens, np.uint16)


def save_patches(folder: Path, patches: Patches) -> None:
    """Write `offsets.npy`, `gaps.npy` and so on into a folder."""
    for name in NAMES:
        column = getattr(patches, name)
        _save(folder, name, column.dtype, len(column), [column])


def load_patches(folder: Path) -> Patches:
    """What `save_patches` or `join_patches` wrote, mapped into memory.

    Errors: InterveneError for a file that is missing or cut short.
    """
    columns = {}
    for name in NAMES:
        path = folder / f"{name}.npy"
        try:
            columns[name] = np.asarray(np.load(path, mmap_mode="r"))
        except (OSError, ValueError) as problem:
            raise InterveneError(
                f"cannot be read ({problem})", str(path), "remove the corpus and build it again"
            ) from problem
    return Patches(**columns)


def join_patches(folder: Path, parts: list[Path]) -> None:
    """Write the patches of several runs of entries as those of all of them, one after another.

    Args:
        folder: where they are written; of the steps, one part at a time is in memory.
        parts: folders of `save_patches`, in the order of their entries.
    """
    changes = sorted({change for part in parts for change in load_patches(part).changes})
    order = {change: code for code, change in enumerate(changes)}
    code_type = _find_type(len(changes))
    entries = sum(len(load_patches(part)) for part in parts)
    steps = sum(len(load_patches(part).gaps) for part in parts)

    def cut_offsets() -> Iterator[Column]:
        first = 0
        for part in parts:
            offsets = load_patches(part).offsets.astype(np.int64) + first
            yield offsets[:-1].astype(_find_offset_type(steps))
            first = int(offsets[-1])
        yield np.full(1, first, _find_offset_type(steps))

    def cut_codes() -> Iterator[Column]:
        for part in parts:
            patches = load_patches(part)
            codes = np.array([*(order[change] for change in patches.changes), 0], code_type)
            yield np.where(patches.gaps == FAR, code_type.type(0), codes[patches.codes])

    gaps = (load_patches(part).gaps for part in parts)
    _save(folder, "offsets", _find_offset_type(steps), entries + 1, cut_offsets())
    _save(folder, "gaps", np.dtype(np.uint8), steps, gaps)
    _save(folder, "codes", code_type, steps, cut_codes())
    columns: tuple[Column, ...] = _list_changes(changes)
    for name, column in zip(NAMES[3:], columns, strict=True):
        _save(folder, name, column.dtype, len(column), [column])


def _save(
    folder: Path, name: str, dtype: np.dtype[Any], length: int, pieces: Iterable[Column]
) -> None:
    """Write a column, given in pieces, as a `.npy` file that can be mapped."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / f"{name}.npy").open("wb") as file:
        header = {"descr": dtype.str, "fortran_order": False, "shape": (length,)}
        np.lib.format.write_array_header_1_0(file, header)
        for piece in pieces:
            file.write(np.ascontiguousarray(piece).data)
