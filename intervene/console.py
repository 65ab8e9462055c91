"""What a person sees while work runs: plain lines, and progress with rate and ETA."""

import sys
import time
from types import TracebackType

LOG_SECONDS = 30.0
LIVE_SECONDS = 0.2


def say(line: str) -> None:
    """Print one line on standard error, where progress goes too."""
    print(line, file=sys.stderr, flush=True)


def confirm(question: str, *, unasked: bool) -> bool:
    """Whether a person at the terminal says yes; `unasked` where there is none to be asked."""
    if sys.stdin is None or not sys.stdin.isatty():  # it may be closed
        return unasked
    print(f"{question} [y/N] ", end="", file=sys.stderr, flush=True)
    return sys.stdin.readline().strip().lower() in ("y", "yes")


def show_duration(seconds: float) -> str:
    """`47s`, `2m07s` or `3h05m`."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole}s"
    if whole < 3600:
        return f"{whole // 60}m{whole % 60:02d}s"
    return f"{whole // 3600}h{whole % 3600 // 60:02d}m"


def show_rate(per_second: float) -> str:
    """A rate with k, M or G: `412k`."""
    for limit, letter in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if per_second >= limit:
            return f"{per_second / limit:.3g}{letter}"
    return f"{per_second:.3g}"


class Progress:
    """Progress of one long step: a live line on a terminal, one plain line every 30 s in a log.

    Args:
        label: what is going on, in a few words.
        total: how many units there are.
        unit: the unit's name, plural (`rows`, `steps`, `items`).
        done: how many were done before, by an interrupted run.
    """

    def __init__(self, label: str, total: int, unit: str, done: int = 0) -> None:
        self.label, self.total, self.unit, self.done = label, total, unit, done
        self._first = done
        self._began = self._shown = time.monotonic()
        self._live = sys.stderr.isatty()

    def __enter__(self) -> "Progress":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        problem: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if kind is None:
            self._show(last=True)
        elif self._live:
            say("")

    def advance(self, units: int, note: str = "") -> None:
        """Count `units` as done; `note` is appended to the line that may be shown."""
        self.done += units
        now = time.monotonic()
        if now - self._shown >= (LIVE_SECONDS if self._live else LOG_SECONDS):
            self._shown = now
            self._show(note)

    def _show(self, note: str = "", *, last: bool = False) -> None:
        seconds = max(time.monotonic() - self._began, 1e-9)
        rate = (self.done - self._first) / seconds
        percent = 100 * self.done / max(self.total, 1)
        left = (self.total - self.done) / rate if rate > 0 else 0.0
        when = f"in {show_duration(seconds)}" if last else f"eta {show_duration(left)}"
        line = (
            f"{self.label} {self.done:,}/{self.total:,} {self.unit}  {percent:.1f}%  "
            f"{show_rate(rate)} {self.unit}/s  {when}{'  ' + note if note else ''}"
        )
        if self._live:
            print(f"\r\x1b[K{line}", end="\n" if last else "", file=sys.stderr, flush=True)
        else:
            say(line)
