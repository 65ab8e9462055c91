"""The files that make up a corpus which lies far away."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import PurePosixPath
from typing import Any, Protocol

from intervene.errors import InterveneError
from intervene.sources.stream import SHARD_NAME, choose_shards

THREADS = 8
"""Requests under way at once."""


@dataclass(frozen=True)
class FarFile:
    """A file that lies far away.

    Args:
        name: its path below the place where it lies.
        bytes: its size.
        mark: what becomes another when its bytes do: a sha256, an ETag, a time; None if the place
            gives nothing of the kind.
    """

    name: str
    bytes: int
    mark: str | None


class Absent(InterveneError):
    """There is no file of this name, or none that this machine may read."""


class Changed(InterveneError):
    """A file that has become another while it was read."""

    def __init__(self, what: str, where: str) -> None:
        super().__init__(
            f"the file has changed: {what}", where, "run the same command again: it starts anew"
        )


class Place(Protocol):
    """Where files lie: a web server, the Hugging Face Hub, a bucket."""

    @property
    def address(self) -> str:
        """The address that was given, without passwords; it is printed and keyed."""

    @property
    def commit(self) -> str | None:
        """The commit that all reads name, where the place has such; else None."""

    def names(self) -> list[str]:
        """What lies here."""

    def describe(self, name: str) -> FarFile:
        """A file here.

        Errors: Absent, and InterveneError for a place that does not tell.
        """

    def read(self, file: FarFile, start: int, out: memoryview) -> None:
        """Fill `out` with the file's bytes from `start` on, all of them and no others.

        Errors: InterveneError for an answer that is anything else, a file that is not the one
        listed, and a cause that does not pass.
        """

    def halt(self) -> None:
        """Let reads that are under way end soon, in an error."""


@dataclass(frozen=True)
class Listing:
    """The shards of a corpus in order, and the `.idx` beside them, if there is one."""

    shards: tuple[FarFile, ...]
    index: FarFile | None

    @cached_property
    def bytes(self) -> int:
        """Bytes in all shards together."""
        return sum(shard.bytes for shard in self.shards)

    @property
    def marked(self) -> bool:
        """Whether a change in any shard can be seen."""
        return all(shard.mark is not None for shard in self.shards)

    def describe(self) -> dict[str, Any]:
        """As JSON values, which `recall_listing` reads."""
        return {
            "shards": [asdict(shard) for shard in self.shards],
            "index": None if self.index is None else asdict(self.index),
        }


def recall_listing(described: dict[str, Any]) -> Listing:
    """The listing that `describe` wrote."""
    index = described["index"]
    shards = tuple(FarFile(**shard) for shard in described["shards"])
    return Listing(shards, None if index is None else FarFile(**index))


def list_corpus(place: Place, entry: str | None) -> Listing:
    """The shards that lie at a place, with their sizes.

    Args:
        place: where they lie.
        entry: one numbered shard, whose name tells those of the others, or the only `.bin`; None
            looks through what lies there.

    Errors: InterveneError for a place without shards, and a missing or empty one.
    """
    known = place.names() if entry is None else [entry]
    names = choose_shards(known, place.address)
    with ThreadPoolExecutor(THREADS) as pool:
        shards = tuple(pool.map(place.describe, names))
    try:
        return Listing(shards, place.describe(name_index(names)))
    except Absent:
        return Listing(shards, None)


def name_index(shards: list[str]) -> str:
    """The name that the `.idx` of these shards has: without their numbers."""
    match = SHARD_NAME.fullmatch(shards[0])
    return f"{match['stem']}.idx" if match else str(PurePosixPath(shards[0]).with_suffix(".idx"))


def find_entry(address: str) -> tuple[str, str | None]:
    """An address's folder, and the `.bin` that it names in it, or None."""
    folder, _, last = address.rpartition("/")
    return (folder, last) if last.endswith(".bin") else (address.rstrip("/"), None)
