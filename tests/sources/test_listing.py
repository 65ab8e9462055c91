"""The shards of a corpus, found among names."""

import pytest

from intervene.errors import InterveneError
from intervene.sources.remote.listing import find_entry, name_index
from intervene.sources.stream import choose_shards

SHARDS = [f"document-{number:05d}-of-00002.bin" for number in range(3)]


def test_shards_come_in_order_whatever_else_lies_there() -> None:
    names = ["README.md", *reversed(SHARDS), "other.bin", "document.idx"]
    assert choose_shards(names, "there") == SHARDS


def test_one_name_tells_those_of_the_others() -> None:
    assert choose_shards([SHARDS[1]], "there") == SHARDS


def test_the_only_bin_is_the_corpus() -> None:
    assert choose_shards(["rows.bin", "rows.idx"], "there") == ["rows.bin"]


def test_index_has_the_name_without_a_number() -> None:
    assert name_index(SHARDS) == "document.idx"
    assert name_index(["rows.bin"]) == "rows.idx"


@pytest.mark.parametrize(
    ("names", "told"),
    [
        ([SHARDS[0], SHARDS[2]], f"{SHARDS[1]}: this shard is missing"),
        (["a.bin", "b.bin"], "2 .bin files"),
        ([*SHARDS, "a-00000-of-00000.bin"], "in 2 corpora"),
        ([*SHARDS, "document-00000-of-00001.bin"], "in 2 corpora"),
        (["document.idx"], "no .bin file is listed"),
    ],
)
def test_incomplete_or_ambiguous_names_are_refused(names: list[str], told: str) -> None:
    with pytest.raises(InterveneError, match=f"^there.*{told}"):
        choose_shards(names, "there")


def test_address_of_a_bin_is_a_folder_and_a_name() -> None:
    assert find_entry("s3://bucket/rows/a.bin") == ("s3://bucket/rows", "a.bin")
    assert find_entry("s3://bucket/rows/") == ("s3://bucket/rows", None)
