"""The shuffle: numpy's own, value for value and draw for draw."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from intervene.sources import shuffle as module
from intervene.sources.shuffle import shuffle_like_numpy


@settings(max_examples=60, deadline=None)
@given(
    draws=st.sampled_from([20, 64, 1 << 16]),
    kind=st.sampled_from([np.int32, np.uint32, np.int64]),
    count=st.one_of(st.integers(0, 70), st.sampled_from([127, 128, 129, 1024, 1025, 5000])),
    seed=st.integers(0, 2**32 - 1),
)
def test_values_and_the_next_draw_are_those_of_numpy(
    draws: int, kind: type[np.int32], count: int, seed: int
) -> None:
    theirs = np.arange(count).astype(kind)
    ours = theirs.copy()
    numpys, own = np.random.RandomState(seed), np.random.RandomState(seed)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "DRAWS", draws)
        shuffle_like_numpy(ours, own, "values")
    numpys.shuffle(theirs)
    assert ours.tolist() == theirs.tolist()
    assert own.randint(2**31) == numpys.randint(2**31)
