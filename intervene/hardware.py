"""Named hardware that a sweep's cost is reckoned on, before anything is started there."""

from dataclasses import dataclass, field

from intervene.errors import InterveneError


@dataclass(frozen=True)
class Hardware:
    """A kind of machine.

    Args:
        name: the preset's name.
        gpu: a part of the device's name as the driver gives it, such as `H100`, by which its peak
            and measurements are found; None for machines without.
        gpus: per machine; None for this machine, whatever GPUs it has.
        memory: GiB that are free per GPU, or of the machine where it has none; None for what is
            free on this machine.
        mfu: the share of the peak that is assumed of a model whose speed was not measured.
        tokens_per_s: speeds that are given, tokens per second and GPU by model name.
        table: a CSV of speeds measured by `python -m bench step --table FILE`, or None.
    """

    name: str
    gpu: str | None
    gpus: int | None
    memory: float | None
    mfu: float
    tokens_per_s: dict[str, float] = field(default_factory=dict, hash=False)
    table: str | None = None

    def __post_init__(self) -> None:
        if not 0 < self.mfu <= 1:
            raise InterveneError(
                f"need a share in (0, 1], got {self.mfu:g}", "hardware.mfu", "0.4 is usual"
            )
        if self.gpus is not None and self.gpus < 0:
            raise InterveneError(
                f"need 0 or more, got {self.gpus}", "hardware.gpus", "or null for this machine"
            )
        if self.memory is not None and not self.memory > 0:
            raise InterveneError(
                f"need more than 0 GiB, got {self.memory:g}",
                "hardware.memory",
                "or null for what is free on this machine",
            )
        for model, speed in self.tokens_per_s.items():
            if not speed > 0:
                raise InterveneError(
                    f"need more than 0 tokens/s, got {speed:g}",
                    f"hardware.tokens_per_s.{model}",
                    "give tokens per second and GPU",
                )
        self._check_whole()

    def _check_whole(self) -> None:
        """Refuse another machine of which something is left open."""
        if bool(self.gpus) != (self.gpu is not None):
            raise InterveneError(
                f"{self.gpus or 'no'} GPUs, and hardware.gpu={self.gpu}",
                f"hardware={self.name}",
                "give a part of the device's name and how many there are, or hardware=here",
            )
        if self.gpus is not None and self.memory is None:
            raise InterveneError(
                "the memory of another machine is not known",
                "hardware.memory",
                "give the GiB that are free per GPU, or of the machine where it has none",
            )
