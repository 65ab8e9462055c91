"""Which arms stand in which panel, and by what words."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from intervene.analysis.curve import Reading
from intervene.analysis.figures.palette import Look, choose_looks
from intervene.analysis.findings import Contrast, Findings
from intervene.analysis.trial import Trial

MOST_DOSES = 12
"""So many arms, seeds apart, share a panel; more are parted by direction and unit."""

Family = tuple[str, str]
"""Direction and unit."""


@dataclass(frozen=True)
class Panel:
    """Arms of one trial that are drawn together.

    Args:
        title: the trial's label, with direction and unit where a trial has several panels.
        arms: the arms' slugs.
    """

    trial: Trial
    title: str
    arms: frozenset[str]


@dataclass(frozen=True)
class Cast:
    """How the arms of some contrasts are shown: looks by slug, words by slug, and panels."""

    looks: dict[str, Look]
    words: dict[str, str]
    panels: tuple[Panel, ...]

    @property
    def trials(self) -> tuple[Trial, ...]:
        """The panels' trials, each once."""
        return tuple({panel.trial.label: panel.trial for panel in self.panels}.values())


def cast(findings: Findings, contrasts: Iterable[Contrast]) -> Cast:
    """Looks as everywhere in these findings; words and panels for these contrasts."""
    looks = choose_looks(list_runs(findings))
    held: dict[str, dict[str, Reading]] = {}
    for c in contrasts:
        held.setdefault(c.label, {})[c.run.arm] = c.run
    runs = [run for arms in held.values() for run in arms.values()]
    most = max((len({find_dose(r) for r in arms.values()}) for arms in held.values()), default=0)
    families = list(dict.fromkeys(find_family(r) for r in runs))
    apart = most > MOST_DOSES and len(families) > 1
    words = name_doses(runs, apart)
    panels = []
    for trial in findings.trials:
        arms = held.get(trial.label, {})
        for family in families if apart else [None]:
            slugs = frozenset(a for a, r in arms.items() if family in (None, find_family(r)))
            title = trial.label if family is None else f"{trial.label}\n{', '.join(family)}"
            panels += [Panel(trial, title, slugs)] if slugs else []
    return Cast(looks, words, tuple(panels))


def list_runs(findings: Findings) -> list[Reading]:
    """The last reading of each arm, by slug; the first trial's where several have it."""
    runs: dict[str, Reading] = {}
    for c in findings.contrasts:
        runs.setdefault(c.run.arm, c.run)
    return list(runs.values())


def find_family(run: Reading) -> Family:
    """What arms share that differ in rate and seed alone."""
    return run.direction, run.unit


def find_dose(run: Reading) -> str:
    """What the seeds of one arm share: its slug without the seed."""
    return run.arm.removesuffix(f"-s{run.seed}")


def name_doses(runs: Sequence[Reading], apart: bool) -> dict[str, str]:
    """Words by slug, seeds not told: `rate 0.5`, with direction and unit where these differ.

    Args:
        runs: an arm's reading each.
        apart: whether titles tell direction and unit already.
    """
    own = [run for run in runs if not run.released]
    varied = [
        name
        for name in ("direction", "unit")
        if not apart and len({getattr(run, name) for run in own}) > 1
    ]
    named = {}
    for run in runs:
        start = run.direction if "direction" in varied else "rate"
        words = f"{start} {run.rate:g}" + (f" {run.unit}" if "unit" in varied else "")
        named[run.arm] = run.arm if run.released else words
    return named
