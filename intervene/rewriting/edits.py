"""The edit log on disk: one Parquet file per block of rows, `edits/00000.parquet`.

A file is written aside and renamed, so that its presence says that its block is scanned. Columns,
none of them null, in row order:

| column | type | what it says |
|---|---|---|
| `row` | int64 | the training row, counted from row 0 of the whole corpus |
| `start` | int32 | the swap's first token within the row |
| `stop` | int32 | the token past its last |
| `segment` | int32 | the first token in the row of the document that it lies in |
| `form` | string | the pronoun, or other word of the lexicon, that stands there, lower case |
| `role` | string | subject, object, determiner, possessive or reflexive; word of other words |
| `gender` | string | masculine or feminine, before the swap |
| `before` | list of uint16 | the tokens `[start, stop)` |
| `after` | list of uint16 | what replaces them; of another number if the row's length changes |

The schema's metadata holds JSON under `counts`: pronouns by reason and form, those that are not in
the log too; and, where other words give way or pronouns to neutral ones, under `lexicon` its series
and target.
"""

import json
import os
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from intervene.rewriting.blocks import Block
from intervene.rewriting.lexicon import PRONOUNS, Lexicon
from intervene.rewriting.swap import GENDERS, ROLES, EditLog

FOLDER = "edits"
COUNTS, LEXICON = "counts", "lexicon"
NAMES = ("form", "role", "gender")
Counts = dict[str, dict[str, int]]


def list_names(forms: tuple[str, ...]) -> dict[str, tuple[str, ...]]:
    """What the codes of each column of NAMES stand for."""
    return dict(zip(NAMES, (forms, ROLES, GENDERS), strict=True))


def name_log(folder: Path, block: Block) -> Path:
    """The file of a block's log in a scan's folder."""
    return folder / FOLDER / f"{block.name}.parquet"


def list_logs(folder: Path) -> dict[int, Path]:
    """The files of a scan's log by their block's number, in row order."""
    return {int(path.stem): path for path in sorted((folder / FOLDER).glob("*.parquet"))}


def write_log(path: Path, logs: list[EditLog], counts: Counts) -> None:
    """Write one block's log, given in pieces, and its counts."""
    logs = logs or [EditLog.empty()]
    batches = [_describe(log) for log in logs]
    metadata = {COUNTS: json.dumps(counts)}
    if logs[0].lexicon != PRONOUNS:
        metadata[LEXICON] = logs[0].lexicon.to_json()
    schema = batches[0].schema.with_metadata(metadata)
    table = pa.Table.from_batches(batches).cast(schema)
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    # Nothing is compressed or encoded twice: a log is written as fast as its block is scanned.
    pq.write_table(
        table, part, compression="NONE", use_dictionary=list(NAMES), write_statistics=["row"],
        row_group_size=max(1, len(table)),
    )  # fmt: skip
    part.replace(path)


def _describe(log: EditLog) -> pa.RecordBatch:
    """The columns of a piece, which stay where they lie."""
    columns = {
        "row": pa.array(log.row),
        "start": pa.array(log.start),
        "stop": pa.array(log.stop),
        "segment": pa.array(log.segment),
    }
    for name, words in list_names(log.lexicon.forms).items():
        codes = pa.array(getattr(log, name))
        columns[name] = pa.DictionaryArray.from_arrays(codes, [str(word) for word in words])
    for name in ("before", "after"):
        offsets, tokens = (pa.array(getattr(log, part)) for part in (f"{name}_offsets", name))
        columns[name] = pa.LargeListArray.from_arrays(offsets, tokens)
    fields = [pa.field(name, column.type, nullable=False) for name, column in columns.items()]
    return pa.record_batch(list(columns.values()), schema=pa.schema(fields))


def read_log(path: Path) -> EditLog:
    """Read the swaps that `write_log` wrote."""
    table = pq.read_table(path, use_threads=False).combine_chunks()
    named = table.schema.metadata.get(LEXICON.encode())
    lexicon = PRONOUNS if named is None else Lexicon.from_json(named.decode())
    if len(table) == 0:
        return EditLog.empty(lexicon)
    columns = {name: table.column(name).chunk(0) for name in table.column_names}
    tokens = {name: columns[name].flatten().to_numpy() for name in ("before", "after")}
    offsets = {name: columns[name].offsets.to_numpy() for name in tokens}
    plain = {name: columns[name].to_numpy() for name in ("row", "start", "segment")}
    codes = {
        name: _read_codes(columns[name], words) for name, words in list_names(lexicon.forms).items()
    }
    return EditLog(
        row=plain["row"], start=plain["start"], segment=plain["segment"],
        form=codes["form"], role=codes["role"], gender=codes["gender"],
        before_offsets=offsets["before"], after_offsets=offsets["after"],
        before=tokens["before"], after=tokens["after"], lexicon=lexicon,
    )  # fmt: skip


def _read_codes(column: pa.DictionaryArray, words: tuple[str, ...]) -> NDArray[np.int8]:
    """Codes in the order of `words`; Parquet may have numbered its dictionary otherwise."""
    order = [words.index(word) for word in column.dictionary.to_pylist()]
    codes: NDArray[np.int8] = np.array(order, np.int8)[column.indices.to_numpy()]
    return codes


def read_counts(path: Path) -> Counts:
    """Read the counts that `write_log` wrote: by reason, then by form."""
    counts: Counts = json.loads(pq.read_metadata(path).metadata[COUNTS.encode()])
    return counts
