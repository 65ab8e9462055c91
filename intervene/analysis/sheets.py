"""Tables as files: CSV for programs and LaTeX for papers."""

import csv
import re
from pathlib import Path

from intervene.analysis.tables import Table

SPECIAL = {
    "\\": r"\textbackslash{}", "{": r"\{", "}": r"\}", "$": r"\$", "&": r"\&", "%": r"\%",
    "#": r"\#", "_": r"\_", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "<": r"$<$",
    ">": r"$>$", "−": "$-$", "–": "--", "★": r"$\star$", "→": r"$\rightarrow$", "…": r"\ldots{}",
    "‘": "`", "’": "'", "“": "``", "”": "''", "∞": r"$\infty$", "·": r"$\cdot$", "×": r"$\times$",
    "α": r"$\alpha$", "²": r"\textsuperscript{2}",
}  # fmt: skip
"""What LaTeX reads otherwise, and how each is set by any of its engines."""
UNSAID = re.compile(r"[^\x20-\x7e\u00c0-\u017f]")
"""What is neither ASCII nor a Latin letter, both of which any engine sets."""
LONG = 40
"""Rows above which a table breaks over pages."""


def write_sheets(tables: dict[str, Table], folder: Path) -> None:
    """Write `<name>.csv` and `<name>.tex` of every table that has rows."""
    for name, table in tables.items():
        if table.rows:
            _write_csv(table, folder / f"{name}.csv")
            (folder / f"{name}.tex").write_text(set_table(table, name), encoding="utf-8")


def set_table(table: Table, name: str) -> str:
    """A LaTeX table for any engine, for the packages booktabs and, of many rows, longtable.

    Numbers are set flush right.
    """
    columns = "".join("r" if i in table.numbers else "l" for i in range(len(table.head)))
    head = " & ".join(map(escape, table.head)) + r" \\"
    rows = [" & ".join(map(escape, row)) + r" \\" for row in table.rows]
    title = rf"\caption{{{escape(table.caption)}}}\label{{tab:{name}}}"
    if len(rows) > LONG:
        start = [rf"\begin{{longtable}}{{{columns}}}", rf"{title}\\", r"\toprule", head,
                 r"\midrule", r"\endfirsthead", r"\toprule", head, r"\midrule",
                 r"\endhead"]  # fmt: skip
        stop = [r"\bottomrule", r"\end{longtable}"]
    else:
        start = [r"\begin{table}", title, rf"\begin{{tabular}}{{{columns}}}", r"\toprule", head,
                 r"\midrule"]  # fmt: skip
        stop = [r"\bottomrule", r"\end{tabular}", r"\end{table}"]
    packages = "% needs \\usepackage{booktabs}" + (", longtable" if len(rows) > LONG else "")
    return "\n".join([packages, *start, *rows, *stop, ""])


def escape(text: str) -> str:
    """A text as LaTeX sets it; a character that it has no name for becomes `?`."""
    return UNSAID.sub("?", "".join(SPECIAL.get(character, character) for character in text))


def _write_csv(table: Table, path: Path) -> None:
    """Cells as the page has them, with plain minus signs, and empty where there is no value."""
    with path.open("w", newline="", encoding="utf-8") as file:
        sheet = csv.writer(file, lineterminator="\n")
        sheet.writerow(table.head)
        sheet.writerows([_clean(cell) for cell in row] for row in table.rows)


def _clean(cell: str) -> str:
    return "" if cell == "–" else cell.replace("−", "-")
