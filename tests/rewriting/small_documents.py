"""Small sources of documents with their scans and corpora, and what their rows must be."""

import dataclasses
import itertools
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from intervene.arm import Arm, Direction, Length, Unit
from intervene.data import Data, Order
from intervene.experiment import Experiment
from intervene.lineage import Artefact, Store
from intervene.parallel import Form
from intervene.rewriting import blocks
from intervene.rewriting.corpus import obtain_corpus, obtain_scan
from intervene.rewriting.document_scan import BETWEEN
from intervene.rewriting.edits import list_logs, read_log
from intervene.rewriting.jobs import find_lexicon
from intervene.rewriting.scan import open_scanner
from intervene.rewriting.swap import EditLog
from intervene.rewriting.tokens import TokenTable
from intervene.sources.backend import open_rows
from intervene.sources.documents import DocumentRows
from intervene.sources.index import read_index, write_index
from intervene.sources.source import Source, open_source
from intervene.stretch import Stretch
from tests.rewriting.conftest import SENTENCES
from tests.rewriting.oracle import splice
from tests.rewriting.small_corpus import ROOT, build_experiment

ROW_TOKENS, ROWS_PER_STEP = 65, 8
ARM = Arm(Direction.swap, 1.0, Unit.document, 3, length=Length.reindex)


def write_documents(folder: Path, table: TokenTable, documents: Sequence[Sequence[int]]) -> Path:
    """`documents.bin` and `.idx` beside a copy of their tokenizer."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "documents.bin"
    np.array(list(itertools.chain(*documents)), np.uint16).tofile(path)
    write_index(path.with_suffix(".idx"), np.array([len(d) for d in documents], np.int32))
    table.tokenizer.save(str(folder / "tokenizer.json"))
    return path


def read_documents(folder: Path) -> list[list[int]]:
    """The documents of a corpus's `documents.bin`, as its `.idx` delimits them."""
    index = read_index(folder / "documents.idx")
    tokens = np.fromfile(folder / "documents.bin", np.uint16)
    return [document.tolist() for document in np.split(tokens, np.cumsum(index.sizes)[:-1])]


def draw_documents(table: TokenTable, count: int, seed: int = 1) -> list[list[int]]:
    """Documents of all kinds: empty, short, longer than many rows, without or with several ends."""
    rng, documents = np.random.default_rng(seed), []
    for number in range(count):
        text = " ".join(rng.choice(SENTENCES, 60 if number == 5 else rng.integers(1, 5)))
        tokens = table.encode(text)
        if number % 7 == 3:
            tokens = []
        elif number % 5 == 2:
            tokens = [*tokens, 0, *table.encode("She sold his boat, and he hers."), 0]
        elif number % 4:
            tokens = [*tokens, 0]
        documents.append(tokens)
    return documents


def describe(
    path: Path,
    store: Path,
    steps: tuple[int, int],
    arm: Arm = ARM,
    iterations: int = 12,
    row_tokens: int = ROW_TOKENS,
    rows_per_step: int = ROWS_PER_STEP,
    **corpus: Any,
) -> Experiment:
    """An experiment on documents."""
    tokenizer, order = str(path.with_name("tokenizer.json")), Order(iterations, 1234)
    stretch, form = Stretch(*steps), Form(corpus.pop("form", Form.materialised))
    data = Data(
        "documents", str(path), None, None, tokenizer, row_tokens, rows_per_step, stretch, None,
        order,
    )  # fmt: skip
    experiment = build_experiment(store, stretch, form=form, **corpus)
    return dataclasses.replace(experiment, data=data, intervention=arm)


@dataclasses.dataclass(frozen=True)
class Built:
    """What an experiment on documents comes to."""

    experiment: Experiment
    source: Source
    scan: Artefact
    corpus: Artefact | None

    @property
    def rows(self) -> DocumentRows:
        assert isinstance(self.source.rows, DocumentRows)
        return self.source.rows

    @property
    def numbers(self) -> list[int]:
        """The documents that were scanned."""
        numbers: list[int] = np.load(self.scan.path / "documents.npy").tolist()
        return numbers

    @property
    def log(self) -> EditLog:
        return EditLog.join([EditLog.empty(), *map(read_log, list_logs(self.scan.path).values())])

    @property
    def facts(self) -> dict[str, Any]:
        assert self.corpus is not None
        return self.corpus.facts

    def read(self) -> NDArray[np.uint16]:
        """The corpus's rows, through `open_rows`."""
        assert self.corpus is not None
        path = self.corpus.path / "rows.bin"
        data = self.experiment.data
        held = open_rows(path if path.exists() else self.corpus.path, data.row_tokens)
        return held.read(0, len(data.rows))

    def read_source(self) -> NDArray[np.uint16]:
        span = self.experiment.data.rows
        return self.source.rows.read(span.start, span.stop)


