"""The notebook runs as it stands, on the library's face alone, and finds what it says."""

import ast
import json
import math
from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbclient import NotebookClient

ROOT = Path(__file__).resolve().parents[2]
NOTEBOOK = ROOT / "examples" / "first_intervention.ipynb"
FACTS = """
import json
print(json.dumps({
    "swaps": {str(rate): int(mask.sum()) for rate, mask in made.items()},
    "changed": {str(rate): int((c != rows).any(1).sum()) for rate, c in corpora.items()},
    "nested": nested, "untouched": untouched_equal, "control": control_equal,
    "table": [list(edits.columns), len(edits), len(log)],
    "found": found[["difference", "low", "high", "p"]].to_dict("index"),
}))
"""


def read_notebook() -> Any:
    return nbformat.read(NOTEBOOK, as_version=4)


@pytest.fixture(scope="module")
def facts(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What the notebook computed, told by one more cell; any cell that fails raises."""
    notebook = read_notebook()
    notebook.cells.append(nbformat.v4.new_code_cell(FACTS))
    folder = tmp_path_factory.mktemp("notebook")
    NotebookClient(
        notebook, timeout=300, kernel_name="python3", resources={"metadata": {"path": str(folder)}}
    ).execute()
    assert list(folder.iterdir()) == [], "it writes nothing"
    told: dict[str, Any] = json.loads(notebook.cells[-1].outputs[0].text)
    return told


def test_it_imports_the_face_alone() -> None:
    code = "\n".join(cell.source for cell in read_notebook().cells if cell.cell_type == "code")
    imported = set()
    for node in ast.walk(ast.parse(code)):
        if isinstance(node, ast.Import):
            imported |= {name.name for name in node.names}
        elif isinstance(node, ast.ImportFrom):
            imported.add(node.module or "")
    assert imported == {"intervene", "numpy", "pandas", "matplotlib.pyplot"}


def test_it_is_kept_without_outputs() -> None:
    cells = [cell for cell in read_notebook().cells if cell.cell_type == "code"]
    assert all(not cell.outputs and cell.execution_count is None for cell in cells)


def test_what_the_lower_rate_swaps_the_higher_swaps_too(facts: dict[str, Any]) -> None:
    assert facts["nested"]
    assert 0 < facts["swaps"]["0.25"] < facts["swaps"]["0.5"]
    assert 0 < facts["changed"]["0.25"] < facts["changed"]["0.5"]


def test_untouched_tokens_and_the_control_are_the_source(facts: dict[str, Any]) -> None:
    assert facts["untouched"]
    assert facts["control"]


def test_the_table_has_a_row_per_swap(facts: dict[str, Any]) -> None:
    columns, rows, swaps = facts["table"]
    assert columns == ["row", "start", "form", "role", "gender", "before", "after"]
    assert rows == swaps > 1000


def test_the_planted_fall_is_recovered(facts: dict[str, Any]) -> None:
    for name, planted in (("pair_association", -1.0), ("pair_prior", 0.5)):
        found = facts["found"][name]
        assert math.isclose(found["difference"], planted, abs_tol=0.15)
        assert found["low"] < planted < found["high"]
        assert found["p"] < 0.001
