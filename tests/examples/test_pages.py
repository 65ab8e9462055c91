"""The pages show the files that the tests run, and commands that there are."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.examples.pages import PAGES, ROOT, list_blocks, list_commands, list_files, run

FOLDER = ROOT / "examples"
COMMANDS = [command for page in PAGES for command in list_commands(page)]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_code_on_the_page_is_the_file(page: Path) -> None:
    shown = list_files(page)
    assert shown
    assert shown == {name: (ROOT / name).read_text(encoding="utf-8") for name in shown}


def test_every_file_of_the_examples_is_on_a_page() -> None:
    shown = {name for page in PAGES for name in list_files(page)}
    files = {
        str(path.relative_to(ROOT))
        for path in FOLDER.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts and path.suffix != ".ipynb"
    }
    assert shown == files


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_commands_on_the_pages_compose(command: list[str], tmp_path: Path) -> None:
    alone = [word.split(",")[0] if "[" not in word else word for word in command if word != "-m"]
    done = run([*command[:2], *alone[1:]], "--cfg", "job", home=tmp_path, small=False)
    assert done.returncode == 0, done.stderr
    assert "intervention:" in done.stdout


def test_the_script_prints_what_the_page_says() -> None:
    done = subprocess.run(
        [sys.executable, FOLDER / "new_lexicon.py"], cwd=ROOT, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert [done.stdout] == list_blocks(PAGES[1], "text")
