"""The JavaScript that draws and sorts in the page: Vega and DataTables, from installed packages."""

import re
from functools import cache
from importlib import resources

import vl_convert

EXPORTS = re.compile(r"export\s*\{([^{}]*)\}\s*;?")


@cache
def read_vega() -> str:
    """Vega, Vega-Lite and Vega-Embed in one classic script, as vl-convert bundles them."""
    return _seal(vl_convert.javascript_bundle("window.vegaEmbed = vegaEmbed;"))


@cache
def read_datatables() -> tuple[str, str]:
    """DataTables as a module that leaves `window.DataTable`, and its style sheet.

    itables ships the bundle; its exports would reach nobody from within a page.
    """
    folder = resources.files("itables") / "html"
    script = (folder / "dt_bundle.js").read_text(encoding="utf-8")
    found = list(EXPORTS.finditer(script))
    names = dict(re.findall(r"(\w+) as (\w+)", found[-1][1])) if found else {}
    exported = {public: name for name, public in names.items()}
    assert "default" in exported, "itables exports DataTables in another way: pin the version"
    start, stop = found[-1].span()
    script = f"{script[:start]}window.DataTable={exported['default']};{script[stop:]}"
    return _seal(script), (folder / "dt_bundle.css").read_text(encoding="utf-8")


def _seal(script: str) -> str:
    """A script that cannot end the element that it stands in."""
    return re.sub(r"</(script)", r"<\\/\1", script, flags=re.IGNORECASE).replace("<!--", r"<\!--")
