"""Files that a driver of fsspec reads: s3, gs, az, sftp and whatever else is installed."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import fsspec
from fsspec.registry import known_implementations

from intervene.errors import InterveneError
from intervene.sources.remote.listing import Absent, Changed, FarFile
from intervene.sources.remote.retry import Passing, retry, shorten

MARKS = ("ETag", "etag", "generation", "VersionId", "LastModified", "mtime", "updated", "modified",
         "created")  # fmt: skip
"""What drivers call that which becomes another when the file does, the surest first."""


class Drive:
    """A folder that a driver of fsspec opens.

    Args:
        address: the folder, such as `s3://bucket/rows`.
        shown: what is printed and keyed.
    """

    commit = None

    def __init__(self, address: str, shown: str) -> None:
        self.address = shown
        protocol = address.partition("://")[0]
        try:
            self._files, self._folder = fsspec.url_to_fs(address, skip_instance_cache=True)
        except ImportError as problem:
            package = (
                known_implementations.get(protocol, {}).get("class", "fsspec.").partition(".")[0]
            )
            remedy = str(problem) if package == "fsspec" else f"pip install {package}"
            raise InterveneError(
                f"no driver for {protocol}:// is installed", f"data.path={shown}", remedy
            ) from problem
        except Exception as problem:  # drivers raise their own
            raise InterveneError(
                f"fsspec does not open it: {shorten(problem)}",
                f"data.path={shown}",
                "give https://, s3://, gs:// or hf://datasets/…",
            ) from problem
        self._halt = threading.Event()

    def names(self) -> list[str]:
        """What lies in the folder."""

        def look() -> list[str]:
            with self._guard(self.address):
                return [path.rpartition("/")[2] for path in self._files.ls(self._folder, False)]

        return retry(look, self.address, self._halt)

    def describe(self, name: str) -> FarFile:
        """Size and mark of a file."""
        path = self._find(name)

        def look() -> FarFile:
            with self._guard(path):
                self._files.invalidate_cache()
                info: dict[str, Any] = self._files.info(path)
            if info["type"] != "file" or info["size"] is None:
                raise Absent("no file of known size", path, "give a folder of shards, or a .bin")
            mark = next((str(info[key]) for key in MARKS if info.get(key) is not None), None)
            return FarFile(name, int(info["size"]), mark)

        return retry(look, path, self._halt)

    def read(self, file: FarFile, start: int, out: memoryview) -> None:
        """Fill `out` with the file's bytes from `start` on; the file must be the one listed."""
        path = self._find(file.name)
        where = f"{path} byte {start:,}"

        def fill() -> None:
            with self._guard(where):
                raw = self._files.cat_file(path, start=start, end=start + len(out))
            if len(raw) != len(out):
                raise Passing(f"{len(raw):,} bytes came, {len(out):,} were asked for")
            found = self.describe(file.name)
            if found != file:
                raise Changed(f"it was {file} when it was listed and is {found} now", path)
            out[:] = raw

        retry(fill, where, self._halt)

    def halt(self) -> None:
        """Let reads that are under way end soon."""
        self._halt.set()

    def _find(self, name: str) -> str:
        return f"{self._folder.rstrip('/')}/{name}"

    @contextmanager
    def _guard(self, where: str) -> Iterator[None]:
        """A driver's own errors, as what is certain and what may pass."""
        try:
            yield
        except (FileNotFoundError, PermissionError, NotADirectoryError) as problem:
            raise Absent(
                f"the driver does not give it: {type(problem).__name__}, {shorten(problem)}",
                where,
                "check the address and what this machine may read",
            ) from problem
        except Exception as problem:  # drivers raise their own
            raise Passing(f"{type(problem).__name__}: {shorten(problem)}") from problem
