"""The traits of one fish: its species, colours, backdrop and pose, chosen at random."""

import functools
import math
from typing import Any, NamedTuple

import numpy as np
from PIL import ImageColor

from fish_jax.data.synthetic import tables
from fish_jax.data.synthetic.tables import Backdrop, BodyPlan, Palette


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


def fish_generator(*seeds: int) -> np.random.Generator:
    """A generator of random numbers for these seeds, the same on every machine."""
    return np.random.Generator(np.random.PCG64(np.random.SeedSequence(seeds)))


@functools.cache
def to_rgb(colour: str) -> np.ndarray:
    """The float32 [3, 1, 1] in [0, 1] of a '#rrggbb'."""
    return np.asarray(ImageColor.getrgb(colour), np.float32)[:, None, None] / 255


def _contrast(colour: np.ndarray, backdrop: Backdrop) -> float:
    """The distance in RGB from a colour to the most similar part of a backdrop."""
    top, bottom = to_rgb(backdrop.top), to_rgb(backdrop.bottom)
    return min(float(np.linalg.norm(colour - part)) for part in (top, (top + bottom) / 2, bottom))


@functools.cache
def _clear_backdrops(palette: Palette) -> tuple[Backdrop, ...]:
    """The backdrops that a fish of these colours stands out from."""
    body = (to_rgb(palette.back) + 2 * to_rgb(palette.flank) + to_rgb(palette.belly)) / 4
    return tuple(
        backdrop
        for backdrop in tables.BACKDROPS
        if _contrast(body, backdrop) > 0.33 and _contrast(to_rgb(palette.fins), backdrop) > 0.26
    )


def choose_fish(seed: int, index: int) -> Fish:
    """Chooses what fish `index` of a data set is, how it is coloured, where and how it swims."""
    generator = fish_generator(seed, index, 0)

    def pick(options: tuple[Any, ...]) -> Any:
        return options[generator.integers(len(options))]

    plan, palette = pick(tables.BODY_PLANS), pick(tables.PALETTES)
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
