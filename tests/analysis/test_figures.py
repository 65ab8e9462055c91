import os
import subprocess
import sys
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
from matplotlib.colors import to_rgb
from PIL import Image

from intervene.analysis.contrast import compare
from intervene.analysis.curve import gather
from intervene.analysis.figures.captions import WHAT, write_caption
from intervene.analysis.figures.gallery import draw_figures, save_figures
from intervene.analysis.figures.labels import SMALL
from intervene.analysis.figures.palette import RAMPS, choose_looks, darken_colour
from intervene.analysis.published.files import read_folder
from intervene.analysis.trial import assemble
from tests.analysis.planted import find, plant
from tests.analysis.published_files import write_study

ROOT = Path(__file__).resolve().parents[2]
PROVENANCE = "Data: scan/5ca1e, control corpus corpus/c0ffee."
SCORING = {"precision": "fp32", "harness": "0.4.9", "softmax": "float32"}
LONG_NAME = "pythia-intervention-long-1.4b-deduped-from-another-checkpoint"


def add_tasks(items, salt: int):
    """A reading's items with a negative control and what is to be retained."""
    items = plant(items, "crows_pairs_english_age", "difference", 0.4, salt=salt, n=30)
    items = plant(items, "crows_pairs_english_religion", "difference", 0.2, salt=salt, n=30)
    items = plant(items, "lambada_openai", "logprob", -2.0, salt=salt)
    items = plant(items, "lambada_openai", "accuracy", 0.5, salt=salt, share=True)
    return plant(items, "simple_cooccurrence_bias", "preference", -0.3, salt=salt)


def write_dense(bench, models, rates, steps, directions=("feminise",), seeds=(0,), released=True):
    """Every model by every arm, with a released checkpoint at the last step."""
    salt = 0
    for size, model in enumerate(models):
        shape = {"model": model, "experiment": {"model": {"layers": 2 + size, "width": 64}}}
        bench.write(add_tasks(bench.items(salt), salt), base=True, step=240, corpus=None, **shape)
        arms = [(0.0, "feminise", 0)]
        arms += [(r, d, s) for d in directions for r in rates for s in seeds]
        for rate, direction, seed in arms:
            for step in steps:
                salt += 1
                way = rate * (step - 240) / (steps[-1] - 240)
                sign = 1 if direction == "feminise" else -1
                items = bench.items(salt, prior=-0.6 + sign * way, association=1.2 - 0.6 * way)
                facts = {"arm": f"{direction}-r{rate:g}-document-s{seed}"} if rate else {}
                bench.write(
                    add_tasks(items, salt), rate=rate, direction=direction, seed=seed, step=step,
                    **facts, **shape,
                )  # fmt: skip
        if released:
            bench.write(
                add_tasks(bench.items(salt + 1), salt + 1), arm="released", released=True,
                unit="published", step=steps[-1], resume_step=steps[-1],
                terms={"released": model, **SCORING}, **shape,
            )  # fmt: skip


@pytest.fixture(scope="module")
def whole(tmp_path_factory, make_bench):
    """Findings of two models by two rates with seeds, and what was published."""
    bench = make_bench(tmp_path_factory.mktemp("whole"))
    write_dense(bench, ("nano", "tiny"), (0.5, 1.0), (280, 320), seeds=(0, 1))
    return find(bench), read_folder(write_study(tmp_path_factory.mktemp("evals"))), bench


@pytest.fixture(scope="module")
def saved(whole, tmp_path_factory):
    findings, published, _ = whole
    folder = tmp_path_factory.mktemp("figures")
    return save_figures(findings, published, PROVENANCE, folder), folder


def list_texts(figure):
    """Every word that is drawn, with its box in pixels."""
    figure.draw_without_rendering()
    found = [(t, t.get_window_extent().extents) for t in figure.texts]
    for axes in figure.axes:
        frame = axes.get_window_extent()
        words = [*axes.texts, axes.xaxis.label, axes.yaxis.label]
        found += [(t, t.get_window_extent().extents) for t in words]
        for t in axes.get_xticklabels() + axes.get_yticklabels():
            x0, y0, x1, y1 = t.get_window_extent().extents
            inside = frame.x0 - 1 <= (x0 + x1) / 2 <= frame.x1 + 1
            beside = frame.y0 - 1 <= (y0 + y1) / 2 <= frame.y1 + 1
            found += [(t, (x0, y0, x1, y1))] if inside or beside else []
    return [(t, np.array(box)) for t, box in found if t.get_visible() and t.get_text().strip()]


def require_legible(figure, name: str) -> None:
    """No words leave the figure, overlap or are smaller than SMALL."""
    texts = list_texts(figure)
    wide, high = figure.bbox.x1, figure.bbox.y1
    words = [t.get_text() for t, _ in texts]
    x0, y0, x1, y1 = np.stack([box for _, box in texts]).T
    cut = (x0 < -0.5) | (y0 < -0.5) | (x1 > wide + 0.5) | (y1 > high + 0.5)
    assert not cut.any(), f"{name}: {words[int(cut.argmax())]!r} leaves the figure"
    over = (x0[:, None] + 1 < x1) & (x0 + 1 < x1[:, None])
    over &= (y0[:, None] + 1 < y1) & (y0 + 1 < y1[:, None])
    pairs = [(words[i], words[j]) for i, j in zip(*np.nonzero(np.triu(over, 1)), strict=True)]
    assert pairs == [], name
    assert min(t.get_fontsize() for t, _ in texts) >= SMALL, name


