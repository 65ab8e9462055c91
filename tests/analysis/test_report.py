import csv
import json
import re
from html.parser import HTMLParser
from pathlib import Path

import pandas as pd
import pytest

from intervene.analysis.curve import gather
from intervene.analysis.finals import gather_finals
from intervene.analysis.report import Question, write_report
from intervene.analysis.tables import STEPS, tabulate_checks, tabulate_everything, tabulate_prompts
from intervene.errors import InterveneError
from tests.analysis.planted import find, plant, write_pair

VOID = {"meta", "br", "link", "img", "hr", "input"}


def report(bench, folder: Path, missing=(), resamples=400, allow_mismatch=()):
    folder.mkdir(exist_ok=True)
    question = Question(
        "pronouns <b>", resamples, 0, missing=list(missing), allow_mismatch=allow_mismatch,
        commands=["python -m pipelines.intervene"],
    )  # fmt: skip
    return write_report(gather(bench.written), question, folder)


def read_csv(folder: Path) -> list[dict[str, str]]:
    with (folder / "tables/contrasts.csv").open() as file:
        return list(csv.DictReader(file))


def write_mismatch(bench) -> None:
    """An arm and a control that differ in `trainer.clip`."""
    bench.write(bench.items(), terms={"trainer.clip": 1.0})
    bench.write(bench.items(1, prior=0.4), rate=1.0, terms={"trainer.clip": 0.5})


class Outline(HTMLParser):
    """Tags as they nest, and what refers outside the page."""

    def __init__(self):
        super().__init__()
        self.open, self.tags, self.references, self.ids = [], [], [], []

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        if tag not in VOID:
            self.open.append(tag)
        for name, value in attrs:
            if name in ("src", "href", "xlink:href", "srcset", "data", "action"):
                self.references.append(value)
            if name == "id":
                self.ids.append(value)

    def handle_startendtag(self, tag, attrs):
        self.handle_starttag(tag, attrs)
        if tag not in VOID:
            self.open.pop()

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


@pytest.fixture(scope="module")
def whole(tmp_path_factory, make_bench):
    """The report of two models by two rates, one with a planted fall and one without."""
    root = tmp_path_factory.mktemp("whole")
    bench = make_bench(root)
    bench.write_trial("tiny", fall=0.6)
    bench.write_trial("small", fall=0.0)
    return bench, root / "out", report(bench, root / "out", resamples=1000)


@pytest.fixture(scope="module")
def outline(whole):
    page = Outline()
    page.feed((whole[1] / "report/index.html").read_text())
    assert page.open == []
    return page


def test_two_reports_are_the_same_bytes(whole, tmp_path):
    """Also where the artefacts come in another order."""
    bench, folder, facts = whole
    bench.written.reverse()
    report(bench, tmp_path / "again", resamples=1000)
    names = sorted(p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file())
    assert names == sorted([*facts["files"], "summary.json"])
    for name in names:
        assert (folder / name).read_bytes() == (tmp_path / "again" / name).read_bytes(), name


def test_the_folder_has_every_part(whole):
    names = set(whole[2]["files"])
    for figure in ("overview", "manipulation", "association", "dose_response", "crows_direction"):
        assert {f"figures/{figure}.{end}" for end in ("png", "pdf", "svg", "txt")} <= names
    for table in ("arms", "manipulation", "dose_response", "final_contrasts"):
        assert {f"tables/{table}.csv", f"tables/{table}.tex"} <= names
    assert {"report/index.html", "readings.parquet", "tables/contrasts.csv"} <= names


def test_all_readings_are_in_one_table(whole):
    bench, folder, _ = whole
    table = pd.read_parquet(folder / "readings.parquet")
    for artefact in bench.written:
        mine = table[table.reading == artefact.key]
        items = pd.read_parquet(artefact.path / "items.parquet")
        columns = ["task", "item", "metric", "cluster", "stereotype", "value"]
        ours = mine[columns].sort_values(columns[:3], ignore_index=True)
        theirs = items[columns].sort_values(columns[:3], ignore_index=True)
        pd.testing.assert_frame_equal(ours.astype(theirs.dtypes.to_dict()), theirs)
        facts = artefact.facts
        assert set(mine.step) == {facts["step"]}
        assert set(mine.rate) == {facts["rate"]}
    assert len(table) == sum(len(pd.read_parquet(a.path / "items.parquet")) for a in bench.written)


def test_latex_tables_are_rows_of_as_many_cells(whole):
    for path in (whole[1] / "tables").glob("*.tex"):
        lines = path.read_text().splitlines()
        rows = [line for line in lines if line.endswith(r" \\") and "caption" not in line]
        cells = {len(re.split(r"(?<!\\)&", row)) for row in rows}
        assert len(cells) == 1, path.name
        assert not re.search(r"(?<!\\)[%#_](?!.*usepackage)", "".join(rows)), path.name


