"""The page's table of items whose outcome flipped, as columns of places and texts."""

import numpy as np

from intervene.analysis.flips import Flips, Texts
from intervene.analysis.page.numbers import Value, round_off

MOST_ITEMS = 20_000
"""Flipped items that the page lists; `tables/flipped_items.csv` has all."""


def collect_items(flips: list[Flips], texts: Texts, places: Value) -> Value:
    """The flipped items as columns, the largest shifts first where they are too many.

    Args:
        flips: of every arm and task.
        texts: by task and item.
        places: of every model's label (`models`) and arm (`arms`), as in `collect_numbers`.
    """
    tasks = {task: i for i, task in enumerate(sorted({f.task for f in flips}))}
    names = {name: i for i, name in enumerate(sorted({n for f in flips for n in f.items}))}
    rows = [
        (places["models"][f.label], places["arms"][f.run.arm], tasks[f.task], names[item], after,
         shift)
        for f in flips
        for item, after, shift in zip(f.items, f.after.tolist(), f.shift.tolist(), strict=True)
    ]  # fmt: skip
    if len(rows) > MOST_ITEMS:
        size = np.nan_to_num(np.abs([row[-1] for row in rows]))
        kept = np.sort(np.argsort(-size, kind="stable")[:MOST_ITEMS])
        rows = [rows[i] for i in kept]
    columns = zip(*rows, strict=True) if rows else [[]] * 6
    model, arm, task, item, after, shift = map(list, columns)
    said: list[dict[int, str]] = [{} for _ in tasks]
    listed, asked = list(names), list(tasks)
    for t, i in set(zip(task, item, strict=True)):
        if text := texts.get(asked[t], {}).get(listed[i]):
            said[t][i] = text
    return {
        "tasks": asked,
        "names": listed,
        "texts": [dict(sorted(part.items())) for part in said],
        "model": model,
        "arm": arm,
        "task": task,
        "item": item,
        "after": [int(one) for one in after],
        "shift": [round_off(one) for one in shift],
    }
