"""What cannot be concluded from a comparison, and what is missing from it, in plain sentences."""

from itertools import groupby

from intervene.analysis.estimands import ASSOCIATION, CROWS_ASSOCIATION
from intervene.analysis.finals import gather_finals
from intervene.analysis.findings import Findings
from intervene.analysis.retention import CAPABILITY
from intervene.analysis.trial import Trial

FEW_CLUSTERS = 20
FEW_RESAMPLES = 1500

ONE_RUN = (
    "Each model was trained once per arm. Intervals are over benchmark items, not training "
    "seeds: another run of the same arm may differ by more than they say."
)
SEEDS = (
    "Intervals of single arms are over benchmark items; where an arm has several seeds, their "
    "spread is beside them. A seed draws which pronouns are swapped and nothing else: the first "
    "weights and the order of the data are one for all."
)
ALWAYS = (  # said of every report
    "Intervals treat clusters of items as independent: occupation pairs in WinoBias, though an "
    "occupation occurs in several pairs, and single items in CrowS. They speak of these "
    "occupations; for occupations in general they are too narrow.",
    "G is the manipulation. A shift of G alone, as in a model that always says 'she', is not "
    "less bias; nor is a share of stereotypical choices that comes nearer to one half.",
    "WinoBias and CrowS-Pairs are English, with two genders and American occupations; a "
    "change in them need not be a change in what a model does in use.",
    "Only the endpoints (A of WinoBias pairs, A of CrowS pronoun pairs) at the final step are "
    "corrected for multiplicity; every other row, and every slope, is exploratory.",
)
UNMEASURED = (
    "Capability (held-out loss, LAMBADA) was not measured here: a change could be part of a "
    "general loss."
)
CAVEATS = (  # said where one of the estimands was scored
    (
        {"mc_accuracy", "mc_swapped_accuracy"},
        "The choice prompt's share of pro-stereotypical answers (the published measure) mixes "
        "bias with the prior and with the ability to answer; it does not measure bias.",
    ),
    (
        {"gen_stand_accuracy", "gen_refers_accuracy"},
        "Exact match of generated answers needs the expected format first: a change may be one of "
        "format, and it does not measure bias.",
    ),
    (
        {"pair_accuracy"},
        "Exact McNemar takes items as independent; beside it, the interval does not.",
    ),
    (
        {"heldout_original"},
        "Held-out loss counts the swapped pronouns too: part of a rise on the original rows is "
        "the manipulation, not a loss of capability.",
    ),
)


def list_limits(findings: Findings, resamples: int) -> list[str]:
    """What cannot be concluded; `resamples` is of the bootstrap."""
    names = {c.estimand.name for c in findings.contrasts}
    limits = [SEEDS if findings.spreads else ONE_RUN, *ALWAYS]
    if not names & set(CAPABILITY):
        limits.append(UNMEASURED)
    limits += [sentence for about, sentence in CAVEATS if names & about]
    if ASSOCIATION.name not in names:
        limits.append("WinoBias pairs were not compared: the first endpoint is missing.")
    if CROWS_ASSOCIATION.name not in names:
        limits.append("CrowS pronoun pairs were not compared: the second endpoint is missing.")
    if left := _list_left_out(findings, names):
        limits.append(
            f"Scored, but left out, since fewer than two clusters of items hold it: "
            f"{'; '.join(left)}."
        )
    if findings.contrasts and not findings.slopes:
        limits.append("With one rate per model there is no dose–response.")
    for trial in findings.trials:
        limits += _list_trial_limits(trial)
    return limits + _list_precision_limits(findings, resamples)


def list_gaps(findings: Findings) -> list[str]:
    """Arms that are missing, or miss their control, at the final step or altogether."""
    gaps = []
    for trial in findings.trials:
        if not trial.control:
            arms = ", ".join(arm[-1].arm for arm in trial.arms) or "the base alone"
            gaps.append(f"{trial.label}: the control is not scored, so nothing is shown of {arms}.")
            continue
        if not trial.arms and not any(s.startswith(trial.label) for s in findings.refused):
            gaps.append(f"{trial.label}: only the control is scored.")
        for arm in trial.arms:
            alone = [r.step for r in arm if r.step not in {c.step for c in trial.control}]
            if alone:
                steps = ", ".join(f"{step:,}" for step in alone)
                gaps.append(f"{trial.label}, {arm[-1].arm}: no control at step {steps}; left out.")
            if trial.final is not None and all(r.step != trial.final for r in arm):
                gaps.append(
                    f"{trial.label}, {arm[-1].arm}: not scored at the final step {trial.final:,}."
                )
    return gaps


def _list_left_out(findings: Findings, names: set[str]) -> list[str]:
    """What arm and control were asked and no contrast is of; `names` are those that one is of."""
    asked: set[tuple[str, str]] = set()
    for trial in findings.trials:
        for arm, control in (pair for run in trial.arms for pair in trial.paired(run)[-1:]):
            for task in arm.items.keys() & control.items.keys():
                asked |= {(task, str(metric)) for metric in set(arm.items[task].keys.metric)}
    return [
        e.title
        for e in findings.estimands
        if e.name not in names and e.tasks and all((task, e.metric) in asked for task in e.tasks)
    ]


def list_mismatches(trials: tuple[Trial, ...]) -> list[str]:
    """What else than the arm differs between arms and controls, where it was let pass."""
    return [
        f"{trial.label}: contrasted although {sentence}."
        for trial in trials
        for sentence in trial.mismatches
    ]


def _list_trial_limits(trial: Trial) -> list[str]:
    """What one model's readings leave open."""
    limits = list_mismatches((trial,))
    if any(r.released for r in trial.control):
        limits.append(
            f"{trial.label}: the control is the released checkpoint, not a re-run with this stack: "
            "what else differed in its training is not known."
        )
    stop = max([r.stop_step for arm in trial.arms for r in arm], default=None)
    if trial.final is not None and stop is not None and trial.final < stop:
        limits.append(
            f"{trial.label}: the last step that could be compared is {trial.final:,}, before "
            f"the stretch's end at {stop:,}."
        )
    return limits


def _list_precision_limits(findings: Findings, resamples: int) -> list[str]:
    """Where clusters or resamples are too few for what is shown."""
    limits = []
    finals = gather_finals(findings)
    endpoints = [
        c
        for label in finals.labels
        for e in (ASSOCIATION, CROWS_ASSOCIATION)
        for c in finals.get(label, e.name)
    ]
    for label, group in groupby(endpoints, key=lambda c: c.label):
        few = min(c.clusters for c in group)
        if few < FEW_CLUSTERS:
            limits.append(
                f"{label}: an interval rests on only {few} clusters, so single ones weigh heavily."
            )
    if resamples < FEW_RESAMPLES:
        limits.append(
            f"{resamples:,} resamples make rough intervals: bands that should hold at all steps at "
            f"once in 95 of 100 studies hold less often. Use {FEW_RESAMPLES:,} or more "
            "(evaluation.resamples)."
        )
    return limits
