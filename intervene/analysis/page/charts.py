"""The page's charts as Vega-Lite specifications, which the page fills with the rows chosen.

Every row brings its own colour (a CSS variable, so that light and dark pages share a chart), shape
and texts for hovering; the page sets the rows, the width of a panel and how many stand in a line.
"""

from typing import Any

Spec = dict[str, Any]

TIPS = (
    ("model", "model"), ("arm", "arm"), ("at", "at"), ("measure", "measure"), ("own", "own value"),
    ("change", "arm − control"), ("interval", "95% interval"), ("band", "95% band, all steps"),
    ("items", "items (clusters)"), ("detectable", "smallest detectable"), ("p", "p, or anomaly"),
)  # fmt: skip
"""What hovering shows: the fields of a row, and their names."""
HEIGHT = 200
STRIP = 11
"""Pixels of an arm's line in a chart of dots and intervals."""
CONFIG: Spec = {
    "background": "transparent",
    "font": "system-ui, sans-serif",
    "view": {"stroke": None},
    "axis": {
        "labelColor": "var(--muted)", "titleColor": "var(--ink)", "gridColor": "var(--rule)",
        "domainColor": "var(--muted)", "tickColor": "var(--muted)", "labelFontSize": 11,
        "titleFontSize": 11, "titleFontWeight": "normal", "tickSize": 3, "gridWidth": 0.6,
    },
    "header": {
        "labelColor": "var(--ink)", "labelFontSize": 12, "labelFontWeight": "bold",
        "labelAnchor": "start", "title": None,
    },
    "facet": {"spacing": 18},
}  # fmt: skip


def list_charts() -> dict[str, Spec]:
    """Every kind of chart by name, without rows."""
    return {
        "curves": _panel(_layer_curves()),
        "doses": _panel(_layer_doses()),
        "sizes": {"height": HEIGHT + 60, **_layer_sizes()},
        "forest": _panel(_layer_forest(), height={"step": STRIP, "for": "offset"}),
        "published": _panel(_layer_curves())
        | {"resolve": {"scale": {"x": "independent", "y": "independent"}}},
    }


def _panel(layers: Spec, height: Any = HEIGHT) -> Spec:
    """Small multiples, a panel per model, on shared axes."""
    return {
        "facet": {"field": "panel", "type": "nominal", "title": None,
                  "sort": {"field": "place", "op": "min"}},
        "spec": {"height": height, **layers},
    }  # fmt: skip


def _layer_curves() -> Spec:
    """Lines by step: each arm with the band of its difference, the control with its own."""
    x = {"field": "step", "type": "quantitative", "title": "optimiser step",
         "scale": {"zero": False, "nice": False},
         "axis": {"format": ",d", "tickCount": 3}}  # fmt: skip
    y = {"field": "value", "type": "quantitative", "title": None, "scale": {"zero": False}}
    return {
        "encoding": {"x": x},
        "layer": [
            _rule("x", "resume", {"stroke": "var(--muted)", "strokeWidth": 1}),
            _rule("y", "zero", {"stroke": "var(--muted)", "strokeDash": [4, 3]}),
            {"transform": [{"filter": "isValid(datum.low)"}],
             "mark": {"type": "area", "opacity": 0.16, "tooltip": None},
             "encoding": {"y": y | {"field": "low"}, "y2": {"field": "high"}, **_colour("fill")}},
            {"transform": [{"filter": "isValid(datum.value)"}],
             "mark": {"type": "line", "strokeWidth": 1.8},
             "encoding": {"y": y, **_colour("stroke")}},
            _points(y),
        ],
    }  # fmt: skip


