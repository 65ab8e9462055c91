"""What the docs name is there, and the site that they are built into holds together."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[1]
DOCS = sorted([*(ROOT / "docs").rglob("*.md"), ROOT / "README.md"])
LOADS = re.compile(
    r"""<(?:script|img|iframe|source|video|audio|embed)\b[^>]*\s(?:src|srcset)=["']?(?:https?:)?//
      | <link\b(?![^>]*rel=["']?canonical)[^>]*\shref=["']?(?:https?:)?//
      | <object\b[^>]*\sdata=["']?(?:https?:)?//
      | url\(["']?(?:https?:)?//
      | @import\s*["'](?:https?:)?//""",
    re.VERBOSE | re.IGNORECASE,
)
"""What makes a browser fetch from elsewhere, in HTML and in CSS; a link to click does not."""


def name(path: Path) -> str:
    return str(path.relative_to(ROOT))


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The site as `make docs` builds it, in a temporary folder."""
    folder = tmp_path_factory.mktemp("site")
    done = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(folder)],
        cwd=ROOT, capture_output=True, text=True, check=False,
        env={**os.environ, "NO_MKDOCS_2_WARNING": "1", "PYTHONDONTWRITEBYTECODE": "1"},
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert "WARNING" not in done.stdout + done.stderr
    return folder


def list_nav(entry: object) -> list[str]:
    """The pages that the navigation names, in order."""
    if isinstance(entry, dict):
        return [page for value in entry.values() for page in list_nav(value)]
    if isinstance(entry, list):
        return [page for value in entry for page in list_nav(value)]
    return [str(entry)]


@pytest.mark.parametrize("path", DOCS, ids=name)
def test_tests_that_the_docs_name_exist(path: Path) -> None:
    tests = "\n".join(file.read_text() for file in (ROOT / "tests").rglob("test_*.py"))
    named = set(re.findall(r"`(test_\w+)`", path.read_text()))
    assert [name for name in sorted(named) if f"def {name}(" not in tests] == []


@pytest.mark.parametrize("path", DOCS, ids=name)
def test_files_that_the_docs_link_to_exist(path: Path) -> None:
    links = re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", path.read_text())
    assert [link for link in links if not (path.parent / link).exists()] == []


@pytest.mark.parametrize("path", DOCS, ids=name)
def test_files_of_the_repository_that_the_docs_name_exist(path: Path) -> None:
    rooms = r"(?:intervene|pipelines|conf|tests|examples|docs|bench|roles)"
    named = set(re.findall(rf"`({rooms}/[\w./-]+\.(?:py|yaml|md|ipynb))`", path.read_text()))
    assert [file for file in sorted(named) if not (ROOT / file).exists()] == []


def test_the_site_builds_without_a_warning(site: Path) -> None:
    assert (site / "index.html").exists()


def test_every_page_is_in_the_navigation(site: Path) -> None:
    text = re.sub(r"!!python/\S+", "", (ROOT / "mkdocs.yml").read_text())
    named = list_nav(yaml.safe_load(text)["nav"])
    pages = {str(page.relative_to(ROOT / "docs")) for page in (ROOT / "docs").rglob("*.md")}
    assert len(named) == len(set(named))
    assert pages == {page for page in named if not page.startswith("repository/")}


def test_no_page_of_the_site_loads_anything_from_elsewhere(site: Path) -> None:
    files = [*site.rglob("*.html"), *site.rglob("*.css")]
    loads = {str(file.relative_to(site)): LOADS.findall(file.read_text()) for file in files}
    assert {file: found for file, found in loads.items() if found} == {}


def test_no_page_of_the_site_has_what_the_theme_fetches_code_for(site: Path) -> None:
    """Material's script fetches mermaid for diagrams, and stars and forks of a `repo_url`."""
    html = "\n".join(file.read_text() for file in site.rglob("*.html"))
    assert 'class="mermaid"' not in html
    assert 'data-md-component="source"' not in html


def test_links_out_of_the_docs_lead_to_pages_of_the_site(site: Path) -> None:
    """Each relative link of each page, as a browser resolves it, is a file of the site."""
    broken = []
    for file in site.rglob("*.html"):
        for link in re.findall(r"""<a\b[^>]*\shref="([^"#?]+)""", file.read_text()):
            outside = re.match(r"[a-z]+:", link) or file.name == "404.html"
            if not outside and not (file.parent / link).exists():
                broken.append(f"{file.relative_to(site)}: {link}")
    assert broken == []


def test_errors_are_paragraphs_of_the_api_pages(site: Path) -> None:
    pages = "\n".join(page.read_text() for page in (site / "api").glob("*.html"))
    assert pages.count("<strong>Errors:</strong> InterveneError") > 10
    assert not re.search(r"<(?:details|div)[^>]* class=\"errors?\b", pages)


@pytest.mark.parametrize(
    "page",
    [
        '<script src="https://cdn.example/x.js"></script>',
        "<img alt='' src=//cdn.example/x.png>",
        '<link rel="stylesheet" href="https://fonts.example/css">',
        "a { background: url('https://cdn.example/x.svg') }",
        '@import "https://cdn.example/x.css";',
    ],
)
def test_what_a_browser_would_fetch_is_seen(page: str) -> None:
    assert LOADS.search(page)


@pytest.mark.parametrize(
    "page",
    ['<a href="https://arxiv.org">', '<script src="assets/x.js">', "<code>src=https://x</code>"],
)
def test_what_a_browser_would_not_fetch_is_left_alone(page: str) -> None:
    assert not LOADS.search(page)
