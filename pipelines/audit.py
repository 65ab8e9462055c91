"""Audit: count the pronouns of sampled rows by what became of them, and sample some to judge."""

from dataclasses import dataclass

from intervene.errors import InterveneError
from intervene.experiment import Experiment
from intervene.rewriting.audit import audit_rows, sample_rows, show_counts, write_counts
from intervene.rewriting.jobs import find_lexicon
from intervene.rewriting.scan import open_scanner
from intervene.rewriting.sheet import Line, measure_precision, read_sheet, write_sheet
from intervene.sources.source import open_source
from pipelines.stage import stage
from pipelines.trial import Trial


@dataclass(frozen=True)
class Sampling:
    """What is audited.

    Args:
        rows: rows of the stretch, drawn by a keyed hash; all if it has no more.
        per: pronouns on the sheet of every form and role, and of every form and guard.
        seed: names both draws.
    """

    rows: int = 1000
    per: int = 20
    seed: int = 0

    def __post_init__(self) -> None:
        for key, least in (("rows", 1), ("per", 1), ("seed", 0)):
            if getattr(self, key) < least:
                raise InterveneError(
                    f"need {least} or more, got {getattr(self, key)}", f"audit.{key}", "raise it"
                )


@dataclass(frozen=True)
class AuditExperiment(Experiment):
    """An experiment and what of it is audited."""

    audit: Sampling = Sampling()


def audit(trial: Trial) -> None:
    """Sum up the judgements on the sheet if there are any; write the counts, and the sheet if not.

    Errors: InterveneError for a sheet that was judged and holds another sample.
    """
    experiment = trial.experiment
    assert isinstance(experiment, AuditExperiment)
    chosen, folder = experiment.audit, experiment.paths.runs / experiment.name / "audit"
    sheet = folder / "sample.tsv"
    lines = read_sheet(sheet) if sheet.exists() else []
    is_judged = any(line.judgement for line in lines)
    if is_judged:
        print("\n".join(show_precision(lines)))
    source, span = open_source(trial.store, experiment.data), experiment.data.rows
    scanner = open_scanner(source.tokenizer, experiment.guards, find_lexicon(experiment))
    rows = sample_rows(span, chosen.rows, chosen.seed)
    found = audit_rows(scanner, source.rows, rows, chosen.per, chosen.seed)
    if is_judged and sorted(map(identify, lines)) != sorted(map(identify, found.lines)):
        raise InterveneError(
            "holds judgements of another sample, and is left as it is",
            str(sheet),
            "move it aside, or audit as you did for it",
        )
    folder.mkdir(parents=True, exist_ok=True)
    write_counts(folder / "counts.csv", found.counts)
    what = "all" if len(rows) == len(span) else f"seed {chosen.seed}"
    print(f"{len(rows):,} of {len(span):,} rows of the stretch ({what})")
    print("\n".join(show_counts(found.counts, scanner.forms)))
    print(f"counts: {folder / 'counts.csv'}")
    if not is_judged:
        write_sheet(sheet, found.lines)
        print(f"sheet: {sheet}, {len(found.lines):,} to judge: y or n in its last column")


def identify(line: Line) -> tuple[int, int, str]:
    """Which decision a line of the sheet is about."""
    return line.row, line.token, line.reason


def show_precision(lines: list[Line]) -> list[str]:
    """The judgements as a table with 95% intervals."""
    found = measure_precision(lines)
    judged = sum(precision.judged for precision in found)
    shown = [f"{judged:,} of {len(lines):,} judged; right, with Wilson's 95% interval:"]
    for p in found:
        rate = f"{p.share:>7.1%} [{p.low:.1%}, {p.high:.1%}]"
        shown.append(f"{p.form:<8} {p.what:<11} {p.right:>5,} of {p.judged:<5,} {rate}")
    return [*shown, ""]


main = stage(audit, per_arm=False, schema=AuditExperiment)

if __name__ == "__main__":
    main()
