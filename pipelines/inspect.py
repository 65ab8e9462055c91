"""Inspect: the rows of a corpus, what an arm makes of them, and what they hold."""

import re
import signal
import sys
from collections.abc import Iterator
from dataclasses import replace

from hydra.core.override_parser.types import Quote, QuotedString

from intervene.arm import Arm
from intervene.errors import InterveneError
from intervene.rewriting.census import show_census, take_census, write_census
from intervene.rewriting.corpus import demand_corpus
from intervene.rewriting.jobs import find_lexicon
from intervene.rewriting.lexicon import Lexicon
from intervene.rewriting.scan import open_scanner
from intervene.rewriting.tokens import tabulate
from intervene.sources.search import Spelling, encode_text, search_rows
from intervene.sources.source import TOY, Source, open_source
from intervene.stretch import Stretch
from pipelines.pages import draw_pages, explain, list_marks, show_page, turn_page
from pipelines.readout import (
    describe_place,
    describe_row,
    find_context,
    print_json,
    print_lines,
    show_found,
    show_row,
)
from pipelines.stage import stage
from pipelines.trial import Trial
from pipelines.view import InspectExperiment

KEYS = ("step=", "row=", "search=", "count=", "json=", "inspect.")
"""Overrides that no other stage knows."""


def inspect(trial: Trial) -> None:
    """Show what is asked for; by default, rows before and after."""
    experiment = trial.experiment
    assert isinstance(experiment, InspectExperiment)
    if experiment.count is not None:
        count_pronouns(trial, experiment)
    elif experiment.search is not None:
        search(trial, experiment, experiment.search)
    elif experiment.rows and not any(re.match(r"[+~]*intervention\b", o) for o in trial.overrides):
        show_rows(trial, experiment)
    else:
        compare_rows(trial, experiment)


def show_rows(trial: Trial, experiment: InspectExperiment) -> None:
    """Print the named rows as they stand."""
    for row, source in open_named(trial, experiment):
        table, tokens = tabulate(source.tokenizer), source.rows.read(row, row + 1)[0]
        if experiment.json:
            print_json(describe_row(table, tokens, row, experiment.data))
        else:
            print_lines(show_row(table, tokens, row, experiment.data))


def compare_rows(trial: Trial, experiment: InspectExperiment) -> None:
    """Print rows as the arm rewrites them, named or drawn, and a legend with counts.

    Errors: InterveneError for rows drawn of which nothing changes or could, a share whose corpus,
    which has the rate solved from it, is not built, and rows of documents that are rewritten whole.
    """
    if experiment.data.order is not None:
        raise InterveneError(
            "before and after is shown of rows alone, and documents are rewritten whole here",
            "data.order",
            "name a row and no intervention, or look at the corpus's documents.bin and rows.bin",
        )
    view, data, arm = experiment.inspect, experiment.data, settle_arm(trial)
    lexicon = find_lexicon(experiment)
    if experiment.rows:
        pages = [
            turn_page(open_scanner(s.tokenizer, experiment.guards, lexicon), s.rows, row, arm)
            for row, s in open_named(trial, experiment)
        ]
    else:
        source = open_steps(trial, experiment.steps)
        scanner = open_scanner(source.tokenizer, experiment.guards, lexicon)
        span = experiment.steps.rows(data.rows_per_step)
        pages = draw_pages(scanner, source.rows, span, arm, view.number, view.seed)
    for page in pages:
        if experiment.json:
            described = describe_row(page.table, page.tokens, page.account.row, data)
            print_json(described | {"pronouns": list_marks(page)})
        else:
            print_lines(show_page(page, data, whole=view.whole))
    if not experiment.json:
        print_lines(explain(pages, arm))


def settle_arm(trial: Trial) -> Arm:
    """The arm, with the rate that its corpus recorded in a share's place."""
    arm = trial.experiment.intervention
    if arm.share is None:
        return arm
    source = open_source(trial.store, trial.experiment.data)
    overrides = tuple(o for o in trial.overrides if not o.startswith(KEYS))
    command = replace(trial, overrides=overrides).command("rewrite")
    corpus = demand_corpus(trial.store, trial.experiment, source, command)
    return replace(arm, share=None, rate=corpus.facts["rate"])


