"""A synthetic data set: side-view portraits of fish, outlined by Pillow and shaded by numpy.

Every picture is a pure function of a seed and an index. A fish begins as a choice of traits
(`choose_fish`), which give its outlines in fish units; a pose fits these into the frame; then the
backdrop, the fins, the body and the face are painted over one another (`draw_fish`).

Fish units: x runs from the snout (0) to the root of the tail fin (1), y points down, and both are
measured in body lengths. Frame units: x and y run from 0 to 1 across the picture, so a frame of
another aspect ratio shows the same picture stretched.

A canvas is float32 [3, height, width] in [0, 1]. A strip is the area between two rails, float
[2, N, 2]: the back and the belly of a body, or the roots and the tips of a fin's rays.
"""

import functools
import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from PIL import Image, ImageColor, ImageDraw, ImageFilter


class Fin(NamedTuple):
    """A fin that grows from the body's edge between `start` and `end`, in fish units."""

    start: float
    end: float
    height: float
    shape: str  # A key of `_FIN_SHAPES`.
    lean: float = 0.4  # How far it sweeps backwards for each unit of height.


class BodyPlan(NamedTuple):
    """The build of a kind of fish, in fish units."""

    name: str
    back: tuple[float, ...]  # Height above the middle at `_STATIONS`, in hundredths.
    belly: tuple[float, ...]  # Depth below the middle, likewise.
    upper_fins: tuple[Fin, ...]
    lower_fins: tuple[Fin, ...]
    pectoral: float  # Length of the fin behind the gill cover.
    tails: tuple[str, ...]  # Keys of `_TAILS`.
    tail_size: tuple[float, float]  # Length, half span.
    eye: tuple[float, float, float]  # x, height as a share of the back's, radius.
    patterns: tuple[str, ...]  # Names that `_pattern` knows.
    sway: float = 0.012  # Amplitude of the swimming body's wave.


class Palette(NamedTuple):
    """The colours of a fish."""

    back: str
    flank: str
    belly: str
    fins: str
    marks: str
    iris: str


class Backdrop(NamedTuple):
    """What lies behind a fish: a vertical gradient and one kind of scenery."""

    top: str
    bottom: str
    scenery: str


class Fish(NamedTuple):
    """The traits that tell one fish from another."""

    plan: BodyPlan
    palette: Palette
    backdrop: Backdrop
    tail: str
    pattern: str
    facing: int  # +1: the snout is on the left; -1: on the right.
    depth: float  # These three are factors on the plan's measures.
    fin_scale: float
    tail_scale: float
    fill: float  # Share of the frame's width between the snout and the tip of the tail.
    centre: tuple[float, float]  # Frame units.
    angle: float  # Radians; positive turns the snout up.
    bend: float  # Phase of the body's wave, radians.


class Pose(NamedTuple):
    """The part of the map from fish units to frame units that depends on the outlines."""

    origin: np.ndarray  # [2], the middle of the outlines, in fish units.
    scale: np.ndarray  # [2], frame widths to a body length, along and across the body.


_ASPECT = 320 / 140  # Width over height of the frame in which nothing looks stretched.
_BACKDROP_SIZE = (42, 96)  # Painted this small and then enlarged, a scene looks out of focus.
_EDGE_SAMPLES = 2  # Outlines are drawn this many times finer than the canvas.
_REPORT_EVERY = 32  # Fish.

# Crowded at the snout, where the body curves most. Curves are interpolated over the square root of
# x, which rounds the snout.
_STATIONS = (0.0, 0.04, 0.12, 0.25, 0.42, 0.62, 0.82, 1.0)
_ROOT_STATIONS = tuple(math.sqrt(station) for station in _STATIONS)
_CURVE_SAMPLES = np.linspace(0, 1, 256)

# fmt: off
# Heights at `_FIN_STEPS`, from the front of a fin to its rear.
_FIN_STEPS = (0.0, 0.25, 0.5, 0.75, 1.0)
_FIN_SHAPES = {
    "triangle": (0.0, 0.62, 1.0, 0.45, 0.1),
    "ribbon": (0.0, 0.85, 1.0, 0.95, 0.2),
    "spiny": (0.0, 1.0, 0.95, 0.75, 0.4),
    "sail": (0.0, 0.9, 1.0, 0.8, 0.45),
    "rear": (0.0, 0.35, 0.65, 1.0, 0.5),
    "sickle": (0.0, 1.0, 0.5, 0.22, 0.08),
}

