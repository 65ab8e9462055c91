"""Two tables contrasted by themselves say what the report says; other tasks have estimands."""

import numpy as np
import pandas as pd
import pytest

from intervene.analysis.curve import gather
from intervene.analysis.estimands import ESTIMANDS, SECTIONS, list_estimands
from intervene.analysis.paired import contrast
from intervene.errors import InterveneError
from tests.analysis.planted import find, plant


def test_numbers_are_those_of_the_report(bench):
    bench.write_trial(rates=(1.0,), steps=(320,))
    findings = find(bench, resamples=300)
    tables = {r.arm: r.table() for r in gather(bench.written) if not r.base}
    (arm,) = set(tables) - {"control"}
    found = contrast(tables[arm], tables["control"], resamples=300).set_index("estimand")
    final = {c.estimand.name: c for c in findings.contrasts if c.final}
    assert set(found.index) == set(final)
    for name, c in final.items():
        row, d = found.loc[name], c.difference
        assert (row.n, row.clusters, row.section) == (c.n, c.clusters, c.estimand.section)
        wanted = [c.arm.value, c.control.value, d.value, d.low, d.high, c.p]
        mine = [row.arm, row.control, row.difference, row.low, row.high, row.p]
        assert mine == pytest.approx(wanted, rel=1e-12, abs=1e-12)


def test_a_task_that_no_estimand_names_has_one_per_metric(bench):
    items = plant(bench.items(), "mine", "preference", 0.5, stereotypes=("female", "male"))
    items = plant(items, "mine_too", "accuracy", 0.5, share=True)
    bench.write(items)
    readings = [reading.items for reading in gather(bench.written)]
    others = list_estimands(readings)[len(ESTIMANDS) :]
    assert [(e.name, e.symbol, e.unit) for e in others] == [
        ("mine_preference", "G", "nats"),
        ("mine_preference_association", "A", "nats"),
        ("mine_too_accuracy", "", "share"),
    ]
    assert {e.section for e in others} == {"other"} <= set(SECTIONS)
    assert not any(e.endpoint for e in others)


def test_without_other_tasks_there_are_no_other_estimands(bench):
    bench.write_trial()
    readings = [reading.items for reading in gather(bench.written)]
    assert list_estimands(readings) == ESTIMANDS


def spoil(table: pd.DataFrame, how: str) -> pd.DataFrame:
    if how == "column":
        return table.drop(columns="cluster")
    if how == "finite":
        return table.assign(value=np.where(table.index == 3, np.nan, table.value))
    if how == "twice":
        return pd.concat([table, table.iloc[:1]])
    if how == "differ":
        return table.iloc[1:]
    return table.assign(task="other_" + table.task)


@pytest.mark.parametrize(
    ("how", "told"),
    [
        ("column", "no column cluster"),
        ("finite", "1 values are not finite"),
        ("twice", "is there twice"),
        ("differ", "items of .* differ"),
        ("none", "nothing that both tables hold"),
    ],
)
def test_tables_that_do_not_pair_are_refused(bench, how, told):
    table = bench.items()
    with pytest.raises(InterveneError, match=told):
        contrast(spoil(table, how), table)
