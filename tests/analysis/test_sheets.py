import csv

from intervene.analysis.sheets import LONG, escape, set_table, write_sheets
from intervene.analysis.tables import Table

TABLE = Table("Shares & means", ("a_b", "in %"), [("x_1 ★", "−0.5"), ("50%", "–")], range(1, 2))


def test_what_latex_reads_otherwise_is_escaped():
    assert escape("a_b & 50% #1 {x} −0.5 [–] ‘she’ ★ λ") == (
        r"a\_b \& 50\% \#1 \{x\} $-$0.5 [--] `she' $\star$ ?"
    )


def test_a_short_table_floats_and_a_long_one_breaks_over_pages():
    short = set_table(TABLE, "t")
    assert r"\begin{tabular}{lr}" in short
    assert r"\caption{Shares \& means}\label{tab:t}" in short
    long = set_table(Table("t", ("a",), [("1",)] * (LONG + 1), range(0)), "t")
    assert r"\begin{longtable}{l}" in long
    assert long.count(r"\toprule") == 2  # of the first page and of the others


def test_csv_has_plain_minus_signs_and_empty_cells(tmp_path):
    write_sheets({"t": TABLE, "none": Table("", ("a",), [], range(0))}, tmp_path)
    with (tmp_path / "t.csv").open(newline="") as file:
        assert list(csv.reader(file)) == [["a_b", "in %"], ["x_1 ★", "-0.5"], ["50%", ""]]
    assert {path.name for path in tmp_path.iterdir()} == {"t.csv", "t.tex"}