def find_lightness(colour: str) -> float:
    """CIE L* of a colour."""
    channels = np.array(to_rgb(colour))
    linear = np.where(channels <= 0.04045, channels / 12.92, ((channels + 0.055) / 1.055) ** 2.4)
    luminance = float(linear @ [0.2126, 0.7152, 0.0722])
    return 116 * luminance ** (1 / 3) - 16 if luminance > 216 / 24389 else 903.3 * luminance


def test_a_whole_trial_has_every_figure(saved):
    captions, folder = saved
    assert list(captions) == list(WHAT)
    for name in WHAT:
        assert all((folder / f"{name}.{kind}").stat().st_size for kind in ("png", "pdf", "svg"))


def test_a_caption_says_n_interval_correction_and_provenance(saved):
    captions, folder = saved
    for name, caption in captions.items():
        for said in ("n = ", "95%", "400 resamples, seed 0"):
            assert said in caption
        assert "Holm" in caption or "xploratory, uncorrected" in caption
        assert caption.endswith(PROVENANCE)
        assert (folder / f"{name}.txt").read_text() == f"{caption}\n"


def test_a_caption_is_in_the_file_itself(saved):
    captions, folder = saved
    caption = captions["association"]
    assert Image.open(folder / "association.png").info["Description"] == caption
    assert "paired cluster bootstrap" in (folder / "association.svg").read_text()
    assert b"/Subject" in (folder / "association.pdf").read_bytes()


def test_detectable_changes_are_told_where_nothing_else_is(whole):
    caption = write_caption("crows_categories", whole[0], PROVENANCE)
    silent = [c for c in whole[0].contrasts if c.final and c.estimand.section == "negative control"]
    assert not any(c.difference.excludes_zero for c in silent) or "of 16" in caption
    assert "the smallest detectable change (power .80, α = .05) is" in caption


def test_figures_are_the_same_bytes_in_another_process(whole, saved, tmp_path):
    _, _, bench = whole
    script = """
import sys
from pathlib import Path
from intervene.analysis.contrast import compare
from intervene.analysis.curve import gather
from intervene.analysis.figures.gallery import save_figures
from intervene.analysis.published.files import read_folder
from intervene.analysis.trial import assemble
from intervene.lineage import Artefact
store, evals, folder, provenance = sys.argv[1:]
found = [Artefact("readings", p.name, p) for p in sorted(Path(store, "readings").iterdir())]
findings = compare(assemble(gather(found)), resamples=400, seed=0)
save_figures(findings, read_folder(Path(evals)), provenance, Path(folder), processes=1)
"""
    evals = write_study(tmp_path / "evals")
    (tmp_path / "again").mkdir()
    subprocess.run(
        [sys.executable, "-c", script, bench.root, evals, tmp_path / "again", PROVENANCE],
        check=True, cwd=ROOT, env={**os.environ, "PYTHONHASHSEED": "7"},
    )  # fmt: skip
    paths = sorted(saved[1].iterdir())
    assert len(paths) == 4 * len(WHAT)
    for path in paths:
        assert path.read_bytes() == (tmp_path / "again" / path.name).read_bytes(), path.name


def test_files_name_no_date_and_no_version(saved):
    for path in saved[1].glob("*.*"):
        text = path.read_bytes()
        for word in (b"atplotlib v", b"/CreationDate", b"dc:date", b"Created with"):
            assert word not in text


@pytest.mark.parametrize(
    ("models", "rates", "steps", "more"),
    [
        (("tiny",), (1.0,), (320,), {}),
        ((LONG_NAME, f"{LONG_NAME}-2"), (0.25, 1.0), (280, 320), {"seeds": (0, 1)}),
        (("nano", "tiny"), (0.5, 1.0), (320,), {"directions": ("feminise", "masculinise")}),
        (("tiny",), tuple(k / 10 for k in range(1, 11)), (280, 320),
         {"directions": ("feminise", "masculinise")}),
    ],
    ids=["one arm", "long names and seeds", "directions", "many arms"],
)  # fmt: skip
def test_words_stay_in_the_figure_and_off_one_another(bench, models, rates, steps, more):
    write_dense(bench, models, rates, steps, **more)
    drawn = dict(draw_figures(find(bench, resamples=100)))
    assert drawn.keys() >= {"association", "dose_response", "crows_direction", "noise_floor"}
    for name, figure in drawn.items():
        require_legible(figure.figure, name)


def test_words_of_a_whole_trial_do_not_touch(whole):
    for name, drawn in draw_figures(whole[0], whole[1]):
        require_legible(drawn.figure, name)


def test_one_step_without_a_base_is_drawn(bench):
    bench.write(bench.items())
    bench.write(bench.items(1, prior=0.4), rate=1.0)
    drawn = dict(draw_figures(find(bench)))
    assert "association" in drawn
    assert not drawn.keys() & {"model_size", "published", "retention"}


def test_an_arm_without_its_control_is_not_drawn(bench):
    bench.write(bench.items(1, prior=0.4), rate=1.0)
    findings = compare(assemble(gather(bench.written)), resamples=100, seed=0)
    assert dict(draw_figures(findings)) == {}


@pytest.mark.parametrize("direction", list(RAMPS))
def test_rates_are_told_apart_in_grey(bench, direction):
    rates = [k / 11 for k in range(1, 12)]
    written = [
        bench.write(bench.items().iloc[:4], rate=r, direction=direction, arm=f"arm{r:.2f}")
        for r in rates
    ]
    looks = choose_looks(gather(written)).values()
    for one, other in combinations(looks, 2):
        apart = abs(find_lightness(one.colour) - find_lightness(other.colour))
        assert one.marker != other.marker or apart >= 15


def test_a_colour_for_a_dark_page_stands_out_there():
    for light, dark in RAMPS.values():
        assert find_lightness(darken_colour(dark)) > 50
        assert find_lightness(darken_colour(light)) > 35
