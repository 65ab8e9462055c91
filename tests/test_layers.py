"""The shape of the codebase is itself a fact: imports point down, files stay small."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "intervene"
# Lower may not import higher; names on one line are peers that may not import one another,
# except within the room itself.
LAYERS = (
    {"errors"},
    {"arm", "child", "stretch", "console", "compiled", "memory", "parallel", "provenance"},
    {"data", "model", "trainer", "launcher", "hardware"},
    {"experiment", "housekeeping", "lineage"},
    {"sources"},
    {"rewriting", "training", "evaluation", "analysis"},
)
TORCH_ROOMS = {"training", "evaluation"}
FILES = sorted([*PACKAGE.rglob("*.py"), *(ROOT / "pipelines").rglob("*.py")])


def read_imports(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
        elif isinstance(node, ast.Import):
            yield from (name.name for name in node.names)


def find_room(module: str) -> str:
    """`intervene.sources.rows` → `sources`; the face `intervene` itself → ``."""
    return [*module.split("."), ""][1]


def find_layer(room: str) -> int:
    return next(level for level, rooms in enumerate(LAYERS) if room in rooms)


def list_library() -> list[Path]:
    return [p for p in FILES if p.is_relative_to(PACKAGE) and p != PACKAGE / "__init__.py"]


@pytest.mark.parametrize("path", list_library(), ids=lambda p: str(p.relative_to(ROOT)))
def test_imports_point_down(path: Path) -> None:
    room = path.relative_to(PACKAGE).parts[0].removesuffix(".py")
    for module in read_imports(path):
        assert not module.startswith("pipelines"), "the library imports an entry point"
        if module == "intervene" or not module.startswith("intervene."):
            assert module != "intervene", "the library imports its own face"
            continue
        other = find_room(module)
        assert other == room or find_layer(other) <= find_layer(room), f"{room} imports {other}"
        if other != room and room in LAYERS[-1]:
            assert other not in LAYERS[-1], f"the stage {room} imports the stage {other}"


@pytest.mark.parametrize("path", list_library(), ids=lambda p: str(p.relative_to(ROOT)))
def test_only_entry_points_know_hydra(path: Path) -> None:
    assert not {m for m in read_imports(path) if m.split(".")[0] in {"hydra", "omegaconf"}}


@pytest.mark.parametrize("path", list_library(), ids=lambda p: str(p.relative_to(ROOT)))
def test_only_training_and_evaluation_know_torch(path: Path) -> None:
    if path.relative_to(PACKAGE).parts[0] in TORCH_ROOMS:
        return
    heavy = {"torch", "deepspeed", "transformers", "lm_eval"}
    assert not {m for m in read_imports(path) if m.split(".")[0] in heavy}


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(ROOT)))
def test_files_are_short_and_say_what_they_are(path: Path) -> None:
    text = path.read_text()
    assert len(text.splitlines()) <= 300, "split it along a noun"
    docstring = ast.get_docstring(ast.parse(text))
    assert docstring, "the file has no opening sentence"


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(ROOT)))
def test_functions_are_short(path: Path) -> None:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.FunctionDef):
            length = (node.end_lineno or 0) - node.lineno + 1
            assert length <= 60, f"{node.name} has {length} lines"
