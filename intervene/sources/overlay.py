"""An overlay: rows that lie elsewhere, with an arm's replacements made while they are read."""

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from intervene.errors import InterveneError
from intervene.sources.documents import DocumentRows
from intervene.sources.gather import list_addresses
from intervene.sources.patches import Patches, load_patches
from intervene.sources.rewritten import open_patches
from intervene.sources.rows import TOKEN_BYTES, Rows, ShardedRows, SpanRows, digest_rows
from intervene.sources.splice import copy_rows, patch_rows

OVERLAY = "overlay.json"
"""Says which rows an overlay changes: the fields of `Base`."""
PATCHES = "patches"

Mapped = tuple[NDArray[np.int64], NDArray[np.int64], int]
"""What `list_addresses` gives of a stream, and which of its rows is the overlay's first."""


@dataclass(frozen=True)
class Base:
    """The rows that an overlay changes, and how they are known again.

    Args:
        path: what `open_rows` opens, absolute.
        first: the row there that is the overlay's first.
        rows: how many rows.
        row_tokens: tokens per row.
        sha256: of the bytes of these rows.
        files: path, bytes and time of modification (ns) of the files that they lie in: while these
            stand, the rows do.
    """

    path: str
    first: int
    rows: int
    row_tokens: int
    sha256: str
    files: tuple[tuple[str, int, int], ...]


@dataclass(frozen=True)
class OverlayRows:
    """Rows with replacements made; row 0 is the first row of the stretch.

    Args:
        base: the rows that are replaced in.
        first: the row of `base` that is row 0.
        patches: the replacements by row.
        folder: where they lie.
    """

    base: Rows
    first: int
    patches: Patches
    folder: Path

    @property
    def row_tokens(self) -> int:
        """Tokens per row."""
        return self.base.row_tokens

    def __len__(self) -> int:
        return len(self.patches)

    def read(self, start: int, stop: int) -> NDArray[np.uint16]:
        """Rows `[start, stop)` with their replacements."""
        out = np.empty((stop - start, self.row_tokens), np.uint16)
        self.read_into(start, out)
        return out

    def read_into(self, start: int, out: NDArray[np.uint16]) -> None:
        """Rows `[start, start + len(out))` with their replacements, into `out`."""
        assert 0 <= start <= start + len(out) <= len(self), (start, len(out), len(self))
        if self._mapped is None:
            self.base.read_into(self.first + start, out)
            patch_rows(out, start, self.patches)
        else:
            addresses, firsts, first = self._mapped
            byte = (first + start) * self.row_tokens * TOKEN_BYTES
            copy_rows(addresses, firsts, byte, out, start, self.patches)

    def files(self, start: int, stop: int) -> list[Path]:
        """The files that rows `[start, stop)` and their replacements lie in."""
        own = [self.folder / OVERLAY, *sorted((self.folder / PATCHES).glob("*.npy"))]
        return [*own, *self.base.files(self.first + start, self.first + stop)]

    @cached_property
    def _mapped(self) -> Mapped | None:
        """Where the files of the rows lie in memory; None for a base that is no files of rows."""
        held, first = self.base, self.first
        if isinstance(held, SpanRows):
            first -= held.first
            held = held.held
        return (*list_addresses(held.stream), first) if isinstance(held, ShardedRows) else None


def write_base(folder: Path, path: Path, rows: Rows, span: range, sha256: str) -> None:
    """Write `overlay.json` for the rows `span` of `rows`, which `open_rows` opens at `path`.

    Args:
        folder: the overlay's.
        path, rows: the source.
        span: the stretch.
        sha256: of the bytes of its rows.
    """
    files = _look_at(rows.files(span.start, span.stop))
    base = Base(str(path.resolve()), span.start, len(span), rows.row_tokens, sha256, files)
    (folder / OVERLAY).write_text(json.dumps(asdict(base), indent=1))


def open_overlay(folder: Path, row_tokens: int, open_base: Callable[[Path, int], Rows]) -> Rows:
    """The rows of a folder with `overlay.json` and patches.

    Args:
        folder: as a corpus of form overlay is kept.
        row_tokens: tokens per row, as it is asked for.
        open_base: opens the rows that lie at a path.

    Errors: InterveneError for rows that are gone or are no longer those of the overlay, patches
    that cannot be read, and another row length.
    """
    known = json.loads((folder / OVERLAY).read_text())
    base = Base(**known | {"files": tuple(map(tuple, known["files"]))})
    if base.row_tokens != row_tokens:
        raise InterveneError(
            f"rows of {base.row_tokens:,} tokens, not {row_tokens:,}",
            str(folder / OVERLAY),
            "set data.row_tokens to the row length",
        )
    if not Path(base.path).exists():
        raise InterveneError(
            f"the rows under the overlay {folder} are gone",
            base.path,
            "put them back, or build the corpus with corpus.form=materialised",
        )
    rows = open_base(Path(base.path), row_tokens)
    _check_base(folder, base, rows)
    if isinstance(rows, DocumentRows):
        span = range(base.first, base.first + base.rows)
        return open_patches(rows, span, folder / PATCHES)
    return OverlayRows(rows, base.first, load_patches(folder / PATCHES), folder)


def _check_base(folder: Path, base: Base, rows: Rows) -> None:
    """Refuse rows that are others than when the overlay was built; read them if files changed."""
    stop, digest = base.first + base.rows, "none"
    if stop <= len(rows):
        if _look_at(rows.files(base.first, stop)) == base.files:
            return
        digest, _ = digest_rows(rows, base.first, stop)
    if digest != base.sha256:
        raise InterveneError(
            f"rows [{base.first:,}, {stop:,}) are no longer those under the overlay {folder} "
            f"(sha256 {digest[:16]}, not {base.sha256[:16]})",
            base.path,
            "put them back, or rewrite what is there now",
        )


def _look_at(paths: list[Path]) -> tuple[tuple[str, int, int], ...]:
    """Path, bytes and time of modification (ns) of files."""
    return tuple((str(p), p.stat().st_size, p.stat().st_mtime_ns) for p in paths)
