"""The role decision against gold occurrences, classic errors and windows cut anywhere."""

import json
from pathlib import Path

import numpy as np
import pytest

from intervene.compiled import compiled
from intervene.errors import InterveneError
from intervene.rewriting.edge_words import UNREAD, tabulate_edges
from intervene.rewriting.lexicon import Role
from intervene.rewriting.role import (
    AFTER,
    BEFORE,
    choose_role,
    is_determiner,
    load_roles,
    rate_tokens,
)
from intervene.rewriting.rules import TOKEN
from intervene.rewriting.tokens import IDS, TokenTable
from roles.train import find_texts, main

HER, HIS = (Role.object, Role.determiner), (Role.determiner, Role.possessive)
TARGETS = {
    "her": {Role.object: "him", Role.determiner: "his"},
    "his": {Role.possessive: "hers", Role.determiner: "her"},
}
PROSE = (
    "“Where’s the map?” — asked Zoë… ‘I gave {} money on Sunday, and naïve Émile’s friends left.’"
)


@compiled
def rate_row(*arguments):  # type: ignore[no-untyped-def]
    """`rate_tokens`, callable from here."""
    return rate_tokens(*arguments)


@pytest.mark.parametrize(("form", "least", "count"), [("her", 0.97, 234), ("his", 0.99, 417)])
def test_gold_roles_are_met(shared: Path, form: str, least: float, count: int) -> None:
    right = []
    for line in (shared / "gold" / "ewt_gold.jsonl").read_text().splitlines():
        gold = json.loads(line)
        if gold["status"] == "ok" and gold["form"].lower() == form:
            before, after = gold["text"][: gold["start"]], gold["text"][gold["end"] :]
            role = choose_role(HER if form == "her" else HIS, before, after)
            right.append(TARGETS[form][role] == gold["target"].lower())
    print(f"{form}: {sum(right)} of {len(right)}, {100 * sum(right) / len(right):.2f}%")
    assert len(right) == count
    assert sum(right) / len(right) >= least


@pytest.mark.parametrize(
    "text",
    [
        "I gave [] money.",
        "We saw [] leave the house.",
        "It made [] cry.",
        "He told [] she was late.",
        "He talked about [] because of the news.",
        "I can help [] find a flat.",
        "They called [] yesterday.",
        "We watched [] dance.",
        "I asked [].",
        "They met [] at the station.",
        "I love [] so much!",
    ],
)
def test_her_is_the_object(text: str) -> None:
    before, after = text.split("[]")
    assert choose_role(HER, before, after) is Role.object


@pytest.mark.parametrize(
    "text",
    [
        "I like [] house.",
        "She lost [] keys again.",
        "We met [] mother and [sic] father.",
        "They talked about [] new job.",
        "He broke [] “heart”.",
        "She opened [] eyes.",
    ],
)
def test_her_is_the_determiner(text: str) -> None:
    before, after = text.split("[]")
    assert choose_role(HER, before, after) is Role.determiner


@pytest.mark.parametrize(
    ("text", "role"),
    [
        ("Everyone brings [] or her own cup.", Role.determiner),
        ("He knew [] every word.", Role.determiner),
        ("That was [] inaugural speech.", Role.determiner),
        ("It was [], not yours.", Role.possessive),
        ("It was no fault of []", Role.possessive),
        ("All that was [] to keep.", Role.possessive),
        ("She put her hand in [] and smiled.", Role.possessive),
        ("He sold [] canvases.", Role.determiner),
        ("The fault was [].", Role.possessive),
        ("The house is [], not mine.", Role.possessive),
        ("She is a friend of [].", Role.possessive),
    ],
)
def test_his_is_the_determiner_unless_nothing_follows(text: str, role: Role) -> None:
    before, after = text.split("[]")
    assert choose_role(HIS, before, after) is role


@pytest.mark.parametrize("role", list(Role))
def test_one_role_leaves_nothing_to_decide(role: Role) -> None:
    assert choose_role((role,), "", " house") is role


@pytest.mark.parametrize("possessive", [False, True])
def test_windows_and_strings_agree_wherever_the_cut_falls(possessive: bool) -> None:
    roles = HIS if possessive else HER
    data = (PROSE * 3).replace("{}", "her").encode()
    for at in range(len(data)):
        try:
            before, after = data[:at].decode(), data[at:].decode()
        except UnicodeDecodeError:
            continue
        expected = choose_role(roles, before, after) is Role.determiner
        for low in range(max(0, at - BEFORE - 5), max(0, at - BEFORE) + 1):
            for high in range(min(len(data), at + AFTER), min(len(data), at + AFTER + 5) + 1):
                window = np.frombuffer(data[low:high], np.uint8)
                start = at - low
                said = is_determiner(window, start, start, len(window), possessive, load_roles())
                assert said == expected, (before[-9:], after[:9])