# Rims from the upper root to the lower root: x in tail lengths, y in half spans.
_TAILS = {
    "forked": ((0.35, -0.5), (1.0, -1.05), (0.98, -0.9), (0.5, 0.0), (0.98, 0.9), (1.0, 1.05),
               (0.35, 0.5)),
    "lunate": ((0.3, -0.5), (0.95, -1.2), (1.0, -1.1), (0.45, -0.35), (0.3, 0.0), (0.45, 0.35),
               (1.0, 1.1), (0.95, 1.2), (0.3, 0.5)),
    "rounded": ((0.3, -0.75), (0.75, -0.95), (1.0, -0.5), (1.05, 0.0), (1.0, 0.5), (0.75, 0.95),
                (0.3, 0.75)),
    "fan": ((0.35, -0.6), (0.95, -1.1), (1.0, -0.8), (0.95, 0.0), (1.0, 0.8), (0.95, 1.1),
            (0.35, 0.6)),
    "shark": ((0.4, -0.6), (1.05, -1.4), (1.0, -1.15), (0.5, -0.15), (0.72, 0.75), (0.6, 0.8),
              (0.2, 0.35)),
    "sword": ((0.2, -0.7), (0.5, -1.05), (0.68, -0.7), (0.7, 0.0), (0.66, 0.5), (0.8, 0.66),
              (1.6, 0.92), (1.6, 1.1), (0.5, 1.1), (0.2, 0.75)),
    "veil": ((0.3, -0.8), (0.8, -1.3), (1.1, -1.0), (0.85, -0.2), (1.15, 0.5), (1.05, 1.3),
             (0.75, 1.4), (0.3, 0.8)),
}

# The rim of a pectoral fin, in its lengths.
_LEAF = ((0.0, -0.1), (0.5, -0.26), (1.0, -0.1), (1.0, 0.06), (0.6, 0.24), (0.0, 0.1))