def build(experiment: Experiment, block_tokens: int = 2000) -> Built:
    """Scan and corpus."""
    blocks.BLOCK_BYTES = 2 * block_tokens
    store = Store(experiment.paths.store)
    source = open_source(store, experiment.data)
    scan = obtain_scan(store, experiment, source)
    return Built(experiment, source, scan, obtain_corpus(store, experiment, source, scan))


def build_arm(built: Built, **changes: Any) -> Built:
    """The same documents for another arm, in the same store."""
    arm = dataclasses.replace(built.experiment.intervention, **changes)
    return build(dataclasses.replace(built.experiment, intervention=arm))


def start_build(
    path: Path, store: Path, steps: tuple[int, int], block_tokens: int, **corpus: Any
) -> subprocess.Popen[str]:
    """`build` in a process of its own."""
    code = (
        "from pathlib import Path; from tests.rewriting.small_documents import build, describe; "
        f"build(describe(Path({str(path)!r}), Path({str(store)!r}), {steps}, **{corpus!r}), "
        f"{block_tokens})"
    )
    return subprocess.Popen(
        [sys.executable, "-c", code], cwd=ROOT, stderr=subprocess.PIPE, text=True
    )


class Oracle:
    """What the rows must be: every document is scanned alone, spliced, and read token by token.

    Args:
        built: the source, guards and arm count; its scan and corpus are not looked at.
        arm: another arm, or None.
    """

    def __init__(self, built: Built, arm: Arm | None = None) -> None:
        self.rows, self.arm = built.rows, arm or built.experiment.intervention
        self.experiment = dataclasses.replace(built.experiment, intervention=self.arm)
        lexicon = find_lexicon(self.experiment)
        self.scanner = open_scanner(built.source.tokenizer, self.experiment.guards, lexicon)
        self.known: dict[int, tuple[list[int], list[int]]] = {}

    def scan(self, number: int) -> EditLog:
        """The log of one document, alone between ends of document."""
        rim = np.zeros(BETWEEN, np.uint16)
        tokens = np.concatenate([rim, self.rows.documents.read(number), rim])
        log, _ = self.scanner.scan_rows(tokens[None], number)
        return dataclasses.replace(log, start=log.start - BETWEEN, segment=log.segment - BETWEEN)

    def rewrite(self, number: int) -> tuple[list[int], list[int]]:
        """A document's new tokens, and where each of the source's tokens, and its stop, went."""
        if number not in self.known:
            tokens, log = self.rows.documents.read(number), self.scan(number)
            chosen = np.flatnonzero(log.select(self.arm)).tolist()
            place, moved = [], 0
            swaps = {log[index].start: log[index] for index in chosen}
            at = 0
            while at < len(tokens):
                swap = swaps.get(at)
                size = 1 if swap is None else len(swap.before)
                same = swap is None or len(swap.after) == size
                place += [at + moved + (step if same else 0) for step in range(size)]
                moved += 0 if swap is None else len(swap.after) - size
                at += size
            self.known[number] = (splice(tokens, log, chosen), [*place, at + moved])
        return self.known[number]

    def read(self, row: int) -> list[int]:
        """One training row."""
        places, starts = self.rows.starts(row, row + 1)
        place, start, found = int(places[0]), int(starts[0]), []
        while len(found) < self.rows.row_tokens and place < len(self.rows.doc_idx):
            tokens, moved = self.rewrite(int(self.rows.doc_idx[place]))
            found += tokens[moved[start] :]
            place, start = place + 1, 0
        return (found + [0] * self.rows.row_tokens)[: self.rows.row_tokens]

    def read_all(self) -> NDArray[np.uint16]:
        """The rows of the stretch."""
        return np.array([self.read(row) for row in self.experiment.data.rows], np.uint16)
