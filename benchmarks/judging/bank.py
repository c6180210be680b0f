"""Scores of damaged images in a feature space, and how many pairs of damages they order rightly."""

import zlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np

import fish_jax
from benchmarks.judging import orders
from benchmarks.judging.damages import DAMAGES
from benchmarks.letters import draw_letters
from fish_jax.data.near_duplicates import near_duplicates
from fish_jax.evaluation.metrics import distances, precision_recall

HELD_OUT = 0.2  # share of the images
DRAWN = 2000  # fish or words, where there is no folder
AGES = ("early", "middle", "late")  # of a run, whose samples are in files of these names
BETTER = {"frechet": -1, "precision": 1, "recall": 1, "coverage": 1}
SHAPE_SCORES = ("frechet", "precision")  # that order all damages; others see what is missing

Extract = Callable[[np.ndarray], np.ndarray]  # from uint8 [N, H, W, 3] to features [N, D]
Table = Mapping[str, Mapping[str, float]]  # scores by damage and name


class Sides(NamedTuple):
    """Images on two sides, near-duplicates on one; uint8 [N, H, W, 3]."""

    train: np.ndarray
    held_out: np.ndarray


def load(data: str, height: int, width: int) -> Sides:
    """Reads a folder, or draws "fish" or "letters", and holds a fifth out."""
    if data == "letters":
        images = draw_letters(DRAWN, height, width)
    else:
        path = "" if data == "fish" else data
        found = fish_jax.load_images(path, height, width, count=DRAWN, show_progress=False)
        images = np.asarray(found.train)
    small = images[:, :: height // 28, :: width // 64]  # so that each size has the same sides
    groups = near_duplicates(small)
    rng = np.random.default_rng(0)
    out = rng.random(len(groups))[groups] < HELD_OUT
    order = rng.permutation(len(groups))
    return Sides(images[order[~out[order]]], images[order[out[order]]])


def damaged(sides: Sides, count: int, samples: Path | None) -> dict[str, Callable[[], np.ndarray]]:
    """Makers of `count` held-out images with each damage, and of a run's samples, by name."""
    images, made = sides.held_out[:count], {}
    for name, damage in DAMAGES.items():
        seed = zlib.crc32(name.encode())
        made[name] = lambda d=damage, s=seed: d(images, np.random.default_rng(s))
    for age in AGES:
        path = samples / f"{age}.npy" if samples else None
        if path and path.exists():
            made[age] = lambda p=path: np.load(p)[:count]
    return made


def scores(real: np.ndarray, fake: np.ndarray) -> dict[str, float]:
    """Scores of two sets of features, [N, D] each."""
    pairs = precision_recall.squared_distances(real, fake)
    frechet = distances.frechet_distance_of_sets(real, fake)
    return {"frechet": frechet} | precision_recall.neighbour_scores(pairs)._asdict()


def table(
    extract: Extract, real: np.ndarray, made: Mapping[str, Callable[[], np.ndarray]]
) -> dict[str, dict[str, float]]:
    """Scores of all damages against real images, as many, in one space."""
    known = extract(real)
    return {name: scores(known, extract(make())) for name, make in made.items()}


def wrong(found: Table, height: int, score: str) -> tuple[int, list[tuple[str, str]]]:
    """How many ordered pairs the table holds, and those whose scores are the other way round."""
    held = [pair for pair in orders.pairs(height) if set(pair) <= set(found)]
    value = lambda damage: BETTER[score] * found[damage][score]
    return len(held), [(better, worse) for better, worse in held if value(better) <= value(worse)]


def lines(space: str, found: Table, height: int) -> list[str]:
    """The table for people, and what is wrong in it."""
    made = [
        f"| {space} | " + " | ".join(BETTER) + " |",
        "|---|" + "--:|" * len(BETTER),
        *(
            f"| {name} | {row['frechet']:.1f} | "
            + " | ".join(f"{row[score]:.2f}" for score in list(BETTER)[1:])
            + " |"
            for name, row in found.items()
        ),
        "",
    ]
    for score in SHAPE_SCORES:
        total, pairs = wrong(found, height, score)
        share = 100 * (1 - len(pairs) / total)
        listed = "; ".join(f"{better} < {worse}" for better, worse in pairs)
        right = f"{space}, {score}: {total - len(pairs)} of {total} pairs right ({share:.1f} %)"
        made.append(right + (f", not {listed}" if pairs else ""))
    return [*made, *_bounds(found, height), ""]


def _bounds(found: Table, height: int) -> list[str]:
    """What precision says of soft and of torn images, beside what is asked for."""
    soft = {name: found[name]["precision"] for name in orders.SOFT[height]}
    torn = {name: found[name]["precision"] for name in orders.TORN}
    return [
        f"precision of soft images: {min(soft.values()):.2f} to {max(soft.values()):.2f} "
        f"(asked for: {orders.SOFT_PRECISION} or more); of torn ones: {min(torn.values()):.2f} to "
        f"{max(torn.values()):.2f} (asked for: {orders.TORN_PRECISION} or less)"
    ]
