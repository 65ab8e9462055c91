"""How a plain function of an experiment becomes a Hydra entry point."""

import contextlib
import functools
import os
import re
import sys
import traceback
import typing
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path

import hydra
from hydra._internal.utils import get_args_parser
from hydra.core.config_store import ConfigStore
from hydra.core.hydra_config import HydraConfig
from hydra.errors import HydraException
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf, dictconfig
from omegaconf.basecontainer import BaseContainer
from omegaconf.errors import OmegaConfBaseException

from intervene.console import say
from intervene.errors import InterveneError
from intervene.experiment import Experiment
from intervene.training.ranks.place import take_place
from pipelines.trial import Trial

ROOT = Path(__file__).resolve().parents[1]
OmegaConf.register_new_resolver("root", lambda: str(ROOT), replace=True)
OmegaConf.register_new_resolver("sum", lambda *numbers: sum(numbers), replace=True)
OmegaConf.register_new_resolver("slug", lambda arm: name_folder(arm), replace=True)
# OmegaConf marks frozen dataclasses read-only, so that merging a config into them fails (omegaconf
# #1102), on every level; `OmegaConf.to_object` gives frozen instances all the same.
dictconfig.is_structured_config_frozen = lambda _: False
_failed: list[str] = []


def fill_null(node: BaseContainer, *others: typing.Any, **options: typing.Any) -> None:
    """Merge into a node that may be null, as `data.heldout={start: 1, stop: 2}` asks for.

    OmegaConf 2.3's own `merge_with` raises AttributeError there, though it fills null from YAML.
    """
    if node._is_none():
        kinds = [k for k in typing.get_args(node._metadata.ref_type) if k is not type(None)]
        node._set_value(kinds[0] if kinds else node._metadata.ref_type)
    merge_with(node, *others, **options)


merge_with = BaseContainer.merge_with
BaseContainer.merge_with = fill_null


def name_folder(arm: DictConfig) -> str:
    """The folder of an arm's run: its slug; `arm` for one whose error is reported later."""
    try:
        return str(OmegaConf.to_object(arm).slug)  # type: ignore[union-attr]
    except (InterveneError, OmegaConfBaseException):
        return "arm"


ConfigStore.instance().store(name="schema", node=Experiment)


def sort_words(words: Sequence[str], flags: Mapping[str, str]) -> list[str]:
    """A command line as Hydra reads it: overrides first, wherever `-m` and other options stand.

    Args:
        words: the command line.
        flags: a stage's own options, and the override that each stands for.

    Errors: SystemExit with 1, after a line, for an option that nobody knows.
    """
    words = [flags.get(word, word) for word in words]
    known, unread = get_args_parser().parse_known_args(words)
    for word in unread:
        if word.startswith("-"):
            _report(f"{word}: no such option; use {', '.join([*flags, '--help'])}, or key=value")
            sys.exit(1)
    overrides = [*known.overrides, *unread]
    return [*overrides, *(word for word in words if word not in overrides)]


def find_own(sources: Iterable[typing.Any]) -> tuple[str, ...]:
    """The words that name a folder of one's own options, for commands that are to be repeated."""
    paths = [source.path for source in sources if source.provider == "command-line"]
    return tuple(f"--config-dir={path}" for path in paths)


