"""Change what a language model reads last in pretraining, and measure what that changes.

    Rows × Stretch × Lexicon ─scan→ EditLog ─materialise(Arm)→ Corpus ─resume(checkpoint)→ Run
                             ─score→ Readings ─contrast(control)→ Curves ─report→ HTML, PDF, PNG

The nouns are importable from here, and of the verbs those that need no store; none imports torch or
Hydra.
"""

from typing import TYPE_CHECKING, Any

from intervene.arm import Arm, Direction, Length, Unit
from intervene.errors import InterveneError
from intervene.experiment import Experiment, Guards, Words
from intervene.lineage import Artefact, Recipe, Store
from intervene.rewriting.lexicon import Lexicon
from intervene.rewriting.memory import materialise, rewrite, scan
from intervene.rewriting.swap import EditLog, Swap
from intervene.sources.backend import open_rows
from intervene.sources.rows import ArrayRows, Rows, ShardedRows
from intervene.stretch import Stretch

if TYPE_CHECKING:
    from intervene.analysis.curve import Reading, gather
    from intervene.analysis.paired import contrast
    from intervene.sources.toy import make_toy

# Imported when they are asked for: every stage's processes import this file, and pandas, scipy and
# the toy's tokenizer take longer than all the rest.
_LATER = {
    "Reading": "intervene.analysis.curve",
    "contrast": "intervene.analysis.paired",
    "gather": "intervene.analysis.curve",
    "make_toy": "intervene.sources.toy",
}

__all__ = [
    "Arm",
    "ArrayRows",
    "Artefact",
    "Direction",
    "EditLog",
    "Experiment",
    "Guards",
    "InterveneError",
    "Length",
    "Lexicon",
    "Reading",
    "Recipe",
    "Rows",
    "ShardedRows",
    "Store",
    "Stretch",
    "Swap",
    "Unit",
    "Words",
    "contrast",
    "gather",
    "make_toy",
    "materialise",
    "open_rows",
    "rewrite",
    "scan",
]


def __getattr__(name: str) -> Any:
    if name not in _LATER:
        raise AttributeError(f"module 'intervene' has no attribute {name!r}")
    import importlib

    return getattr(importlib.import_module(_LATER[name]), name)
