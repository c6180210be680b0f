"""Painting of a fish within its outlines: backdrop, skin, fins, face and eye."""

import math
from collections.abc import Sequence

import numpy as np
from numpy import ndarray
from numpy.random import Generator
from PIL import Image, ImageDraw, ImageFilter

from fish_jax.data.synthetic import shapes
from fish_jax.data.synthetic.shapes import Pose, coverage_of, region
from fish_jax.data.synthetic.species import Fish, to_rgb
from fish_jax.data.synthetic.tables import Backdrop

_BACKDROP_SIZE = (42, 96)  # Painted this small and then enlarged, a scene looks out of focus.


def _blend(canvas: ndarray, colour: ndarray, amount: ndarray) -> None:
    """Moves a canvas towards a colour, [3, 1, 1] or a canvas, by `amount` [H, W], in place."""
    canvas += (colour - canvas) * amount


def to_image(canvas: ndarray) -> Image.Image:
    """Rounds a canvas to an 8-bit RGB image."""
    planes = (255 * np.clip(canvas, 0, 1) + 0.5).astype(np.uint8)
    return Image.fromarray(np.ascontiguousarray(planes.transpose(1, 2, 0)))


def _noise(generator: Generator, cells: tuple[int, int], shape: tuple[int, int]) -> ndarray:
    """Smooth noise around 0.5, float32 `shape`, of `cells` rows and columns of blotches."""
    coarse = Image.fromarray(generator.random(cells, np.float32))
    return np.asarray(coarse.resize((shape[1], shape[0]), Image.Resampling.BICUBIC))


def _step(low: float, high: float, values: ndarray) -> ndarray:
    """A smooth step from 0 at `low` to 1 at `high`, which may be the lesser of the two."""
    t = np.clip((values - low) / (high - low), 0, 1)
    return t * t * (3 - 2 * t)


def _draw_scenery(image: Image.Image, scenery: str, generator: Generator) -> None:
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


def paint_backdrop(backdrop: Backdrop, generator: Generator, height: int, width: int) -> ndarray:
    """The canvas before the fish is painted."""
    rows, columns = _BACKDROP_SIZE
    down = np.linspace(0, 1, rows, dtype=np.float32)[:, None]
    if backdrop.scenery == "sand":
        down = _step(0.6, 0.8, down)
    scene = to_rgb(backdrop.top) * (1 - down) + to_rgb(backdrop.bottom) * down
    strength = 0.04 if backdrop.scenery == "plain" else 0.14
    light = 1 + strength * (_noise(generator, (4, 6), (rows, columns)) - 0.5)
    tilt = generator.uniform(-0.08, 0.08) * np.linspace(-1, 1, columns)
    image = to_image(scene * (light + tilt) + generator.normal(0, 0.015, (3, 1, 1)))
    _draw_scenery(image, backdrop.scenery, generator)
    image = image.filter(ImageFilter.BoxBlur(1))
    image = image.resize((width, height), Image.Resampling.BICUBIC)
    return np.asarray(image).transpose(2, 0, 1).astype(np.float32, order="C") / 255


def _pattern(name: str, x: ndarray, y: ndarray, v: ndarray, generator: Generator) -> ndarray:
    """How much of the marks' colour shows, float32 [H, W] in [0, 1].

    `x` and `y` are in fish units; `v` runs from -1 on the back to 1 on the belly.
    """
    amount, phase = generator.random(2).tolist()
    above = _step(0.95, 0.2, v)
    wave = lambda angles: np.sin(angles + 2 * math.pi * phase)
    noise = lambda *cells: _noise(generator, cells, v.shape)

    def eyeband() -> ndarray:
        bands = [np.abs(x - middle) for middle in (0.14, 0.5 + 0.1 * phase, 0.95)]
        return _step(0.06, 0.035, np.minimum(np.minimum(bands[0], bands[1]), bands[2]))

    def spots() -> ndarray:
        across, density = 1.73 * y, 28 + 25 * amount
        lattice = wave(density * (x + across)) * np.sin(density * (x - across))
        return above * _step(0.35, 0.75, lattice + 0.15 * np.sin(23 * x + 9 * y))

    patterns = {
        "bars": lambda: above * _step(0, 0.45, wave((20 + 26 * amount) * x + 1.2 * np.sin(2 * v))),
        "lines": lambda: above * _step(0.2, 0.6, wave((9 + 8 * amount) * v + 2 * x)),
        "slashes": lambda: above * _step(0.15, 0.55, wave(26 * x + (14 + 12 * amount) * y)),
        "band": lambda: (
            _step(0.3 + 0.1 * amount, 0.14, np.abs(v + 0.3 * phase)) * _step(0.1, 0.2, x)
        ),
        "eyeband": eyeband,
        "halves": lambda: _step(0, 0.06, x - 0.45 - 0.3 * amount + 0.12 * v),
        "spots": spots,
        "flecks": lambda: _step(0.62, 0.78, noise(22, 50)) * _step(0.4, -0.2, v),
        "maze": lambda: _step(0.18, 0.14, np.abs(noise(9, 18) - 0.5)),
        "blotches": lambda: _step(0.5, 0.58, noise(5, 9)) * _step(1, 0.6, v),
    }
    return patterns.get(name, lambda: np.zeros_like(v))()


def _scales(x: ndarray, y: ndarray, density: float) -> ndarray:
    """Overlapping scales in staggered rows, in [-0.5, 0.5]: dark at the front of each."""
    rows = density * y
    row = np.floor(rows)
    bulge = (rows - row - 0.5) ** 2
    columns = density * x + 0.5 * row + 1.6 * bulge
    return columns - np.floor(columns) - 0.5