def stage(
    run: Callable[[Trial], None],
    *,
    per_arm: bool = True,
    sweep: Callable[[Sequence[Trial]], None] | None = None,
    schema: type[Experiment] = Experiment,
    flags: Mapping[str, str] | None = None,
) -> Callable[[], None]:
    """Turn a function of a `Trial` into a command-line entry point.

    A user's mistake ends as one line and exit code 1; in a sweep the other arms go on first. Under
    a launcher (torchrun, srun) rank 0 runs the stage, and the others take part in its trainings.

    Args:
        run: what to do with one arm's trial.
        per_arm: whether the stage is about one arm; other stages ignore a sweep.
        sweep: what to do with all arms of a sweep at once, or with one arm that is to run on a
            cluster; None runs them one after the other here.
        schema: an experiment with the keys that this stage alone has.
        flags: words of the command line, such as `--json`, and the override that each stands for.
    """
    asked: list[Trial] = []

    @hydra.main(version_base="1.3", config_path=str(ROOT / "conf"), config_name="config")
    @functools.wraps(run)
    def main(config: DictConfig) -> None:
        overrides = tuple(HydraConfig.get().overrides.task)
        folders = find_own(HydraConfig.get().runtime.config_sources)
        with reporting(" ".join(overrides) or "this arm"):
            experiment = OmegaConf.to_object(config)
            assert isinstance(experiment, Experiment)
            trial = Trial(experiment, (*folders, *overrides))
            sweeps = HydraConfig.get().mode == RunMode.MULTIRUN
            if sweep and (sweeps or experiment.launcher.slurm):
                asked.append(trial)
            else:
                run(trial)

    def lead() -> None:
        ConfigStore.instance().store(name="schema", node=schema)
        alone = [] if per_arm else ["hydra.mode=RUN"]
        sys.argv[1:] = sort_words([*sys.argv[1:], *alone], flags or {})
        with ending():
            main()
            if sweep and asked:
                with reporting("the sweep"):
                    sweep(asked)

    return functools.wraps(run)(lambda: enter(lead))


def enter(lead: Callable[[], None]) -> None:
    """Lead, or be one of a launcher's other processes, which take part in trainings alone."""
    sharded = any(re.match(r"(corpus\.)?shard=\d", word) for word in sys.argv)
    try:
        place = None if sharded else take_place()  # a shard's processes each do their own part
        if place is None:
            lead()
        else:
            from intervene.training.ranks.attendance import attend  # imports torch

            attend(place, lead)
    except InterveneError as problem:  # of the launcher's variables
        say(f"error: {problem}")
        sys.exit(1)


@contextlib.contextmanager
def ending() -> Iterator[None]:
    """End with a line for what Hydra refuses and for Ctrl-C, and with 1 if anything failed."""
    os.environ["HYDRA_FULL_ERROR"] = "1"  # so that what Hydra raises reaches the lines below
    try:
        yield
    except (HydraException, OmegaConfBaseException) as problem:
        _report(_flatten(problem))
    except (AssertionError, AttributeError) as problem:
        # So OmegaConf meets a value given for a part of what is null, such as data.order.seed.
        if "omegaconf" not in traceback.extract_tb(problem.__traceback__)[-1].filename:
            raise
        _report(f"{' '.join(sys.argv[1:])}: sets a part of what is null here; --help shows it")
    except KeyboardInterrupt:
        say("interrupted; the same command goes on from here")
        sys.exit(130)
    if _failed:
        sys.exit(1)


def launching(*stages: str) -> Callable[[Sequence[Trial]], None]:
    """A sweep that does these stages of its arms."""

    def sweep(trials: Sequence[Trial]) -> None:
        from pipelines.sweep.launch import launch  # seconds to import, and only a sweep needs it

        launch(trials, stages)

    return sweep


@contextlib.contextmanager
def reporting(what: str) -> Iterator[None]:
    """Print a failure at once and go on: one line for a mistake, a traceback for a bug.

    The entry point ends with exit code 1 when everything else is done.
    """
    try:
        yield
    except InterveneError as problem:
        _report(str(problem))
    except OmegaConfBaseException as problem:
        _report(_flatten(problem))
    except Exception:
        _report(f"{what} failed, and not by a mistake of yours:")
        traceback.print_exc()


def _report(line: str) -> None:
    """Tell of a mistake, once however many arms make it."""
    if line not in _failed:
        say(f"error: {line}")
    _failed.append(line)


def _flatten(problem: Exception) -> str:
    """A composition error as `key: what`; Hydra and OmegaConf write several lines."""
    words = " ".join(str(problem).split())
    cause = " ".join(str(problem.__cause__ or "").split())
    what = " ".join(part for part in (words, cause) if part).split(" Config search path:")[0]
    found = re.search(r"full_key: (\S+)", what)
    text = re.sub(r"\s*full_key:.*", "", what)
    where = found[1] if found else "config"
    return f"{where}: {text}; --help lists groups, options and keys"
