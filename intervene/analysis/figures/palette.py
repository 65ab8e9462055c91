"""How arms look in the figure: hues by direction, markers by rate, on light and dark pages."""

import colorsys
from dataclasses import dataclass
from typing import Any

from matplotlib.colors import to_hex, to_rgb

from intervene.analysis.curve import Reading

INK, MUTED, RULE, PAPER = "#16181d", "#5c6370", "#d5d9e0", "#ffffff"
RAMPS = {  # light → dark in one hue for each direction or published method
    "feminise": ("#78b4e4", "#0b3c8c"),
    "masculinise": ("#f0a35c", "#8a3203"),
    "swap": ("#bd93d6", "#4d1479"),
    "neutral": ("#74c7a5", "#0b5a3c"),
    "original_token_map": ("#e08fb4", "#8a1250"),
    "original_string length_checked": ("#cbb653", "#5f5108"),
    "original_string as_committed": ("#b5aa9e", "#4f4439"),
    "original_string as_meant": ("#a3b655", "#3e4d0b"),
}
MARKERS = "osD^vP*X"
SCALE = {"*": 1.6, "P": 1.3, "X": 1.25, "^": 1.15, "v": 1.15, "D": 0.9, "s": 0.95, "x": 1.5}
"""How much larger a marker is drawn than a dot, to look as large."""
DASHES = (0, (4, 3))
STYLE: dict[Any, Any] = {
    "font.family": "DejaVu Sans",  # comes with matplotlib: the same bytes everywhere
    "font.size": 8.5,
    "axes.edgecolor": MUTED,
    "axes.labelcolor": INK,
    "axes.labelsize": 7.5,
    "axes.linewidth": 0.7,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "figure.facecolor": PAPER,
    "pdf.fonttype": 42,
    "svg.fonttype": "path",
    "svg.hashsalt": "intervene",
    "text.color": INK,
    "xtick.color": MUTED,
    "xtick.labelsize": 7.5,
    "ytick.color": MUTED,
    "ytick.labelsize": 7.5,
}


@dataclass(frozen=True)
class Look:
    """How one arm is drawn: colour (hex), marker and the words at its line's end."""

    colour: str
    marker: str
    words: str


def choose_looks(runs: list[Reading]) -> dict[str, Look]:
    """A look per arm's slug: hue by direction, lightness and marker by the rank of the rate."""
    rates = sorted({run.rate for run in runs})
    varied = {
        name for name in ("direction", "unit", "seed") if len({getattr(r, name) for r in runs}) > 1
    }
    looks = {}
    for run in runs:
        rank = rates.index(run.rate)
        words = [run.direction if "direction" in varied else "rate", f"{run.rate:g}"]
        words += [run.unit] if "unit" in varied else []
        words += [f"seed {run.seed}"] if "seed" in varied else []
        percent = round(100 * rank / (len(rates) - 1)) if len(rates) > 1 else 75
        colour = _blend(*RAMPS[run.direction], percent)
        name = run.arm if run.released else " ".join(words)
        looks[run.arm] = Look(colour, MARKERS[rank % len(MARKERS)], name)
    return looks


def darken_colour(colour: str) -> str:
    """A colour (hex) for a dark page: as light on black as it was dark on white."""
    hue, lightness, saturation = colorsys.rgb_to_hls(*to_rgb(colour))
    lifted = colorsys.hls_to_rgb(hue, min(1.0, 1.04 - 0.82 * lightness), saturation * 0.9)
    return to_hex(lifted)


def _blend(light: str, dark: str, percent: int) -> str:
    """The colour at so many percent of the way from light to dark."""
    ends = zip(to_rgb(light), to_rgb(dark), strict=True)
    red, green, blue = (a + (b - a) * percent / 100 for a, b in ends)
    return to_hex((red, green, blue))
