"""Captions: what each figure shows, of how many items, with which interval and correction."""

from collections import Counter
from collections.abc import Sequence

from intervene.analysis.figures.published import find_doubts, list_highest, list_quantities
from intervene.analysis.figures.shown import BY_STEP, ENDPOINTS, list_shown
from intervene.analysis.findings import Contrast, Findings
from intervene.analysis.limits import list_mismatches
from intervene.analysis.published.anomalies import find_anomalies
from intervene.analysis.published.reading import PublishedReading
from intervene.analysis.published.words import KINDS
from intervene.analysis.words import is_told, measure, show, show_p

WHAT = {
    "overview": "Gender prior G and association A by optimiser step, and the change in A at the "
    "final step against the rate; a column per model.",
    "manipulation": "Manipulation check: the gender prior G by optimiser step, a panel per model; "
    "at each line's end the rate that was asked for and the share of eligible pronouns that was "
    "swapped in the corpus.",
    "association": "Association A of occupations with gender (WinoBias pairs) by optimiser step, a "
    "panel per model and a colour and marker per rate.",
    "dose_response": "Dose–response: the change of both endpoints at the final step against the "
    "rate, with the least-squares line through the origin; a panel per model.",
    "model_size": "Effect against model size: the change of both endpoints at the final step over "
    "the parameters without embeddings (12 × layers × width², logarithmic), a line per rate.",
    "crows_direction": "CrowS-Pairs, gender, with its sign: the change in log P of the "
    "stereotyping sentence minus the other for pairs on women and on men, and of A and G in the "
    "pronoun pairs; a panel per model.",
    "crows_categories": "Negative controls: the change in log P of the stereotyping sentence minus "
    "the other in CrowS-Pairs' other categories, which a swap of pronouns should leave as they "
    "are; a panel per model.",
    "retention": "Capability, and what else a swap may break: changes at the final step, in nats "
    "and in percentage points; a panel per model.",
    "noise_floor": "The noise floor: the size of each endpoint's change at the final step by rate, "
    "beside the control's difference from the released checkpoint of its step, the smallest "
    "detectable change and, where there are seeds, their standard deviation.",
    "published": "The published curves beside ours, where both are of one quantity; of ours, the "
    "control and the highest rate.",
}
"""What each figure shows; their order is the report's."""


def write_caption(
    name: str,
    findings: Findings,
    provenance: str,
    published: Sequence[PublishedReading] = (),
) -> str:
    """A figure's caption, one paragraph; it ends with the provenance.

    Args:
        name: of WHAT.
        findings: what the figure is of.
        provenance: a sentence that names the data by key.
        published: the published numbers, for the figure that shows them.
    """
    contrasts = _list_contrasts(name, findings, published)
    parts = [
        WHAT[name],
        _count(contrasts),
        _describe_interval(name, findings),
        _describe_correction(name, contrasts, findings),
        _tell_detectable(contrasts),
        *_add(name, findings, published),
        *list_mismatches(findings.trials),
        provenance,
    ]
    return " ".join(part for part in parts if part)


def _list_contrasts(
    name: str, findings: Findings, published: Sequence[PublishedReading]
) -> list[Contrast]:
    if name == "published":
        return list_highest(findings, list_quantities(findings, published))
    return list_shown(name, findings)


def _range(values: Sequence[float], digits: int = 0) -> str:
    """`40`, or `40–198`."""
    ends = [min(values), max(values)]
    shown = [f"{v:,.0f}" if digits == 0 else show(v, digits) for v in ends]
    return shown[0] if shown[0] == shown[1] else f"{shown[0]}–{shown[1]}"


def _count(contrasts: list[Contrast]) -> str:
    """`n = 160 items in 40 clusters.`, as a range over what is drawn."""
    n, clusters = ([getattr(c, what) for c in contrasts] for what in ("n", "clusters"))
    models = len({c.label for c in contrasts})
    return (
        f"n = {_range(n)} items in {_range(clusters)} clusters"
        f"{' for each' if models > 1 else ''}, the same in an arm and its control."
    )


def _describe_interval(name: str, findings: Findings) -> str:
    told = (
        f"Intervals are 95%, by the paired cluster bootstrap ({findings.resamples:,} resamples, "
        f"seed {findings.seed}), widened to Student's t"
    )
    if name in BY_STEP or name == "published":
        told += (
            "; bands hold at all steps of a curve at once (max-T), the control's of its own value "
            "and an arm's of its paired difference from the control"
        )
    return f"{told}. They are over items and not over trainings."


