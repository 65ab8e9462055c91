"""What is estimated from readings: means of items, and gaps between two kinds of items."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from intervene.analysis.bootstrap import Floats, Sample
from intervene.analysis.items import Items, Keys

SECTIONS = (
    "endpoint", "manipulation", "winobias", "crows", "negative control", "retention",
    "published prompt", "other",
)  # fmt: skip
"""Where an estimand stands in the report, in its order."""


@dataclass(frozen=True)
class Estimand:
    """What is estimated: a mean over items, or the gap between two stereotypes' means.

    Args:
        name: as in contrasts.csv.
        title: as in the report.
        symbol: G (gender prior), A (association), or empty.
        section: one of SECTIONS.
        tasks: the tasks whose items are pooled; those that were not scored are left out.
        metric: the metric of the items.
        unit: `nats` or `share`.
        gap: take the mean over items of the first stereotype minus that over the second.
        stereotype: take only items of this stereotype; empty for all.
        endpoint: fixed before any result was seen, and tested with Holm's correction.
        whole: taken only where every one of the tasks was scored.
    """

    name: str
    title: str
    symbol: str
    section: str
    tasks: tuple[str, ...]
    metric: str
    unit: str
    gap: tuple[str, str] | None = None
    stereotype: str = ""
    endpoint: bool = False
    whole: bool = False

    @property
    def binary(self) -> bool:
        """Whether it is a plain share, whose items are 0 or 1; a gap of shares is none."""
        return self.unit == "share" and self.gap is None

    def hold(self, scored: Collection[str]) -> tuple[str, ...]:
        """Which of its tasks were scored; none where it needs all of them and one is absent."""
        held = tuple(task for task in self.tasks if task in scored)
        return () if self.whole and held != self.tasks else held

    def pick(self, keys: Keys) -> NDArray[np.bool_]:
        """Which of a task's values this estimand is taken over."""
        chosen: NDArray[np.bool_] = keys.metric == self.metric
        if self.stereotype:
            chosen &= keys.stereotype == self.stereotype
        elif self.gap:
            chosen &= np.isin(keys.stereotype, self.gap)
        return chosen

    def sample(self, items: Mapping[str, Items], tasks: tuple[str, ...]) -> Sample | None:
        """The clusters and sides of the items of these tasks.

        None where there is nothing to take it over, or fewer than two effective clusters.
        """
        keys = [(items[task].keys, self.pick(items[task].keys)) for task in tasks]
        clusters = np.concatenate([k.cluster[picked] for k, picked in keys])
        stereotypes = np.concatenate([k.stereotype[picked] for k, picked in keys])
        sides = np.ones(len(clusters), np.int64)
        if self.gap:
            sides[stereotypes == self.gap[1]] = -1
        if len(np.unique(sides)) != (2 if self.gap else 1):
            return None
        sample = Sample(np.unique(clusters, return_inverse=True)[1].astype(np.int64), sides)
        return sample if sample.degrees >= 1 else None

    def values(self, readings: list[Mapping[str, Items]], tasks: tuple[str, ...]) -> Floats:
        """float64 [readings, n]: the picked items of readings whose keys are equal."""
        picked = [(task, self.pick(readings[0][task].keys)) for task in tasks]
        return np.concatenate(
            [np.stack([items[task].values[rows] for items in readings]) for task, rows in picked],
            axis=1,
        )


def _types(form: str) -> tuple[str, str]:
    return f"winobias_{form}_type1", f"winobias_{form}_type2"


_PAIR, _MC, _SWAPPED = _types("pair"), _types("mc"), _types("mc_swapped")
_CROWS, _HELDOUT = ("crows_pairs_english_gender",), ("heldout_loss",)
_GENDERS, _SIDES = ("female", "male"), ("pro", "anti")
_CATEGORIES = {
    "race_color": "race", "socioeconomic": "class", "nationality": "nationality",
    "religion": "religion", "age": "age", "sexual_orientation": "orientation",
    "physical_appearance": "appearance", "disability": "disability", "autre": "other",
}  # fmt: skip

