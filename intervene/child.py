"""A process that is told to stop when the one that started it dies."""

import ctypes
import os
import signal
import subprocess
from collections.abc import Mapping, Sequence
from typing import Any

PR_SET_PDEATHSIG = 1
LIBC = ctypes.CDLL(None)


def start_child(
    command: Sequence[str], environment: Mapping[str, object], **options: Any
) -> subprocess.Popen[bytes]:
    """Start a process in a session of its own, so that a terminal's Ctrl-C reaches this one alone.

    Args:
        command: program and arguments.
        environment: variables beside this process's.
        options: as `subprocess.Popen` takes them.
    """
    parent = os.getpid()
    return subprocess.Popen(
        list(command),
        env={**os.environ, **{name: str(value) for name, value in environment.items()}},
        stdin=subprocess.DEVNULL,
        start_new_session=True,
        preexec_fn=lambda: die_with(parent, signal.SIGTERM),
        **options,
    )


def die_with(parent: int, how: signal.Signals) -> None:
    """Have the kernel send this process a signal when its parent dies; Linux only.

    Args:
        parent: its process ID, as the parent itself knows it.
        how: the signal.
    """
    LIBC.prctl(PR_SET_PDEATHSIG, how)
    if os.getppid() != parent:  # it died before the call
        os._exit(1)
