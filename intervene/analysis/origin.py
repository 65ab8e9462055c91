"""An artefact that a comparison rests on, and the command that makes it again."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Origin:
    """What a page says of one artefact.

    Args:
        kind, key: its name is `kind/key`.
        what: a few words: the model and arm, or the steps.
        inputs: the names of what it was made from.
        facts: what is worth reading of its manifest, by name.
        command: the shell command that makes it; empty where none does alone.
    """

    kind: str
    key: str
    what: str
    inputs: tuple[str, ...]
    facts: tuple[tuple[str, str], ...]
    command: str

    @property
    def name(self) -> str:
        """`kind/key`."""
        return f"{self.kind}/{self.key}"


def describe_data(origins: list[Origin]) -> str:
    """The data keys, for captions: what the rows, the edits and the checkpoints are."""
    kinds = {kind: [o.key for o in origins if o.kind == kind] for kind in _SHOWN}
    said = [f"{kind} {', '.join(keys)}" for kind, keys in kinds.items() if keys]
    return f"Data: {'; '.join(said)}." if said else "Data: not recorded."


_SHOWN = ("fetched", "toy", "source", "order", "scan", "checkpoint")
