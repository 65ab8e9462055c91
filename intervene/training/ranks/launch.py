"""How the ranks of a training are started, watched and ended together."""

import contextlib
import dataclasses
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import FrameType

import torch
from torch.distributed import TCPStore

from intervene.child import start_child
from intervene.console import say
from intervene.errors import InterveneError, LostError
from intervene.training.ranks.meeting import LOST, SILENT_SECONDS, Remote, open_meeting
from intervene.training.ranks.place import Place, take_place

WATCH_SECONDS = 0.05
TAIL_LINES = 25
MISTAKEN, OUT_OF_MEMORY, INTERRUPTED = 2, 12, 75
"""A rank's exit codes: it met a user's mistake; its memory ran out (ENOMEM); it was told to stop
and has saved (EX_TEMPFAIL)."""
Rank = subprocess.Popen[bytes] | Remote


def run_ranks(command: list[str], world: int, log: Path, mistake: Path) -> None:
    """Run `python -m command` once per rank and wait for all.

    The ranks meet at a store held here on a port that the kernel chose, so that several runs
    share a machine. Without a launcher this process starts them all; under one it starts rank 0,
    and the launcher's other processes, which attend (attendance.py), start one each. They die with
    the process that started them: its death sends them SIGTERM, on which they save and leave, and
    so do SIGTERM and SIGUSR2 to it, and Ctrl-C.

    Args:
        command: module, the job's file, which all nodes must see, and further arguments.
        world: how many ranks.
        log: where ranks write what is not meant for the console.
        mistake: where a rank writes a user's mistake before it ends.

    Errors: InterveneError from a rank, and for a process of the launcher that is not heard of;
    KeyboardInterrupt when the ranks were told to stop and have saved; RuntimeError with the log's
    tail if one fails otherwise; MemoryError if one ran out of memory.
    """
    store = TCPStore("localhost", 0, is_master=True, wait_for_workers=False)
    place, ranks = take_place(), list[Rank]()
    with _interrupted_by_signals():
        try:
            if place is None:
                for rank in range(world):
                    here = Place(rank, world, rank, world, "localhost", store.port)
                    ranks.append(start(command, here))
            else:
                ranks.append(start(command, dataclasses.replace(place, port=store.port)))
                ranks += open_meeting(place).announce(command, store.port)
            _watch(ranks)
        except KeyboardInterrupt:
            say("saving, then stopping; Ctrl-C once more stops without saving")
            for one in ranks:
                one.send_signal(signal.SIGTERM)
            _watch(ranks)
            raise
        finally:
            end(ranks)
    _judge(ranks, log, mistake)


def start(command: list[str], place: Place) -> subprocess.Popen[bytes]:
    """Start the rank of a place; it meets the others at the place's host and port.

    Errors: InterveneError for more ranks than GPUs on this node.
    """
    gpus = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if 1 < gpus < place.local_world:
        raise InterveneError(
            f"{place.local_world} processes on a node with {gpus} GPUs",
            f"rank {place.rank}",
            "start one process per GPU",
        )
    settings = {
        "RANK": place.rank,
        "LOCAL_RANK": 0 if gpus == 1 else place.local_rank,  # SLURM may show each task its own GPU
        "WORLD_SIZE": place.world,
        "LOCAL_WORLD_SIZE": place.local_world,
        "MASTER_ADDR": place.host,
        "MASTER_PORT": place.port,
        "TORCHELASTIC_USE_AGENT_STORE": True,  # the store is held by rank 0's parent
        "TORCHELASTIC_RESTART_COUNT": 0,
    }
    # Else DeepSpeed warns of a CPU: in ranks, and in this process, which writes replays.
    os.environ.setdefault("DS_ACCELERATOR", "cuda" if gpus else "cpu")
    return start_child([sys.executable, "-m", *command], settings)


def end(ranks: Sequence[Rank]) -> None:
    """Kill what still runs and collect it."""
    for rank in ranks:
        if rank.poll() is None:
            rank.kill()
    for rank in ranks:
        rank.wait()


def _watch(ranks: Sequence[Rank]) -> None:
    """Wait until all have ended, or one has failed: the others would wait for it for ever."""
    while None in (codes := {rank.poll() for rank in ranks}):
        if codes - {None, 0, INTERRUPTED}:
            return
        time.sleep(WATCH_SECONDS)


def _judge(ranks: Sequence[Rank], log: Path, mistake: Path) -> None:
    """Raise what the ranks' exit codes mean."""
    codes = [rank.returncode for rank in ranks]
    if not any(codes):
        return
    remotes = [rank for rank in ranks if isinstance(rank, Remote)]
    mistakes = [json.loads(mistake.read_text())] if mistake.exists() else []
    mistakes += [rank.mistake for rank in remotes if rank.mistake]
    if mistakes:
        raise InterveneError(**mistakes[0])
    if lost := [rank for rank in remotes if rank.returncode == LOST]:
        raise LostError(
            f"rank {lost[0].rank} was not heard of for {SILENT_SECONDS:.0f} s",
            lost[0].host,
            "the same command goes on from the last checkpoint",
        )
    told = set(codes) - {0, -signal.SIGKILL}
    if told and told <= {INTERRUPTED, -signal.SIGTERM, -signal.SIGUSR2}:  # or before it could save
        raise KeyboardInterrupt
    if OUT_OF_MEMORY in codes:
        raise MemoryError(f"a rank ran out of memory; {log} says where")
    tail = "\n".join(log.read_text().splitlines()[-TAIL_LINES:]) if log.exists() else ""
    raise RuntimeError(f"training ended with exit codes {codes}; {log} ends:\n{tail}")


@contextlib.contextmanager
def _interrupted_by_signals() -> Iterator[None]:
    """Have SIGTERM and SIGUSR2 do what Ctrl-C does, once."""
    numbers = (signal.SIGTERM, signal.SIGUSR2)

    def interrupt(number: int, frame: FrameType | None) -> None:
        for other in numbers:  # SLURM sends SIGTERM at the limit of which SIGUSR2 warned
            signal.signal(other, signal.SIG_IGN)
        raise KeyboardInterrupt

    if threading.current_thread() is not threading.main_thread():
        yield  # no signal is delivered here
        return
    before = {number: signal.signal(number, interrupt) for number in numbers}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