_BODY_PLANS = (
    BodyPlan(
        "tuna", (0, 5, 9.5, 13.5, 15, 11, 5, 1.8), (0, 5, 9.5, 13.5, 15, 11, 5, 1.8),
        (Fin(0.30, 0.52, 0.11, "sickle", 0.7), Fin(0.56, 0.68, 0.15, "sickle", 1.0)),
        (Fin(0.30, 0.38, 0.08, "triangle", 0.8), Fin(0.58, 0.70, 0.15, "sickle", 1.0)), 0.24,
        ("lunate",), (0.22, 0.24), (0.10, 0.25, 0.025), ("plain", "lines", "flecks"),
    ),
    BodyPlan(
        "discus", (0, 14, 24, 32, 35, 31, 17, 6), (0, 12, 23, 32, 36, 31, 17, 6),
        (Fin(0.30, 0.96, 0.12, "rear", 0.6),),
        (Fin(0.38, 0.96, 0.12, "rear", 0.6), Fin(0.28, 0.36, 0.16, "triangle", 0.6)), 0.17,
        ("fan", "rounded"), (0.22, 0.18), (0.15, 0.2, 0.037), ("bars", "maze", "lines", "eyeband"),
    ),
    BodyPlan(
        "angelfish", (0, 10, 18, 25, 29, 24, 12, 6), (0, 9, 17, 25, 29, 24, 12, 6),
        (Fin(0.40, 0.90, 0.20, "triangle", 1.1),),
        (Fin(0.42, 0.90, 0.20, "triangle", 1.1), Fin(0.30, 0.36, 0.18, "sickle", 0.6)), 0.16,
        ("fan",), (0.26, 0.19), (0.14, 0.2, 0.037), ("bars", "eyeband", "plain"),
    ),
    BodyPlan(
        "eel", (0, 4.2, 6, 6.6, 6.2, 5.4, 4.2, 2.8), (0, 3.6, 5.4, 6.4, 6.2, 5.4, 4.2, 2.8),
        (Fin(0.26, 0.95, 0.06, "ribbon"),),
        (Fin(0.48, 0.95, 0.05, "ribbon"),), 0.12,
        ("rounded", "fan"), (0.15, 0.085), (0.07, 0.35, 0.024), ("spots", "bars", "blotches"), 0.04,
    ),
    BodyPlan(
        "shark", (0, 4, 7, 10, 11, 8, 4.2, 2.4), (0, 3, 5.5, 8.5, 9.5, 6.5, 3.4, 2.2),
        (Fin(0.36, 0.54, 0.16, "triangle", 0.75), Fin(0.80, 0.88, 0.045, "triangle", 0.8)),
        (Fin(0.60, 0.68, 0.06, "triangle", 0.8), Fin(0.80, 0.87, 0.04, "triangle", 0.8)), 0.23,
        ("shark",), (0.24, 0.17), (0.10, 0.3, 0.017), ("plain", "bars", "spots"), 0.02,
    ),
    BodyPlan(
        "flounder", (0, 8, 15.5, 22, 25, 20, 10, 4.5), (0, 8, 15.5, 22, 25, 20, 10, 4.5),
        (Fin(0.10, 0.95, 0.10, "ribbon"),),
        (Fin(0.22, 0.95, 0.10, "ribbon"),), 0.14,
        ("rounded", "fan"), (0.20, 0.13), (0.10, 0.4, 0.027), ("spots", "blotches", "flecks"),
    ),
    BodyPlan(
        "puffer", (0, 13, 21, 27, 27, 19, 9, 5), (0, 13, 23, 32, 33, 23, 9, 5),
        (Fin(0.72, 0.86, 0.13, "sail", 0.6),),
        (Fin(0.74, 0.86, 0.11, "sail", 0.6),), 0.16,
        ("rounded", "fan"), (0.20, 0.13), (0.17, 0.5, 0.045), ("spots", "maze", "blotches"),
    ),
    BodyPlan(
        "carp", (0, 7, 12, 17.5, 19.5, 15, 9, 6), (0, 7, 12, 16.5, 18.5, 14, 8, 6),
        (Fin(0.38, 0.74, 0.12, "spiny", 0.5),),
        (Fin(0.44, 0.54, 0.11, "triangle", 0.7), Fin(0.72, 0.84, 0.11, "triangle", 0.7)), 0.17,
        ("forked", "fan"), (0.26, 0.21), (0.11, 0.3, 0.025), ("blotches", "plain", "scales"),
    ),
    BodyPlan(
        "trout", (0, 6, 9.3, 12.5, 13.5, 11, 6.5, 4.6), (0, 5.5, 9, 12.3, 13.5, 10.5, 6, 4.6),
        (Fin(0.42, 0.56, 0.11, "triangle", 0.5), Fin(0.80, 0.85, 0.05, "sail", 1.2)),
        (Fin(0.52, 0.61, 0.09, "triangle", 0.6), Fin(0.74, 0.85, 0.09, "triangle", 0.6)), 0.14,
        ("forked", "fan"), (0.20, 0.17), (0.09, 0.35, 0.023), ("spots", "flecks", "band"),
    ),
    BodyPlan(
        "bass", (0, 6.5, 11.5, 16.3, 18, 14.5, 8, 5), (0, 6.5, 11, 15, 16.5, 13, 7, 5),
        (Fin(0.30, 0.58, 0.13, "spiny", 0.3), Fin(0.60, 0.80, 0.12, "sail", 0.5)),
        (Fin(0.36, 0.44, 0.12, "triangle", 0.7), Fin(0.64, 0.80, 0.11, "sail", 0.6)), 0.17,
        ("fan", "forked"), (0.23, 0.19), (0.11, 0.35, 0.030), ("lines", "bars", "spots", "band"),
    ),
    BodyPlan(
        "swordtail", (0, 5, 8.5, 12.5, 14, 11, 8, 7), (0, 5, 9.5, 14, 15, 10.5, 7.5, 7),
        (Fin(0.42, 0.68, 0.17, "sail", 0.5),),
        (Fin(0.58, 0.70, 0.12, "triangle", 0.7), Fin(0.42, 0.48, 0.10, "triangle", 0.8)), 0.15,
        ("sword",), (0.27, 0.16), (0.09, 0.3, 0.030), ("band", "plain", "halves"),
    ),
    BodyPlan(
        "triggerfish", (0, 7, 14, 23, 28, 22, 9, 5), (0, 7, 13.5, 22, 27, 21, 9, 5),
        (Fin(0.36, 0.50, 0.10, "sickle", 0.8), Fin(0.58, 0.90, 0.15, "triangle", 0.5)),
        (Fin(0.60, 0.90, 0.15, "triangle", 0.5),), 0.12,
        ("fan", "lunate"), (0.22, 0.18), (0.22, 0.55, 0.028), ("slashes", "blotches", "halves"),
    ),
    BodyPlan(
        "goldfish", (0, 11, 17, 21.5, 23, 18, 10, 7), (0, 11, 18, 24, 26, 20, 10, 7),
        (Fin(0.34, 0.72, 0.20, "sail", 0.7),),
        (Fin(0.40, 0.52, 0.18, "triangle", 0.8), Fin(0.74, 0.88, 0.18, "triangle", 0.8)), 0.18,
        ("veil", "fan"), (0.38, 0.28), (0.13, 0.3, 0.036), ("plain", "scales", "blotches"),
    ),
    BodyPlan(
        "snapper", (0, 9, 16, 21, 21.5, 15, 8, 4.6), (0, 6.5, 10.5, 14.5, 16, 13, 7, 4.6),
        (Fin(0.28, 0.84, 0.12, "spiny", 0.3),),
        (Fin(0.36, 0.44, 0.13, "triangle", 0.7), Fin(0.66, 0.80, 0.11, "triangle", 0.6)), 0.22,
        ("forked",), (0.25, 0.20), (0.14, 0.45, 0.032), ("plain", "lines", "slashes", "halves"),
    ),
)

