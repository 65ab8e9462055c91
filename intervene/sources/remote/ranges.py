"""Byte ranges of a file behind a web address, each answer checked before it is believed."""

import re
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from email.utils import parsedate_to_datetime

import httpx2
from huggingface_hub.errors import OfflineModeIsEnabled

from intervene.console import say
from intervene.errors import InterveneError
from intervene.sources.remote.listing import Absent
from intervene.sources.remote.retry import Passing, Unreachable, retry, shorten

TIMEOUT = httpx2.Timeout(30.0, connect=15.0)
"""Seconds without a byte."""
BUSY = frozenset({408, 425, 429})
ABSENT = frozenset({401, 403, 404, 410})
WORTH_BYTES = 1 << 18
"""A try that gave so many bytes before it failed does not count as one that failed."""
WHOLE = re.compile(r"bytes (\d+)-(\d+)/(\d+)")
RESET = re.compile(r"r\s*=\s*0\s*;\s*t\s*=\s*(\d+)")
"""In the Hub's `RateLimit` header: none are left, and the seconds until there are more."""

Answer = httpx2.Response


@dataclass(frozen=True)
class Target:
    """A file as it is asked for.

    Args:
        url: its address.
        shown: the same without passwords.
        headers: sent along; those with a password do not follow to another host.
        check: refuses an answer that is of another file than the one listed.
        known: whether the server has answered before: a connection that it then does not take is a
            cause that may pass, and else more likely a wrong address.
    """

    url: str
    shown: str
    headers: dict[str, str]
    check: Callable[[Answer], None]
    known: bool


def read_range(
    client: httpx2.Client, target: Target, start: int, size: int, out: memoryview,
    halt: threading.Event,
) -> None:  # fmt: skip
    """Fill `out` with bytes of a file from `start` on; what a cut connection gave is kept.

    Args:
        client: asks.
        target: the file.
        start: its first byte to read.
        size: bytes of the whole file.
        out: takes the bytes.
        halt: ends the reading early.

    Errors: InterveneError for an answer that is not of these bytes, and Unreachable.
    """
    filled, stop = 0, start + len(out)

    def take() -> None:
        nonlocal filled
        first = start + filled
        with ask(client, target, first, stop) as answer:
            check_kind(answer, target, first)
            target.check(answer)
            check_range(answer, target, first, stop, size)
            for block in answer.iter_raw():
                if filled + len(block) > len(out):
                    raise InterveneError(
                        f"the answer holds more than the {stop - first:,} bytes asked for",
                        show(target, first),
                        "give a server that answers byte ranges",
                    )
                out[filled : filled + len(block)] = block
                filled += len(block)
                if halt.is_set():
                    raise Passing("stopped")
        if filled < len(out):
            raise Passing(f"the answer ends at byte {start + filled:,}, before byte {stop:,}")

    def go_on() -> None:
        before = filled
        try:
            take()
        except Passing as cause:
            if filled - before < WORTH_BYTES or halt.is_set():
                raise
            say(f"{show(target, start + before)}: {cause}; going on at byte {start + filled:,}")

    while filled < len(out):
        retry(go_on, show(target, start), halt)


def measure(
    client: httpx2.Client, target: Target, halt: threading.Event
) -> tuple[int, httpx2.Headers]:
    """The bytes of a file, and the headers that came with the first of them.

    Errors: Absent, other InterveneErrors for an answer that is no byte range, and Unreachable.
    """

    def probe() -> tuple[int, httpx2.Headers]:
        with ask(client, target, 0, 1) as answer:
            found = WHOLE.fullmatch(answer.headers.get("content-range", ""))
            size = int(found[3]) if found else -1
            check_kind(answer, target, 0)
            check_range(answer, target, 0, 1, size)
            return size, answer.headers

    return retry(probe, target.shown, halt)


@contextmanager
def ask(client: httpx2.Client, target: Target, start: int, stop: int | None) -> Iterator[Answer]:
    """An answer, whose body is not read yet, to a request for bytes `[start, stop)` or for all.

    Errors: Passing; InterveneError for any status that says no.
    """
    headers = {**target.headers, "Accept-Encoding": "identity"}
    if stop is not None:
        headers["Range"] = f"bytes={start}-{stop - 1}"
    try:
        with client.stream(
            "GET", target.url, headers=headers, timeout=TIMEOUT, follow_redirects=True
        ) as answer:
            _check_status(answer, target, start)
            yield answer
    except httpx2.TransportError as problem:
        if isinstance(problem, httpx2.ConnectError) and not target.known:
            raise Unreachable(
                f"no connection ({shorten(problem)})", target.shown, "check the address"
            ) from problem
        raise Passing(f"{type(problem).__name__}: {shorten(problem)}") from problem
    except (httpx2.HTTPError, httpx2.InvalidURL, OfflineModeIsEnabled) as problem:
        raise InterveneError(shorten(problem), target.shown, "check the address") from problem


def check_kind(answer: Answer, target: Target, byte: int) -> None:
    """Refuse a web page, and bytes that are packed.

    Errors: InterveneError.
    """
    kind = answer.headers.get("content-type", "")
    code = answer.headers.get("content-encoding", "identity")
    where, remedy = show(target, byte), "give the address of the file itself"
    if kind.startswith("text/html"):
        raise InterveneError(f"the answer is a web page ({kind}), not bytes", where, remedy)
    if code != "identity":
        raise InterveneError(f"the answer is encoded as {code}", where, remedy)


def check_range(answer: Answer, target: Target, start: int, stop: int, size: int) -> None:
    """Refuse an answer other than bytes `[start, stop)` of a file of `size` bytes.

    Errors: InterveneError.
    """
    said = answer.headers.get("content-range", "none")
    where = show(target, start)
    whole = start == 0 and stop == size and answer.headers.get("content-length") == str(size)
    if answer.status_code == 200 and not whole:
        raise InterveneError(
            f"the server does not serve byte ranges: asked for bytes [{start:,}, {stop:,}), it "
            "sends the whole file",
            where,
            "download the files and set data.path to their folder, or give another server",
        )
    if answer.status_code == 206 and said != f"bytes {start}-{stop - 1}/{size}":
        raise InterveneError(
            f"asked for bytes {start}-{stop - 1}/{max(size, 0) or '*'}, the server sends Content-"
            f"Range: {said}",
            where,
            "the file has changed, or give a server that answers byte ranges",
        )


def show(target: Target, byte: int) -> str:
    """The address and byte that an error names."""
    return f"{target.shown} byte {byte:,}"


def find_mark(headers: httpx2.Headers) -> str | None:
    """What becomes another when the file does."""
    return headers.get("etag") or headers.get("last-modified")


def _check_status(answer: Answer, target: Target, byte: int) -> None:
    status = answer.status_code
    if status in (200, 206):
        return
    what = f"the server answers {status} {answer.reason_phrase}".rstrip()
    if status in BUSY or status >= 500:
        raise Passing(what, find_pause(answer.headers))
    where, remedy = show(target, byte), "check the address, and what this machine may read"
    raise (Absent if status in ABSENT else InterveneError)(what, where, remedy)


def find_pause(headers: httpx2.Headers) -> float | None:
    """Seconds that a busy server asks to wait: Retry-After in either form, or the Hub's own."""
    said = headers.get("retry-after", "").strip()
    if said.isdigit():
        return float(said)
    if said:
        try:
            return max(0.0, parsedate_to_datetime(said).timestamp() - time.time())
        except ValueError:
            return None
    found = RESET.search(headers.get("ratelimit", ""))
    return float(found[1]) if found else None
