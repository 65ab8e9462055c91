"""What is compiled is kept for other processes, and forgotten when any of its sources changes."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

from intervene.experiment import Guards
from intervene.rewriting import scan

ROOT = Path(__file__).resolve().parents[2]
ASK = """
from pathlib import Path
import numpy as np
from intervene.rewriting import characters
from intervene.rewriting.characters import classify
from intervene.rewriting.guards import _holds_hyphenated
text = np.frombuffer(bytearray(b"a she-wolf"), np.uint8)
found = _holds_hyphenated(text, 2, 5, len(text), classify())
print(found, len(list(find_cache(Path(characters.__file__).parent).rglob("*.nbc"))))
"""


def ask(folder: Path) -> list[str]:
    """Whether a copy of the package holds `she-wolf` back, and the loops that are kept."""
    code = f"from intervene.compiled import find_cache{ASK}"
    environment = {**os.environ, "PYTHONPATH": str(folder), "PYTHONDONTWRITEBYTECODE": "1"}
    done = subprocess.run(
        [sys.executable, "-P", "-c", code],
        cwd=folder, env=environment, capture_output=True, text=True, check=True,
    )  # fmt: skip
    return done.stdout.split()


def test_a_changed_source_is_compiled_anew(tmp_path):
    """The guard asks `characters` what a letter is; numba alone would not see that it changed."""
    ignore = shutil.ignore_patterns("__pycache__")
    shutil.copytree(ROOT / "intervene", tmp_path / "intervene", ignore=ignore)
    held, kept = ask(tmp_path)
    assert (held, int(kept) > 0) == ("True", True)
    assert ask(tmp_path) == [held, kept]
    source = tmp_path / "intervene" / "rewriting" / "characters.py"
    text = source.read_text()
    assert text.count("return point != NO_CHARACTER and") == 1
    source.write_text(text.replace("return point != NO_CHARACTER and", "return False and"))
    assert ask(tmp_path)[0] == "False"


def test_a_scan_that_has_to_compile_says_so(small, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(scan, "find_cache", lambda room: tmp_path)
    scan.build_scanner.__wrapped__(small, Guards())
    assert "compiling" in capsys.readouterr().err
    (tmp_path / "kernel.find_hits-1.py311.1.nbc").touch()
    scan.build_scanner.__wrapped__(small, Guards())
    assert capsys.readouterr().err == ""
