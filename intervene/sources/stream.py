"""A stream of bytes that lies in files cut at any byte, read in place."""

import mmap
import os
import re
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray

from intervene.console import Progress
from intervene.errors import InterveneError
from intervene.lineage import digest_files

CHECKSUM = re.compile(
    r"(?P<sha256>[0-9a-f]{64})\s+\*?(?P<name>.+)|(?P<first>.+?)\s+(?P<last>[0-9a-f]{64})"
)
SHARD_NAME = re.compile(r"(?P<stem>.+)-(?P<number>\d{5})-of-(?P<last>\d{5})\.bin")


@dataclass(frozen=True)
class Shard:
    """One file of the stream."""

    path: Path
    bytes: int


@dataclass(frozen=True)
class Stream:
    """The bytes of several files, one after another.

    Args:
        shards: the files in order.
    """

    shards: tuple[Shard, ...]

    @cached_property
    def bytes(self) -> int:
        """Bytes in all files together."""
        return sum(shard.bytes for shard in self.shards)

    @cached_property
    def firsts(self) -> list[int]:
        """Byte of the stream at which each file begins."""
        return [0, *np.cumsum([shard.bytes for shard in self.shards])[:-1].tolist()]

    @cached_property
    def maps(self) -> list[NDArray[np.uint8]]:
        """The files, mapped into memory, uint8; an empty one is no page at all."""
        mapped: list[NDArray[np.uint8]] = []
        for shard, file in zip(self.shards, self._files, strict=True):
            if shard.bytes:
                raw = mmap.mmap(file.fileno(), shard.bytes, access=mmap.ACCESS_READ)
                mapped.append(np.frombuffer(raw, np.uint8))
            else:
                mapped.append(np.zeros(0, np.uint8))
        return mapped

    @cached_property
    def _files(self) -> list[BinaryIO]:
        return [_open_file(shard.path) for shard in self.shards]

    def read_into(self, start: int, out: memoryview) -> None:
        """Fill `out` with the bytes from `start` on, straight into place.

        Errors: InterveneError for a file that is missing or has become shorter.
        """
        stop = start + len(out)
        assert 0 <= start <= stop <= self.bytes, (start, stop, self.bytes)
        filled = 0
        for shard, file, first in zip(self.shards, self._files, self.firsts, strict=True):
            lower, upper = max(start, first), min(stop, first + shard.bytes)
            if lower < upper:
                _read_file(shard, file, lower - first, out[filled : filled + upper - lower])
                filled += upper - lower

    def spanned(self, start: int, stop: int) -> list[Path]:
        """The files that the bytes `[start, stop)` lie in."""
        return [
            shard.path
            for shard, first in zip(self.shards, self.firsts, strict=True)
            if first < stop and start < first + shard.bytes
        ]

    def check(self, checksums: Path) -> None:
        """Compare the files with a list of sha256 and names; all are named before any is read.

        Errors: InterveneError for a file that the list does not name or whose sha256 differs.
        """
        known = read_checksums(checksums)
        for shard in self.shards:
            if shard.path.name not in known:
                raise InterveneError(
                    f"{shard.path.name} is not listed",
                    f"data.checksums={checksums}",
                    "give the list of this corpus, or null",
                )
        with Progress("checking sha256", self.bytes, "bytes") as progress:
            for shard in self.shards:
                found, listed = digest_files([shard.path]), known[shard.path.name]
                if found != listed:
                    raise InterveneError(
                        f"sha256 {found[:16]}…, not {listed[:16]}… as listed",
                        str(shard.path),
                        "copy or download the file again",
                    )
                progress.advance(shard.bytes)


def read_checksums(path: Path) -> dict[str, str]:
    """sha256 by file name, from lines of both: as `sha256sum` writes them, or the name first.

    Pythia's own list, `utils/shard_hashes.txt`, has the name first.

    Errors: InterveneError for a line that is none of that.
    """
    known = {}
    for number, line in enumerate(path.read_text(errors="replace").splitlines(), 1):
        if found := CHECKSUM.fullmatch(line.strip()):
            known[Path(found["name"] or found["first"]).name] = found["sha256"] or found["last"]
        elif line.strip():
            raise InterveneError(
                f"line {number:,} is no sha256 and file name: {line.strip()[:60]!r}",
                f"data.checksums={path}",
                "give a file as sha256sum writes it",
            )
    return known


def open_stream(path: Path) -> Stream:
    """The stream of a folder of `*-000NN-of-000LL.bin` shards, of its one `.bin`, or of a `.bin`.

    Errors: InterveneError for a missing path or shard, and a folder with other `.bin` files.
    """
    if not path.exists():
        raise InterveneError(
            "no such file or folder", f"data.path={path}", "give a folder of .bin shards or a .bin"
        )
    paths = [path] if path.is_file() else _list_shards(path)
    return Stream(tuple(Shard(p, p.stat().st_size) for p in paths))


def find_index(stream: Stream) -> Path | None:
    """The `.idx` beside a stream's files that describes them, if there is one."""
    first = stream.shards[0].path
    match = SHARD_NAME.fullmatch(first.name)
    whole = match is not None and len(stream.shards) == int(match["last"]) + 1
    beside = first.with_name(f"{match['stem']}.idx") if whole and match else None
    for path in (beside, first.with_suffix(".idx")):
        if path is not None and path.exists():
            return path
    return None


def _list_shards(folder: Path) -> list[Path]:
    names = choose_shards([path.name for path in folder.iterdir()], f"data.path={folder}")
    for name in names:
        if not (folder / name).exists():
            raise InterveneError(
                "this shard is missing", str(folder / name), "all numbered shards make the corpus"
            )
    return [folder / name for name in names]


def choose_shards(names: list[str], where: str) -> list[str]:
    """The numbered shards among names, all of which must be there, or the only `.bin`.

    If there is one name, and it is a numbered shard's, those of the others follow from it.

    Errors: InterveneError for other `.bin` files, shards of several corpora, and a hole.
    """
    bins = sorted(name for name in names if name.endswith(".bin"))
    if not bins:
        raise InterveneError(
            "no .bin file is listed there", where, "give a folder of shards, or one shard's address"
        )
    found = [match for name in bins if (match := SHARD_NAME.fullmatch(name))]
    if not found and len(bins) == 1:
        return bins
    kinds = sorted({(match["stem"], match["last"]) for match in found})
    if len(kinds) != 1:
        raise InterveneError(
            f"{len(bins)} .bin files in {len(kinds)} corpora of shards NAME-000NN-of-000LL.bin",
            where,
            "give a folder of numbered shards, or the address of one .bin",
        )
    ((stem, last),) = kinds
    wanted = [f"{stem}-{number:05d}-of-{last}.bin" for number in range(int(last) + 1)]
    missing = sorted(set(wanted) - set(bins)) if len(names) > 1 else []
    if missing:
        raise InterveneError(
            "this shard is missing",
            f"{where.rstrip('/')}/{missing[0]}",
            f"shards 00000 to {last} make the corpus",
        )
    return wanted


def _open_file(path: Path) -> BinaryIO:
    try:
        return path.open("rb", buffering=0)
    except FileNotFoundError as problem:
        raise InterveneError(
            "this shard is missing", str(path), "copy or download it again"
        ) from problem


def _read_file(shard: Shard, file: BinaryIO, start: int, out: memoryview) -> None:
    while len(out):
        count = os.preadv(file.fileno(), [out], start)
        if count == 0:
            raise InterveneError(
                f"this shard ends at byte {start:,} and had {shard.bytes:,}",
                str(shard.path),
                "it was changed while it was read; copy it again",
            )
        start, out = start + count, out[count:]