def _skin(fish: Fish, x: ndarray, y: ndarray, v: ndarray, generator: Generator) -> ndarray:
    """The lit colours of the body, a canvas; the arguments are as for `_pattern`."""
    palette = fish.palette
    colours = (palette.back, palette.flank, palette.belly)
    tones = np.concatenate([to_rgb(colour) for colour in colours], axis=1)[
        ..., 0
    ] + generator.normal(0, 0.035, (3, 3))
    knots = np.array([-0.75, -0.05, 0.75]) + generator.uniform(-0.15, 0.15)
    levels = np.linspace(-1, 1, 256)
    ramp = np.stack([np.interp(levels, knots, tone) for tone in tones]).astype(np.float32)
    colour = ramp[:, (127.5 * (v + 1)).astype(np.intp)]
    marks = _pattern(fish.pattern, x, y, v, generator)
    _blend(colour, to_rgb(palette.marks), generator.uniform(0.6, 0.95) * marks)
    lamp = generator.uniform(-0.75, -0.25)
    light = 0.62 + 0.46 * np.sqrt(1 - (0.6 * (v - 0.5 * lamp)) ** 2)
    relief = 0.3 if fish.pattern == "scales" else 0.12
    light *= 1 + relief * _scales(x, y, generator.uniform(22, 32)) * _step(0.2, 0.3, x)
    glint = 0.22 * np.exp(-(((v - lamp) / 0.16) ** 2)) * _step(0.02, 0.2, x)
    return colour * light + glint


def paint_fins(canvas: ndarray, fish: Fish, fins: Sequence[ndarray], opacity: float) -> None:
    """Paints the membranes of fins, given as strips in frame units, and rays upon them."""
    shape, colour = canvas.shape[1:], to_rgb(fish.palette.fins)
    part = region(shape, fins)
    rays = [fin.transpose(1, 0, 2)[1::2] for fin in fins]
    rims = [fin[1:] for fin in fins]
    membranes = opacity * coverage_of(shape, part, fins)
    _blend(canvas[part], colour, membranes)
    shadows = coverage_of(shape, part, (), rays + rims, 0.003)
    _blend(canvas[part], 0.55 * colour, 0.5 * membranes * shadows)


def paint_body(
    canvas: ndarray, fish: Fish, pose: Pose, body: ndarray, generator: Generator
) -> None:
    """Paints the body, given as a strip in frame units."""
    shape = canvas.shape[1:]
    part = region(shape, [body])
    x, y = (field[part] for field in shapes.from_frame(fish, pose, *shape))
    along = np.arange(512) / 511
    back, belly = (shapes.edges_of(fish, along) + shapes.sway_at(fish, along)).astype(np.float32)
    nearest = (511 * np.clip(x, 0, 1)).astype(np.intp)
    middle, half = (back + belly) / 2, np.maximum((belly - back) / 2, 1e-3)
    v = np.clip((y - middle[nearest]) / half[nearest], -1, 1)
    _blend(canvas[part], _skin(fish, x, y, v, generator), coverage_of(shape, part, [body]))


def paint_face(canvas: ndarray, fish: Fish, pose: Pose) -> None:
    """Paints the mouth and the edge of the gill cover."""
    eye = fish.plan.eye[0]
    t = np.arange(-7, 8) / 7
    x = eye + 0.12 + 0.035 * (1 - t * t)
    back, belly = shapes.edges_of(fish, x)
    gill = np.array([x, np.where(t < 0, -0.6 * t * back, 0.75 * t * belly)]).T
    mouth = np.array([(0.004, 0.02), (0.55 * eye, 0.02 + 0.16 * eye)])
    lines = [shapes.to_frame(line, fish, pose)[None] for line in (gill, mouth)]
    part = region(canvas.shape[1:], lines)
    shadows = coverage_of(canvas.shape[1:], part, (), lines, 0.005)
    _blend(canvas[part], 0.25 * to_rgb(fish.palette.back), 0.6 * shadows)


def paint_eye(canvas: ndarray, fish: Fish, pose: Pose) -> None:
    """Paints a dark rim, the iris, the pupil and its highlight."""
    height, width = canvas.shape[1:]
    x, rise, radius = fish.plan.eye
    spot = np.array([x, rise * shapes.edges_of(fish, np.array([x]))[0, 0]])
    centre = shapes.to_frame(spot, fish, pose) * (width, height)
    # A lesser radius than this would not show at 28 x 64.
    size = max(radius * pose.scale[0], 0.017) * np.array([width, shapes.ASPECT * height])
    low = np.maximum(centre - 1.5 * size - 1, 0).astype(int)
    high = np.ceil(centre + 1.5 * size + 1).astype(int)
    patch = canvas[:, low[1] : high[1], low[0] : high[0]]
    across = (low[0] + 0.5 + np.arange(patch.shape[2]) - centre[0]) / size[0]
    down = (low[1] + 0.5 + np.arange(patch.shape[1])[:, None] - centre[1]) / size[1]
    soft = 0.5 / size.min()
    ink, iris, white = (to_rgb(colour) for colour in ("#080808", fish.palette.iris, "#ffffff"))
    discs = ((1.18, 0, ink), (1.0, 0, iris), (0.6, 0, ink), (0.24, 0.28, white))
    for disc, shift, colour in discs:
        distance = np.hypot(across + shift, down + shift)
        _blend(patch, colour, _step(disc + soft, disc - soft, distance))
