"""The worked examples' pages, read as what they are: files, commands and code."""

import re
import shlex
import subprocess
import sys
from pathlib import Path

from intervene import Artefact, Store
from tests.pipelines.conftest import MICRO, ROOT, build_environment

PAGES = [ROOT / "docs" / f"new_{name}.md" for name in ("intervention", "lexicon", "task")]
SMALL = tuple(word for word in MICRO if not word.startswith("evaluation.tasks"))
"""The toy in miniature; what is asked is as the page says."""


def list_blocks(page: Path, language: str) -> list[str]:
    """The fenced blocks of a language, in order."""
    return re.findall(rf"```{language}\n(.*?)```", page.read_text(), re.S)


def list_files(page: Path) -> dict[str, str]:
    """Blocks under the name of a file of the repository, by that name."""
    named = re.findall(r"`(examples/[^`]+)`:\n\n```\w+\n(.*?)```", page.read_text(), re.S)
    return dict(named)


def list_commands(page: Path) -> list[list[str]]:
    """The pages' commands, as words."""
    lines = [line for block in list_blocks(page, "sh") for line in block.splitlines()]
    return [shlex.split(line) for line in lines]


def run(
    command: list[str], *more: str, home: Path, small: bool = True
) -> subprocess.CompletedProcess[str]:
    """A page's command in a home of its own, on a miniature of the toy."""
    assert command[:2] == ["python", "-m"]
    words = [sys.executable, *command[1:], *(SMALL if small else ()), *more]
    return subprocess.run(
        words, cwd=ROOT, env=build_environment(home), capture_output=True, text=True
    )


def find(home: Path, kind: str) -> Artefact:
    """The one artefact of a kind that commands have left in a home."""
    (artefact,) = Store(home / "store").artefacts(kind)
    return artefact
