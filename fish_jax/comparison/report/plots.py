"""A plot of lines on axes, and a figure around charts, for the page of a comparison."""

from collections.abc import Sequence
from html import escape

from fish_jax.comparison.report import svg
from fish_jax.comparison.report.svg import Box, Line, Scale


def scales(box: Box, lines: Sequence[Line], also: Sequence[float], log: bool, robust: bool):
    """Both axes of a plot.

    Args:
      box: that it fills.
      lines: on it; bands do not count, as those of two or three seeds are wider than all else.
      also: heights that must be on it.
      log: whether the vertical axis may be logarithmic, if numbers are far apart.
      robust: whether spikes may leave it.

    Returns:
      The horizontal and the vertical scale.
    """
    ys = [y for line in lines for y in line.ys] + list(also)
    ys += [y for line in lines for _, y in line.ended]
    xs = [x for line in lines for x in line.xs if svg.is_finite(x)] or [1.0]
    far = svg.log_extent(ys) if log else None
    low, high = far or svg.extent(ys, robust)
    x = Scale(0.0, max(*xs, 1e-9), box.left, box.left + box.width)
    return x, Scale(low, high, box.top + box.height, box.top, far is not None)


def axes(box: Box, x: Scale, y: Scale, below: str, count: int = 4) -> str:
    """Grid lines with their numbers; the horizontal axis has none without a name, `below`."""
    parts, right, bottom = [], box.left + box.width, box.top + box.height
    for value in svg.log_ticks(y.low, y.high) if y.log else svg.ticks(y.low, y.high, count):
        at = y(value)
        parts.append(f'<path class="rule" d="M{box.left:.1f} {at:.1f}H{right:.1f}"/>')
        parts.append(svg.text(box.left - 6, at + 3.5, svg.short(value), "tick", "end"))
    parts.append(f'<path class="axis" d="M{box.left:.1f} {bottom:.1f}H{right:.1f}"/>')
    for value in svg.ticks(x.low, x.high, 3) if below else ():
        at = x(value)
        parts.append(f'<path class="axis" d="M{at:.1f} {bottom:.1f}v4"/>')
        parts.append(svg.text(at, bottom + 15, svg.short(value), "tick", "middle"))
    if below:
        parts.append(svg.text(right, bottom + 28, below, "name", "end"))
    return "".join(parts)


def plot(
    box: Box,
    lines: Sequence[Line],
    across: str = "images seen",
    floor: float = float("nan"),
    log: bool = False,
    robust: bool = False,
    count: int = 4,
    floor_label: str = "real",
    numbered: bool = True,
) -> str:
    """Lines on axes, with their labels at the right.

    Args:
      box: between the axes; labels need room outside.
      lines: to draw, the first lowest.
      across: what the horizontal axis counts.
      floor: height of a dashed line; nan: none.
      log, robust: as for `scales`.
      count: of grid lines, about.
      floor_label: at the dashed line's end.
      numbered: whether the horizontal axis has its name and numbers.

    Returns:
      SVG.
    """
    x, y = scales(box, lines, [floor], log, robust)
    inside, outside, ends, edge = [], [], [], x.start + 0.96 * (x.end - x.start)
    if svg.is_finite(floor):
        inside.append(
            f'<path class="floor" d="{svg.path([(x.start, y(floor)), (x.end, y(floor))])}"/>'
        )
        ends.append((y(floor), floor_label, "floor"))
    for line in lines:
        group, end = _draw(line, x, y)
        inside.append(group)
        if end is not None and end[0] < edge:
            outside.append(svg.text(end[0] + 7, end[1] + 3.5, line.label, f"end {line.style}"))
        elif end is not None:
            ends.append((end[1], line.label, line.style))
    outside += _labels(box, ends)
    window = f'x="{box.left - 5:.1f}" y="{box.top - 5:.1f}" width="{box.width + 10:.1f}"'
    view = (
        f'viewBox="{box.left - 5:.1f} {box.top - 5:.1f} {box.width + 10:.1f} {box.height + 10:.1f}"'
    )
    values = " ".join(f"{float(value):.8g}" for scale in (x, y) for value in scale)
    return (
        f'<g class="plot" data-scales="{values}" data-across="{escape(across)}">'
        f"{axes(box, x, y, across if numbered else '', count)}"
        f'<svg {window} height="{box.height + 10:.1f}" {view}>{"".join(inside)}</svg>'
        f"{''.join(outside)}</g>"
    )


def _draw(line: Line, x: Scale, y: Scale) -> tuple[str, tuple[float, float] | None]:
    """A line, and where it ends."""
    places = [(x(a), y(b)) for a, b in svg.thin(line.xs, line.ys)]
    parts = []
    if line.low:
        lows = [y(v) if not y.log or v > 0 else y.start for v in line.low]
        area = svg.band([x(v) for v in line.xs], lows, [y(v) for v in line.high])
        parts.append(f'<path class="band" d="{area}"/>')
    parts.append(f'<path class="line" data-name="{escape(line.name)}" d="{svg.path(places)}"/>')
    if line.shape >= 0:
        parts += [svg.marker(line.shape, *place, "") for place in places]
    crosses = [(x(a), y(b)) for a, b in line.ended]
    inside = [(a, min(max(b, y.end), y.start)) for a, b in crosses if svg.is_finite(b)]
    parts += [svg.cross(*place) for place in inside]
    finite = [(a, min(max(b, y.end), y.start)) for a, b in places if svg.is_finite(b)]
    return f'<g class="{line.style}">{"".join(parts)}</g>', finite[-1] if finite else None


def _labels(box: Box, ends: Sequence[tuple[float, str, str]]) -> list[str]:
    places = svg.spread_labels([end for end, _, _ in ends], 11.5, box.top, box.top + box.height)
    right, parts = box.left + box.width, []
    for place, (end, label, style) in zip(places, ends):
        if abs(place - end) > 2:
            lead = svg.path([(right + 6, end), (right + 11, place)])
            parts.append(f'<path class="lead {style}" d="{lead}"/>')
        parts.append(svg.text(right + 13, place + 3.5, label, f"end {style}"))
    return parts


def figure(title: str, note: str, content: str, style: str = "") -> str:
    """A chart under its caption; `title` is HTML, `note` is text."""
    alarm = " lost" if note.startswith("×") else ""
    small = f' <span class="note{alarm}">{escape(note)}</span>' if note else ""
    return f'<figure class="{style}"><figcaption>{title}{small}</figcaption>{content}</figure>'


def key(index: int, name: str) -> str:
    """The marker and name of one of those compared, as HTML."""
    colour, shape = svg.style_of(index)
    sign = svg.marker(shape, 6, 6, "", 4)
    drawing = f'<svg class="key {colour}" viewBox="0 0 12 12" aria-hidden="true">'
    return f'{drawing}{sign}</svg><span class="loss">{escape(name)}</span>'
