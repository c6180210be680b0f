"""Compares feature spaces by how well their distances order damage of real images.

Usage: python -m benchmarks.feature_space --data=FOLDER

Without a folder it draws fish. Two halves of the images, near-duplicates on one side, are compared
in each candidate space: the floor is ten random halvings; then the second half of the first one is
damaged, more and more. Each score is printed with its distance from the floor's mean, in standard
deviations of the floor; these are of one set of photographs, so they are a little too small. A
style is the part of a file's name before the first "_".
"""

import argparse
import io
import itertools
import math
from collections.abc import Iterator
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from PIL import Image

from benchmarks import photographs
from benchmarks.photographs import Damage
from fish_jax.data.near_duplicates import near_duplicates
from fish_jax.evaluation.metrics import distances, features, precision_recall

HALVINGS = 10
SEEN = 3.0  # standard deviations of the floor
SCORES = ("Frechet", "kernel", "precision", "recall", "density", "coverage")
# What each kind of damage must do to the scores, in their order; 0 is not asked for.
WORSE = {
    "looks": (1, 1, -1, 0, -1, 0),
    "variety": (1, 1, 0, -1, 0, -1),
    "frame": (1, 1, 0, 0, 0, 0),
}


def random_conv(images: jax.Array) -> jax.Array:
    """Four random convolutions of stride 2: means of 2 x 2 parts, and deviations."""
    colours = features.opponents(images)
    parts, maps = [features.layout(colours)], jnp.moveaxis(colours, 1, 3)
    rng = np.random.default_rng(1)
    for channels in (16, 16, 24, 24):
        kernel = rng.standard_normal((5, 5, maps.shape[3], channels))
        kernel -= kernel.mean((0, 1), keepdims=True)
        kernel *= np.sqrt(2 / np.sum(kernel**2, (0, 1, 2), keepdims=True))
        maps = jnp.pad(maps, ((0, 0), (2, 2), (2, 2), (0, 0)), "symmetric")
        maps = jax.lax.conv_general_dilated(
            maps,
            np.float32(kernel),
            (2, 2),
            "VALID",
            dimension_numbers=("NHWC", "HWIO", "NHWC"),
            precision=jax.lax.Precision.HIGHEST,
        )
        maps = jax.nn.relu(maps)
        parts.append(features.log(features.pool(jnp.moveaxis(maps, 3, 1), 2)))
        parts.append(features.log(jnp.std(maps, (1, 2))))
    return jnp.concatenate([part.reshape(len(images), -1) for part in parts], axis=1)


def dct(images: jax.Array) -> jax.Array:
    """Mean sizes of the 8 x 8 cosine transform of blocks, at full and at half the resolution."""
    waves = np.cos(math.pi * (np.arange(8)[:, None] + 0.5) * np.arange(8) / 8) / 2
    waves = np.float32(waves * np.where(np.arange(8), 1, math.sqrt(0.5)))
    colours = features.opponents(images)
    parts = [features.layout(colours)]
    for maps in (colours, features.halve(colours)):
        n, _, height, width = maps.shape
        rows, columns = height // 8, width // 8
        blocks = maps[:, :, : rows * 8, : columns * 8].reshape(n, 3, rows, 8, columns, 8)
        exact = jax.lax.Precision.HIGHEST
        sizes = jnp.abs(jnp.einsum("ncrhkw,hi,wj->ncrkij", blocks, waves, waves, precision=exact))
        sizes = features.log(jnp.mean(sizes, (2, 3)))
        parts.append(sizes[:, 2].reshape(n, 64)[:, 1:])
        parts.append(sizes[:, :2, :4, :4].reshape(n, 2, 16)[:, :, 1:])
    return jnp.concatenate([part.reshape(len(images), -1) for part in parts], axis=1)


SPACES = {features.SPACE: features.scattering, "random_conv-1": random_conv, "dct-1": dct}


def _zoom(factor: float) -> Damage:
    def damage(image: np.ndarray) -> np.ndarray:
        height, width = image.shape[:2]
        left, top = width * (1 - 1 / factor) / 2, height * (1 - 1 / factor) / 2
        box = (left, top, width - left, height - top)
        return np.asarray(Image.fromarray(image).resize((width, height), box=box))

    return damage


