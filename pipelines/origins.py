"""Where a comparison's readings come from: every artefact, with the command that makes it."""

from collections.abc import Sequence
from typing import Any

from intervene.analysis.origin import Origin
from intervene.lineage import Artefact
from pipelines.terms import flatten
from pipelines.trial import Trial

STAGES = {
    "toy": "rewrite", "fetched": "fetch", "order": "rewrite", "ordered": "rewrite",
    "source": "rewrite", "scan": "rewrite", "patches": "rewrite", "corpus": "rewrite",
    "checkpoint": "train", "replay": "train", "run": "train", "readings": "evaluate",
}  # fmt: skip
"""Which stage makes what, in the order in which data flows."""
LONG = 24
"""Letters of a value above which it is a digest or a list that is cut."""
COUNTED = (("applied", "swapped"), ("eligible", "eligible"), ("rows_changed", "rows changed"))


def trace_origins(trials: Sequence[Trial]) -> list[Origin]:
    """The readings of these trials and all their ancestors, in the order in which data flows.

    An artefact that several arms share has the command of the first of them.
    """
    found: dict[str, Origin] = {}
    for trial in trials:
        waiting = trial.artefacts("readings")
        while waiting:
            artefact = waiting.pop()
            if artefact.name not in found:
                found[artefact.name] = describe(artefact, trial)
                waiting += trial.store.ancestors(artefact)
    order = list(STAGES)
    return sorted(found.values(), key=lambda o: (order.index(o.kind), o.what, o.key))


def describe(artefact: Artefact, trial: Trial) -> Origin:
    """One artefact, as its manifest has it."""
    manifest = artefact.manifest
    return Origin(
        artefact.kind,
        artefact.key,
        _say_what(artefact.kind, manifest, trial),
        tuple(f"{i['kind']}/{i['key']}" for i in manifest["inputs"]),
        tuple(_list_facts(artefact.kind, manifest)),
        _find_command(artefact.kind, trial),
    )


def _find_command(kind: str, trial: Trial) -> str:
    command = trial.command(STAGES[kind])
    return f"{command} arm=this" if kind == "readings" and not trial.is_released else command


def _say_what(kind: str, manifest: dict[str, Any], trial: Trial) -> str:
    params, facts = manifest["params"], manifest["facts"]
    if kind == "readings":
        arm = "released" if trial.is_released else facts["arm"]
        return f"{facts['model']} {arm} step {facts['step']:,}"
    if kind == "corpus":
        return f"rate {facts['rate']:g}" if facts.get("rate") else "the control's"
    if kind == "run":
        return f"{trial.experiment.model.name} steps {params['start']:,} to {params['stop']:,}"
    if kind in ("checkpoint", "replay"):
        return trial.experiment.model.name
    return trial.experiment.data.name


def _list_facts(kind: str, manifest: dict[str, Any]) -> list[tuple[str, str]]:
    facts = manifest["facts"]
    said = [(words, f"{facts[name]:,}") for name, words in COUNTED if name in facts]
    if kind != "readings":  # its own are in the table of readings
        flat = flatten(manifest["params"])
        said.append(("keyed by", ", ".join(f"{k}={_cut(v)}" for k, v in flat.items())))
    commit = manifest["built"].get("commit")
    return [*said, ("commit", commit)] if commit else said


def _cut(value: Any) -> str:
    text = str(value)
    return text if len(text) <= LONG else f"{text[: LONG // 2]}…"