_PALETTES = (
    Palette("#1f3a63", "#6f95b8", "#f1f5f7", "#33507a", "#142944", "#e8d27a"),
    Palette("#4a5560", "#9aa5ad", "#f4f2ec", "#59636c", "#272d33", "#d9c46c"),
    Palette("#c9480f", "#f5801f", "#fcd9a0", "#f0701a", "#fff4e2", "#f7e7a5"),
    Palette("#b0141c", "#e23a35", "#f9b7a1", "#c8242a", "#fff1e8", "#f3d36b"),
    Palette("#c79a08", "#f7cf2e", "#fff4b8", "#f0b81c", "#2b2a33", "#f4f0dc"),
    Palette("#0f3f94", "#2873d6", "#8cc6f2", "#f2c52d", "#0b1f52", "#f5e08c"),
    Palette("#2c4a2b", "#6f8f4c", "#e8e3b5", "#5b7440", "#1d2e1b", "#e6b14a"),
    Palette("#4b3622", "#8f6f47", "#e9d9b4", "#6d5333", "#2c1e12", "#e2b864"),
    Palette("#16706f", "#2fb6a5", "#d3f2df", "#1b8d96", "#f46b45", "#f7ea9c"),
    Palette("#5a2a78", "#a04fb5", "#f4cfe4", "#f0a13a", "#2f1247", "#f3dc79"),
    Palette("#d9d4c8", "#f5f1e8", "#ffffff", "#efe3d3", "#e0431f", "#e5c869"),
    Palette("#22252b", "#4a4e58", "#a7a9ad", "#2b2e36", "#e7c24c", "#efe3a4"),
    Palette("#7d3b2b", "#d8796a", "#fbe3d8", "#cf5f56", "#8a2d2a", "#f1dc8b"),
    Palette("#566b2f", "#b6b04a", "#f6efc6", "#c98a2e", "#34421d", "#e9913b"),
    Palette("#324a5e", "#c5d2d8", "#ffffff", "#7e93a0", "#20303e", "#f0d878"),
)

_BACKDROPS = (
    Backdrop("#ffffff", "#e9ebec", "plain"),
    Backdrop("#f7f5f0", "#dcd9d2", "plain"),
    Backdrop("#c9ced3", "#a3a9b0", "plain"),
    Backdrop("#2b2d31", "#0c0d0f", "plain"),
    Backdrop("#bfe6f5", "#5fb4dc", "plain"),
    Backdrop("#74c7ec", "#0f5f9e", "rays"),
    Backdrop("#3c9bd6", "#0a3566", "rays"),
    Backdrop("#1c5f93", "#061c38", "bubbles"),
    Backdrop("#8fd6d0", "#2a8b91", "bubbles"),
    Backdrop("#a9c58f", "#3d6640", "plants"),
    Backdrop("#3e6a4a", "#122a1f", "plants"),
    Backdrop("#9fd8e8", "#d9c797", "sand"),
    Backdrop("#5fb3d3", "#b59d6b", "sand"),
)
# fmt: on


def _generator(*seeds: int) -> np.random.Generator:
    return np.random.Generator(np.random.PCG64(np.random.SeedSequence(seeds)))


@functools.cache
def _rgb(colour: str) -> np.ndarray:
    """The float32 [3, 1, 1] in [0, 1] of a '#rrggbb'."""
    return np.asarray(ImageColor.getrgb(colour), np.float32)[:, None, None] / 255


def _contrast(colour: np.ndarray, backdrop: Backdrop) -> float:
    """The distance in RGB from a colour to the most similar part of a backdrop."""
    top, bottom = _rgb(backdrop.top), _rgb(backdrop.bottom)
    return min(float(np.linalg.norm(colour - part)) for part in (top, (top + bottom) / 2, bottom))


@functools.cache
def _clear_backdrops(palette: Palette) -> tuple[Backdrop, ...]:
    """The backdrops that a fish of these colours stands out from."""
    body = (_rgb(palette.back) + 2 * _rgb(palette.flank) + _rgb(palette.belly)) / 4
    return tuple(
        backdrop
        for backdrop in _BACKDROPS
        if _contrast(body, backdrop) > 0.33 and _contrast(_rgb(palette.fins), backdrop) > 0.26
    )


def choose_fish(seed: int, index: int) -> Fish:
    """Chooses what fish `index` of a data set is, how it is coloured, where and how it swims."""
    generator = _generator(seed, index, 0)

    def pick(options: tuple):
        return options[generator.integers(len(options))]

    plan, palette = pick(_BODY_PLANS), pick(_PALETTES)
    return Fish(
        plan=plan,
        palette=palette,
        backdrop=pick(_clear_backdrops(palette)),
        tail=pick(plan.tails),
        pattern=pick(plan.patterns),
        facing=pick((1, -1)),
        depth=generator.uniform(0.9, 1.12),
        fin_scale=generator.uniform(0.85, 1.2),
        tail_scale=generator.uniform(0.9, 1.15),
        fill=generator.uniform(0.78, 0.92),
        centre=(generator.uniform(0.47, 0.53), generator.uniform(0.46, 0.54)),
        angle=generator.uniform(-0.07, 0.07),
        bend=generator.uniform(0, 2 * math.pi),
    )


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


