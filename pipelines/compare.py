"""Compare: contrast every arm of one or several names with its control, in one folder."""

import dataclasses
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from intervene.analysis.curve import gather
from intervene.analysis.published.reading import PublishedReading
from intervene.analysis.report import Question, write_report
from intervene.console import say
from intervene.errors import InterveneError
from intervene.evaluation.quotes import recall_quotes
from intervene.experiment import Experiment
from intervene.lineage import Artefact, Recipe
from pipelines.origins import trace_origins
from pipelines.stage import stage
from pipelines.trial import Trial, digest_body, list_names, list_trials

COMPARISON_VERSION = 1
KIND = "comparison"
OWN = ("names=", "evals=")
"""Words of the command line that only this stage knows."""
HOW = ("evals=", "allow_mismatch=", "evaluation.resamples=", "evaluation.seed=")
"""Words that change what is found in the same readings."""


@dataclass(frozen=True)
class Comparison(Experiment):
    """An experiment with the keys that this stage alone has.

    Args:
        names: names that are compared as one; empty for `name` alone.
        evals: the published study's numbers, shown beside ours: the folder `evals/` of its
            repository, or the long table that `pipelines.published` writes; None for none.
    """

    names: tuple[str, ...] = ()
    evals: Path | None = None


def compare(trial: Trial) -> None:
    """Report on whatever is in the store under the names; say what is missing and go on."""
    asked = trial.experiment
    own = asked if isinstance(asked, Comparison) else None
    names = own.names if own and own.names else (asked.name,)
    trials = [t for name in names for t in list_trials(trial.store, name)]
    found = {t: t.artefacts("readings") for t in trials}
    readings = {a.key: a for artefacts in found.values() for a in artefacts}
    if not readings:
        known = ", ".join(list_names(trial.store)) or "none"
        words = tuple(word for word in trial.overrides if not word.startswith(OWN))
        command = dataclasses.replace(trial, overrides=words).command("intervene")
        raise InterveneError(
            f"no readings are in the store under this name (names: {known})",
            f"name={','.join(names)}",
            f"run `{command}` first" if len(names) == 1 else "name one of those",
        )
    noted = {t.experiment.name for t in trials}
    missing = [f"name={name}: no arm was asked for under it" for name in names if name not in noted]
    missing += [f"{t.label}: run `{t.command('intervene')}`" for t in trials if not found[t]]
    question = Question(
        asked.name,
        asked.evaluation.resamples,
        asked.evaluation.seed,
        missing=missing,
        commands=list_commands(names, trials, trial.overrides),
        allow_mismatch=sorted(asked.allow_mismatch),
        published=read_published(own.evals) if own and own.evals else (),
    )
    comparison = obtain_comparison(trial, question, readings, trials)
    facts = comparison.facts
    for kind, lines in (
        ("missing", missing), ("refused", facts["refused"]), ("mismatch", facts["mismatches"])
    ):  # fmt: skip
        for line in lines:
            say(f"{kind}: {line}")
    for sentence in facts["headline"]:
        say(sentence)
    say(f"report: {publish(trial, comparison) / 'report' / 'index.html'}")


def list_commands(names: Sequence[str], trials: Sequence[Trial], words: Sequence[str]) -> list[str]:
    """What rebuilds all of it: each arm, then the comparison as it was asked for in these words."""
    arms = list(dict.fromkeys(t.command("intervene") for t in trials))
    how = [word for word in words if word.startswith(HOW)]
    return [*arms, " ".join(["python -m pipelines.compare", f"name={','.join(names)}", *how])]


def obtain_comparison(
    trial: Trial, question: Question, readings: Mapping[str, Artefact], trials: Sequence[Trial]
) -> Artefact:
    """The comparison of these readings, by key, written if it is absent."""
    inputs = tuple(readings[key] for key in sorted(readings))
    digests = {task: facts["digest"] for a in inputs for task, facts in a.facts["tasks"].items()}
    texts = recall_quotes(trial.store.root, digests)
    params = dataclasses.asdict(question) | {
        "published": digest_body([dataclasses.asdict(r) for r in question.published]),
        "quoted": sorted(texts),
    }
    return trial.store.obtain(
        Recipe(KIND, COMPARISON_VERSION, params, inputs),
        lambda draft: write_report(
            gather(list(inputs)), question, draft, origins=trace_origins(trials), texts=texts
        ),
    )


def read_published(path: Path) -> tuple[PublishedReading, ...]:
    """The published study's numbers: of the folder `evals/`, or of the long table.

    Errors: InterveneError for what is neither, and for a broken file.
    """
    from intervene.analysis.published.files import read_folder
    from intervene.analysis.published.table import read_table

    path = path.expanduser()
    if not path.exists():
        raise InterveneError(
            "no such file or folder", f"evals={path}", "name Pythia's folder evals/, or a table"
        )
    return read_folder(path) if path.is_dir() else read_table(path)


def publish(trial: Trial, comparison: Artefact) -> Path:
    """Point `runs/<name>/comparison` at the newest one, and return that link."""
    link = trial.experiment.paths.runs / trial.experiment.name / KIND
    link.parent.mkdir(parents=True, exist_ok=True)
    part = link.with_name(f".{KIND}.part")
    part.unlink(missing_ok=True)
    part.symlink_to(comparison.path)
    part.replace(link)
    return link


def split_names(words: Sequence[str]) -> list[str]:
    """A command line in which `name=a,b` or `name=[a,b]` stands for `names=[a,b] name=a+b`."""
    split = []
    for word in words:
        given = word.removeprefix("name=").strip("[]")
        if word.startswith("name=") and "," in given:
            names = [name.strip() for name in given.split(",") if name.strip()]
            split += [f"names=[{','.join(names)}]", f"name={'+'.join(names)}"]
        else:
            split.append(word)
    return split


def main() -> None:
    """Run the stage; of several names it makes one comparison."""
    sys.argv[1:] = split_names(sys.argv[1:])
    stage(compare, per_arm=False, schema=Comparison)()


if __name__ == "__main__":
    main()
