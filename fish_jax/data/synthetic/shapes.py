"""Outlines of a fish: its body and fins as strips, and their pose in the frame."""

import functools
import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from PIL import Image, ImageDraw

from fish_jax.data.synthetic.species import Fish
from fish_jax.data.synthetic.tables import FIN_SHAPES, LEAF, TAILS, Fin


class Pose(NamedTuple):
    """The part of the map from fish units to frame units that depends on the outlines."""

    origin: np.ndarray  # [2], the middle of the outlines, in fish units.
    scale: np.ndarray  # [2], frame widths to a body length, along and across the body.


Strips = Sequence[np.ndarray]

ASPECT = 320 / 140  # Width over height of the frame in which nothing looks stretched.
_EDGE_SAMPLES = 2  # Outlines are drawn this many times finer than the canvas.

# Crowded at the snout, where the body curves most. Curves are interpolated over the square root of
# x, which rounds the snout.
_STATIONS = (0.0, 0.04, 0.12, 0.25, 0.42, 0.62, 0.82, 1.0)
_ROOT_STATIONS = tuple(math.sqrt(station) for station in _STATIONS)
_CURVE_SAMPLES = np.linspace(0, 1, 256)
_FIN_STEPS = (0.0, 0.25, 0.5, 0.75, 1.0)  # From the front of a fin to its rear.


@functools.cache
def _smooth_curve(knots: tuple[float, ...], values: tuple[float, ...]) -> np.ndarray:
    """Cubic Hermite interpolation of `values` over `knots` in [0, 1], at `_CURVE_SAMPLES`."""
    at, heights = np.asarray(knots), np.asarray(values)
    slopes = np.gradient(heights, at)
    left = np.minimum(np.searchsorted(at, _CURVE_SAMPLES, side="right") - 1, len(at) - 2)
    step = at[left + 1] - at[left]
    t = (_CURVE_SAMPLES - at[left]) / step
    curve = heights[left] + t * t * (3 - 2 * t) * (heights[left + 1] - heights[left])
    return curve + t * (1 - t) * step * ((1 - t) * slopes[left] - t * slopes[left + 1])


@functools.cache
def _round_corners(corners: tuple[tuple[float, float], ...]) -> np.ndarray:
    """Cuts the corners of an open line twice (Chaikin): [N, 2], from the first to the last."""
    points = np.asarray(corners)
    for _ in range(2):
        near, far = points[:-1], points[1:]
        cut = np.stack([0.75 * near + 0.25 * far, 0.25 * near + 0.75 * far], axis=1)
        points = np.concatenate([points[:1], cut.reshape(-1, 2), points[-1:]])
    return points


def edges_of(fish: Fish, x: np.ndarray) -> np.ndarray:
    """The y of the back and of the belly, [2, N], at `x` [N] of a fish that holds still."""
    at = np.sqrt(np.clip(x, 0, 1))
    back = np.interp(at, _CURVE_SAMPLES, _smooth_curve(_ROOT_STATIONS, fish.plan.back))
    belly = np.interp(at, _CURVE_SAMPLES, _smooth_curve(_ROOT_STATIONS, fish.plan.belly))
    return np.array([-back, belly]) * (fish.depth / 100)


def sway_at(fish: Fish, x: np.ndarray) -> np.ndarray:
    """How far swimming moves the body down at `x`."""
    return fish.plan.sway * (0.4 + x) * np.sin(5.5 * x + fish.bend)


def body_strip(fish: Fish) -> np.ndarray:
    """The strip between the back and the belly."""
    x = (np.arange(40) / 39) ** 1.5
    back, belly = edges_of(fish, x)
    return np.array([(x, back), (x, belly)]).transpose(0, 2, 1)


def edge_fin(fish: Fish, fin: Fin, side: int) -> np.ndarray:
    """The strip of a fin on the back (`side` 0) or on the belly (1)."""
    t = np.arange(21) / 20
    x = fin.start + (fin.end - fin.start) * t
    rise = np.interp(t, _CURVE_SAMPLES, _smooth_curve(_FIN_STEPS, FIN_SHAPES[fin.shape]))
    rise = fin.height * fish.fin_scale * np.maximum(rise, 0)
    if fin.shape == "spiny":
        rise[1::2] *= 0.82
    edge = edges_of(fish, x)[side]
    tips = (x + fin.lean * rise, edge + (2 * side - 1) * rise)
    return np.array([(x, 0.8 * edge), tips]).transpose(0, 2, 1)