def _edges(fish: Fish, x: np.ndarray) -> np.ndarray:
    """The y of the back and of the belly, [2, N], at `x` [N] of a fish that holds still."""
    at = np.sqrt(np.clip(x, 0, 1))
    back = np.interp(at, _CURVE_SAMPLES, _smooth_curve(_ROOT_STATIONS, fish.plan.back))
    belly = np.interp(at, _CURVE_SAMPLES, _smooth_curve(_ROOT_STATIONS, fish.plan.belly))
    return np.array([-back, belly]) * (fish.depth / 100)


def _sway(fish: Fish, x: np.ndarray) -> np.ndarray:
    """How far swimming moves the body down at `x`."""
    return fish.plan.sway * (0.4 + x) * np.sin(5.5 * x + fish.bend)


def _body(fish: Fish) -> np.ndarray:
    """The strip between the back and the belly."""
    x = (np.arange(40) / 39) ** 1.5
    back, belly = _edges(fish, x)
    return np.array([(x, back), (x, belly)]).transpose(0, 2, 1)


def _edge_fin(fish: Fish, fin: Fin, side: int) -> np.ndarray:
    """The strip of a fin on the back (`side` 0) or on the belly (1)."""
    t = np.arange(21) / 20
    x = fin.start + (fin.end - fin.start) * t
    rise = np.interp(t, _CURVE_SAMPLES, _smooth_curve(_FIN_STEPS, _FIN_SHAPES[fin.shape]))
    rise = fin.height * fish.fin_scale * np.maximum(rise, 0)
    if fin.shape == "spiny":
        rise[1::2] *= 0.82
    edge = _edges(fish, x)[side]
    tips = (x + fin.lean * rise, edge + (2 * side - 1) * rise)
    return np.array([(x, 0.8 * edge), tips]).transpose(0, 2, 1)


def _tail_fin(fish: Fish) -> np.ndarray:
    """The strip of the tail fin."""
    top, bottom = _edges(fish, np.ones(1))[:, 0]
    size = np.array(fish.plan.tail_size) * fish.tail_scale
    rim = _round_corners(_TAILS[fish.tail]) * size + (1, 0)
    tips = np.concatenate([[(0.97, top)], rim, [(0.97, bottom)]])
    roots = np.linspace((0.96, top), (0.96, bottom), len(tips))
    return np.array([roots, tips])


def _pectoral_fin(fish: Fish, angle: float) -> np.ndarray:
    """The strip of the fin behind the gill cover; `angle` (radians) lowers its tip."""
    turn = np.array([(math.cos(angle), math.sin(angle)), (-math.sin(angle), math.cos(angle))])
    x = fish.plan.eye[0] + 0.19
    root = np.array([x, 0.22 * _edges(fish, np.array([x]))[1, 0]])
    tips = _round_corners(_LEAF) @ turn * fish.plan.pectoral * fish.fin_scale + root
    return np.array([np.broadcast_to(root, tips.shape), tips])


