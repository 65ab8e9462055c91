import numpy as np
import pytest

from intervene.analysis.bootstrap import draw_clusters
from intervene.analysis.estimands import PAIR_PRIOR, SLOT_PRIOR
from tests.analysis.planted import find

SCORING = {"precision": "fp32", "harness": "0.4.9", "softmax": "float32"}


def write_both(bench, control, released, terms=SCORING, **facts) -> None:
    """A control with an arm, and the released checkpoint of the same step."""
    bench.write(control)
    bench.write(bench.items(9, prior=0.5), rate=1.0)
    bench.write(
        released, arm="released", released=True, unit="published", resume_step=320,
        terms={"released": "tiny", **terms}, **facts,
    )  # fmt: skip


def list_floors(findings, estimand):
    return [f for f in findings.floors if f.estimand == estimand]


def test_a_floor_is_the_paired_difference_of_the_two(bench):
    control, released = bench.items(1), bench.items(2, prior=-0.5)
    write_both(bench, control, released)
    (floor,) = list_floors(find(bench), SLOT_PRIOR)
    picked = control["task"].str.startswith("winobias_slot")
    gaps = (control["value"] - released["value"])[picked]
    clusters = control["cluster"][picked]
    assert (floor.label, floor.step, floor.n, floor.clusters) == ("tiny", 320, 160, 40)
    assert floor.difference.value == pytest.approx(gaps.mean())
    assert floor.control.value == pytest.approx(control["value"][picked].mean())
    means = gaps.groupby(clusters.to_numpy()).mean().to_numpy()  # as many items in each cluster
    drawn = draw_clusters(40, 400, 0) @ means / 40
    assert floor.difference.se == pytest.approx(drawn.std(ddof=1) * np.sqrt(40 / 39))
    assert floor.difference.low < gaps.mean() < floor.difference.high


def test_the_same_weights_have_a_floor_of_nothing(bench):
    write_both(bench, bench.items(1), bench.items(1))
    (floor,) = list_floors(find(bench), PAIR_PRIOR)
    assert (floor.difference.value, floor.difference.se, floor.p) == (0, 0, 1)


@pytest.mark.parametrize("term", SCORING)
def test_what_was_scored_otherwise_has_no_floor(bench, term):
    write_both(bench, bench.items(1), bench.items(2), {**SCORING, term: "other"})
    assert find(bench).floors == ()


def test_a_task_of_another_digest_has_no_floor(bench):
    items = bench.items(2)
    tasks = {
        t: {"n": 80, "digest": "v2" if "slot" in t else f"digest-{t}"}
        for t in items["task"].unique()
    }
    write_both(bench, bench.items(1), items, tasks=tasks)
    findings = find(bench)
    assert list_floors(findings, SLOT_PRIOR) == []
    assert len(list_floors(findings, PAIR_PRIOR)) == 1


def test_another_step_has_no_floor(bench):
    write_both(bench, bench.items(1), bench.items(2), step=300)
    assert find(bench).floors == ()
