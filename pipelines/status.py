"""Status: how far every arm is, stage by stage, and what is missing."""

import dataclasses
import json
import shutil
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from intervene.errors import InterveneError
from intervene.experiment import Experiment
from intervene.housekeeping import is_held, list_drafts
from intervene.lineage import Store
from pipelines.attempt import State, read_attempt
from pipelines.stage import stage
from pipelines.sweep.board import Row, draw_board, measure_artefact, show_cell, show_size
from pipelines.sweep.queue import read_queue
from pipelines.sweep.task import STAGES
from pipelines.trial import Trial, list_names, list_trials

INCOMPLETE = 3
"""Exit code where something is left to do; a mistake's is 1."""
WATCH_SECONDS = 2.0
FLAGS = {"--json": "json=true", "--watch": "follow=true", "--tree": "tree=true"}


@dataclass(frozen=True)
class StatusExperiment(Experiment):
    """An experiment, of which paths and name count, and how its status is shown.

    Args:
        json: as one JSON object.
        follow: anew every two seconds, until nothing is left to do.
        tree: the artefacts too, each with its ancestors.
    """

    json: bool = False
    follow: bool = False
    tree: bool = False


def status(trial: Trial) -> None:
    """Print arms × stages of every name, or of the one that is given; then what is unfinished.

    Errors: SystemExit with 3 where something is left to do, or nothing was asked for yet.
    """
    experiment = trial.experiment
    assert isinstance(experiment, StatusExperiment)
    given = any(word.startswith("name=") for word in trial.overrides)
    while True:
        names = [experiment.name] if given else list_names(trial.store)
        board = {name: draw_names(trial, name) for name in names}
        rows = [row for drawn in board.values() for row in drawn]
        complete = bool(rows) and all(row.is_complete for row in rows)
        if experiment.json:
            print(json.dumps(describe_board(trial.store, board, complete=complete)))
        else:
            lines = show_board(trial.store, board)
            lines += show_tree(trial.store) if experiment.tree else []
            _print(lines, follow=experiment.follow)
        if complete or not experiment.follow:
            break
        time.sleep(WATCH_SECONDS)
    if not complete:
        sys.exit(INCOMPLETE)


def draw_names(trial: Trial, name: str) -> list[Row]:
    """The arms of a name as they stand; SLURM is asked only where an arm has a job."""
    trials = list_trials(trial.store, name)
    here = dataclasses.replace(trial.experiment.paths, store=trial.store.root)
    trials = [
        dataclasses.replace(t, experiment=dataclasses.replace(t.experiment, paths=here))
        for t in trials
    ]
    open_states = (State.waiting, State.running)
    attempts = [read_attempt(t, stage) for t in trials for stage in STAGES]
    queue: Mapping[str, str] | None = None
    if any(a and a.job and a.state in open_states for a in attempts):
        try:
            queue = read_queue()
        except InterveneError as problem:
            print(f"what SLURM knows is not in this: {problem}", file=sys.stderr)
    return draw_board(trials, queue)


def show_board(store: Store, board: Mapping[str, Sequence[Row]]) -> list[str]:
    """The table, with causes and missing commands below their arms, and a line of sums."""
    lines = [f"store {store.root}"]
    for name, rows in board.items():
        lines += ["", f"name={name}"]
        first = max((len(row.trial.label) for row in rows), default=0)
        cells = [[show_cell(stage, cell) for stage, cell in row.cells.items()] for row in rows]
        places = range(max(map(len, cells), default=0))
        widths = [max(len(row[p]) for row in cells if p < len(row)) for p in places]
        for row, shown in zip(rows, cells, strict=True):
            padded = [text.ljust(width) for text, width in zip(shown, widths, strict=False)]
            lines.append(f"  {row.trial.label.ljust(first)}  {'  '.join(padded)}".rstrip())
            lines += _explain(row)
        lines.append(f"  {count_stages(rows)}")
    for draft in list_drafts(store):
        held = is_held(store, draft.kind, draft.key)
        how = "is being built" if held else "was interrupted; its command goes on with it"
        lines.append(f"{draft.name} {how}")
    artefacts = store.artefacts()
    total = sum(map(measure_artefact, artefacts))
    free = shutil.disk_usage(store.root).free if store.root.exists() else 0
    lines.append(f"{len(artefacts):,} artefacts, {show_size(total)}; {show_size(free)} are free")
    return lines


def _explain(row: Row) -> list[str]:
    """Why an arm is not complete: the causes, and the command that goes on."""
    lines = []
    for stage_name, cell in row.cells.items():
        if cell.state is not State.done and cell.cause:
            log = f"; {cell.log}" if cell.log and cell.state is not State.waiting else ""
            lines.append(f"    {stage_name}: {cell.cause}{log}")
    lacking = row.lacking
    cell = row.cells[lacking] if lacking else None
    if cell and cell.state is not State.running and not (cell.cause or cell.log):
        lines.append(f"    missing: {row.trial.command(str(lacking))}")
    return lines


def count_stages(rows: Sequence[Row]) -> str:
    """`12 of 27 stages done, 2 running, 1 failed; 3 of 9 arms complete`."""
    states = [cell.state for row in rows for cell in row.cells.values()]
    parts = [f"{states.count(State.done)} of {len(states)} stages done"]
    parts += [f"{n} {state}" for state in State if state is not State.done
              and (n := states.count(state))]  # fmt: skip
    whole = sum(row.is_complete for row in rows)
    return f"{', '.join(parts)}; {whole} of {len(rows)} arms complete"


def describe_board(
    store: Store, board: Mapping[str, Sequence[Row]], *, complete: bool
) -> dict[str, Any]:
    """The board for programs; keys that do not apply are left out."""
    arms = [
        {
            "name": name,
            "label": row.trial.label,
            "digest": row.trial.digest,
            "complete": row.is_complete,
            "command": row.trial.command(row.lacking or "evaluate"),
            "stages": {
                stage_name: {k: v for k, v in dataclasses.asdict(cell).items() if v is not None}
                for stage_name, cell in row.cells.items()
            },
        }
        for name, rows in board.items()
        for row in rows
    ]
    drafts = [draft.name for draft in list_drafts(store)]
    total = sum(map(measure_artefact, store.artefacts()))
    return {"store": str(store.root), "complete": complete, "bytes": total,
            "unfinished": drafts, "arms": arms}  # fmt: skip


def show_tree(store: Store) -> list[str]:
    """Every artefact that nothing descends from, with its ancestors and sizes."""
    artefacts = store.artefacts()
    parents = {p.name for artefact in artefacts for p in store.ancestors(artefact)}
    sizes = {artefact.name: measure_artefact(artefact) for artefact in artefacts}
    leaves = [artefact for artefact in artefacts if artefact.name not in parents]
    tree = store.tree(leaves)
    return ["", *(f"  {line:<48} {show_size(sizes[line.split()[0]]):>10}" for line in tree)]


def _print(lines: Sequence[str], *, follow: bool) -> None:
    """Print lines; those that follow one another stand in the same place of a terminal."""
    if follow and sys.stdout.isatty():
        height = shutil.get_terminal_size().lines - 1
        cut = [*lines[: height - 1], f"… {len(lines) - height + 1} lines more"]
        lines = lines if len(lines) <= height else cut
        print("\x1b[2J\x1b[H", end="")
    print("\n".join(lines), flush=True)


main = stage(status, per_arm=False, schema=StatusExperiment, flags=FLAGS)

if __name__ == "__main__":
    main()
