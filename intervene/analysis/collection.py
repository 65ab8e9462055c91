"""All readings of a comparison in one table, a row per item and metric of each."""

from collections.abc import Sequence
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from intervene.analysis.curve import Reading
from intervene.analysis.items import KEYS

NAMES, FACTS = ("model", "arm", "direction", "unit"), ("rate", "seed", "step", "base", "released")
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
    texts = [field.name for field in SCHEMA if pa.types.is_dictionary(field.type)]
    known: dict[tuple[int, ...], list[pa.DictionaryArray]] = {}
    with pq.ParquetWriter(
        path, SCHEMA, compression="zstd", version="2.6", store_schema=False, use_dictionary=texts
    ) as file:
        for _, arm in groupby(order, key=lambda r: (r.model, r.released, r.base, r.arm)):
            file.write_table(_tabulate(list(arm), known))


def _tabulate(
    arm: list[Reading], known: dict[tuple[int, ...], list[pa.DictionaryArray]]
) -> pa.Table:
    """One arm's readings, one after the other.

    Args:
        arm: of one model.
        known: the columns of KEYS by the keys that they were made of, which readings share.
    """
    parts = [[reading.items[task] for task in sorted(reading.items)] for reading in arm]
    keys = [_encode(reading, known) for reading in arm]
    counts = [len(each[0]) for each in keys]
    columns: dict[str, Any] = {
        "reading": _repeat([r.name.partition("/")[2] for r in arm], counts),
        **{name: _repeat([getattr(r, name) for r in arm], counts) for name in NAMES},
        **{name: np.repeat([getattr(r, name) for r in arm], counts) for name in FACTS},
        **{name: pa.chunked_array([each[i] for each in keys]) for i, name in enumerate(KEYS)},
        "value": np.concatenate([items.values for each in parts for items in each]),
    }
    arrays = [columns[name] for name in SCHEMA.names]
    return pa.table(arrays, schema=SCHEMA).unify_dictionaries()


def _encode(
    reading: Reading, known: dict[tuple[int, ...], list[pa.DictionaryArray]]
) -> list[pa.DictionaryArray]:
    """The columns of KEYS of a reading; the keys themselves live as long as the readings."""
    tasks = sorted(reading.items)
    keys = [reading.items[task].keys for task in tasks]
    name = tuple(map(id, keys))
    if name not in known:
        counts = [len(k.item) for k in keys]
        columns = [np.concatenate([getattr(k, column) for k in keys]) for column in KEYS[1:]]
        known[name] = [
            _repeat(tasks, counts),
            *(pa.array(column, pa.string()).dictionary_encode() for column in columns),
        ]
    return known[name]


def _repeat(texts: list[str], counts: list[int]) -> pa.DictionaryArray:
    """Each text as often as its count says; the dictionary has every text once."""
    places = {text: i for i, text in enumerate(dict.fromkeys(texts))}
    each = np.array([places[text] for text in texts], np.int32)
    return pa.DictionaryArray.from_arrays(pa.array(np.repeat(each, counts)), pa.array([*places]))
