"""Plots of lines on axes for reports, as SVG."""

from collections.abc import Sequence

from markupsafe import Markup

from fish_jax.comparison.report import svg
from fish_jax.comparison.report.svg import Box, Line, Point, Scale


def scales(
    box: Box, lines: Sequence[Line], also: Sequence[float], log: bool, robust: bool
) -> tuple[Scale, Scale]:
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


def axes(box: Box, x: Scale, y: Scale, below: str, count: int = 4) -> Markup:
    """Grid lines with their numbers; the horizontal axis has none without a name, `below`."""
    parts, right, bottom = [], box.left + box.width, box.top + box.height
    for value in svg.log_ticks(y.low, y.high) if y.log else svg.ticks(y.low, y.high, count):
        at = y(value)
        rule = f"M{box.left:.1f} {at:.1f}H{right:.1f}"
        parts.append(svg.element("path", class_="rule", d=rule))
        parts.append(svg.text(box.left - 6, at + 3.5, svg.short(value), "tick", "end"))
    line = f"M{box.left:.1f} {bottom:.1f}H{right:.1f}"
    parts.append(svg.element("path", class_="axis", d=line))
    if below:
        parts.append(axis_below(x, bottom, below, 3))
    return Markup().join(parts)


def axis_below(x: Scale, bottom: float, name: str, count: int) -> Markup:
    """Numbers below a horizontal axis, and its name.

    Args:
      x: the scale.
      bottom: height of the axis.
      name: what it counts.
      count: about how many numbers.
    """
    parts = []
    for value in svg.ticks(x.low, x.high, count):
        parts.append(svg.element("path", class_="axis", d=f"M{x(value):.1f} {bottom:.1f}v4"))
        parts.append(svg.text(x(value), bottom + 15, svg.short(value), "tick", "middle"))
    return Markup().join([*parts, svg.text(x.end, bottom + 28, name, "name", "end")])


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
) -> Markup:
    """Lines on axes, with their labels at the right.

    Args:
      box: between the axes; labels need room outside.
      lines: to draw, the first lowest.
      across: what the horizontal axis counts.
      floor: height of a dashed line; nan: none.
      log, robust: as for `scales`.
      count: the count of grid lines, about.
      floor_label: at the dashed line's end.
      numbered: whether the horizontal axis has its name and numbers.

    Returns:
      SVG.
    """
    x, y = scales(box, lines, [floor], log, robust)
    inside, outside, ends, edge = [], [], [], x.start + 0.96 * (x.end - x.start)
    if svg.is_finite(floor):
        dashes = svg.path([(x.start, y(floor)), (x.end, y(floor))])
        inside.append(svg.element("path", class_="floor", d=dashes))
        ends.append((y(floor), floor_label, "floor"))
    for line in lines:
        inside.append(_draw(line, x, y))
        places = _clipped(svg.thin(line.xs, line.ys), x, y)
        for right, height in places[-1:]:  # none if the line has no point
            if right < edge:
                outside.append(svg.text(right + 7, height + 3.5, line.label, f"end {line.style}"))
            else:
                ends.append((height, line.label, line.style))
    # Between the axes and a little beyond; the rest is cut off.
    left, top, width, height = box.left - 5.0, box.top - 5.0, box.width + 10.0, box.height + 10.0
    view = f"{left:.1f} {top:.1f} {width:.1f} {height:.1f}"
    window = {"x": left, "y": top, "width": width, "height": height, "viewBox": view}
    return svg.element(
        "g",
        axes(box, x, y, across if numbered else "", count),
        svg.element("svg", *inside, **window),
        *outside,
        *_labels(box, ends),
        class_="plot",
        data_scales=" ".join(f"{float(value):.8g}" for scale in (x, y) for value in scale),
        data_across=across,
    )


def _draw(line: Line, x: Scale, y: Scale) -> Markup:
    """A line with its band, markers and crosses."""
    places = [(x(a), y(b)) for a, b in svg.thin(line.xs, line.ys)]
    parts = []
    if line.low:
        lows = [y(v) if not y.log or v > 0 else y.start for v in line.low]
        area = svg.band([x(v) for v in line.xs], lows, [y(v) for v in line.high])
        parts.append(svg.element("path", class_="band", d=area))
    parts.append(svg.element("path", class_="line", data_name=line.name, d=svg.path(places)))
    if line.shape >= 0:
        parts += [svg.marker(line.shape, *place, "") for place in places]
    parts += [svg.cross(*place) for place in _clipped(line.ended, x, y)]
    return svg.element("g", *parts, class_=line.style)


def _clipped(points: Sequence[Point], x: Scale, y: Scale) -> list[Point]:
    """Places of points, those above or below the plot at its edge."""
    places = [(x(a), y(b)) for a, b in points]
    return [(a, min(max(b, y.end), y.start)) for a, b in places if svg.is_finite(b)]


def _labels(box: Box, ends: Sequence[tuple[float, str, str]]) -> list[Markup]:
    """Labels at the right, none over another, with leads to the ends of their lines."""
    places = svg.spread_labels([end for end, _, _ in ends], 11.5, box.top, box.top + box.height)
    right, parts = box.left + box.width, []
    for place, (end, label, style) in zip(places, ends):
        if abs(place - end) > 2:
            lead = svg.path([(right + 6, end), (right + 11, place)])
            parts.append(svg.element("path", class_=f"lead {style}", d=lead))
        parts.append(svg.text(right + 13, place + 3.5, label, f"end {style}"))
    return parts


def key(index: int, name: str) -> Markup:
    """The marker and the name of a loss or configuration, as HTML."""
    colour, shape = svg.style_of(index)
    sign = svg.marker(shape, 6, 6, "", 4)
    box = {"class_": f"key {colour}", "viewBox": "0 0 12 12", "aria_hidden": "true"}
    return svg.element("svg", sign, **box) + svg.element("span", name, class_="loss")
