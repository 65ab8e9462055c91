"""The whole experiment as one frozen value: what Hydra composes and a worker is handed."""

import dataclasses
import json
import typing
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from types import UnionType
from typing import Any, TypeVar

from intervene.arm import Arm, Method
from intervene.data import Data
from intervene.errors import InterveneError
from intervene.hardware import Hardware
from intervene.launcher import Launcher, Local
from intervene.model import Model
from intervene.parallel import Corpus
from intervene.trainer import Kernels, Precision, Trainer, Watch

T = TypeVar("T")


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
class Words:
    """Which words give way: the gendered pronouns, pairs of other words, or both.

    Args:
        pronouns: he, she and their forms.
        pairs: `masculine feminine` or `masculine feminine neutral`, each one word in lower case.
    """

    pronouns: bool = True
    pairs: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "pairs", tuple(self.pairs))


@dataclass(frozen=True)
class Evaluation:
    """What is scored, and how sure the contrasts are.

    Args:
        tasks: task names of intervene/evaluation/tasks, and of `tasks_from`.
        data: `embedded` (the toy's held-out items), `hub`, or a folder laid out as
            evaluation/benchmarks/files.py says.
        batch_size: texts per forward pass at most; None for as many as the memory at hand takes.
        processes: how many checkpoints are scored at once, each by a process of its own; None for
            one per GPU (one on a CPU).
        precision: the model's dtype while scoring; softmax is fp32 always.
        resamples: bootstrap resamples.
        seed: of the bootstrap.
        tasks_from: a folder of further tasks, YAML and Python as lm-eval has them, or None.
    """

    name: str
    tasks: tuple[str, ...]
    data: str
    batch_size: int | None
    processes: int | None
    precision: Precision
    resamples: int
    seed: int
    tasks_from: Path | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "tasks", tuple(self.tasks))
        if self.tasks_from is not None:  # jobs and workers may start elsewhere
            object.__setattr__(self, "tasks_from", self.tasks_from.expanduser().absolute())
        if not self.tasks:
            raise InterveneError("no task is named", "evaluation.tasks", "name at least one")
        for key, value in (("batch_size", self.batch_size), ("processes", self.processes)):
            if value is not None and value < 1:
                raise InterveneError(
                    f"need 1 or more, got {value}", f"evaluation.{key}", "raise it, or null"
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


class Scope(StrEnum):
    """Which checkpoints `pipelines.evaluate` scores.

    `all`: of every arm of the experiment's name that was trained. `this`: of the arm that the
    config composes. `none`: of no arm, but the model's released checkpoint of `step`.
    """

    all = "all"
    this = "this"
    none = "none"


@dataclass(frozen=True)
class Experiment:
    """One trial arm, end to end. `name` groups the arms that are compared.

    Four are of one stage each and change no artefact: `arm`, `step` (with `arm=none`, or
    None for the first of the stretch) and `shard` (`i/n`: this process's share of the checkpoints)
    say what `pipelines.evaluate` scores; `allow_mismatch` names the terms in which
    `pipelines.compare` lets an arm differ from its control. `launcher` says where a sweep runs,
    `hardware` what `pipelines.plan` reckons with, `lexicon` which words give way.
    """

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
    watch: Watch = field(default_factory=Watch)
    launcher: Launcher = field(default_factory=lambda: Launcher(local=Local()))
    hardware: Hardware | None = None
    arm: Scope = Scope.all
    step: int | None = None
    shard: str | None = None
    allow_mismatch: tuple[str, ...] = ()
    lexicon: Words = field(default_factory=Words)

    def __post_init__(self) -> None:
        object.__setattr__(self, "allow_mismatch", tuple(self.allow_mismatch))
        if self.intervention.method is not Method.exact and self.lexicon != Words():
            raise InterveneError(
                "the published study's methods know pronouns only",
                "lexicon",
                "use intervention.method=exact, or lexicon=pronouns",
            )

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
