"""One look for all pictures: a colour, a marker and dashes a name, readable by the colour-blind and in grey.

matplotlib is imported when something is drawn, so that importing a package stays cheap.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

if TYPE_CHECKING:
    from matplotlib.axes import Axes

#: Width of a picture in inches.
WIDTH = 7.0

#: From dark to light without a change of order in grey.
HEAT = "cividis"

#: Okabe and Ito's colours (told apart by the colour-blind), each with its own marker and dashes (for grey).
#: From the ninth on colours come again, with other markers.
STYLES: tuple[tuple[str, str, Any], ...] = (
    ("#0072B2", "o", "-"),
    ("#D55E00", "s", (0, (5, 1.5))),
    ("#009E73", "^", (0, (1, 1))),
    ("#CC79A7", "D", (0, (5, 1.5, 1, 1.5))),
    ("#E69F00", "v", (0, (8, 2))),
    ("#56B4E9", "P", (0, (3, 1, 1, 1, 1, 1))),
    ("#6E5494", "X", (0, (2, 2))),
    ("#444444", "*", (0, (6, 1, 2, 1))),
    ("#D55E00", "<", (0, (1, 2))),
    ("#56B4E9", ">", (0, (7, 1))),
    ("#D55E00", "p", (0, (3, 1))),
    ("#009E73", "h", (0, (4, 1, 1, 1))),
    ("#CC79A7", "d", (0, (2, 1))),
    ("#009E73", "<", (0, (6, 2))),
    ("#CC79A7", ">", (0, (1, 1.5))),
    ("#E69F00", "p", (0, (4, 2))),
    ("#56B4E9", "h", (0, (2, 1, 1, 1))),
    ("#6E5494", "d", (0, (8, 1, 1, 1))),
)

#: Styles that differ in colour too.
COLOURS = 8

#: The style of a method or a penalty, the same in every figure, table and report: a concave penalty is blue.
STYLE_OF: dict[str, int] = {
    **dict.fromkeys(("concave", "log", "layerwise"), 0),  # a concave mask has the log penalty unless told
    **dict.fromkeys(("l1", "wanda"), 1),
    **dict.fromkeys(("imp", "mcp", "alps"), 2),
    **dict.fromkeys(("magnitude", "scad"), 3),
    **dict.fromkeys(("gmp", "lq", "sparsegpt"), 4),
    **dict.fromkeys(("continuous-sparsification", "capped", "capped-l1", "sparsegpt+refit"), 5),
    **dict.fromkeys(("soft-threshold", "exponential", "obc"), 6),
    **dict.fromkeys(("random", "fraction", "arctan"), 7),
    **dict(zip(("rigl", "set", "snip", "grasp", "synflow"), range(8, 13))),
    **dict(zip(("l0", "pilot", "edge-popup", "gem-miner", "concrete-ticket"), range(13, 18))),
}

SETTINGS: Any = {
    "figure.dpi": 100,
    "savefig.dpi": 160,
    "figure.constrained_layout.use": True,
    "font.size": 9,
    "axes.titlesize": 9.5,
    "axes.titlelocation": "left",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.color": "#dddddd",
    "grid.linewidth": 0.6,
    "lines.linewidth": 1.6,
    "lines.markersize": 4.5,
    "legend.frameon": False,
    "legend.fontsize": 8,
    "legend.handlelength": 3.0,
    "mathtext.fontset": "cm",
    "svg.fonttype": "path",
    "svg.hashsalt": "concave-sparsity",
}


def style_numbers(names: Sequence[str], available: int = len(STYLES)) -> list[int]:
    """Return the number of the style of each name: its own where it has one, else one that is free.

    A name is that of a method or penalty, alone or followed by its settings: "concave mcp(2)". Of several
    that begin alike the first has the style, the others take free ones, those of concave masks and of l1
    last, since these stand in most pictures; equal names look alike.
    """
    different = list(dict.fromkeys(names))
    found: list[int | None] = []
    for name in different:
        words = name.replace("(", " ").replace(",", " ").replace("$", "").lower().split()
        own = STYLE_OF.get(words[0] if words else "", available)
        found.append(own if own < available and own not in found else None)
    free = sorted((i for i in range(available) if i not in found), key=lambda i: i < 2)
    numbers = {}
    for i, (name, one) in enumerate(zip(different, found)):
        numbers[name] = one if one is not None else free.pop(0) if free else i % available
    return [numbers[name] for name in names]


def plain_log(ax: Axes, which: str) -> None:
    """Make an axis ("x" or "y") logarithmic where its values span a factor of 20, with plain numbers.

    Parameters
    ----------
    ax
        Axes on which all is drawn already.
    which
        "x" or "y".
    """
    from matplotlib.ticker import LogLocator, NullFormatter, StrMethodFormatter

    low, high = (ax.dataLim.intervalx if which == "x" else ax.dataLim.intervaly).tolist()
    if not 0 < low < high / 20:
        return
    (ax.set_xscale if which == "x" else ax.set_yscale)("log")
    axis = ax.xaxis if which == "x" else ax.yaxis
    axis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0) if high < 1000 * low else (1.0,)))
    axis.set_major_formatter(StrMethodFormatter("{x:g}"))
    axis.set_minor_formatter(NullFormatter())


def look(number: int, *, marker: bool = True) -> dict[str, Any]:
    """Return colour, dashes and, if asked, marker of a style by its number, as matplotlib takes them."""
    colour, shape, dashes = STYLES[number % len(STYLES)]
    return {"color": colour, "linestyle": dashes} | ({"marker": shape} if marker else {})


def looks(names: Sequence[str], *, marker: bool = True) -> dict[str, dict[str, Any]]:
    """Return the look of each name; see `style_numbers`."""
    return {name: look(number, marker=marker) for name, number in zip(names, style_numbers(names))}


P = ParamSpec("P")
T = TypeVar("T")


def in_style(draw: Callable[P, T]) -> Callable[P, T]:
    """Let a function draw in the common look; the user's settings are as before when it ends."""

    @functools.wraps(draw)
    def styled(*arguments: P.args, **options: P.kwargs) -> T:
        import matplotlib as mpl

        with mpl.rc_context(SETTINGS):
            return draw(*arguments, **options)

    return styled


def typeset(text: str) -> str:
    """Return what a theorem says in plain characters with the signs of mathematics, for a picture.

    E.g. ``||m - target||_2`` as ‖m − target‖₂.
    """
    for plain, sign in _SIGNS:
        text = text.replace(plain, sign)
    return re.sub(r"\b(mu|lam)\b", lambda found: {"mu": "μ", "lam": "λ"}[found[1]], text)


#: Plain characters and the signs that they stand for, in the order of their replacement.
_SIGNS = (
    ("||", "‖"), ("_1", "₁"), ("_2", "₂"), ("^2", "²"), ("m+", "m⁺"), (" - ", " − "),
    ("<=", "≤"), (">=", "≥"), ("1/2", "½"),
)  # fmt: skip


@in_style
def new_axes(columns: int = 1, height: float = 3.6) -> list[Axes]:
    """Return new axes in one row, of the common width and this height in inches."""
    import matplotlib.pyplot as plt

    _, row = plt.subplots(1, columns, figsize=(WIDTH, height), squeeze=False)
    return list(row[0])
