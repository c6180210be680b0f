"""Parts of the charts of a report: scales, ticks, paths, markers and text, as inline SVG.

The colours are in page.css. Lengths are in units of a chart's viewBox, and y points down. Numbers
that are not finite are left out: a line has a gap there.
"""

import math
from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np
from markupsafe import Markup

HUGE = 1e100  # as good as infinite, and safe to subtract
SHAPES = 8  # of markers, and colours
WIDTH = 340  # of a chart: a phone shows it at its own size
LOG_TICKS = 6  # at most, on a logarithmic axis
Point = tuple[float, float]


class Scale(NamedTuple):
    """Maps numbers, low .. high, to lengths, start .. end, linearly or by logarithms."""

    low: float
    high: float
    start: float
    end: float
    log: bool = False

    def __call__(self, value: float) -> float:
        """The length of a number; nan if it has no logarithm and needs one."""
        bend = math.log if self.log else float
        low, high = bend(self.low), bend(self.high)
        if self.log and value <= 0:
            return math.nan
        return self.start + (bend(value) - low) / (high - low) * (self.end - self.start)


class Line(NamedTuple):
    """A line of a chart.

    Attributes:
      name: for who points at it.
      label: at its end.
      xs, ys: its points.
      style: classes of CSS.
      low, high: of the band around it, or none.
      shape: the shape of a marker at every point; -1: none.
      ended: where runs ended before their time, and get a cross.
    """

    name: str
    label: str
    xs: Sequence[float]
    ys: Sequence[float]
    style: str
    low: Sequence[float] = ()
    high: Sequence[float] = ()
    shape: int = -1
    ended: Sequence[Point] = ()


class Box(NamedTuple):
    """The rectangle between the axes."""

    left: float
    top: float
    width: float
    height: float


def is_finite(value: float) -> bool:
    """Whether a number can be drawn."""
    return math.isfinite(value) and abs(value) < HUGE


def extent(values: Iterable[float], robust: bool = False) -> tuple[float, float]:
    """The ends of an axis: all finite values and a little air.

    Args:
      values: to be shown.
      robust: whether spikes may leave the chart: if the outermost hundredths take most of it.

    Returns:
      low < high, also of no values or equal ones.
    """
    finite = np.array([value for value in values if is_finite(value)])
    if not finite.size:
        return 0.0, 1.0
    low, high = float(finite.min()), float(finite.max())
    if robust:
        inner = [float(end) for end in np.quantile(finite, (0.01, 0.99))]
        if high - low > 3 * (inner[1] - inner[0]) > 0:
            low, high = inner
    air = 0.06 * (high - low) or 0.05 * abs(high) or 0.5
    return low - air, high + air


def log_extent(values: Iterable[float]) -> tuple[float, float] | None:
    """The ends of a logarithmic axis, if values are positive and far apart; else None."""
    finite = [value for value in values if is_finite(value)]
    if not finite or min(finite) <= 0 or max(finite) < 20 * min(finite):
        return None
    air = (max(finite) / min(finite)) ** 0.06
    return min(finite) / air, max(finite) * air


def ticks(low: float, high: float, count: int = 4) -> list[float]:
    """Round numbers between the ends of a linear axis, about `count` steps apart."""
    from matplotlib.ticker import MaxNLocator  # slow to import

    return _between(low, high, MaxNLocator(count + 1, steps=[1, 2, 5, 10]).tick_values(low, high))


def log_ticks(low: float, high: float) -> list[float]:
    """Powers of ten between the ends of a logarithmic axis, and multiples where they fit."""
    from matplotlib.ticker import LogLocator

    for multiples in ((1, 2, 5), (1, 3), (1,)):
        locator = LogLocator(subs=multiples, numticks=LOG_TICKS)
        found = _between(low, high, locator.tick_values(low, high))
        if 1 <= len(found) <= LOG_TICKS:
            break
    return found


def _between(low: float, high: float, places: Iterable[float]) -> list[float]:
    """The ticks inside an axis: locators of matplotlib add some outside."""
    return [float(place) for place in places if low <= place <= high]


def short(value: float) -> str:
    """A number for an axis, with a prefix of the SI from a thousand on: 1200 is 1.2k."""
    from matplotlib.ticker import EngFormatter

    formatter = EngFormatter(sep="")
    formatter.ENG_PREFIXES = {e: sign for e, sign in formatter.ENG_PREFIXES.items() if e >= 0}
    return formatter(value)


def path(points: Iterable[Point]) -> str:
    """The `d` of a line through points, with gaps where they are not finite."""
    parts, pen = [], "M"
    for x, y in points:
        if not (is_finite(x) and is_finite(y)):
            pen = "M"
            continue
        parts.append(f"{pen}{x:.1f} {y:.1f}")
        pen = "L"
    return "".join(parts)


def band(xs: Sequence[float], low: Sequence[float], high: Sequence[float]) -> str:
    """The `d` of an area between two lines; points where either is unknown are left out."""
    known = [p for p in zip(xs, low, high) if all(map(is_finite, p))]
    if len(known) < 2:
        return ""
    there = [(x, top) for x, _, top in known]
    back = [(x, bottom) for x, bottom, _ in reversed(known)]
    return path([*there, *back]) + "Z"


def thin(xs: Sequence[float], ys: Sequence[float], count: int = 150) -> list[Point]:
    """Fewer points of a line: the lowest and highest of each of `count` parts, so spikes stay."""
    points = list(zip(xs, ys))
    if len(points) <= 2 * count:
        return points
    kept = {0, len(points) - 1}
    for part in np.array_split(np.arange(len(points)), count):
        finite = [i for i in part if is_finite(points[i][1])]
        if finite:
            kept |= {min(finite, key=lambda i: ys[i]), max(finite, key=lambda i: ys[i])}
        else:
            kept.add(int(part[0]))
    return [points[i] for i in sorted(kept)]


