import numpy as np
import pytest

from intervene.analysis.contrast import compare
from intervene.analysis.curve import gather
from intervene.analysis.estimands import ASSOCIATION
from intervene.analysis.sizes import count_parameters
from intervene.analysis.trial import assemble
from tests.analysis.planted import find

FALLS = {"nano": (2, 32, 0.9), "tiny": (4, 64, 0.5), "small": (6, 256, 0.2)}


def write_sizes(bench, models, **other) -> None:
    """A control and one arm per model, whose association falls less in larger models."""
    for salt, model in enumerate(models):
        layers, width, fall = FALLS[model]
        shape = {"model": model, "experiment": {"model": {"layers": layers, "width": width}}}
        items = other.get(model, {})
        bench.write(bench.items(2 * salt, **items), **shape)
        arm = bench.items(2 * salt + 1, association=1.2 - fall, **items)
        bench.write(arm, rate=1.0, **shape)


def find_trends(findings):
    return [t for t in findings.trends if t.estimand == ASSOCIATION]


def test_the_slope_is_least_squares_on_the_decades_of_parameters(bench):
    write_sizes(bench, FALLS)
    findings = find(bench)
    (trend,) = find_trends(findings)
    finals = {c.label: c for c in findings.final(ASSOCIATION)}
    assert trend.labels == tuple(FALLS)
    assert trend.parameters == tuple(12 * n * w**2 for n, w, _ in FALLS.values())
    values = [finals[label].difference.value for label in trend.labels]
    slope = np.polyfit(np.log10(trend.parameters), values, 1)[0]
    assert trend.estimate.value == pytest.approx(slope)
    assert trend.estimate.low < slope < trend.estimate.high
    assert trend.estimate.low > 0
    assert trend.p < 0.001


def test_two_sizes_give_their_difference_per_decade(bench):
    write_sizes(bench, ("nano", "small"))
    findings = find(bench)
    (trend,) = find_trends(findings)
    small, large = (c.difference.value for c in findings.final(ASSOCIATION))
    decades = np.log10(trend.parameters[1] / trend.parameters[0])
    assert trend.estimate.value == pytest.approx((large - small) / decades)


def test_a_size_with_other_items_is_left_out(bench):
    write_sizes(bench, FALLS, small={"clusters": 30})
    (trend,) = find_trends(find(bench))
    assert trend.labels == ("nano", "tiny")


def test_a_size_scored_by_another_task_of_the_name_is_left_out(bench):
    write_sizes(bench, ("nano", "tiny"))
    tasks = {"winobias_pair_type1": "v2", "winobias_pair_type2": "v2"}
    layers, width, _ = FALLS["small"]
    for rate in (0.0, 1.0):
        items = bench.items(9)
        facts = {
            t: {"n": 80, "digest": tasks.get(t, f"digest-{t}")} for t in items["task"].unique()
        }
        bench.write(
            items, rate=rate, model="small", tasks=facts,
            experiment={"model": {"layers": layers, "width": width}},
        )  # fmt: skip
    (trend,) = find_trends(find(bench))
    assert trend.labels == ("nano", "tiny")


def test_one_size_has_no_trend(bench):
    write_sizes(bench, ("tiny",))
    assert compare(assemble(gather(bench.written)), resamples=100, seed=0).trends == ()


def test_parameters_are_those_of_the_layers_matrices(bench):
    shape = {"experiment": {"model": {"layers": 24, "width": 1024}}}
    (reading,) = gather([bench.write(bench.items(), **shape)])
    assert count_parameters(reading) == 301_989_888  # pythia-410m without embeddings and biases
