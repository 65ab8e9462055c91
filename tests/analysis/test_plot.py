import numpy as np
import pytest

from intervene.analysis.figures.labels import Label, spread
from intervene.analysis.figures.overview import draw_overview
from intervene.analysis.figures.palette import choose_looks
from tests.analysis.planted import find, plant, write_pair


def write_mismatch(bench) -> None:
    bench.write(bench.items(), terms={"trainer.clip": 1.0})
    bench.write(bench.items(1, prior=0.4), rate=1.0, terms={"trainer.clip": 0.5})


def test_labels_are_spread_no_further_than_they_need():
    labels = [Label(y, "", "", "") for y in (0.0, 0.0, 0.01, 1.0)]
    heights = spread(labels, -0.5, 1.5, 200)
    gaps = np.diff(heights) * 100
    assert gaps[:2] == pytest.approx([10.5, 10.5])
    assert heights[3] == pytest.approx(1.0)
    assert heights[:3].mean() == pytest.approx(0.01 / 3)


def test_a_mismatch_that_was_allowed_stands_on_the_figure(bench):
    write_mismatch(bench)
    figure = draw_overview(find(bench, allow_mismatch=("trainer",)))
    said = " ".join(text.get_text().replace("\n", " ") for text in figure.texts)
    assert "trainer.clip is 0.5, in the control 1.0" in said


def test_notes_stand_between_the_title_and_the_first_heading(bench):
    write_mismatch(bench)
    figure = draw_overview(find(bench, allow_mismatch=("trainer",)))
    figure.draw_without_rendering()
    boxes = {text.get_text().split()[0]: text.get_window_extent() for text in figure.texts}
    note = next(t for t in figure.texts if "trainer.clip" in t.get_text()).get_window_extent()
    assert note.y0 > boxes["Manipulation"].y1
    assert note.y1 < boxes["tiny"].y0
    assert note.x1 < figure.bbox.x1


def test_without_g_and_a_nothing_is_drawn(bench):
    nothing = bench.items().iloc[:0]
    lambada = ("lambada_openai", "logprob", -3.0)
    write_pair(bench, plant(nothing, *lambada), plant(nothing, *lambada, salt=1))
    findings = find(bench)
    assert findings.contrasts
    assert draw_overview(findings) is None


def test_released_models_go_by_their_names(bench):
    facts = {"released": True, "terms": {"released": "tiny"}, "unit": "published"}
    bench.write(bench.items(), arm="released", **facts)
    bench.write(bench.items(1), rate=1.0, arm="published-feminise", **facts)
    findings = find(bench)
    looks = choose_looks([c.run for c in findings.contrasts])
    assert looks["published-feminise"].words == "published-feminise"


def test_a_published_intervention_resumed_where_its_study_did(bench):
    """A released control has no resume step of its own: each of its checkpoints stands alone."""
    facts = {"released": True, "terms": {"released": "tiny"}, "unit": "published", "step": 300}
    bench.write(bench.items(), arm="released", resume_step=300, **facts)
    bench.write(bench.items(1), rate=1.0, arm="published-feminise", resume_step=240, **facts)
    figure = draw_overview(find(bench))
    said = {text.get_text() for axes in figure.axes for text in axes.texts}
    assert "resumed at 240" in said