def spread_labels(places: Sequence[float], gap: float, low: float, high: float) -> list[float]:
    """Moves labels so that none is nearer than `gap` to the next, as little as is simple.

    Args:
      places: where they should be.
      gap: between neighbours; less if there is no room.
      low, high: between which all must be.

    Returns:
      Where they are, in the same order.
    """
    gap = min(gap, (high - low) / max(len(places) - 1, 1))
    order = np.argsort(places, kind="stable")
    moved = np.clip(np.array(places, float)[order], low, high)
    for i in range(1, len(moved)):
        moved[i] = max(moved[i], moved[i - 1] + gap)
    moved[-1:] = np.minimum(moved[-1:], high)
    for i in range(len(moved) - 2, -1, -1):
        moved[i] = min(moved[i], moved[i + 1] - gap)
    return moved[np.argsort(order)].tolist()


def histogram(values: Sequence[float], low: float, high: float, bins: int = 36) -> np.ndarray:
    """Shares of values in equal parts of low .. high, [bins]; those outside are in the end ones."""
    finite = np.array([v for v in values if is_finite(v)])
    counts = np.histogram(np.clip(finite, low, high), bins, (low, high))[0]
    return counts / max(len(finite), 1)


def steps(heights: Sequence[float] | np.ndarray, scale: Scale, base: float, unit: float) -> str:
    """The `d` of a histogram's outline on a baseline; a negative unit points up."""
    edges = np.linspace(scale.start, scale.end, len(heights) + 1)
    points = [(edges[0], base)]
    for left, right, height in zip(edges, edges[1:], heights):
        points += [(left, base + unit * height), (right, base + unit * height)]
    return path([*points, (edges[-1], base)]) + "Z"


def style_of(index: int) -> tuple[str, int]:
    """The class of the colour and the shape of the marker of a loss: no two of 64 are alike."""
    return f"c{index % SHAPES}", index + 3 * (index // SHAPES)


def element(tag: str, *content: str, **attributes: str | float) -> Markup:
    """Writes an element of SVG, in which all text is escaped that is not Markup.

    Args:
      tag: the element's name.
      content: what is in it, if anything.
      attributes: by name, with "_" for "-", and `class_` for "class"; numbers get one decimal.
    """
    written = Markup()
    for name, value in attributes.items():
        text = value if isinstance(value, str) else f"{value:.1f}"
        written += Markup(' {}="{}"').format(name.rstrip("_").replace("_", "-"), text)
    if not content:
        return Markup("<{}{}/>").format(tag, written)
    return Markup("<{0}{1}>{2}</{0}>").format(tag, written, Markup().join(content))


def marker(shape: int, x: float, y: float, style: str, size: float = 3.6) -> Markup:
    """One of `SHAPES` shapes, centred."""
    if not (is_finite(x) and is_finite(y)):
        return Markup()
    if shape % SHAPES == 0:
        return element("circle", class_=f"mark {style}", cx=x, cy=y, r=size)
    outlines = (
        ((-0.9, -0.9), (0.9, -0.9), (0.9, 0.9), (-0.9, 0.9)),  # square
        ((0, -1.2), (1.15, 0.8), (-1.15, 0.8)),  # triangle
        ((0, -1.35), (1.35, 0), (0, 1.35), (-1.35, 0)),  # diamond
        ((0, 1.2), (1.15, -0.8), (-1.15, -0.8)),  # triangle upside down
        (*((-1.3, -0.5), (-0.5, -0.5), (-0.5, -1.3), (0.5, -1.3), (0.5, -0.5), (1.3, -0.5)),
         *((1.3, 0.5), (0.5, 0.5), (0.5, 1.3), (-0.5, 1.3), (-0.5, 0.5), (-1.3, 0.5))),  # plus
        ((-1.3, -0.6), (1.3, -0.6), (1.3, 0.6), (-1.3, 0.6)),  # bar
        (*((0, -1.4), (0.4, -0.4), (1.4, 0), (0.4, 0.4)),
         *((0, 1.4), (-0.4, 0.4), (-1.4, 0), (-0.4, -0.4))),  # star
    )  # fmt: skip
    corners = outlines[shape % SHAPES - 1]
    points = [(x + size * right, y + size * down) for right, down in corners]
    return element("path", class_=f"mark {style}", d=f"{path(points)}Z")


def cross(x: float, y: float) -> Markup:
    """The cross that marks a diverged run."""
    lines = [(x - 4, y - 4), (x + 4, y + 4)], [(x - 4, y + 4), (x + 4, y - 4)]
    return element("path", class_="cross", d="".join(map(path, lines)))


def text(x: float, y: float, content: str, style: str = "", anchor: str = "start") -> Markup:
    """A line of text; `anchor` as SVG's text-anchor."""
    return element("text", content, class_=style, x=x, y=y, text_anchor=anchor)


def picture(width: float, height: float, label: str, content: str) -> Markup:
    """A chart that a screen reader reads as `label`.

    Args:
      width, height: of the chart.
      label: what it shows, in words.
      content: the HTML content, Markup.
    """
    size = {"viewBox": f"0 0 {width:g} {height:g}", "width": f"{width:g}", "height": f"{height:g}"}
    return element("svg", content, class_="chart", **size, role="img", aria_label=label)
