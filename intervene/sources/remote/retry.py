"""Another try, after a pause, at what failed for a cause that may pass."""

import threading
from collections.abc import Callable
from typing import TypeVar

from intervene.console import say, show_duration
from intervene.errors import InterveneError

TRIES = 6
PAUSE_SECONDS = 1.0
"""Before the second try; doubled before each that follows: 31 s over all tries."""
LONGEST_SECONDS = 600.0
"""A server that asks for a longer pause is not waited for."""

T = TypeVar("T")


def shorten(problem: BaseException) -> str:
    """The first line of what a library raised, or its type if it says nothing."""
    lines = str(problem).strip().splitlines()
    return lines[0][:160] if lines else type(problem).__name__


class Passing(Exception):
    """A cause that may pass: a cut connection, a timeout, a busy server.

    Args:
        what: the cause, in a few words.
        pause_seconds: how long the server asks to wait, or None.
    """

    def __init__(self, what: str, pause_seconds: float | None = None) -> None:
        super().__init__(what)
        self.pause_seconds = pause_seconds


class Unreachable(InterveneError):
    """What did not pass, however often it was tried."""


def retry(work: Callable[[], T], where: str, halt: threading.Event) -> T:
    """What `work` gives; it is called again while it raises `Passing`, at most `TRIES` times.

    Args:
        work: what may fail.
        where: the file and byte, for the line that tells of each new try.
        halt: ends the pauses, since nobody waits for the result any more.

    Errors: Unreachable.
    """
    for number in range(1, TRIES + 1):
        try:
            return work()
        except Passing as cause:
            pause = cause.pause_seconds
            if pause is None:
                pause = PAUSE_SECONDS * 2 ** (number - 1)
            if number == TRIES or pause > LONGEST_SECONDS or halt.is_set():
                raise Unreachable(
                    f"{cause} (try {number} of {TRIES})",
                    where,
                    "run the same command again later: what was fetched is kept",
                ) from cause
            say(f"{where}: {cause}; trying again in {show_duration(pause)}, {number} of {TRIES}")
            halt.wait(pause)
    raise AssertionError("the last try returns or raises")