def test_the_page_needs_nothing_from_elsewhere(whole, outline):
    linked = [r for r in outline.references if not r.startswith("#")]
    assert linked
    for reference in linked:
        assert (whole[1] / "report" / reference).exists(), reference
    page = (whole[1] / "report/index.html").read_text()
    styles = "".join(re.findall(r"<style>(.*?)</style>", page, re.DOTALL))
    assert not re.search(r"url\(\s*['\"]?(?!#|data:)", styles)
    assert "@import" not in styles
    assert not re.search(r"<script[^>]+src=", page)
    assert len(page) < 5e6


def test_the_page_has_a_title_headings_and_tables(outline):
    assert outline.tags.count("h1") == outline.tags.count("title") == 1
    assert outline.tags.count("h2") >= 7
    assert outline.tags.count("table") == outline.tags.count("caption") >= 5


def test_every_chart_has_a_caption(whole, outline):
    page = (whole[1] / "report/index.html").read_text()
    captions = re.findall(r"<figcaption>(.*?)</figcaption>", page, re.DOTALL)
    assert outline.tags.count("figure") == len(captions) >= 5
    for caption in captions:
        assert "95%" in caption
        assert re.search(r"\d+ (items|pairs)", caption) or " items" in caption
    assert len(set(outline.ids)) == len(outline.ids)


def test_the_headline_has_three_lines_and_the_numbers(whole):
    check, endpoint, doubt = whole[2]["headline"]
    assert check.startswith("Manipulation: the gender prior G moved by ")
    assert re.search(
        r"fell in \d of 4 arms after Holm's correction, most by 0\.\d\d nats", endpoint
    )
    assert "no change was established in 2 of 4 arms (smallest detectable 0." in endpoint
    assert doubt.startswith("Not shown: each arm was trained once")


def test_names_are_escaped(whole):
    assert "pronouns &lt;b&gt;" in (whole[1] / "report/index.html").read_text()


def test_a_fall_is_told_with_its_interval(whole):
    told = [s for s in whole[2]["summary"] if s.startswith("tiny, association of occupations")]
    assert re.search(r"fell by 0\.\d\d nats \[0\.\d\d, 0\.\d\d\] at rate 1 \(Holm p ", told[0])


def test_a_null_is_told_with_the_smallest_detectable_change(whole):
    (told,) = [s for s in whole[2]["summary"] if s.startswith("small, association of occupations")]
    assert told.count("no change was detectable at rate") == 2
    assert len(re.findall(r"the smallest detectable change was 0\.\d\d nats", told)) == 2
    assert "fell" not in told


def test_the_summary_is_in_a_file(whole):
    assert json.loads((whole[1] / "summary.json").read_text()) == whole[2]


def test_the_csv_has_every_contrast_at_every_step(whole):
    rows = read_csv(whole[1])
    assert len(rows) == whole[2]["contrasts"]
    mine = [r for r in rows if r["estimand"] == "pair_association" and r["model"] == "tiny"]
    assert [(r["rate"], r["step"]) for r in mine] == [
        (rate, step) for rate in ("0.5", "1") for step in ("240", "280", "320")
    ]
    assert all(float(r["low"]) <= float(r["difference"]) <= float(r["high"]) for r in mine)


def test_it_goes_on_without_an_arm_and_says_so(bench, tmp_path):
    bench.write_trial(rates=(1.0,))
    facts = report(bench, tmp_path / "out", ["tiny at rate 0.5 has no readings."])
    assert facts["missing"] == ["tiny at rate 0.5 has no readings."]
    assert "tiny at rate 0.5 has no readings." in (tmp_path / "out/report/index.html").read_text()
    assert any("rate 1" in s for s in facts["summary"])


def test_an_arm_without_control_is_listed_and_not_drawn(bench, tmp_path):
    bench.write_trial(rates=(1.0,), control=False)
    facts = report(bench, tmp_path / "out")
    assert not (tmp_path / "out/figures/association.png").exists()
    assert facts["missing"][0].startswith("tiny: the control is not scored")
    assert facts["summary"] == [
        "No arm could be compared: none has a control scored at the same step on the same tasks."
    ]


def test_a_model_without_control_does_not_stop_the_other(bench, tmp_path):
    bench.write_trial("tiny", control=False)
    bench.write_trial("small")
    facts = report(bench, tmp_path / "out")
    assert (tmp_path / "out/figures/association.png").exists()
    assert not any(s.startswith("tiny") for s in facts["summary"])


def test_the_page_is_in_the_order_of_the_questions(whole):
    headings = re.findall(r"<h2 id=\"(\w+)\"", (whole[1] / "report/index.html").read_text())
    assert headings == [
        "done", "check", "curves", "doses", "sizes", "prompts", "crows", "retained", "floor",
        "flipped", "table", "limits", "published", "lineage",
    ]  # fmt: skip


