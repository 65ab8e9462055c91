"""Words as numbers, so that compiled code can look them up: 64-bit FNV-1a of lower-case bytes."""

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from intervene.compiled import compiled

_BASIS, _PRIME = np.uint64(0xCBF29CE484222325), np.uint64(0x100000001B3)


@compiled
def hash_bytes(text, start, stop):  # type: ignore[no-untyped-def]
    """The hash, uint64, of bytes [start, stop) with ASCII letters in lower case."""
    state = _BASIS
    for place in range(start, stop):
        byte = text[place]
        if ord("A") <= byte <= ord("Z"):
            byte |= 0x20
        state = (state ^ np.uint64(byte)) * _PRIME
    return state


def hash_words(words: Iterable[str]) -> NDArray[np.uint64]:
    """uint64 [words], the hash of each word as `hash_bytes` gives it."""
    texts = [np.frombuffer(word.encode(), np.uint8) for word in words]
    return np.array([hash_bytes(text, 0, len(text)) for text in texts], np.uint64)
