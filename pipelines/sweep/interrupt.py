"""Whether a person has asked a sweep to stop: Ctrl-C and SIGTERM are counted, not raised.

An exception may be raised anywhere, in a finaliser too, where it would be lost.
"""

import signal
import time
from types import FrameType, TracebackType

LOOK_SECONDS = 0.1


class Interrupt:
    """Counts the signals while it is entered."""

    def __init__(self) -> None:
        self.count = 0
        self._before: dict[int, object] = {}

    def __enter__(self) -> "Interrupt":
        for number in (signal.SIGINT, signal.SIGTERM):
            self._before[number] = signal.signal(number, self._note)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        problem: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)  # type: ignore[arg-type]

    def wait(self, seconds: float) -> None:
        """Sleep, but no longer than until a signal comes."""
        limit, before = time.monotonic() + seconds, self.count
        while self.count == before and (left := limit - time.monotonic()) > 0:
            time.sleep(min(left, LOOK_SECONDS))

    def _note(self, number: int, frame: FrameType | None) -> None:
        self.count += 1