def test_an_arm_that_was_refused_is_told_and_the_others_go_on(bench, tmp_path):
    write_mismatch(bench)
    bench.write_trial("small", rates=(1.0,))
    facts = report(bench, tmp_path / "out")
    (told,) = facts["refused"]
    assert "trainer.clip is 0.5, in the control 1.0" in told
    assert told in (tmp_path / "out/report/index.html").read_text()
    assert {r["trial"] for r in read_csv(tmp_path / "out")} == {"small"}
    assert not any("only the control is scored" in gap for gap in facts["missing"])


def test_a_mismatch_that_was_allowed_is_in_page_table_and_summary(bench, tmp_path):
    write_mismatch(bench)
    facts = report(bench, tmp_path / "out", allow_mismatch=("trainer.clip",))
    (told,) = facts["mismatches"]
    assert "trainer.clip is 0.5, in the control 1.0" in told
    assert told in (tmp_path / "out/report/index.html").read_text()
    assert json.loads((tmp_path / "out/summary.json").read_text())["mismatches"] == [told]
    said = {r["mismatches"] for r in read_csv(tmp_path / "out")}
    assert said == {"trainer.clip is 0.5, in the control 1.0"}


def test_nothing_but_refusals_is_an_error(bench, tmp_path):
    write_mismatch(bench)
    with pytest.raises(InterveneError, match=r"clip is 0\.5, in the control 1\.0"):
        report(bench, tmp_path / "out")


def test_every_share_of_a_prompt_stands_beside_its_g_and_a(whole):
    table = tabulate_prompts(gather_finals(find(whole[0])))
    shares = [row for row in table.rows if row[6] != "–"]
    assert {row[0] for row in shares} == {"sentence pairs", "choice"}
    assert len(shares) == 2 * 2 * 2
    assert all(re.match(r"−?\d\.\d\d \[", cell) for row in shares for cell in row[4:6])


def test_the_manipulation_check_shows_few_steps_and_the_last(bench):
    bench.write_trial(rates=(1.0,), steps=(250, 260, 270, 280, 290, 300, 310, 320))
    steps = [row[4] for row in tabulate_checks(find(bench)).rows]
    assert len(steps) == STEPS
    assert (steps[0], steps[-1]) == ("250", "320")


def test_what_was_retained_is_a_table_of_its_own(bench, tmp_path):
    items, lambada = bench.items(), ("lambada_openai", "logprob")
    write_pair(bench, plant(items, *lambada, -3.0), plant(items, *lambada, -3.5, salt=1))
    report(bench, tmp_path / "out")
    page = (tmp_path / "out/report/index.html").read_text()
    retained = page[page.index('id="retained"') : page.index('id="floor"')]
    assert "LAMBADA, log P of the last word" in retained


def test_the_table_of_everything_has_the_spread_over_seeds(bench):
    bench.write(bench.items())
    for seed in (0, 1, 2):
        items = bench.items(salt=seed + 1, prior=0.4, association=0.6 + 0.1 * seed)
        bench.write(items, rate=1.0, seed=seed, arm=f"feminise-r1-document-s{seed}")
    findings = find(bench)
    table = tabulate_everything(gather_finals(findings))
    place = table.head.index("SD over seeds (seeds)")
    shown = {row[place] for row in table.rows if row[0].startswith("WinoBias pairs, A")}
    (spread,) = [s for s in findings.spreads if s.estimand.name == "pair_association"]
    assert shown == {f"{spread.sd:.3f} (3)"}


def test_a_released_model_is_explained_on_the_page(bench, tmp_path):
    facts = {"released": True, "terms": {"released": "tiny"}, "unit": "published"}
    bench.write(bench.items(), arm="released", **facts)
    bench.write(bench.items(1, prior=0.4), rate=1.0, arm="published-feminise", **facts)
    report(bench, tmp_path / "out")
    assert (
        "Models marked “released” were not trained here"
        in (tmp_path / "out/report/index.html").read_text()
    )


def test_no_readings_are_refused(bench, tmp_path):
    with pytest.raises(InterveneError, match="no readings"):
        report(bench, tmp_path / "out")


def test_a_task_of_ones_own_is_in_the_report(bench, tmp_path):
    """It is named by no estimand, and neither tested as an endpoint nor put among the controls."""
    items, mine = bench.items(), ("my_pairs", "preference")
    sides = {"stereotypes": ("female", "male")}
    write_pair(bench, plant(items, *mine, -1.0, **sides), plant(items, *mine, 0.5, salt=1, **sides))
    report(bench, tmp_path / "out")
    page = (tmp_path / "out/report/index.html").read_text()
    own = page[page.index('id="own"') : page.index('id="floor"')]
    assert "my_pairs, preference: female − male" in own
    rows = [row for row in read_csv(tmp_path / "out") if row["section"] == "other"]
    assert {row["estimand"] for row in rows} == {
        "my_pairs_preference", "my_pairs_preference_association"
    }  # fmt: skip
    (prior,) = [row for row in rows if row["estimand"] == "my_pairs_preference"]
    assert float(prior["difference"]) == pytest.approx(1.5, abs=0.05)
    assert prior["p_holm"] == ""
