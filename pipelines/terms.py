"""What an arm and its control must have in common, as flat facts of their readings."""

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from intervene.evaluation.readings import name_harness
from intervene.experiment import Evaluation
from intervene.lineage import Artefact, Store
from intervene.model import Model

Terms = dict[str, Any]
SHAPE = ("layers", "width", "heads", "vocab", "context")
SOFTMAX = "float32"


def describe_scoring(evaluation: Evaluation, heldout: list[str] | None) -> Terms:
    """How checkpoints are scored, whatever they are.

    Args:
        evaluation: its precision.
        heldout: the keys of the corpora of `heldout_loss`, or None where that is no task.
    """
    return {
        "precision": str(evaluation.precision),
        "harness": name_harness(),
        "softmax": SOFTMAX,
        "heldout": heldout,
    }


def describe_base(checkpoint: Artefact, model: Model) -> Terms:
    """Of the checkpoint that arms resume from: what every run from it has in its terms too."""
    shape = {name: getattr(model, name) for name in SHAPE}
    return {"checkpoint": checkpoint.key, **flatten({"model": shape})}


def describe_run(store: Store, run: Artefact, corpus: Artefact, checkpoint: Artefact) -> Terms:
    """Of a run: how it was trained, where it resumed, and the scan that its corpus was drawn from.

    Scans count as one whatever the pronouns give way to, so that neutral arms have the control;
    the words of another lexicon are a term of their own.
    """
    manifest = run.manifest
    terms = flatten({**manifest["params"], "checkpoint": checkpoint.key})
    for saving in ("trainer.save_every", "trainer.save_steps"):  # when, not what
        terms.pop(saving, None)
    if "kernels" in manifest["facts"]:
        terms |= flatten({"kernels_ran": manifest["facts"]["kernels"]})
    scan = find_scans(store, corpus)[0].manifest
    known = {name: value for name, value in scan["params"].items() if name != "lexicon"}
    if "words" in known:
        known["words"] = name_words(known["words"])
    inputs = {parent["kind"]: parent["key"] for parent in scan["inputs"]}
    return terms | flatten({"scan": known | inputs})


def name_words(words: Mapping[str, Any]) -> str:
    """A lexicon's words in short, told from any others: `man/woman … 1f3a09bc`."""
    digest = hashlib.sha256(json.dumps(words, sort_keys=True).encode()).hexdigest()[:8]
    first = "/".join(words["pairs"][0].split()[:2])
    return f"{'pronouns, ' if words['pronouns'] else ''}{first} … {digest}"


def find_scans(store: Store, artefact: Artefact) -> list[Artefact]:
    """The scan that a corpus was drawn from: its parent, or its parent's where documents are."""
    if artefact.kind == "scan":
        return [artefact]
    return [scan for parent in store.ancestors(artefact) for scan in find_scans(store, parent)]


def flatten(nested: Mapping[str, Any]) -> Terms:
    """`{"a": {"b": 1}}` → `{"a.b": 1}`; lists stay whole."""
    flat: Terms = {}
    for name, value in nested.items():
        if isinstance(value, Mapping):
            flat |= {f"{name}.{inner}": part for inner, part in flatten(value).items()}
        else:
            flat[name] = value
    return flat
