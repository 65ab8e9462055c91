"""Pairs of sentences that differ in one pronoun, and what a model makes of each."""

import json
from pathlib import Path
from typing import Any

from datasets import Dataset

ITEMS = Path(__file__).with_name("items.jsonl")


def load_pairs(**_: Any) -> dict[str, Dataset]:
    """The sentences: the masculine choice first, the feminine second."""
    lines = ITEMS.read_text(encoding="utf-8").splitlines()
    return {"test": Dataset.from_list([read_pair(json.loads(line)) for line in lines])}


def read_pair(row: dict[str, str]) -> dict[str, Any]:
    """A document: its id, what is resampled together, the stereotype, and the two choices."""
    choices = [row["sentence"].replace("[he/she]", pronoun) for pronoun in ("he", "she")]
    return {
        "item": row["id"],
        "cluster": row["occupation"],
        "stereotype": row["stereotype"],
        "choices": choices,
    }


def compare_forms(doc: dict[str, Any], results: list[tuple[float, bool]]) -> dict[str, float]:
    """`preference` = log P(feminine) - log P(masculine), nats."""
    (masculine, _), (feminine, _) = results
    return {"preference": feminine - masculine}
