"""Synthetic readings with planted effects: a small trial as the store would hold it."""

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from intervene.analysis.items import KEYS
from intervene.lineage import MANIFEST, Artefact

FORMS = {"pair": True, "slot": False, "mc": True}
CROWS = "crows_pairs_english_gender"


@dataclass(frozen=True)
class Plant:
    """What a checkpoint shows: gender prior, association and its own noise per item, in nats."""

    prior: float = -0.6
    association: float = 1.2
    noise: float = 0.25
    clusters: int = 40


def make_items(plant: Plant, salt: int) -> pd.DataFrame:
    """WinoBias and CrowS items: shared difficulty by item, noise of this checkpoint's own."""
    shared, own = np.random.default_rng(7), np.random.default_rng([11, salt])
    rows: list[tuple[str, str, str, str, str, float]] = []
    for form, scored in FORMS.items():
        for kind in ("type1", "type2"):
            task = f"winobias_{form}_{kind}"
            for n in range(plant.clusters * 2):
                cluster = f"job{n % plant.clusters:02d}|trade{n % plant.clusters:02d}"
                gender = "female" if n < plant.clusters else "male"
                sign = 1 if gender == "female" else -1
                value = plant.prior + sign * plant.association / 2 + shared.normal(0, 0.8)
                value += own.normal(0, plant.noise)
                item = f"{kind}_{n:03d}"
                rows.append((task, item, "preference", cluster, gender, value))
                if scored:
                    rows.append((task, item, "accuracy", cluster, gender, float(sign * value > 0)))
    for n in range(60):
        gender = ("female", "male", "")[n % 3]
        sign = {"female": 1, "male": -1, "": 0}[gender]
        preference = plant.prior + sign * plant.association / 2 + shared.normal(0, 1)
        preference += own.normal(0, plant.noise)
        difference = sign * preference if gender else shared.normal(0.3, 1)
        item = f"{n:04d}"
        rows.append((CROWS, item, "difference", item, gender, difference))
        rows.append((CROWS, item, "stereotyped", item, gender, float(difference > 0)))
        if gender:
            rows.append((CROWS, item, "preference", item, gender, preference))
    table = pd.DataFrame(rows, columns=["task", "item", "metric", "cluster", "stereotype", "value"])
    return table.sort_values(["task", "item", "metric"], ignore_index=True)[[*KEYS, "value"]]


def make_terms(model: str = "tiny", *, base: bool = False, **changes: object) -> dict[str, object]:
    """What readings of a model have in common; a base reading has no trainer."""
    terms: dict[str, object] = {
        "checkpoint": f"checkpoint-{model}", "model.layers": 4, "precision": "fp32",
        "harness": "0.4.9", "softmax": "float32", "heldout": None,
    }  # fmt: skip
    if not base:
        terms |= {"trainer.clip": 1.0, "trainer.backend": "plain", "scan.stretch": "240-320"}
    return terms | changes


@dataclass
class Bench:
    """Writes readings artefacts into a folder."""

    root: Path
    written: list[Artefact] = field(default_factory=list)

    def items(self, salt: int = 0, **plant: float) -> pd.DataFrame:
        """Items of a checkpoint that shows what is planted; `salt` names its own noise."""
        return make_items(Plant(**plant), salt)  # type: ignore[arg-type]

    def write(self, items: pd.DataFrame, **facts: object) -> Artefact:
        """One artefact; facts not given are those of a control of the model `tiny`."""
        number = len(self.written)
        rate = float(facts.get("rate", 0.0))  # type: ignore[arg-type]
        direction = facts.setdefault("direction", "feminise")
        facts.setdefault("arm", f"{direction}-r{rate:g}-document-s0" if rate else "control")
        model = str(facts.setdefault("model", "tiny"))
        width = {"tiny": 64, "small": 128}.get(model, 96)
        corpus = {"key": f"c0ffee{number:06d}", "eligible": 5000, "applied": round(5000 * rate)}
        whole: dict[str, object] = {
            "rate": rate, "unit": "document", "seed": 0, "step": 320, "resume_step": 240,
            "stop_step": 320, "base": False, "released": False,
            "corpus": {**corpus, "rate_reached": rate}, "lineage": [],
            "terms": make_terms(model, base=bool(facts.get("base"))),
            "tasks": {
                t: {"n": len(g["item"].unique()), "digest": f"digest-{t}"}
                for t, g in items.groupby("task")
            },
            "harness": "0.4.9", "precision": "fp32", "batch_size": 32,
            "experiment": {"model": {"name": model, "layers": 4, "width": width}},
            **facts,
        }  # fmt: skip
        key = f"{number:012x}"
        path = self.root / "readings" / key
        path.mkdir(parents=True)
        items.to_parquet(path / "items.parquet", index=False)
        manifest = {
            "kind": "readings", "key": key, "version": 2, "params": {"step": whole["step"]},
            "inputs": [], "facts": whole, "built": {"commit": None},
        }  # fmt: skip
        (path / MANIFEST).write_text(json.dumps(manifest))
        self.written.append(Artefact("readings", key, path))
        return self.written[-1]

    def write_trial(
        self,
        model: str = "tiny",
        rates: tuple[float, ...] = (0.5, 1.0),
        steps: tuple[int, ...] = (280, 320),
        *,
        shift: float = 1.0,
        fall: float = 0.6,
        control: bool = True,
        clusters: int = 40,
    ) -> None:
        """Base, control and arms; at the last step G moves by shift × rate, A by −fall × rate."""
        sort = {"tiny": 0, "small": 1000}.get(model, 2000)
        self.write(
            make_items(Plant(clusters=clusters), sort),
            model=model,
            step=240,
            base=True,
            corpus=None,
        )
        for i, rate in enumerate([0.0, *rates] if control else rates):
            for j, step in enumerate(steps):
                way = rate * (step - 240) / (steps[-1] - 240)
                plant = Plant(
                    prior=-0.6 + shift * way, association=1.2 - fall * way, clusters=clusters
                )
                salt = sort + 1 + i * 50 + j
                self.write(make_items(plant, salt), model=model, rate=rate, step=step)


@pytest.fixture(scope="session")
def make_bench() -> Callable[[Path], Bench]:
    """Makes an empty place for readings in a folder."""
    return Bench


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    """An empty place for readings."""
    return Bench(tmp_path)
