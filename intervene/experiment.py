"""The whole experiment as one frozen value: what Hydra composes and a worker is handed."""

import dataclasses
import json
import typing
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from types import UnionType
from typing import Any, TypeVar

from intervene.arm import Arm
from intervene.data import Data
from intervene.errors import InterveneError
from intervene.parallel import Corpus

T = TypeVar("T")


class Precision(StrEnum):
    """The dtype that a model computes in; master weights are fp32 whichever it is."""

    fp32 = "fp32"
    bf16 = "bf16"


class OptimizerState(StrEnum):
    """Where Adam's moments come from at the resume step.

    `own`: from what lies with the checkpoint, if anything does. `neox`: the same, and a checkpoint
    that is not GPT-NeoX's is refused. `cold`: they are zero.
    """

    own = "own"
    neox = "neox"
    cold = "cold"


class Attention(StrEnum):
    """Which attention kernel transformers is asked for."""

    eager = "eager"
    sdpa = "sdpa"


@dataclass(frozen=True)
class Model:
    """One GPT-NeoX model: architecture, pretraining schedule and where its checkpoints are.

    Args:
        name: the preset's name.
        repo: Hugging Face repository whose branches `step{N}` are the checkpoints, or None.
        checkpoint: where the weights of the resume step come from: `hub` (branch `step{start}` of
            `repo`), `random` (untrained weights), `ladder` (pretrained here from random weights on
            the rows before the stretch), or a local folder: Hugging Face's format, one that
            `pipelines.convert` made, or GPT-NeoX's `global_stepN`.
        layers, width, heads, vocab, context: the architecture; `vocab` is the padded size of the
            embedding, `context` the longest sequence in tokens.
        peak_lr: the learning rate after warmup.
        schedule_steps, warmup_steps: E and W of the learning rate (training/pythia.py), steps.
        floor: the smallest learning rate as a share of `peak_lr`.
    """

    name: str
    repo: str | None
    checkpoint: str
    layers: int
    width: int
    heads: int
    vocab: int
    context: int
    peak_lr: float
    schedule_steps: int
    warmup_steps: float
    floor: float

    def __post_init__(self) -> None:
        if self.checkpoint == "hub" and self.repo is None:
            raise InterveneError(
                f"model {self.name} has no repository on the Hub",
                "model.checkpoint=hub",
                "use ladder, random, or a folder in Hugging Face format",
            )


@dataclass(frozen=True)
class Guards:
    """What is held back though it looks like a pronoun; all off is pure word-level swapping.

    Args:
        pairs: leave both members of `he/she`, `his or her`, `s/he`.
        hyphens: leave a pronoun joined to a letter by `-` (`she-wolf`).
        joined: leave one joined to an alphanumeric by `.`, `@`, `/` or `_` (`he.po`, `he_1`);
            `_him_` is swapped.
        capitals: swap UPPER case only where a neighbouring word is in capitals too.
        surnames: leave the name and the element He (`Kaiming He`, `He, Horace`, `He+`).
        quoted: leave one that is all that stands between two quotation marks (`'he'`).
        titles: leave the possessive of a title (`His Majesty`).
        language: leave what stands in a document that is not English (`her` is Danish for here).
    """

    pairs: bool = True
    hyphens: bool = True
    joined: bool = True
    capitals: bool = True
    surnames: bool = True
    quoted: bool = True
    titles: bool = False
    language: bool = True

    @classmethod
    def none(cls) -> "Guards":
        """Every guard off."""
        return cls(**dict.fromkeys((field.name for field in dataclasses.fields(cls)), False))


