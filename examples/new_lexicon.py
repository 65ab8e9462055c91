"""Words for people swapped in rows in memory: `python examples/new_lexicon.py`."""

import numpy as np

from intervene import Arm, Direction, Length, Lexicon, make_toy, rewrite

PAIRS = [
    ("father", "mother", "parent"),
    ("widower", "widow", "survivor"),
    ("king", "queen", "ruler"),
]
END = "<|endoftext|>"
TEXT = f"{END}The King asked every widow, and her father, about the king/queen question.{END * 9}"

_, tokenizer = make_toy(1)
rows = np.array([tokenizer.encode(TEXT, add_special_tokens=False).ids], np.uint16)
for direction in (Direction.swap, Direction.neutral):
    arm = Arm(direction, length=Length.shift)  # here the rows may change their length
    rewritten, edits = rewrite(
        rows, tokenizer=tokenizer, arm=arm, lexicon=Lexicon.from_pairs(PAIRS)
    )
    print(f"{direction}: {tokenizer.decode(rewritten[0].tolist())}")
    print(edits.table(tokenizer)[["form", "before", "after"]].to_string(index=False))
