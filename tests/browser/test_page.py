"""What a reader does with the report: chooses, hovers, sorts, and follows links."""

import pytest
from selenium import webdriver
from selenium.webdriver.common.action_chains import ActionChains

from tests.browser.conftest import Page, resize

pytestmark = pytest.mark.browser


def find_choice(page: Page, kind: str, words: str):
    """The checkbox of a size or an arm."""
    page.driver.execute_script("document.getElementById('choices').open = true")
    (box,) = [
        label.find_element("css selector", "input")
        for label in page.find_all("#choices label")
        if label.text.endswith(words)
        and label.find_element("css selector", "input").get_attribute("name") == kind
    ]
    return box


def open_items(page: Page) -> None:
    page.press(page.show("section[aria-labelledby=flipped] summary"))
    page.show("#items")


def read_column(page: Page, place: int) -> list[str]:
    return [cell.text for cell in page.find_all(f"#items tbody tr td:nth-child({place})")]


def test_it_opens_without_a_request_or_a_complaint(page: Page) -> None:
    for chart in page.find_all(".chart"):
        page.driver.execute_script("arguments[0].scrollIntoView()", chart)
        page.wait(lambda chart=chart: chart.get_attribute("data-rows"))
    page.keep("whole")
    asked = page.list_requests()
    assert asked, "the log of requests holds not even the page itself"
    assert [url for url in asked if not url.startswith(("file:", "data:"))] == []
    assert page.list_complaints() == []


def test_nothing_is_wider_than_the_window(page: Page) -> None:
    page.draw("chart-curves")
    open_items(page)
    assert page.measure_overflow() <= 0


def test_a_size_that_is_left_out_has_no_panel(page: Page) -> None:
    page.draw("chart-curves")
    assert set(page.list_panels("chart-curves")) == {"tiny", "small"}
    page.press(find_choice(page, "models", "tiny"))
    page.wait(lambda: page.list_panels("chart-curves") == ["small"])
    page.keep("one-size")
    page.press(find_choice(page, "models", "tiny"))
    page.wait(lambda: len(page.list_panels("chart-curves")) == 2)


def test_a_rate_that_is_left_out_has_no_line(page: Page) -> None:
    before = len(page.draw("chart-curves"))
    page.press(find_choice(page, "arms", "rate 0.5"))
    page.wait(lambda: len(page.find_all("#chart-curves g.mark-symbol path")) < before)
    page.wait(lambda: page.find_all("#chart-curves g.mark-symbol path"))
    shown = {
        mark.get_attribute("fill") for mark in page.find_all("#chart-curves g.mark-symbol path")
    }
    assert shown == {"var(--ink)", "var(--arm-1)"}


def test_another_measure_draws_other_curves(page: Page) -> None:
    page.draw("chart-curves")
    first = page.find("#chart-curves svg").get_attribute("outerHTML")
    select = page.find("#measure")
    page.driver.execute_script(
        "arguments[0].selectedIndex = 2; arguments[0].dispatchEvent(new Event('change'))", select
    )
    page.wait(lambda: page.find("#chart-curves svg").get_attribute("outerHTML") != first)
    assert page.find("#curves").text.endswith("WinoBias slot, G")


def test_pointing_at_a_mark_shows_value_interval_and_n(page: Page) -> None:
    marks = page.draw("chart-curves")
    arms = [mark for mark in marks if mark.get_attribute("fill") == "var(--arm-1)"]
    page.driver.execute_script("arguments[0].scrollIntoView({block: 'center'})", arms[-1])
    ActionChains(page.driver).move_to_element(arms[-1]).perform()
    page.wait(lambda: "visible" in page.find("#vg-tooltip-element").get_attribute("class"))
    told = page.find("#vg-tooltip-element").text
    page.keep("hover")
    assert "rate 1" in told
    assert "step 320" in told
    assert "95% interval" in told
    assert "160 (40)" in told  # items and clusters
    assert "Holm" in told


def test_items_are_sorted_by_their_shift(page: Page) -> None:
    open_items(page)
    header = next(th for th in page.find_all("#items thead th") if "shift" in th.text)
    page.press(header.find_element("css selector", ".dt-column-title"))
    page.wait(lambda: header.get_attribute("aria-sort") == "ascending")
    shifts = [float(text.replace("−", "-")) for text in read_column(page, 6) if text != "–"]
    page.keep("items")
    assert len(shifts) > 3
    assert shifts == sorted(shifts)


def test_items_are_filtered_and_quoted_as_text(page: Page) -> None:
    open_items(page)
    box = page.find(".dt-search input")
    box.send_keys("winobias_pair_type1")
    page.wait(lambda: set(read_column(page, 3)) == {"winobias_pair_type1"})
    assert all("<b>" in text for text in read_column(page, 7))
    box.send_keys(" no such item")
    page.wait(lambda: "No matching" in page.find("#items tbody").text)


def test_items_of_a_size_that_is_left_out_are_not_listed(page: Page) -> None:
    open_items(page)
    assert set(read_column(page, 1)) <= {"tiny", "small"}
    page.press(find_choice(page, "models", "small"))
    page.wait(lambda: set(read_column(page, 1)) == {"tiny"})


def test_a_lineage_link_opens_what_it_leads_to(page: Page) -> None:
    card = page.find_all(".origins details")[-1]
    page.press(card.find_element("css selector", "summary"))
    link = card.find_element("css selector", "dd a")
    assert link.text == "run/0123456789ab"
    page.press(link)
    target = page.find("[id='run/0123456789ab']")
    page.wait(lambda: target.get_attribute("open"))
    assert "python -m pipelines.train intervention.rate=1" in target.text
    top = page.driver.execute_script("return arguments[0].getBoundingClientRect().top", target)
    assert 0 <= top <= 900
    page.keep("lineage")


def test_a_dark_page_is_dark_and_its_lines_are_light(page: Page, browser: webdriver.Chrome) -> None:
    wish = {"name": "prefers-color-scheme", "value": "dark"}
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [wish]})
    try:
        marks = page.draw("chart-curves")
        paper = page.find("body").value_of_css_property("background-color")
        line = next(m for m in marks if m.get_attribute("fill") == "var(--ink)")
        ink = line.value_of_css_property("fill")
        page.keep("dark")
    finally:
        browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": []})
    assert sum(read_channels(paper)) < 150 < 600 < sum(read_channels(ink))


def read_channels(colour: str) -> list[int]:
    """`rgb(1, 2, 3)` or `rgba(1, 2, 3, 1)` as numbers."""
    return [int(float(part)) for part in colour[colour.index("(") + 1 : -1].split(",")[:3]]


def test_without_javascript_the_page_says_where_the_figures_are(
    browser: webdriver.Chrome, folder
) -> None:
    resize(browser, 1440)
    browser.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": True})
    try:
        browser.get((folder / "report" / "index.html").as_uri())
        told = browser.find_element("css selector", "noscript").get_attribute("textContent")
    finally:
        browser.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": False})
    assert "tables" in told
