"""Charts as inline SVG: text is escaped, colours come from the page's style, values are told on hovering."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from html import escape

WIDTH, HEIGHT = 480, 300
LEFT, RIGHT, TOP, BOTTOM = 66, 12, 12, 44

#: Errors below this are drawn as this: the logarithm of none is infinite.
LEAST_ERROR = 1e-4

#: Series are told apart by colour, by marker and by dashes, so also in grey.
STYLES = 8
MARKERS = ("circle", "square", "triangle", "diamond")


@dataclass
class Axis:
    """An axis from data to the page.

    Parameters
    ----------
    low, high : float
        Ends in data.
    start, end : float
        Ends on the page.
    scale : str
        "linear", "log", or "error": accuracies, by the logarithm of what they lack to 1.
    """

    low: float
    high: float
    start: float
    end: float
    scale: str = "linear"

    @classmethod
    def over(
        cls,
        values: Sequence[float],
        start: float,
        end: float,
        *,
        scale: str = "linear",
        margin: float = 0.05,
    ) -> Axis:
        """Return the axis over the finite values, a little wider than they are."""
        sound = [v for v in values if math.isfinite(v) and (v > 0 or scale != "log")] or [0.1, 1.0]
        low, high = scaled(min(sound), scale), scaled(max(sound), scale)
        wide = (high - low) or (abs(high) or 1.0) * 0.1
        return cls(low - margin * wide, high + margin * wide, start, end, scale)

    def at(self, value: float) -> float:
        """Return the place of a value on the page."""
        place = self.low if self.scale == "log" and value <= 0 else scaled(value, self.scale)
        share = (place - self.low) / (self.high - self.low)
        return self.start + (self.end - self.start) * min(1.0, max(0.0, share))

    def ticks(self, wanted: int = 5) -> list[float]:
        """Return round values along the axis."""
        if self.scale == "error":
            return self._accuracies(wanted)
        if self.scale == "log":
            exponents = range(math.floor(self.low), math.ceil(self.high) + 1)
            steps = (1, 2, 5) if self.high - self.low < 3 else (1,)
            found = [s * 10.0**e for e in exponents for s in steps]
            found = [v for v in found if self.low <= math.log10(v) <= self.high]
            return found[:: max(1, math.ceil(len(found) / (wanted + 3)))]
        return _round_values(self.low, self.high, wanted)

    def _accuracies(self, wanted: int) -> list[float]:
        """Return round accuracies: errors of 1, 2 and 5 times powers of ten, or even steps if too few fit."""
        errors = [s * 10.0**e for e in range(-4, 1) for s in (1, 2, 5) if s * 10.0**e <= 1]
        found = [1 - error for error in sorted(errors, reverse=True)]
        found = [v for v in found if self.low <= scaled(v, self.scale) <= self.high]
        if len(found) < 3:
            return _round_values(1 - 10.0**-self.low, 1 - 10.0**-self.high, wanted)
        return found[:: max(1, math.ceil(len(found) / (wanted + 2)))]


def scaled(value: float, scale: str) -> float:
    """Return a value as it is laid off on an axis of this scale; errors below LEAST_ERROR count as that."""
    if scale == "log":
        return math.log10(value)
    return -math.log10(max(1.0 - value, LEAST_ERROR)) if scale == "error" else value


def _round_values(low: float, high: float, wanted: int) -> list[float]:
    """Return round values between two ends, in even steps."""
    rough = (high - low) / wanted
    size = 10.0 ** math.floor(math.log10(rough))
    step = next(size * m for m in (1, 2, 5, 10) if size * m >= rough)
    first = math.ceil(low / step)
    return [i * step for i in range(first, math.floor(high / step) + 1)]


@dataclass
class Chart:
    """A chart with two axes.

    Parameters
    ----------
    x, y : Axis
        See `Axis`.
    x_label, y_label : str
        What they measure, with unit.
    title : str
        What a reader who cannot see it is told.
    """

    x: Axis
    y: Axis
    x_label: str
    y_label: str
    title: str
    parts: list[str] = field(default_factory=list)

    def band(self, low: float, high: float, middle: float, text: str) -> None:
        """Draw a horizontal band with a line in its middle."""
        a, b, m = (_n(self.y.at(v)) for v in (high, low, middle))
        self.parts.append(
            f'<g class="dense"><title>{escape(text)}</title>'
            f'<rect x="{_n(self.x.start)}" y="{a}" width="{_n(self.x.end - self.x.start)}" '
            f'height="{_n(max(0.0, float(b) - float(a)))}"/>'
            f'<line x1="{_n(self.x.start)}" x2="{_n(self.x.end)}" y1="{m}" y2="{m}"/></g>'
        )

    def line(
        self,
        points: Sequence[tuple[float, float]],
        style: int,
        *,
        half_widths: Sequence[float] | None = None,
        texts: Sequence[str] | None = None,
    ) -> None:
        """Draw a line through points, with error bars and markers where they are given."""
        sound = [(x, y) for x, y in points if math.isfinite(x) and math.isfinite(y)]
        path = " ".join(f"{_n(self.x.at(x))},{_n(self.y.at(y))}" for x, y in sound)
        self.parts.append(f'<g class="s{style % STYLES}"><polyline points="{path}"/>')
        for i, (x, y) in enumerate(points if texts is not None else ()):
            if not (math.isfinite(x) and math.isfinite(y)):
                continue
            self.parts.append(f"<g><title>{escape(texts[i])}</title>")  # type: ignore[index]
            half = half_widths[i] if half_widths is not None else math.nan
            if math.isfinite(half):
                top, bottom = _n(self.y.at(y + half)), _n(self.y.at(y - half))
                place = _n(self.x.at(x))
                self.parts.append(f'<path class="bar" d="M{place},{top}V{bottom}"/>')
            self.parts.append(marker(self.x.at(x), self.y.at(y), style) + "</g>")
        self.parts.append("</g>")

    def cells(self, columns: Sequence[Sequence[float]], texts: Sequence[Sequence[str]]) -> None:
        """Fill the plane with cells; columns[i][j] in [0, 1] is the strength of cell j from below."""
        wide = (self.x.end - self.x.start) / max(1, len(columns))
        for i, column in enumerate(columns):
            high = (self.y.start - self.y.end) / max(1, len(column))
            for j, strength in enumerate(column):
                if strength > 0:
                    self.parts.append(
                        f'<rect class="cell" x="{_n(self.x.start + i * wide)}" '
                        f'y="{_n(self.y.start - (j + 1) * high)}" width="{_n(wide + 0.3)}" '
                        f'height="{_n(high + 0.3)}" fill-opacity="{strength:.3f}">'
                        f"<title>{escape(texts[i][j])}</title></rect>"
                    )

    def render(self, *, percent_x: bool = False, percent_y: bool = False) -> str:
        """Return the SVG."""
        grid = []
        for value in self.x.ticks():
            x = _n(self.x.at(value))
            grid.append(
                f'<line x1="{x}" x2="{x}" y1="{_n(self.y.start)}" y2="{_n(self.y.end)}"/>'
                f'<text x="{x}" y="{_n(self.y.start + 16)}" text-anchor="middle">'
                f"{_tick(value, percent_x)}</text>"
            )
        for value in self.y.ticks():
            y = self.y.at(value)
            grid.append(
                f'<line x1="{_n(self.x.start)}" x2="{_n(self.x.end)}" y1="{_n(y)}" y2="{_n(y)}"/>'
                f'<text x="{_n(self.x.start - 6)}" y="{_n(y + 4)}" text-anchor="end">'
                f"{_tick(value, percent_y)}</text>"
            )
        middle_x, middle_y = (self.x.start + self.x.end) / 2, (self.y.start + self.y.end) / 2
        labels = (
            f'<text class="label" x="{_n(middle_x)}" y="{HEIGHT - 8}" text-anchor="middle">'
            f"{escape(self.x_label)}</text>"
            f'<text class="label" transform="translate(14,{_n(middle_y)}) rotate(-90)" text-anchor="middle">'
            f"{escape(self.y_label)}</text>"
        )
        return (
            f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{escape(self.title)}">'
            f'<g class="grid">{"".join(grid)}</g>{labels}{"".join(self.parts)}</svg>'
        )


def plane(
    xs: Sequence[float], ys: Sequence[float], *, x_scale: str = "linear", y_scale: str = "linear"
) -> tuple[Axis, Axis]:
    """Return the axes over these values, in the usual place."""
    return (
        Axis.over(xs, LEFT, WIDTH - RIGHT, scale=x_scale),
        Axis.over(ys, HEIGHT - BOTTOM, TOP, scale=y_scale),
    )


def legend(labels: Sequence[str], styles: Sequence[int] | None = None, *, dense: bool = False) -> str:
    """Return a legend that shows line and marker of every series; their styles are 0, 1, ... by default.

    With ``dense`` the band of the dense network is named, too.
    """
    items = "".join(
        f'<li><svg viewBox="0 0 34 14" aria-hidden="true"><g class="s{i % STYLES}">'
        f'<polyline points="0,7 34,7"/>{marker(17, 7, i)}</g></svg>{escape(label)}</li>'
        for i, label in zip(styles or range(len(labels)), labels)
    )
    band = (
        '<li><svg viewBox="0 0 34 14" aria-hidden="true"><g class="dense"><rect width="34" height="14"/>'
        '<line x1="0" x2="34" y1="7" y2="7"/></g></svg>dense</li>'
    )
    return f'<ul class="legend">{band if dense else ""}{items}</ul>'


def marker(x: float, y: float, style: int) -> str:
    """Return the marker of a series."""
    kind, a = MARKERS[style % len(MARKERS)], 4.0
    if kind == "circle":
        return f'<circle cx="{_n(x)}" cy="{_n(y)}" r="{a}"/>'
    corners = {
        "square": ((-a, -a), (a, -a), (a, a), (-a, a)),
        "triangle": ((0, -a * 1.2), (a * 1.1, a), (-a * 1.1, a)),
        "diamond": ((0, -a * 1.3), (a * 1.3, 0), (0, a * 1.3), (-a * 1.3, 0)),
    }[kind]
    return f'<polygon points="{" ".join(f"{_n(x + dx)},{_n(y + dy)}" for dx, dy in corners)}"/>'


def _n(value: float) -> str:
    return f"{value:.1f}".removesuffix(".0")


def _tick(value: float, percent: bool) -> str:
    value = 100 * value if percent else value
    text = f"{value:.1e}" if 0 < abs(value) < 0.001 else f"{value:.4g}"
    return text.replace(".0e", "e").replace("e-0", "e-").replace("e+0", "e")
