"""Errors paragraphs of docstrings, as the API pages show them.

This project writes `Errors: InterveneError for …` as a paragraph whose further lines are indented.
Griffe, which reads docstrings for mkdocstrings, takes such lines for a box with a title. Here they
become a paragraph that begins with a bold word.
"""

import re
from typing import Any

import griffe

PARAGRAPH = re.compile(r"^Errors: (.*(?:\n[ \t]+\S.*)*)", re.MULTILINE)


class ErrorsParagraph(griffe.Extension):
    """Rewrites the docstring of everything that is documented."""

    def on_object(self, *, obj: griffe.Object, **_: Any) -> None:
        """Join the lines of each Errors paragraph."""
        if obj.docstring:
            obj.docstring.value = PARAGRAPH.sub(
                lambda found: "**Errors:** " + re.sub(r"\s+", " ", found[1]), obj.docstring.value
            )
