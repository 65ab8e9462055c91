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
        gpus: per machine.
        memory: GiB per GPU, or of the machine where it has none.
        mfu: the share of the peak that is assumed of a model whose speed was not measured.
        tokens_per_s: speeds that are given, tokens per second and GPU by model name.
        table: a CSV of speeds measured by `python -m bench step`, or None.
    """

    name: str
    gpu: str | None
    gpus: int
    memory: float
    mfu: float
    tokens_per_s: dict[str, float] = field(default_factory=dict)
    table: str | None = None

    def __post_init__(self) -> None:
        if not 0 < self.mfu <= 1:
            raise InterveneError(
                f"need a share in (0, 1], got {self.mfu:g}", "hardware.mfu", "0.4 is usual"
            )
        for key in ("gpus", "memory"):
            if getattr(self, key) < 0:
                raise InterveneError(
                    f"need 0 or more, got {getattr(self, key)}", f"hardware.{key}", "raise it"
                )
        for model, speed in self.tokens_per_s.items():
            if not speed > 0:
                raise InterveneError(
                    f"need more than 0 tokens/s, got {speed:g}",
                    f"hardware.tokens_per_s.{model}",
                    "give tokens per second and GPU",
                )