def _describe_correction(name: str, contrasts: list[Contrast], findings: Findings) -> str:
    """How many tests were corrected and what they established; else that nothing was."""
    tested = []
    for endpoint in ENDPOINTS:
        family = [c for c in findings.final(endpoint) if c.holm is not None]
        if family and any(c.estimand == endpoint for c in contrasts):
            held = sum(c.established for c in family)
            tested.append(f"{held} of {len(family)} established in {endpoint.title}")
    if not tested:
        return "Exploratory, uncorrected."
    rest = {
        "model_size": " Slopes over sizes are exploratory, uncorrected.",
        "crows_direction": " The other rows are exploratory, uncorrected.",
        "noise_floor": " The other numbers are exploratory, uncorrected.",
        "dose_response": " Slopes over rates are exploratory, uncorrected.",
    }.get(name, " All else is exploratory, uncorrected.")
    return (
        "Endpoints at the final step are corrected by Holm over model × rate "
        f"({'; '.join(tested)}); intervals as drawn are not corrected.{rest}"
    )


def _tell_detectable(contrasts: list[Contrast]) -> str:
    """The smallest detectable changes at the final step, where no change is told."""
    silent = [
        c for c in contrasts if c.final and not (is_told(c) if c.holm is None else c.established)
    ]
    reached = []
    for unit in dict.fromkeys(c.estimand.unit for c in silent):
        mine = [c for c in silent if c.estimand.unit == unit]
        scale, digits, words = measure(mine[0].estimand)
        words = "percentage points" if words == "points" else words
        reached.append(f"{_range([scale * c.detectable for c in mine], digits)} {words}")
    if not reached:
        return ""
    return (
        f"Where no change is told ({len(silent)} of "
        f"{sum(c.final for c in contrasts)} at the final step), the smallest detectable change "
        f"(power .80, α = .05) is {' and '.join(reached)}."
    )


def _add(name: str, findings: Findings, published: Sequence[PublishedReading]) -> list[str]:
    """What is to be said of single figures."""
    if name == "model_size":
        return [_tell_trends(findings)]
    if name == "noise_floor":
        return [_tell_floors(findings)]
    if name == "published":
        return _tell_published(findings, published)
    if findings.spreads and name in (*BY_STEP, "dose_response"):
        return ["Seeds of one arm have one colour and marker."]
    return []


def _tell_trends(findings: Findings) -> str:
    counts = [len(t.labels) for t in findings.trends]
    clear = [t for t in findings.trends if t.estimate.excludes_zero]
    least = min(findings.trends, key=lambda t: t.p)
    return (
        f"Slopes are least squares on log10 of the parameters over {_range(counts)} models, "
        f"refitted on every shared resample; {len(clear)} of {len(counts)} leave zero out "
        f"(smallest p {show_p(least.p)}). Each size is one model that was trained once, so a slope "
        "may be of these models and not of size."
    )


def _tell_floors(findings: Findings) -> str:
    floors = [f for f in findings.floors if f.estimand in ENDPOINTS]
    if not floors:
        return "No released checkpoint was scored alike at a control's step, so none is shown."
    sizes = [abs(f.difference.value) for f in floors]
    return (
        f"|control − released| is {_range(sizes, 2)} nats over {len(floors)} "
        f"comparison{'s' if len(floors) > 1 else ''}: the two read the same rows in the same order "
        "and differ in the training's stack and the optimizer's state."
    )


def _tell_published(findings: Findings, published: Sequence[PublishedReading]) -> list[str]:
    names = list_quantities(findings, published)
    doubts = find_doubts(published, find_anomalies(published))
    kinds = Counter(
        kind
        for (_, _, name), steps in doubts.items()
        if name in names
        for found in steps.values()
        for kind in found
    )
    told = [
        "Published intervals are 1.96 published standard errors of each checkpoint alone; its "
        "items were not published, so nothing there is paired."
    ]
    if kinds:
        marks = "; ".join(f"{KINDS[kind]} ({kinds[kind]})" for kind in KINDS if kind in kinds)
        told.append(f"Crosses mark points against which an anomaly stands: {marks}.")
    return told
