"""What a sweep costs: GPU hours, memory and disk, in all and what is left of it."""

import heapq
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from intervene.errors import InterveneError
from pipelines.planning.node import Share
from pipelines.planning.speed import Speed
from pipelines.planning.stored import Kind, Stored


@dataclass(frozen=True)
class Fit:
    """What a rank's memory holds.

    Args:
        micro_batch: rows of a forward pass.
        activation_checkpointing: whether activations are computed again.
        bytes: that a rank is expected to hold.
        room: bytes that it may take.
    """

    micro_batch: int
    activation_checkpointing: bool
    bytes: int
    room: int


@dataclass(frozen=True)
class Training:
    """A training of an arm, a ladder or a replay.

    Args:
        name: model and arm, or model and `ladder` or `replay`.
        start: its first step.
        tokens: targets that are trained on.
        share: what it takes.
        speed: or None if it is not known.
        fit: or None if not one row fits.
        checkpoints: bytes of those that it saves.
        state: bytes of the optimizer state that it keeps.
        spare: bytes of the second state that there is meanwhile.
        is_built: whether it is there.
        is_needed: whether an arm that is not there starts from it; of an arm's own always.
        problems: why its speed is not known, or not one row fits.
    """

    name: str
    start: int
    tokens: int
    share: Share
    speed: Speed | None
    fit: Fit | None
    checkpoints: int
    state: int
    spare: int
    is_built: bool
    is_needed: bool = True
    problems: tuple[InterveneError, ...] = ()

    @property
    def is_left(self) -> bool:
        """Whether it is still to be done."""
        return self.is_needed and not self.is_built

    @property
    def seconds(self) -> float | None:
        """From its first step to its last, without pauses."""
        if self.speed is None:
            return None
        return self.tokens / (self.speed.tokens_per_s * self.share.ranks)

    @property
    def device_hours(self) -> float | None:
        """GPU hours, or hours of processes on a CPU."""
        return None if self.seconds is None else self.seconds * self.share.devices / 3600


@dataclass(frozen=True)
class Arm:
    """What an arm costs, and what of it is there.

    Args:
        training: its own, without those that arms share.
        has_corpus: whether its corpus is built.
        scored: checkpoints that have readings.
        wanted: checkpoints that are to have them, the one that it resumes from among them.
    """

    training: Training
    has_corpus: bool
    scored: int
    wanted: int


@dataclass(frozen=True)
class Cost:
    """What all arms cost together.

    Args:
        arms: one by one.
        preparations: ladders and replays, each once.
        stored: what is on disk beside trainings, each once.
        refused: why arms that are not among `arms` cannot be trained at all.
    """

    arms: tuple[Arm, ...]
    preparations: tuple[Training, ...]
    stored: tuple[Stored, ...]
    refused: tuple[InterveneError, ...]

    @property
    def trainings(self) -> tuple[Training, ...]:
        """All trainings, in the order in which they run."""
        return (*self.preparations, *(arm.training for arm in self.arms))

    @property
    def problems(self) -> tuple[InterveneError, ...]:
        """What is wrong, each once."""
        found = [*self.refused, *(each for t in self.trainings for each in t.problems)]
        return tuple({str(problem): problem for problem in found}.values())

    @property
    def at_once(self) -> int:
        """Trainings that run at the same time, at least."""
        return min((training.share.at_once for training in self.trainings), default=1)

    @property
    def unknown(self) -> int:
        """Trainings of unknown speed; what is said of hours leaves them out."""
        return sum(training.speed is None for training in self.trainings)

    def count_hours(self, *, left: bool) -> float:
        """Hours of GPUs, or of processes on a CPU: in all, or what is left."""
        chosen = choose(self.trainings, left)
        return sum(training.device_hours or 0.0 for training in chosen)

    def count_seconds(self, *, left: bool) -> float:
        """From the first start to the last end; arms wait until all preparations are done."""
        parts = self.preparations, [arm.training for arm in self.arms]
        return sum(
            spread([t.seconds or 0.0 for t in choose(part, left)], self.at_once) for part in parts
        )

    def count_bytes(self, *, left: bool) -> dict[str, int]:
        """On disk by kind, when all is done; `second states` is what there is meanwhile besides."""
        stored = [s for s in self.stored if not (left and s.is_built)]
        found = {str(kind): sum(s.bytes for s in stored if s.kind is kind) for kind in Kind}
        trainings = choose(self.trainings, left)
        found["checkpoints"] = sum(t.checkpoints for t in trainings)
        found["states"] = sum(t.state for t in trainings)
        spare = heapq.nlargest(self.at_once, (t.spare for t in trainings))
        found["second states"] = sum(spare)
        return {kind: size for kind, size in found.items() if size}


def choose(trainings: Iterable[Training], left: bool) -> list[Training]:
    """All trainings, or those that are left."""
    return [training for training in trainings if training.is_left or not left]


def spread(seconds: Sequence[float], at_once: int) -> float:
    """How long tasks take together, of which so many run at once, each begun as one ends."""
    ends = [0.0] * at_once
    for each in seconds:
        heapq.heapreplace(ends, ends[0] + each)
    return max(ends)