@pytest.mark.parametrize("possessive", [False, True])
def test_nothing_beyond_the_limit_is_read(possessive: bool) -> None:
    data = PROSE.encode()
    for stop in range(len(data)):
        for limit in (stop, min(len(data), stop + 7), min(len(data), stop + AFTER)):
            said = {
                is_determiner(
                    np.frombuffer(data[:limit] + tail, np.uint8),
                    stop, stop, limit, possessive, load_roles(),
                )
                for tail in (b"", b"s" * 60, b" \xff\xe2\x80\x9d<|endoftext|>" * 4)
            }  # fmt: skip
            assert len(said) == 1


def test_the_mark_of_the_end_of_a_text_ends_it() -> None:
    for before, after in [("We met ", ""), ("", " house"), ("We met ", " ")]:
        marked = f"a<|endoftext|>{before}", f"{after}<|endoftext|>b"
        for roles in (HER, HIS):
            assert choose_role(roles, before, after) is choose_role(roles, *marked)


def make_texts(folder: Path) -> Path:
    """A list with one small text, which lies in the folder."""
    (folder / "tiny").mkdir()
    lines = [
        f"{who} gave {form} {what} and went home with the {place} things."
        for place in range(40)
        for who in ("Ann", "Bob")
        for form, what in [("him", "the keys"), ("his", "keys away"), ("theirs", ", and")]
    ]
    (folder / "tiny" / "story.txt").write_text("\n\n".join(lines))
    listed = folder / "texts.yaml"
    listed.write_text("tiny: {repository: someone/tiny, commit: abc, files: 'txt$'}\n")
    return listed


def test_training_twice_gives_the_same_bytes(tmp_path: Path) -> None:
    listed, models = make_texts(tmp_path), [tmp_path / "a.npz", tmp_path / "b.npz"]
    for model in models:
        main(["--texts", str(tmp_path), "--list", str(listed), "--model", str(model)])
    assert models[0].read_bytes() == models[1].read_bytes()
    assert np.load(models[0])["weights"].any()


def test_a_missing_text_is_named_with_its_repository(tmp_path: Path) -> None:
    listed = make_texts(tmp_path)
    with pytest.raises(InterveneError, match=r"tiny is missing.*someone/tiny"):
        find_texts(listed, tmp_path / "elsewhere")


@pytest.mark.parametrize("possessive", [False, True])
def test_tokens_say_what_their_bytes_say(neox: TokenTable, possessive: bool) -> None:
    """Rows of words, marks, capitals, blank lines and halves of characters, in any order."""
    rng = np.random.default_rng(0)
    texts = [" the", " inter", "vene", "ING", " A", "bc", "I", "'s", "\n", "\n\n", " ", "—", " “",
             "é", ",\"", "<", ">", "1", " 29", "_", "...", " Mc", "Donald", " her"]  # fmt: skip
    pieces = [np.array(neox.encode(text), np.uint16) for text in texts]
    pieces += [np.array([token], np.uint16) for token in (0, neox.encode("日")[0])]
    firsts, lasts = tabulate_edges(neox)
    tokens = np.zeros(IDS, TOKEN)
    tokens["offset"], tokens["size"] = neox.offsets[:-1], np.diff(neox.offsets)
    told = 0
    for _ in range(3000):
        picked = [pieces[pick] for pick in rng.integers(0, len(pieces), 24)]
        place = sum(map(len, picked[:12]))
        row = np.concatenate([*picked[:12], neox.encode(" her"), *picked[12:]]).astype(np.uint16)
        rated = rate_row(
            row, place, place + 1, 1, possessive, firsts, lasts, tokens, neox.data, load_roles()
        )
        left, right = neox.join(row[:place]) + b" ", neox.join(row[place + 1 :])
        text = np.frombuffer(bytearray(left + b"her" + right), np.uint8)
        start = len(left)
        said = is_determiner(text, start, start + 3, len(text), possessive, load_roles())
        assert rated in (UNREAD, said), picked
        told += rated != UNREAD
    assert told > 1000
