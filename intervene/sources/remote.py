"""Rows that lie far away: only the bytes of a span are fetched, into the store."""

from intervene.data import Data
from intervene.errors import InterveneError
from intervene.lineage import Artefact, Store


def fetch_rows(store: Store, data: Data, span: range) -> Artefact:
    """The artefact that holds the rows of `span`, fetched if they are absent."""
    raise NotImplementedError


def explain_hub(problem: Exception, where: str, remedy: str) -> InterveneError:
    """What the Hub's client raised, as a user's error: its first line and what to do.

    The client raises many unrelated types (its own, the HTTP library's, OSError), all of which mean
    that the file is not to be had; anything else than those keeps its traceback as the cause.
    """
    line = str(problem).strip().splitlines()[0] if str(problem).strip() else type(problem).__name__
    return InterveneError(f"the Hugging Face Hub did not give it ({line[:160]})", where, remedy)