def search(trial: Trial, experiment: InspectExperiment, text: str) -> None:
    """Print the places where rows hold a text, and how many there are."""
    encode_text(text)  # may refuse, before any row is read
    data, limit = experiment.data, experiment.inspect.limit
    source = open_steps(trial, experiment.steps)
    table, span = tabulate(source.tokenizer), experiment.steps.rows(data.rows_per_step)
    found = shown = 0
    for places in search_rows(source.rows, span, Spelling(table.data, table.offsets), text):
        found += len(places)
        for place in places[: limit - shown]:
            row = int(place[0])
            context = find_context(table, source.rows.read(row, row + 1)[0], place, text)
            if experiment.json:
                print_json(describe_place(context, data))
            else:
                print_lines(show_found(context, data))
        shown = min(found, limit)
    if experiment.json:
        print_json({"search": text, "rows": len(span), "found": found, "shown": shown})
        return
    rest = f", the first {shown:,} are shown (inspect.limit)" if shown < found else ""
    steps = f"[{experiment.steps.start:,}, {experiment.steps.stop:,})"
    print(f"{found:,} places in steps {steps}, {len(span):,} rows{rest}")


def count_pronouns(trial: Trial, experiment: InspectExperiment) -> None:
    """Count the pronouns of every step; write the table and the figure."""
    from intervene.analysis.trend import draw_census, save_census  # seconds, for this mode alone

    data, folder = experiment.data, experiment.paths.runs / experiment.name / "inspect"
    source = open_steps(trial, experiment.steps)
    scanner = open_scanner(source.tokenizer, experiment.guards, Lexicon.of(experiment.lexicon))
    workers = experiment.corpus.workers
    counts = take_census(scanner, source.rows, experiment.steps, data.rows_per_step, workers)
    folder.mkdir(parents=True, exist_ok=True)
    table, figure = folder / "pronouns.csv", folder / "pronouns.png"
    write_census(table, counts)
    feminine = counts[0].feminine
    masculine = tuple(form for form in counts[0].by_form if form not in feminine)
    save_census(draw_census(table, [masculine, feminine], experiment.name), figure)
    if experiment.json:
        for count in counts:
            print_json(count.describe())
        return
    print_lines([*show_census(counts), f"table: {table}", f"figure: {figure}"])


def open_named(trial: Trial, experiment: InspectExperiment) -> Iterator[tuple[int, Source]]:
    """The named rows, each with a source that can read it; a step is opened once."""
    sources: dict[int, Source] = {}
    for row in experiment.rows:
        step = row // experiment.data.rows_per_step
        if step not in sources:
            sources[step] = open_steps(trial, Stretch(step, step + 1))
        yield row, sources[step]


def open_steps(trial: Trial, steps: Stretch) -> Source:
    """The corpus with these steps: of one that is far away, only they are fetched.

    The toy is as long as its stretch, and other rows than those if it were cut.
    """
    data = trial.experiment.data
    narrowed = data if data.name == TOY else replace(data, stretch=steps, heldout=None)
    if data.name == TOY and steps.stop > data.stretch.stop:
        raise InterveneError(
            f"step {steps.start:,} is past the toy's steps [0, {data.stretch.stop:,})",
            "step",
            "name an earlier one, or raise data.stretch.stop",
        )
    try:
        return open_source(trial.store, narrowed)
    except InterveneError as problem:
        if problem.where != "data.stretch.stop" or steps == data.stretch:
            raise
        where = "row" if trial.experiment.row else "step"
        raise InterveneError(problem.what, where, f"name an earlier {where}") from problem


def read_command(words: list[str]) -> list[str]:
    """The command line for Hydra: what follows `search=` is plain text."""
    read = []
    for word in words:
        key, given, text = word.partition("=")
        if key == "search" and given:
            escaped = re.sub(r"(\\*)\$\{", r"\1\1\\${", text)
            read.append(f"search={QuotedString(escaped, Quote.single).with_quotes()}")
        else:
            read.append(word)
    return read


def main() -> None:
    """Run the stage."""
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)  # a pager that is closed early is no mistake
    sys.argv[1:] = read_command(sys.argv[1:])
    stage(inspect, schema=InspectExperiment, flags={"--json": "json=true"})()


if __name__ == "__main__":
    main()
