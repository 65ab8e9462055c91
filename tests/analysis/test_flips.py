import csv

from intervene.analysis.flips import find_flips, write_flips
from tests.analysis.planted import find


def turn(items, item: str, task: str = "winobias_pair_type1", shift: float = -3.0):
    """The table with one item's outcome turned round and its preference shifted."""
    mine = (items.task == task) & (items["item"] == item)
    items = items.copy()
    outcome = mine & (items.metric == "accuracy")
    items.loc[outcome, "value"] = 1 - items.loc[outcome, "value"]
    items.loc[mine & (items.metric == "preference"), "value"] += shift
    return items


def test_the_items_that_flipped_are_found_with_their_shift(bench):
    control = bench.items()
    bench.write(control)
    bench.write(turn(turn(control, "type1_003"), "type1_071", shift=5.0), rate=1.0)
    (flips,) = find_flips(find(bench))
    assert (flips.task, flips.items) == ("winobias_pair_type1", ["type1_071", "type1_003"])
    assert flips.shift.round(9).tolist() == [5.0, -3.0]
    own = control[(control.task == flips.task) & (control.metric == "accuracy")]
    before = own.set_index("item").value[flips.items].tolist()
    assert flips.after.tolist() == [not value for value in before]


def test_only_the_final_step_counts(bench):
    control = bench.items()
    for step in (280, 320):
        bench.write(control, step=step)
        bench.write(turn(control, "type1_003") if step == 280 else control, rate=1.0, step=step)
    assert find_flips(find(bench)) == []


def test_an_item_without_a_metric_in_nats_has_no_shift(bench, tmp_path):
    control = bench.items()
    control = control[~((control.task == "winobias_pair_type1") & (control.metric == "preference"))]
    bench.write(control)
    bench.write(turn(control, "type1_003"), rate=1.0)
    flips = find_flips(find(bench))
    write_flips(flips, {"winobias_pair_type1": {"type1_003": "a, b\nc"}}, tmp_path / "flips.csv")
    with (tmp_path / "flips.csv").open(newline="") as file:
        (row,) = csv.DictReader(file)
    assert (row["item"], row["shift_nats"], row["text"]) == ("type1_003", "", "a, b\nc")
    assert {row["control"], row["value"]} == {"0", "1"}
