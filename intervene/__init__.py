"""Change what a language model reads last in pretraining, and measure what that changes.

    Rows × Stretch × Lexicon ─scan→ EditLog ─materialise(Arm)→ Corpus ─resume(checkpoint)→ Run
                             ─score→ Readings ─contrast(control)→ Curves ─report→ HTML, PDF, PNG

The nouns are importable from here; none of them imports torch or Hydra.
"""

from intervene.arm import Arm, Direction, Unit
from intervene.errors import InterveneError
from intervene.experiment import Experiment, Guards
from intervene.lineage import Artefact, Recipe, Store
from intervene.rewriting.lexicon import Lexicon
from intervene.rewriting.memory import rewrite
from intervene.rewriting.swap import EditLog, Swap
from intervene.sources.backend import open_rows
from intervene.sources.rows import ArrayRows, Rows, ShardedRows
from intervene.stretch import Stretch

__all__ = [
    "Arm",
    "ArrayRows",
    "Artefact",
    "Direction",
    "EditLog",
    "Experiment",
    "Guards",
    "InterveneError",
    "Lexicon",
    "Recipe",
    "Rows",
    "ShardedRows",
    "Store",
    "Stretch",
    "Swap",
    "Unit",
    "open_rows",
    "rewrite",
]