def tail_fin(fish: Fish) -> np.ndarray:
    """The strip of the tail fin."""
    top, bottom = edges_of(fish, np.ones(1))[:, 0]
    size = np.array(fish.plan.tail_size) * fish.tail_scale
    rim = _round_corners(TAILS[fish.tail]) * size + (1, 0)
    tips = np.concatenate([[(0.97, top)], rim, [(0.97, bottom)]])
    roots = np.linspace((0.96, top), (0.96, bottom), len(tips))
    return np.array([roots, tips])


def pectoral_fin(fish: Fish, angle: float) -> np.ndarray:
    """The strip of the fin behind the gill cover; `angle` (radians) lowers its tip."""
    turn = np.array([(math.cos(angle), math.sin(angle)), (-math.sin(angle), math.cos(angle))])
    x = fish.plan.eye[0] + 0.19
    root = np.array([x, 0.22 * edges_of(fish, np.array([x]))[1, 0]])
    tips = _round_corners(LEAF) @ turn * fish.plan.pectoral * fish.fin_scale + root
    return np.array([np.broadcast_to(root, tips.shape), tips])


def _bounds(strips: Strips) -> tuple[np.ndarray, np.ndarray]:
    """The least and the greatest x and y, [2] each, of strips."""
    points = np.concatenate([strip.reshape(-1, 2) for strip in strips])
    return points.min(axis=0), points.max(axis=0)


def fit_pose(fish: Fish, strips: Strips) -> Pose:
    """Fits a fish to the frame; deep ones are squashed and thin ones stretched, as photographs."""
    low, high = _bounds(strips)
    scale = fish.fill / (high[0] - low[0])
    height = (high[1] - low[1]) * scale * ASPECT
    stretch = float(np.clip(1, min(0.5 / height, 1.3), 0.82 / height))
    return Pose((low + high) / 2, np.array([scale, scale * stretch]))


def to_frame(points: np.ndarray, fish: Fish, pose: Pose) -> np.ndarray:
    """Maps points [..., 2] of the fish at rest to frame units."""
    x, y = points[..., 0], points[..., 1]
    y = (y + sway_at(fish, x) - pose.origin[1]) * pose.scale[1]
    x = (x - pose.origin[0]) * pose.scale[0]
    cosine, sine = math.cos(fish.angle), math.sin(fish.angle)
    along, down = x * cosine - y * sine, x * sine + y * cosine
    return np.stack([fish.facing * along, down * ASPECT], axis=-1) + fish.centre


def from_frame(fish: Fish, pose: Pose, height: int, width: int) -> tuple[np.ndarray, np.ndarray]:
    """The x and y, in fish units, of the pixels, float32 [height, width] each; y includes sway."""
    along = fish.facing * ((np.arange(width, dtype=np.float32) + 0.5) / width - fish.centre[0])
    down = ((np.arange(height, dtype=np.float32) + 0.5) / height - fish.centre[1]) / ASPECT
    down = down[:, None]
    cosine, sine = math.cos(fish.angle), math.sin(fish.angle)
    x = (along * cosine + down * sine) / float(pose.scale[0]) + float(pose.origin[0])
    y = (down * cosine - along * sine) / float(pose.scale[1]) + float(pose.origin[1])
    return x, y


def region(shape: tuple[int, int], strips: Strips) -> tuple:
    """The index of the least part of a canvas that holds strips in frame units."""
    low, high = _bounds(strips)
    left, top = np.maximum(low * shape[::-1], 0).astype(int)
    right, bottom = np.ceil(high * shape[::-1]).astype(int)
    return np.s_[..., top:bottom, left:right]


def coverage_of(
    shape: tuple[int, int], part: tuple, strips: Strips, lines: Strips = (), thickness: float = 0.0
) -> np.ndarray:
    """How much of each pixel is covered, antialiased.

    Args:
      shape: height and width of the canvas, pixels.
      part: the index of the part of interest.
      strips: areas [2, N, 2], in frame units.
      lines: bundles [K, N, 2] of lines, in frame units.
      thickness: that of the lines, in frame widths.

    Returns:
      The coverage of that part, float32 [h, w] in [0, 1].
    """
    height, width = (_EDGE_SAMPLES * size for size in shape)
    mask = Image.new("L", (width, height))
    draw = ImageDraw.Draw(mask)
    for strip in strips:
        outline = np.concatenate([strip[0], strip[1, ::-1]]) * (width, height)
        draw.polygon(outline.ravel().tolist(), fill=255)
    pixels = thickness * width
    shade = min(255, round(255 * pixels))
    for bundle in lines:
        for line in (bundle * (width, height)).reshape(len(bundle), -1).tolist():
            draw.line(line, fill=shade, width=max(1, round(pixels)))
    return np.asarray(mask.reduce(_EDGE_SAMPLES))[part] / np.float32(255)
