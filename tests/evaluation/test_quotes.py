"""What items ask, as the store keeps it."""

from pathlib import Path

from intervene.evaluation.quotes import FOLDER, note_quotes, quote_items, recall_quotes
from tests.evaluation.restatement import load_tasks


def test_items_are_quoted_with_the_stereotypical_choice_marked(made: Path) -> None:
    names = ["winobias_pair_type1", "winobias_slot_type1", "crows_pairs_english_gender"]
    tasks = load_tasks(names, made)
    pair, slot, crows = (quote_items(tasks[name]) for name in names)
    item, text = next(iter(pair.items()))
    masculine, feminine = text.split("\n")
    assert sum("(stereotypical)" in line for line in (masculine, feminine)) == 1
    assert slot[item].count("\n– ") == 2
    assert all(text.split("\n")[0].endswith("(stereotyping)") for text in crows.values())
    assert set(pair) == {doc["item"] for doc in tasks[names[0]].eval_docs}


def test_notes_are_kept_by_digest_and_never_replaced(tmp_path: Path) -> None:
    note_quotes(tmp_path, {"a": {"1": "first"}}, {"a": "d1"})
    note_quotes(tmp_path, {"a": {"1": "second"}}, {"a": "d1"})
    assert recall_quotes(tmp_path, {"a": "d1", "b": "d2"}) == {"a": {"1": "first"}}
    assert recall_quotes(tmp_path, {"a": "d2"}) == {}
    assert [path.name for path in (tmp_path / FOLDER).iterdir()] == ["d1.json"]
