"""Evaluate: arms that may be contrasted are told by the scan that they share."""

from pathlib import Path

import pytest

from intervene.lineage import Recipe, Store
from pipelines.evaluate import find_scans


@pytest.mark.parametrize("between", [(), ("patches",)], ids=["rows", "documents"])
def test_arms_share_the_scan_however_far_up_it_is(tmp_path: Path, between: tuple[str, ...]) -> None:
    store = Store(tmp_path)
    scan = store.obtain(Recipe("scan", 1, {}), lambda draft: {})
    for rate in (0.0, 1.0):
        parent = scan
        for kind in (*between, "corpus"):
            recipe = Recipe(kind, 1, {"rate": rate}, (parent,))
            parent = store.obtain(recipe, lambda draft: {})
        assert find_scans(store, parent) == [scan]
