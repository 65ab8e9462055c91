"""The largest comparison that is meant: 10 sizes, 11 rates, 30 checkpoints, 4,000 items."""

from pathlib import Path

import pytest
from selenium import webdriver

from bench.compare import RATES, SIZES, compare, write_readings
from tests.browser.conftest import Page, resize

pytestmark = [pytest.mark.browser, pytest.mark.slow]
MOST_BYTES = 15_000_000


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("scale")
    return compare(write_readings(root), root)[0] / "report" / "index.html"


def test_the_page_of_ten_sizes_is_light_and_can_be_used(
    large: Path, browser: webdriver.Chrome
) -> None:
    assert large.stat().st_size <= MOST_BYTES
    resize(browser, 1440)
    browser.get_log("browser")
    browser.get(large.as_uri())
    page = Page(browser, 1440)
    page.draw("chart-curves")
    assert count_panels(page) == SIZES
    arms = {
        mark.get_attribute("fill") for mark in page.find_all("#chart-curves g.mark-symbol path")
    }
    assert len(arms) == RATES  # the control among them
    page.keep("scale")
    box = page.find("#choices input[name=models]")
    page.press(box)
    page.wait(lambda: count_panels(page) == SIZES - 1)
    page.press(page.show("section[aria-labelledby=flipped] summary"))
    page.wait(lambda: page.find_all("#items tbody tr"))
    assert page.list_complaints() == []


def count_panels(page: Page) -> int:
    texts = {text.text for text in page.find_all("#chart-curves svg text")}
    return sum(text.startswith("pythia-size-") for text in texts)