ASSOCIATION = Estimand(
    "pair_association", "WinoBias pairs, A", "A", "endpoint", _PAIR, "preference", "nats", _GENDERS,
    endpoint=True,
)  # fmt: skip
CROWS_ASSOCIATION = Estimand(
    "crows_association", "CrowS pronoun pairs, A", "A", "endpoint", _CROWS, "preference", "nats",
    _GENDERS, endpoint=True,
)  # fmt: skip
SLOT_PRIOR = Estimand(
    "slot_prior", "WinoBias slot, G", "G", "manipulation", _types("slot"), "preference", "nats"
)
PAIR_PRIOR = Estimand(
    "pair_prior", "WinoBias pairs, G", "G", "manipulation", _PAIR, "preference", "nats"
)


def _list_winobias() -> list[Estimand]:
    at = "winobias"
    sides = {side: _types(f"coref_{side}") for side in _SIDES}
    return [
        *(
            Estimand(f"pair_association_type{n}", f"WinoBias pairs, type {n}, A", "A", at, (task,),
                     "preference", "nats", _GENDERS)
            for n, task in enumerate(_PAIR, start=1)
        ),
        Estimand("pair_accuracy", "WinoBias pairs, pro-stereotypical", "", at, _PAIR, "accuracy",
                 "share"),
        *(
            Estimand(f"coref_{side}_accuracy", f"WinoBias coreference, {side}, right", "", at,
                     tasks, "accuracy", "share")
            for side, tasks in sides.items()
        ),
        Estimand("coref_association", "WinoBias coreference, pro − anti", "A", at,
                 sides["pro"] + sides["anti"], "difference", "nats", _SIDES),
    ]  # fmt: skip


def _list_crows() -> list[Estimand]:
    at = "crows"
    return [
        Estimand("crows_prior", "CrowS pronoun pairs, G", "G", at, _CROWS, "preference", "nats"),
        Estimand("crows_only_association", "CrowS pronouns alone, A", "A", at, _CROWS,
                 "preference_only", "nats", _GENDERS),
        Estimand("crows_only_prior", "CrowS pronouns alone, G", "G", at, _CROWS, "preference_only",
                 "nats"),
        Estimand("crows_stereotyped", "CrowS gender, stereotyped", "", at, _CROWS, "stereotyped",
                 "share"),
        Estimand("crows_difference", "CrowS gender, difference", "", at, _CROWS, "difference",
                 "nats"),
        *(
            Estimand(f"crows_{metric}_{gender}", f"CrowS on {word}, {metric}", "", at, _CROWS,
                     metric, unit, stereotype=gender)
            for gender, word in (("female", "women"), ("male", "men"))
            for metric, unit in (("stereotyped", "share"), ("difference", "nats"))
        ),
        *(
            Estimand(f"crows_{category}_{metric}", f"CrowS {word}, {metric}", "",
                     "negative control", (f"crows_pairs_english_{category}",), metric, unit)
            for category, word in _CATEGORIES.items()
            for metric, unit in (("stereotyped", "share"), ("difference", "nats"))
        ),
    ]  # fmt: skip


def _list_retention() -> list[Estimand]:
    lambada, blimp = ("lambada_openai",), ("blimp_anaphor_gender_agreement",)
    winogender, at = ("winogender",), "retention"
    return [
        Estimand("lambada_logprob", "LAMBADA, log P of the last word", "", at, lambada, "logprob",
                 "nats"),
        Estimand("lambada_accuracy", "LAMBADA, right", "", at, lambada, "accuracy", "share"),
        *(
            Estimand(f"heldout_{name}", f"Held-out loss{title}", "", at, _HELDOUT, metric, "nats")
            for name, metric, title in (
                ("original", "original", ", original text"),
                ("swapped", "swapped", ", swapped text"),
                ("at_swaps_original", "original_at_swaps", " at swaps, original text"),
                ("at_swaps_swapped", "swapped_at_swaps", " at swaps, swapped text"),
            )
        ),
        Estimand("blimp_gender_accuracy", "BLiMP gender agreement, right", "", at, blimp,
                 "accuracy", "share"),
        Estimand("blimp_gender_difference", "BLiMP gender agreement, difference", "", at, blimp,
                 "difference", "nats"),
        Estimand("cooccurrence_prior", "Co-occurrence, G", "G", at, ("simple_cooccurrence_bias",),
                 "preference", "nats"),
        Estimand("winogender_accuracy", "Winogender, right", "", at, winogender, "accuracy",
                 "share"),
        Estimand("winogender_gap", "Winogender, right: female − male", "", at, winogender,
                 "accuracy", "share", _GENDERS),
    ]  # fmt: skip


