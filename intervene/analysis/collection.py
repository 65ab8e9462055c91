"""All readings of a comparison in one table, a row per item and metric of each."""

from collections.abc import Iterator, Sequence
from itertools import groupby
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from intervene.analysis.curve import Reading
from intervene.analysis.items import KEYS, Items

NAMES = ("model", "arm", "direction", "unit")
SCHEMA = pa.schema(
    [
        *(pa.field(name, pa.dictionary(pa.int32(), pa.string())) for name in ("reading", *NAMES)),
        pa.field("rate", pa.float64()),
        pa.field("seed", pa.int64()),
        pa.field("step", pa.int64()),
        pa.field("base", pa.bool_()),
        pa.field("released", pa.bool_()),
        *(pa.field(name, pa.dictionary(pa.int32(), pa.string())) for name in KEYS),
        pa.field("value", pa.float64()),
    ]
)
"""The columns of `readings.parquet`; docs/readings.md says what they mean."""


def write_collection(readings: Sequence[Reading], path: Path) -> None:
    """Write every value of every reading, a row group per arm, in the readings' order of arms."""
    order = sorted(readings, key=lambda r: (r.model, r.released, r.base, r.arm, r.step, r.name))
    texts = _Texts()
    with pq.ParquetWriter(path, SCHEMA, compression="zstd", version="2.6", store_schema=False) as f:
        for _, arm in groupby(order, key=lambda r: (r.model, r.released, r.base, r.arm)):
            batches = [_tabulate(r, task, items, texts) for r, task, items in _list_parts(arm)]
            f.write_table(pa.Table.from_batches(batches, SCHEMA).unify_dictionaries())


def _list_parts(readings: Iterator[Reading]) -> Iterator[tuple[Reading, str, Items]]:
    for reading in readings:
        for task in sorted(reading.items):
            yield reading, task, reading.items[task]


class _Texts:
    """Columns of strings as dictionaries, made once for all readings of the same items."""

    def __init__(self) -> None:
        self._known: dict[tuple[int, str], pa.DictionaryArray] = {}
        self._kept: list[object] = []  # so that no identity is given to another object

    def encode(self, items: Items, name: str) -> pa.DictionaryArray:
        """One column of the items' keys."""
        at = id(items.keys), name
        if at not in self._known:
            self._kept.append(items.keys)
            self._known[at] = pa.array(getattr(items.keys, name), pa.string()).dictionary_encode()
        return self._known[at]


def _tabulate(reading: Reading, task: str, items: Items, texts: _Texts) -> pa.RecordBatch:
    n = len(items.values)
    columns = {
        "reading": _repeat(reading.name.partition("/")[2], n),
        **{name: _repeat(getattr(reading, name), n) for name in NAMES},
        "rate": np.full(n, reading.rate),
        "seed": np.full(n, reading.seed, np.int64),
        "step": np.full(n, reading.step, np.int64),
        "base": np.full(n, reading.base),
        "released": np.full(n, reading.released),
        "task": _repeat(task, n),
        **{name: texts.encode(items, name) for name in KEYS[1:]},
        "value": items.values,
    }
    return pa.record_batch([pa.array(columns[name]) if isinstance(columns[name], np.ndarray)
                            else columns[name] for name in SCHEMA.names], schema=SCHEMA)  # fmt: skip


def _repeat(text: str, n: int) -> pa.DictionaryArray:
    return pa.DictionaryArray.from_arrays(pa.array(np.zeros(n, np.int32)), pa.array([text]))
