"""The noise floor: a control minus the released checkpoint of the same model and step."""

from collections.abc import Sequence
from dataclasses import dataclass

from intervene.analysis.bootstrap import Estimate
from intervene.analysis.curve import Reading
from intervene.analysis.estimands import ESTIMANDS, Estimand
from intervene.analysis.paired import pair
from intervene.analysis.trial import Trial

RELEASED = "released"
SCORING = ("precision", "harness", "softmax")
SECTIONS = ("endpoint", "manipulation")
CAPABILITY = ("lambada_logprob", "lambada_accuracy", "heldout_original")


@dataclass(frozen=True)
class Floor:
    """A control minus the released checkpoint, which read the same rows in the same order.

    Whatever else differs between the two (the stack, the optimizer's state) is what this measures:
    an effect no larger may be of the training and not of the swap.

    Args:
        label: the trial's.
        control, released: their own values.
        difference: control − released, paired.
    """

    label: str
    model: str
    estimand: Estimand
    step: int
    n: int
    clusters: int
    control: Estimate
    released: Estimate
    difference: Estimate
    p: float

    @property
    def detectable(self) -> float:
        """The smallest difference that would be found with power .80, in the estimand's unit."""
        return self.difference.detectable


def measure_floors(trials: Sequence[Trial], resamples: int, seed: int) -> list[Floor]:
    """The floor of each trial at each step that a released checkpoint was scored at alike.

    Only tasks whose items and digests are equal count, of readings with one precision, harness and
    softmax. The resume step is left out: there a control is the released checkpoint itself.
    """
    released: dict[tuple[str, int], list[Reading]] = {}
    for trial in trials:
        for r in trial.control:
            if r.released and r.arm == RELEASED:
                released.setdefault((r.model, r.step), []).append(r)
    chosen = [e for e in ESTIMANDS if e.section in SECTIONS or e.name in CAPABILITY]
    floors = []
    for trial in trials:
        for control in trial.control:
            if control.base or control.released:
                continue
            peers = released.get((control.model, control.step), [])
            peer = next((r for r in peers if _is_scored_alike(control, r)), None)
            if peer is not None:
                made = (_measure(trial, e, control, peer, resamples, seed) for e in chosen)
                floors += [floor for floor in made if floor]
    return floors


def _is_scored_alike(one: Reading, other: Reading) -> bool:
    return all(one.terms.get(term) == other.terms.get(term) for term in SCORING)


def _measure(
    trial: Trial, estimand: Estimand, control: Reading, released: Reading, resamples: int, seed: int
) -> Floor | None:
    """One estimand's floor; None where the two share none of its items."""
    shared = [
        task
        for task in control.items.keys() & released.items.keys()
        if control.tasks[task]["digest"] == released.tasks[task]["digest"]
        and control.items[task].keys.equals(released.items[task].keys)
    ]
    tasks = estimand.hold(shared)
    found = pair(estimand, tasks, control.items, released.items, resamples, seed) if tasks else None
    if found is None:
        return None
    return Floor(
        trial.label, control.model, estimand, control.step, found.n, found.clusters,
        found.ours, found.theirs, found.difference, found.p,
    )  # fmt: skip