def _layer_doses() -> Spec:
    """Final contrasts against the rate, with 95% bars, and the fitted line where there is one."""
    x = {"field": "rate", "type": "quantitative",
         "title": "rate: share of eligible pronouns swapped",
         "scale": {"domain": [-0.04, 1.04], "nice": False},
         "axis": {"values": [0, 0.25, 0.5, 0.75, 1], "format": "~g"}}  # fmt: skip
    y = {"field": "value", "type": "quantitative", "title": "arm − control"}
    return {
        "encoding": {"x": x},
        "layer": [
            _rule("y", "zero", {"stroke": "var(--muted)", "strokeDash": [4, 3]}),
            {"transform": [{"filter": "datum.kind == 'fit'"}],
             "mark": {"type": "area", "opacity": 0.12},
             "encoding": {"y": y | {"field": "low"}, "y2": {"field": "high"}, **_colour("fill")}},
            {"transform": [{"filter": "datum.kind == 'fit'"}],
             "mark": {"type": "line", "strokeWidth": 1},
             "encoding": {"y": y, **_colour("stroke")}},
            _bars("y", y),
            _points(y),
        ],
    }  # fmt: skip


def _layer_sizes() -> Spec:
    """Final contrasts against the model's size, a line per arm."""
    x = {"field": "parameters", "type": "quantitative", "title": "non-embedding parameters",
         "scale": {"type": "log", "nice": True, "padding": 12},
         "axis": {"format": "~s", "tickCount": 5}}  # fmt: skip
    y = {"field": "value", "type": "quantitative", "title": "arm − control"}
    return {
        "encoding": {"x": x},
        "layer": [
            _rule("y", "zero", {"stroke": "var(--muted)", "strokeDash": [4, 3]}),
            {"transform": [{"filter": "datum.kind == 'arm'"}],
             "mark": {"type": "line", "strokeWidth": 1.4},
             "encoding": {"y": y, **_colour("stroke")}},
            _bars("y", y),
            _points(y),
        ],
    }  # fmt: skip


def _layer_forest() -> Spec:
    """Dots and intervals, a line per measure and within it one per arm."""
    y = {"field": "measure", "type": "nominal", "title": None,
         "sort": {"field": "row", "op": "min"},
         "scale": {"paddingInner": 0.35}, "axis": {"grid": False}}  # fmt: skip
    x = {"field": "value", "type": "quantitative", "title": "arm − control"}
    beside = {"yOffset": {"field": "arm", "sort": {"field": "rank", "op": "min"}}}
    bars = _bars("x", x)
    bars["encoding"] |= beside
    points = _points(x, along="x")
    points["encoding"] |= beside
    return {
        "encoding": {"y": y},
        "layer": [
            _rule("x", "zero", {"stroke": "var(--muted)", "strokeDash": [4, 3]}),
            bars,
            points,
        ],
    }


def _rule(along: str, kind: str, look: Spec) -> Spec:
    """A line across the panel where rows of a kind say; of the other axis it takes nothing."""
    other = "y" if along == "x" else "x"
    return {
        "name": kind,  # the page leaves a layer out whose kind of row is not there
        "transform": [{"filter": f"datum.kind == '{kind}'"}],
        "mark": {"type": "rule", **look},
        "encoding": {along: {"field": "place_at", "type": "quantitative"}, other: None},
    }


def _bars(along: str, channel: Spec) -> Spec:
    """95% intervals."""
    return {
        "transform": [{"filter": "datum.kind == 'arm'"}],
        "mark": {"type": "rule", "strokeWidth": 1.4},
        "encoding": {along: channel | {"field": "low"}, f"{along}2": {"field": "high"},
                     **_colour("stroke")},
    }  # fmt: skip


def _points(channel: Spec, along: str = "y") -> Spec:
    """Marks that can be hovered."""
    return {
        "transform": [{"filter": "isValid(datum.value) && datum.kind != 'fit'"}],
        "mark": {"type": "point", "filled": True, "opacity": 1, "size": 46,
                 "stroke": "var(--page)", "strokeWidth": 0.6},
        "encoding": {
            along: channel,
            **_colour("fill"),
            "shape": {"field": "shape", "type": "nominal", "scale": None},
            "tooltip": [{"field": f, "type": "nominal", "title": name} for f, name in TIPS],
        },
    }  # fmt: skip


def _colour(channel: str) -> Spec:
    """A row's own colour, and one mark for each arm."""
    return {
        channel: {"field": "colour", "type": "nominal", "scale": None},
        "detail": {"field": "arm", "type": "nominal"},
    }