def _list_published() -> list[Estimand]:
    """The paper's choice prompt, in both orders, and the generation prompts of its JSONs."""
    at = "published prompt"
    listed = []
    for name, title, tasks in (("mc", "choice", _MC), ("mc_swapped", "choice swapped", _SWAPPED)):
        listed += [
            Estimand(f"{name}_prior", f"WinoBias {title}, G", "G", at, tasks, "preference", "nats"),
            Estimand(f"{name}_association", f"WinoBias {title}, A", "A", at, tasks, "preference",
                     "nats", _GENDERS),
            Estimand(f"{name}_accuracy", f"WinoBias {title}, pro-stereotypical", "", at, tasks,
                     "accuracy", "share"),
        ]  # fmt: skip
    listed.append(
        Estimand("mc_both_association", "WinoBias choice in both orders, A", "A", at,
                 _MC + _SWAPPED, "preference", "nats", _GENDERS, whole=True)
    )  # fmt: skip
    for form, title in (("stand", "‘stand for’"), ("refers", "‘refer to’")):
        both = _types(f"gen_{form}_pro") + _types(f"gen_{form}_anti")
        listed += [
            Estimand(f"gen_{form}_gap", f"WinoBias {title}, pro − anti", "", at, both, "accuracy",
                     "share", _SIDES),
            Estimand(f"gen_{form}_accuracy", f"WinoBias {title}, right", "", at, both, "accuracy",
                     "share"),
        ]  # fmt: skip
    return listed


ESTIMANDS = (
    ASSOCIATION, CROWS_ASSOCIATION, SLOT_PRIOR, PAIR_PRIOR, *_list_winobias(), *_list_crows(),
    *_list_retention(), *_list_published(),
)  # fmt: skip


def list_estimands(scored: Iterable[Mapping[str, Items]]) -> tuple[Estimand, ...]:
    """ESTIMANDS, and those of every task that was scored and that none of them names.

    Such a task has one estimand per metric, exploratory and never an endpoint. Of a preference it
    is G; where items of both genders' stereotypes have one, A is another.

    Args:
        scored: the items of readings, by task.
    """
    known = {task for estimand in ESTIMANDS for task in estimand.tasks}
    others: dict[str, Estimand] = {}
    for items in scored:
        for task in sorted(items.keys() - known):
            others |= {e.name: e for e in _list_other(task, items[task].keys)}
    return (*ESTIMANDS, *(others[name] for name in sorted(others)))


def _list_other(task: str, keys: Keys) -> list[Estimand]:
    listed = []
    for metric in sorted(set(keys.metric)):
        stereotypes, name = set(keys.stereotype[keys.metric == metric]), f"{task}_{metric}"
        unit = "share" if metric in ("accuracy", "stereotyped") else "nats"
        symbol = "G" if metric.startswith("preference") else ""
        title = f"{task}, {metric}"
        listed.append(Estimand(name, title, symbol, "other", (task,), metric, unit))
        if symbol and stereotypes.issuperset(_GENDERS):
            listed.append(
                Estimand(f"{name}_association", f"{title}: female − male", "A", "other", (task,),
                         metric, unit, _GENDERS)
            )  # fmt: skip
    return listed