def _bounds(strips: Sequence[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """The least and the greatest x and y, [2] each, of strips."""
    points = np.concatenate([strip.reshape(-1, 2) for strip in strips])
    return points.min(axis=0), points.max(axis=0)


def _fit_pose(fish: Fish, strips: Sequence[np.ndarray]) -> Pose:
    """Fits a fish to the frame; deep ones are squashed and thin ones stretched, as photographs."""
    low, high = _bounds(strips)
    scale = fish.fill / (high[0] - low[0])
    height = (high[1] - low[1]) * scale * _ASPECT
    stretch = float(np.clip(1, min(0.5 / height, 1.3), 0.82 / height))
    return Pose((low + high) / 2, np.array([scale, scale * stretch]))


def _to_frame(points: np.ndarray, fish: Fish, pose: Pose) -> np.ndarray:
    """Maps points [..., 2] of the fish at rest to frame units."""
    x, y = points[..., 0], points[..., 1]
    y = (y + _sway(fish, x) - pose.origin[1]) * pose.scale[1]
    x = (x - pose.origin[0]) * pose.scale[0]
    cosine, sine = math.cos(fish.angle), math.sin(fish.angle)
    along, down = x * cosine - y * sine, x * sine + y * cosine
    return np.stack([fish.facing * along, down * _ASPECT], axis=-1) + fish.centre


def _from_frame(fish: Fish, pose: Pose, height: int, width: int) -> tuple[np.ndarray, np.ndarray]:
    """The x and y, in fish units, of the pixels, float32 [height, width] each; y includes sway."""
    along = fish.facing * ((np.arange(width, dtype=np.float32) + 0.5) / width - fish.centre[0])
    down = ((np.arange(height, dtype=np.float32) + 0.5) / height - fish.centre[1]) / _ASPECT
    down = down[:, None]
    cosine, sine = math.cos(fish.angle), math.sin(fish.angle)
    x = (along * cosine + down * sine) / float(pose.scale[0]) + float(pose.origin[0])
    y = (down * cosine - along * sine) / float(pose.scale[1]) + float(pose.origin[1])
    return x, y


def _part(shape: tuple[int, int], strips: Sequence[np.ndarray]) -> tuple:
    """The index of the least part of a canvas that holds strips in frame units."""
    low, high = _bounds(strips)
    left, top = np.maximum(low * shape[::-1], 0).astype(int)
    right, bottom = np.ceil(high * shape[::-1]).astype(int)
    return np.s_[..., top:bottom, left:right]


def _coverage(
    shape: tuple[int, int],
    part: tuple,
    strips: Sequence[np.ndarray] = (),
    lines: Sequence[np.ndarray] = (),
    thickness: float = 0.0,
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


def _blend(canvas: np.ndarray, colour: np.ndarray, amount: np.ndarray) -> None:
    """Moves a canvas towards a colour, [3, 1, 1] or a canvas, by `amount` [H, W], in place."""
    canvas += (colour - canvas) * amount


def _to_image(canvas: np.ndarray) -> Image.Image:
    planes = (255 * np.clip(canvas, 0, 1) + 0.5).astype(np.uint8)
    return Image.fromarray(np.ascontiguousarray(planes.transpose(1, 2, 0)))


def _noise(
    generator: np.random.Generator, cells: tuple[int, int], shape: tuple[int, int]
) -> np.ndarray:
    """Smooth noise around 0.5, float32 `shape`, of `cells` rows and columns of blotches."""
    coarse = Image.fromarray(generator.random(cells, np.float32))
    return np.asarray(coarse.resize(shape[::-1], Image.Resampling.BICUBIC))


def _step(low: float, high: float, values: np.ndarray) -> np.ndarray:
    """A smooth step from 0 at `low` to 1 at `high`, which may be the lesser of the two."""
    t = np.clip((values - low) / (high - low), 0, 1)
    return t * t * (3 - 2 * t)


def _draw_scenery(image: Image.Image, scenery: str, generator: np.random.Generator) -> None:
    """Draws faint light rays, bubbles, plants or pebbles."""
    width, height = image.size
    draw = ImageDraw.Draw(image, "RGBA")
    amounts = {"plain": 0, "rays": 5, "bubbles": 12, "plants": 9, "sand": 30}
    for x, y, size in generator.random((amounts[scenery], 3)).tolist():
        if scenery == "rays":
            left, spread = width * (1.4 * x - 0.2), 3 + 9 * size
            ray = (left, 0, left + spread, 0, left + 2 * spread - 18, height, left - 18, height)
            draw.polygon(ray, fill=(255, 255, 255, 22))
        elif scenery == "bubbles":
            bubble = (width * x, height * y)
            draw.circle(bubble, 0.7 + 1.8 * size, (255, 255, 255, 40), (255, 255, 255, 90))
        elif scenery == "plants":
            foot, tip, middle = width * x, height * (0.7 - 0.6 * y), width * x + 9 * (size - 0.5)
            blade = (foot - 2.5, height, middle, height * 0.6, 2 * foot - middle, tip)
            blade += (middle + 2.5, height * 0.6, foot + 2.5, height)
            draw.polygon(blade, fill=(20, 60, 25, 70))
        else:
            pebble = (width * x, height * (0.78 + 0.22 * y))
            draw.circle(pebble, 0.7 + 1.8 * size, (90, 70, 40, 50))


def _backdrop(
    backdrop: Backdrop, generator: np.random.Generator, height: int, width: int
) -> np.ndarray:
    """The canvas before the fish is painted."""
    rows, columns = _BACKDROP_SIZE
    down = np.linspace(0, 1, rows, dtype=np.float32)[:, None]
    if backdrop.scenery == "sand":
        down = _step(0.6, 0.8, down)
    scene = _rgb(backdrop.top) * (1 - down) + _rgb(backdrop.bottom) * down
    strength = 0.04 if backdrop.scenery == "plain" else 0.14
    light = 1 + strength * (_noise(generator, (4, 6), (rows, columns)) - 0.5)
    tilt = generator.uniform(-0.08, 0.08) * np.linspace(-1, 1, columns)
    image = _to_image(scene * (light + tilt) + generator.normal(0, 0.015, (3, 1, 1)))
    _draw_scenery(image, backdrop.scenery, generator)
    image = image.filter(ImageFilter.BoxBlur(1))
    image = image.resize((width, height), Image.Resampling.BICUBIC)
    return np.asarray(image).transpose(2, 0, 1).astype(np.float32, order="C") / 255


def _pattern(
    name: str, x: np.ndarray, y: np.ndarray, v: np.ndarray, generator: np.random.Generator
) -> np.ndarray:
    """How much of the marks' colour shows, float32 [H, W] in [0, 1].

    `x` and `y` are in fish units; `v` runs from -1 on the back to 1 on the belly.
    """
    amount, phase = generator.random(2).tolist()
    turn = 2 * math.pi * phase
    above = _step(0.95, 0.2, v)
    if name == "bars":
        return above * _step(0, 0.45, np.sin((20 + 26 * amount) * x + 1.2 * np.sin(2 * v) + turn))
    if name == "lines":
        return above * _step(0.2, 0.6, np.sin((9 + 8 * amount) * v + 2 * x + turn))
    if name == "slashes":
        return above * _step(0.15, 0.55, np.sin(26 * x + (14 + 12 * amount) * y + turn))
    if name == "band":
        return _step(0.3 + 0.1 * amount, 0.14, np.abs(v + 0.3 * phase)) * _step(0.1, 0.2, x)
    if name == "eyeband":
        bands = [np.abs(x - middle) for middle in (0.14, 0.5 + 0.1 * phase, 0.95)]
        return _step(0.06, 0.035, np.minimum(np.minimum(bands[0], bands[1]), bands[2]))
    if name == "halves":
        return _step(0, 0.06, x - 0.45 - 0.3 * amount + 0.12 * v)
    if name == "spots":
        across, density = 1.73 * y, 28 + 25 * amount
        lattice = np.sin(density * (x + across) + turn) * np.sin(density * (x - across))
        return above * _step(0.35, 0.75, lattice + 0.15 * np.sin(23 * x + 9 * y))
    if name == "flecks":
        return _step(0.62, 0.78, _noise(generator, (22, 50), x.shape)) * _step(0.4, -0.2, v)
    if name == "maze":
        return _step(0.18, 0.14, np.abs(_noise(generator, (9, 18), x.shape) - 0.5))
    if name == "blotches":
        return _step(0.5, 0.58, _noise(generator, (5, 9), x.shape)) * _step(1, 0.6, v)
    return np.zeros_like(v)


def _scales(x: np.ndarray, y: np.ndarray, density: float) -> np.ndarray:
    """Overlapping scales in staggered rows, in [-0.5, 0.5]: dark at the front of each."""
    rows = density * y
    row = np.floor(rows)
    bulge = (rows - row - 0.5) ** 2
    columns = density * x + 0.5 * row + 1.6 * bulge
    return columns - np.floor(columns) - 0.5


def _skin(
    fish: Fish, x: np.ndarray, y: np.ndarray, v: np.ndarray, generator: np.random.Generator
) -> np.ndarray:
    """The lit colours of the body, a canvas; the arguments are as for `_pattern`."""
    palette = fish.palette
    tones = np.concatenate([_rgb(palette.back), _rgb(palette.flank), _rgb(palette.belly)], axis=1)
    tones = tones[..., 0] + generator.normal(0, 0.035, (3, 3))
    knots = np.array([-0.75, -0.05, 0.75]) + generator.uniform(-0.15, 0.15)
    levels = np.linspace(-1, 1, 256)
    ramp = np.stack([np.interp(levels, knots, tone) for tone in tones]).astype(np.float32)
    colour = ramp[:, (127.5 * (v + 1)).astype(np.intp)]
    marks = _pattern(fish.pattern, x, y, v, generator)
    _blend(colour, _rgb(palette.marks), generator.uniform(0.6, 0.95) * marks)
    lamp = generator.uniform(-0.75, -0.25)
    light = 0.62 + 0.46 * np.sqrt(1 - (0.6 * (v - 0.5 * lamp)) ** 2)
    relief = 0.3 if fish.pattern == "scales" else 0.12
    light *= 1 + relief * _scales(x, y, generator.uniform(22, 32)) * _step(0.2, 0.3, x)
    glint = 0.22 * np.exp(-(((v - lamp) / 0.16) ** 2)) * _step(0.02, 0.2, x)
    return colour * light + glint


def _paint_fins(canvas: np.ndarray, fish: Fish, fins: Sequence[np.ndarray], opacity: float) -> None:
    """Paints the membranes of fins, given as strips in frame units, and rays upon them."""
    shape, colour = canvas.shape[1:], _rgb(fish.palette.fins)
    part = _part(shape, fins)
    rays = [fin.transpose(1, 0, 2)[1::2] for fin in fins]
    rims = [fin[1:] for fin in fins]
    membranes = opacity * _coverage(shape, part, fins)
    _blend(canvas[part], colour, membranes)
    shadows = _coverage(shape, part, (), rays + rims, 0.003)
    _blend(canvas[part], 0.55 * colour, 0.5 * membranes * shadows)


def _paint_body(
    canvas: np.ndarray, fish: Fish, pose: Pose, body: np.ndarray, generator: np.random.Generator
) -> None:
    """Paints the body, given as a strip in frame units."""
    shape = canvas.shape[1:]
    part = _part(shape, [body])
    x, y = (field[part] for field in _from_frame(fish, pose, *shape))
    along = np.arange(512) / 511
    back, belly = (_edges(fish, along) + _sway(fish, along)).astype(np.float32)
    nearest = (511 * np.clip(x, 0, 1)).astype(np.intp)
    middle, half = (back + belly) / 2, np.maximum((belly - back) / 2, 1e-3)
    v = np.clip((y - middle[nearest]) / half[nearest], -1, 1)
    _blend(canvas[part], _skin(fish, x, y, v, generator), _coverage(shape, part, [body]))


def _paint_face(canvas: np.ndarray, fish: Fish, pose: Pose) -> None:
    """Paints the mouth and the edge of the gill cover."""
    eye = fish.plan.eye[0]
    t = np.arange(-7, 8) / 7
    x = eye + 0.12 + 0.035 * (1 - t * t)
    back, belly = _edges(fish, x)
    gill = np.array([x, np.where(t < 0, -0.6 * t * back, 0.75 * t * belly)]).T
    mouth = np.array([(0.004, 0.02), (0.55 * eye, 0.02 + 0.16 * eye)])
    lines = [_to_frame(line, fish, pose)[None] for line in (gill, mouth)]
    part = _part(canvas.shape[1:], lines)
    shadows = _coverage(canvas.shape[1:], part, (), lines, 0.005)
    _blend(canvas[part], 0.25 * _rgb(fish.palette.back), 0.6 * shadows)


def _paint_eye(canvas: np.ndarray, fish: Fish, pose: Pose) -> None:
    """Paints a dark rim, the iris, the pupil and its highlight."""
    height, width = canvas.shape[1:]
    x, rise, radius = fish.plan.eye
    spot = np.array([x, rise * _edges(fish, np.array([x]))[0, 0]])
    centre = _to_frame(spot, fish, pose) * (width, height)
    # A lesser radius than this would not show at 28 x 64.
    size = max(radius * pose.scale[0], 0.017) * np.array([width, _ASPECT * height])
    low = np.maximum(centre - 1.5 * size - 1, 0).astype(int)
    high = np.ceil(centre + 1.5 * size + 1).astype(int)
    patch = canvas[:, low[1] : high[1], low[0] : high[0]]
    across = (low[0] + 0.5 + np.arange(patch.shape[2]) - centre[0]) / size[0]
    down = (low[1] + 0.5 + np.arange(patch.shape[1])[:, None] - centre[1]) / size[1]
    soft = 0.5 / size.min()
    ink, white = _rgb("#080808"), _rgb("#ffffff")
    discs = ((1.18, 0, ink), (1.0, 0, _rgb(fish.palette.iris)), (0.6, 0, ink), (0.24, 0.28, white))
    for disc, shift, colour in discs:
        distance = np.hypot(across + shift, down + shift)
        _blend(patch, colour, _step(disc + soft, disc - soft, distance))


def draw_fish(seed: int, index: int, height: int, width: int) -> np.ndarray:
    """Draws one fish.

    Args:
      seed: the data set, >= 0.
      index: the picture in the data set, >= 0.
      height: pixels, >= 16.
      width: pixels, >= 16.

    Returns:
      uint8 [height, width, 3]; the same fish at every size.
    """
    fish, generator = choose_fish(seed, index), _generator(seed, index, 1)
    smallest = min(height / 140, width / 320)
    detail = 1 if smallest > 0.7 else 2 if smallest > 0.19 else 4
    canvas = _backdrop(fish.backdrop, generator, detail * height, detail * width)
    strips = [_body(fish), _tail_fin(fish)]
    strips += [_edge_fin(fish, fin, 0) for fin in fish.plan.upper_fins]
    strips += [_edge_fin(fish, fin, 1) for fin in fish.plan.lower_fins]
    pose = _fit_pose(fish, strips)
    strips.append(_pectoral_fin(fish, generator.uniform(0.15, 0.9)))
    body, *fins, pectoral = (_to_frame(strip, fish, pose) for strip in strips)
    _paint_fins(canvas, fish, fins, 0.9)
    _paint_body(canvas, fish, pose, body, generator)
    _paint_face(canvas, fish, pose)
    _paint_fins(canvas, fish, [pectoral], 0.8)
    _paint_eye(canvas, fish, pose)
    return np.array(_to_image(canvas).reduce(detail))


def draw_school(
    count: int,
    height: int,
    width: int,
    seed: int = 0,
    on_progress: Callable[[int], None] | None = None,
) -> np.ndarray:
    """Draws the first `count` fish of a data set.

    Args:
      count: how many, >= 0.
      height: pixels, >= 16.
      width: pixels, >= 16.
      seed: the data set, >= 0.
      on_progress: called from time to time with how many more were finished.

    Returns:
      uint8 [count, height, width, 3].
    """
    school = np.empty((count, height, width, 3), np.uint8)
    for start in range(0, count, _REPORT_EVERY):
        stop = min(start + _REPORT_EVERY, count)
        for index in range(start, stop):
            school[index] = draw_fish(seed, index, height, width)
        if on_progress is not None:
            on_progress(stop - start)
    return school