def _jpeg(quality: int) -> Damage:
    def damage(image: np.ndarray) -> np.ndarray:
        file = io.BytesIO()
        Image.fromarray(image).save(file, "JPEG", quality=quality)
        return np.asarray(Image.open(file))

    return damage


def _warmer(gain: float) -> Damage:
    return lambda image: photographs.to_pixels(image * np.array([gain, 1, 1 / gain]))


def _shuffle(share: float) -> Damage:
    """Moves that share of the blocks, of 16 x 16 pixels or of a quarter of the height."""
    rng = np.random.default_rng(0)

    def damage(image: np.ndarray) -> np.ndarray:
        side = min(16, image.shape[0] // 4)
        rows, columns = (length // side for length in image.shape[:2])
        made, whole = image.copy(), image[: rows * side, : columns * side]
        blocks = whole.reshape(rows, side, columns, side, 3).swapaxes(1, 2)
        blocks = blocks.reshape(-1, side, side, 3)
        moved = rng.choice(len(blocks), max(2, round(share * len(blocks))), replace=False)
        blocks[np.sort(moved)] = blocks[moved]
        blocks = blocks.reshape(rows, columns, side, side, 3).swapaxes(1, 2)
        made[: rows * side, : columns * side] = blocks.reshape(whole.shape)
        return made

    return damage


def _checkerboard(strength: float) -> Damage:
    """The uneven overlap of a transposed convolution of stride 2."""

    def damage(image: np.ndarray) -> np.ndarray:
        rows, columns = (1 + strength * (-1) ** np.arange(side) for side in image.shape[:2])
        return photographs.to_pixels(image * np.outer(rows, columns)[:, :, None])

    return damage


DAMAGES = {
    "blur, radius": ("looks", photographs.blur, (0.5, 1, 2, 4)),
    "noise, sigma": ("looks", photographs.noise, (4, 8, 16, 32)),
    "JPEG quality": ("looks", _jpeg, (50, 20, 8)),
    "blocks shuffled": ("looks", _shuffle, (0.1, 0.3, 1)),
    "checkerboard": ("looks", _checkerboard, (0.02, 0.05, 0.1)),
    "warmer, gain": ("looks", _warmer, (1.05, 1.1, 1.2)),
    "zoom, factor": ("frame", _zoom, (1.05, 1.15, 1.3)),
}
UNIQUE = (2, 4, 10)
FEWEST = 80  # images of a style that are compared


class Photos(NamedTuple):
    images: np.ndarray  # uint8 [N, H, W, 3]
    styles: np.ndarray  # strings [N]
    groups: np.ndarray  # [N], equal for near-duplicates


def _load(data: str, height: int, width: int) -> Photos:
    images, styles = photographs.load(data, height, width)
    return Photos(images, np.array(styles), near_duplicates(images))


def _halve(groups: np.ndarray, seed: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    side = rng.integers(0, 2, len(groups))[groups]
    order = rng.permutation(len(groups))
    return order[side[order] == 0], order[side[order] == 1]


def score(real: np.ndarray, fake: np.ndarray) -> np.ndarray:
    """`SCORES` of two sets of features, [N, D] each."""
    gaussians = [distances.fit_gaussian(half) for half in (real, fake)]
    frechet, kernel = distances.frechet_distance(*gaussians), distances.kernel_distance(real, fake)
    pairs = precision_recall.squared_distances(real, fake)
    return np.array([frechet, kernel, *precision_recall.neighbour_scores(pairs)])


class Fakes(NamedTuple):
    """Images of the second half that lack something."""

    damage: str
    kind: str  # a key of `WORSE`
    level: str
    chosen: np.ndarray  # which of the photographs
    damage_one: Damage | None = None


class Row(NamedTuple):
    damage: str
    kind: str
    level: str
    scores: np.ndarray  # [6]
    spread: np.ndarray  # [6], from the floor's mean in its standard deviations; its own for a floor


def _all_fakes(photos: Photos, second: np.ndarray, count: int) -> Iterator[Fakes]:
    for share in UNIQUE:
        copies = np.resize(second[: count // share], count)
        yield Fakes("unique", "variety", f"1/{share}", copies)
    names, numbers = np.unique(photos.styles, return_counts=True)
    commonest, *others = names[np.argsort(-numbers)]
    styles = photos.styles[second]
    yield Fakes("style", "variety", f"no {commonest}", second[styles != commonest][:count])
    for name in others:
        if np.count_nonzero(styles == name) >= FEWEST:
            yield Fakes("style", "variety", f"only {name}", second[styles == name][:count])
    for damage, (kind, make, levels) in DAMAGES.items():
        for level in levels:
            yield Fakes(damage, kind, str(level), second[:count], make(level))


class Judge:
    """Compares with the first half of the photographs in one feature space."""

    def __init__(self, photos: Photos, space: features.FeatureFunction):
        self._space = jax.jit(space)
        self._photos = features.map_batches(self._space, photos.images)
        self._halvings = [_halve(photos.groups, seed) for seed in range(HALVINGS)]
        self._floors = {}

    def floor(self, count: int) -> tuple[np.ndarray, np.ndarray]:
        """Mean and standard deviation of the scores of `count` photographs on each side."""
        if count not in self._floors:
            pairs = [(left[:count], right[:count]) for left, right in self._halvings]
            scores = [score(self._photos[left], self._photos[right]) for left, right in pairs]
            self._floors[count] = np.mean(scores, 0), np.std(scores, 0, ddof=1)
        return self._floors[count]

    def compare(self, fakes: Fakes, damaged: np.ndarray | None) -> Row:
        if damaged is None:
            made = self._photos[fakes.chosen]
        else:
            made = features.map_batches(self._space, damaged)
        scores = score(self._photos[self._halvings[0][0][: len(made)]], made)
        mean, deviation = self.floor(len(made))
        return Row(fakes.damage, fakes.kind, fakes.level, scores, (scores - mean) / deviation)


def study(
    photos: Photos, spaces: dict[str, features.FeatureFunction], count: int
) -> dict[str, list[Row]]:
    """All damage in each space, after the floor, of at most `count` images on each side."""
    halves = [half for seed in range(HALVINGS) for half in _halve(photos.groups, seed)]
    count = min(count, *map(len, halves))
    judges = {name: Judge(photos, space) for name, space in spaces.items()}
    rows = {
        name: [Row("none", "floor", f"N = {count}", *judge.floor(count))]
        for name, judge in judges.items()
    }
    _, second = _halve(photos.groups, 0)
    for fakes in _all_fakes(photos, second, count):
        damaged = None
        if fakes.damage_one:
            damaged = np.stack([fakes.damage_one(image) for image in photos.images[fakes.chosen]])
        for name, judge in judges.items():
            rows[name].append(judge.compare(fakes, damaged))
    return rows


def _cell(value: float, spread: float, is_floor: bool) -> str:
    return f"{value:.3g} +- {spread:.2g}" if is_floor else f"{value:.3g} ({spread:+.0f})"


def table(name: str, rows: list[Row]) -> list[str]:
    lines = []
    for row in rows:
        pairs = zip(row.scores, row.spread)
        cells = [_cell(value, spread, row.kind == "floor") for value, spread in pairs]
        lines.append("| " + " | ".join([name, f"{row.damage} {row.level}", *cells]) + " |")
    return lines


def summary(name: str, rows: list[Row]) -> str:
    """Of the damage that a score should see, how much it saw, and whether in order."""
    cells = []
    for index in range(len(SCORES)):
        asked = [row for row in rows if row.kind in WORSE and WORSE[row.kind][index]]
        seen = [row.spread[index] * WORSE[row.kind][index] > SEEN for row in asked]
        ordered = [
            (row.spread[index] - before.spread[index]) * WORSE[row.kind][index] >= 0
            for before, row in itertools.pairwise(asked)
            if row.damage == before.damage != "style"
        ]
        cells.append(f"{sum(seen)}/{len(seen)}, {sum(ordered)}/{len(ordered)}")
    return "| " + " | ".join([name, "seen, in order", *cells]) + " |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    photographs.add_arguments(parser, count=900)
    parser.add_argument("--spaces", nargs="+", choices=SPACES, default=SPACES)
    options = parser.parse_args()
    photos = _load(options.data, options.height, options.width)
    print("| " + " | ".join(["space", "damage", *SCORES]) + " |")
    print("|---|---|" + "---:|" * len(SCORES))
    spaces = {name: SPACES[name] for name in options.spaces}
    for name, rows in study(photos, spaces, options.count).items():
        print(*table(name, rows), summary(name, rows), sep="\n")


if __name__ == "__main__":
    main()
