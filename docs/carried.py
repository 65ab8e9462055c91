"""Files of the repository that pages link to, carried into the documentation site.

A page links to `../roles/README.md` or `../conf/config.yaml` as it lies in the repository, so that
the link works there. MkDocs knows nothing outside `docs/`: this hook (mkdocs.yml) makes a page of
each such file, in the folder `repository/` of the site, and leads the link to it.
"""

import json
import os
import re
from pathlib import Path, PurePosixPath

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

ROOT = Path(__file__).resolve().parents[1]
LINK = re.compile(r"(?<=\]\()(?![a-z]+:|#|/)([^)\s#]+)(?=#[^)\s]*\)|\))")
LANGUAGES = {".py": "python", ".yaml": "yaml", ".toml": "toml"}
FENCE = "`" * 8
IN_NAV = ("CHANGELOG.md", "CONTRIBUTING.md", "README.md", "examples/first_intervention.ipynb")
"""Files that mkdocs.yml names, whether a page links to them or not."""


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add a page for every file that a page, or a page added so, links to."""
    waiting = [PurePosixPath("docs", file.src_uri) for file in files.documentation_pages()]
    waiting += [PurePosixPath(name) for name in IN_NAV]
    seen: set[PurePosixPath] = set()
    while waiting:
        here = waiting.pop()
        if here in seen:
            continue
        seen.add(here)
        text = (ROOT / here).read_text()
        if here.suffix == ".md":
            waiting += [there for link in LINK.findall(text) if (there := follow(here, link))]
        if here.parts[0] != "docs":
            files.append(File.generated(config, place(here), content=show(here, text)))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Lead the links of a page of `docs/` to the carried files."""
    src = page.file.src_uri
    return markdown if page.file.generated_by else lead(markdown, PurePosixPath("docs", src))


def follow(here: PurePosixPath, link: str) -> PurePosixPath | None:
    """The file of the repository that a page links to, if there is one and it is to be carried."""
    there = PurePosixPath(os.path.normpath(here.parent / link))
    known = (ROOT / there).is_file() and there.parts[0] not in ("..", "docs")
    return there if known else None


def place(there: PurePosixPath) -> str:
    """Where a file of the repository lies in the site's sources."""
    if there.parts[0] == "docs":
        return str(there.relative_to("docs"))
    return str(PurePosixPath("repository", there)) + ("" if there.suffix == ".md" else ".md")


def lead(markdown: str, here: PurePosixPath) -> str:
    """The text of a page with its links as they have to be in the site."""

    def turn(match: re.Match[str]) -> str:
        there = PurePosixPath(os.path.normpath(here.parent / match[1]))
        if there.parts[0] == ".." or not (ROOT / there).is_file():
            return match[1]  # MkDocs warns of it, and --strict fails
        return os.path.relpath(place(there), PurePosixPath(place(here)).parent)

    return LINK.sub(turn, markdown)


def show(here: PurePosixPath, text: str) -> str:
    """A file of the repository as a page."""
    if here.suffix == ".md":
        return lead(text, here)
    if here.suffix == ".ipynb":
        return show_notebook(here, text)
    return f"# `{here}`\n\n{fence(text, LANGUAGES.get(here.suffix, 'text'))}"


def show_notebook(here: PurePosixPath, text: str) -> str:
    """A notebook's cells without what they print: prose as prose, code as code."""
    parts = []
    for cell in json.loads(text)["cells"]:
        source = "".join(cell["source"])
        is_code = cell["cell_type"] == "code"
        parts.append(fence(source, "python") if is_code else lead(source, here))
    return "\n\n".join([*parts, f"This is `{here}` without what its cells print.\n"])


def fence(text: str, language: str) -> str:
    """Text as a block of code."""
    return f"{FENCE}{language}\n{text}\n{FENCE}\n"
