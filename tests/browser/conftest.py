"""A report of synthetic readings, opened from disk in Debian's Chromium."""

import json
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from selenium import webdriver
from selenium.webdriver.common.by import By
from selenium.webdriver.remote.webelement import WebElement
from selenium.webdriver.support.ui import WebDriverWait

from intervene.analysis.curve import gather
from intervene.analysis.origin import Origin
from intervene.analysis.report import Question, write_report
from tests.analysis.conftest import Bench

SCREENSHOTS = Path(__file__).resolve().parents[2] / "build" / "screenshots"
FLAGS = (
    "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
    "--disable-dev-shm-usage", "--hide-scrollbars",
)  # fmt: skip
WIDTHS = {"wide": 1440, "narrow": 390}
PATIENCE_SECONDS = 30
MODELS = ("tiny", "small")


@dataclass
class Page:
    """The report in a browser window.

    Args:
        driver: of the browser.
        width: of the window, in CSS pixels.
    """

    driver: webdriver.Chrome
    width: int

    def find(self, selector: str) -> WebElement:
        """The first element of a selector."""
        return self.driver.find_element(By.CSS_SELECTOR, selector)

    def find_all(self, selector: str) -> list[WebElement]:
        """All elements of a selector."""
        return self.driver.find_elements(By.CSS_SELECTOR, selector)

    def show(self, selector: str) -> WebElement:
        """An element, scrolled to the middle of the window."""
        element = self.find(selector)
        self.driver.execute_script("arguments[0].scrollIntoView({block: 'center'})", element)
        return element

    def wait(self, met):
        """What `met` returns once it is true."""
        return WebDriverWait(self.driver, PATIENCE_SECONDS).until(lambda _: met())

    def draw(self, chart: str) -> list[WebElement]:
        """The marks of a chart that has been scrolled to, once they are there."""
        self.show(f"#{chart}")
        return self.wait(lambda: self.find_all(f"#{chart} g.mark-symbol path"))

    def list_panels(self, chart: str) -> list[str]:
        """The models that have a panel in a chart."""
        texts = [e.text for e in self.find_all(f"#{chart} svg text")]
        return [text for text in texts if text in MODELS]

    def press(self, element: WebElement) -> None:
        """Click an element wherever the choices that stay in sight are."""
        self.driver.execute_script("arguments[0].click()", element)

    def measure_overflow(self) -> int:
        """CSS pixels by which the page is wider than its window."""
        script = "return document.documentElement.scrollWidth - window.innerWidth"
        return int(self.driver.execute_script(script))

    def list_requests(self) -> list[str]:
        """Every address that the page has asked for."""
        messages = [json.loads(e["message"])["message"] for e in self.driver.get_log("performance")]
        return [
            m["params"]["request"]["url"]
            for m in messages
            if m["method"] == "Network.requestWillBeSent"
        ]

    def list_complaints(self) -> list[str]:
        """What the console said, of any level."""
        return [entry["message"] for entry in self.driver.get_log("browser")]

    def keep(self, name: str) -> None:
        """Keep a screenshot of the window."""
        SCREENSHOTS.mkdir(parents=True, exist_ok=True)
        self.driver.save_screenshot(str(SCREENSHOTS / f"{name}-{self.width}.png"))


def start(profile: Path) -> webdriver.Chrome:
    """A browser with an empty profile; it downloads nothing."""
    options = webdriver.ChromeOptions()
    options.binary_location = str(shutil.which("chromium"))
    for flag in (*FLAGS, f"--user-data-dir={profile}"):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    service = webdriver.ChromeService(str(shutil.which("chromedriver")))
    return webdriver.Chrome(options=options, service=service)


def resize(driver: webdriver.Chrome, width: int) -> None:
    """Give the window a width in CSS pixels; a narrow one is a phone's."""
    metrics = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 600}
    driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)


@pytest.fixture(scope="session")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[webdriver.Chrome]:
    """One browser for all tests."""
    missing = [name for name in ("chromium", "chromedriver") if not shutil.which(name)]
    if missing:
        pytest.skip(f"no {' and no '.join(missing)}: apt-get install chromium chromium-driver")
    driver = start(tmp_path_factory.mktemp("profile"))
    yield driver
    driver.quit()


def list_origins(bench: Bench) -> list[Origin]:
    """A run that all readings were made from, and they."""
    run = Origin("run", "0123456789ab", "tiny steps 240 to 320", (), (("keyed by", "seed=1"),),
                 "python -m pipelines.train intervention.rate=1")  # fmt: skip
    readings = [
        Origin("readings", a.key, "tiny", (run.name,), (), "python -m pipelines.evaluate arm=this")
        for a in bench.written
    ]
    return [run, *readings]


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A comparison of two models by two rates, with what its items ask."""
    root = tmp_path_factory.mktemp("browser")
    bench = Bench(root)
    for model, fall in zip(MODELS, (0.6, 0.0), strict=True):
        bench.write_trial(model, fall=fall)
    readings = gather(bench.written)
    texts = {
        task: {str(i): f"Sentence <b>{i}</b> of {task}." for i in items.keys.item}
        for task, items in readings[0].items.items()
    }
    out = root / "out"
    out.mkdir()
    question = Question("pronouns <b>", 300, 0, commands=["python -m pipelines.intervene"])
    write_report(readings, question, out, origins=list_origins(bench), texts=texts)
    return out


@pytest.fixture(params=WIDTHS.values(), ids=WIDTHS)
def page(request: pytest.FixtureRequest, browser: webdriver.Chrome, folder: Path) -> Page:
    """The report, opened anew at one of two widths."""
    resize(browser, request.param)
    browser.get("about:blank")
    browser.get_log("performance")
    browser.get_log("browser")
    browser.get((folder / "report" / "index.html").as_uri())
    return Page(browser, request.param)