@dataclass(frozen=True)
class Trainer:
    """How the stretch is trained on. `micro_batch` and `processes` change bits, not meaning.

    Args:
        precision: fp32 or bf16 compute.
        optimizer_state: where Adam's moments come from.
        micro_batch: rows per process and forward pass; must divide the rows of a step per process.
        processes: ranks on this machine, or None for one per GPU (one on a CPU).
        save_every: a checkpoint every so many steps of the stretch, counted from its start.
        beta1, beta2, epsilon, weight_decay, clip: AdamW and the gradient-norm bound.
        zero_stage: DeepSpeed ZeRO stage, 1 to 3.
        seed: of random weights.
    """

    name: str
    precision: Precision
    optimizer_state: OptimizerState
    micro_batch: int
    processes: int | None
    save_every: int
    beta1: float
    beta2: float
    epsilon: float
    weight_decay: float
    clip: float
    zero_stage: int
    seed: int

    def __post_init__(self) -> None:
        for key in ("micro_batch", "save_every"):
            if getattr(self, key) < 1:
                raise InterveneError(
                    f"need 1 or more, got {getattr(self, key)}", f"trainer.{key}", "raise it"
                )
        if self.processes is not None and self.processes < 1:
            raise InterveneError(
                f"need 1 or more, got {self.processes}",
                "trainer.processes",
                "or null for one per GPU",
            )
        if self.zero_stage not in (1, 2, 3):
            raise InterveneError(
                f"need 1, 2 or 3, got {self.zero_stage}", "trainer.zero_stage", "Pythia used 1"
            )


@dataclass(frozen=True)
class Kernels:
    """Which kernels run: attention, fused AdamW, torch.compile."""

    name: str
    attention: Attention
    fused_adam: bool
    compile: bool


@dataclass(frozen=True)
class Evaluation:
    """What is scored, and how sure the contrasts are.

    Args:
        tasks: task names of intervene/evaluation/tasks.
        data: `embedded` (the toy's held-out items), `hub`, or a folder that holds `winobias/` and
            `crows_pairs/`.
        batch_size: sequences per forward pass.
        precision: the model's dtype while scoring; softmax is fp32 always.
        resamples: bootstrap resamples.
        seed: of the bootstrap.
    """

    name: str
    tasks: tuple[str, ...]
    data: str
    batch_size: int
    precision: Precision
    resamples: int
    seed: int

    def __post_init__(self) -> None:
        object.__setattr__(self, "tasks", tuple(self.tasks))
        if not self.tasks:
            raise InterveneError("no task is named", "evaluation.tasks", "name at least one")
        if self.batch_size < 1:
            raise InterveneError(
                f"need 1 or more, got {self.batch_size}", "evaluation.batch_size", "raise it"
            )
        if self.resamples < 100:
            raise InterveneError(
                f"need 100 or more, got {self.resamples}",
                "evaluation.resamples",
                "use 2,000 for a paper",
            )


@dataclass(frozen=True)
class Paths:
    """Where artefacts (`store`) and logs (`runs`) are kept; absolute."""

    store: Path
    runs: Path


@dataclass(frozen=True)
class Experiment:
    """One trial arm, end to end. `name` groups the arms that are compared."""

    name: str
    model: Model
    data: Data
    intervention: Arm
    guards: Guards
    trainer: Trainer
    kernels: Kernels
    evaluation: Evaluation
    paths: Paths
    corpus: Corpus = field(default_factory=Corpus)

    @property
    def control(self) -> "Experiment":
        """The same experiment with nothing swapped."""
        return dataclasses.replace(self, intervention=self.intervention.control)


def to_json(value: object) -> str:
    """A frozen value as JSON text."""
    assert dataclasses.is_dataclass(value)
    assert not isinstance(value, type)
    return json.dumps(dataclasses.asdict(value), indent=1, default=str)


def from_json(kind: type[T], text: str) -> T:
    """The inverse of `to_json`; what an older version did not write has its default."""
    built: T = _build(kind, json.loads(text))
    return built


def _build(kind: Any, value: Any) -> Any:
    if dataclasses.is_dataclass(kind):
        hints = typing.get_type_hints(kind)
        known = {name: _build(hints[name], value[name]) for name in hints if name in value}
        return kind(**known)  # type: ignore[operator]
    if isinstance(kind, UnionType):
        return None if value is None else _build(typing.get_args(kind)[0], value)
    if typing.get_origin(kind) is tuple:
        return tuple(value)
    return kind(value)
