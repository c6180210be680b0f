"""Tests on real images, sound and damaged, whether each score detects the damage it should.

Usage: python -m benchmarks.judge_behaviour --data=FOLDER

Without a folder it draws fish. Half of the images, near-duplicates on one side, are the references.
Of the other half, draws of `--count` images are scored, which gives the floor (the baseline); then
the first draw is scored again with more and more damage. A score sees damage if it is worse than
the floor's mean by more than 3 standard deviations of its draws. A style is the part of a file's
name before the first "_", or a drawn fish's body plan; the 4, 2 and 1 commonest styles are kept.
"""

import argparse
import itertools
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from PIL import Image

from benchmarks import arguments, photographs
from benchmarks.photographs import Damage
from fish_jax.data.images import ImageSet
from fish_jax.data.near_duplicates import near_duplicates
from fish_jax.evaluation.features.space import fit
from fish_jax.evaluation.judge import judge
from fish_jax.evaluation.real_images import divide
from fish_jax.evaluation.references import prepare
from fish_jax.evaluation.scores import SCORES, References
from fish_jax.utils.terminal import stage_bars

SEEN = 3.0  # standard deviations of the floor's draws
DISTANCES = ("sliced_wasserstein", "frechet", "kernel")
# Which way each score goes with damage, -1 or 1.
WORSE = {name: -1 if kind.better == "high" else 1 for name, kind in SCORES.items()}
WORSE["memorisation"] = -1
# What must see the strongest level of which damage, with no step back on the way.
LOOKS = (*DISTANCES, "precision")
VARIETY = ("frechet", "kernel", "recall", "coverage", "similarity")
COPYING = ("memorisation", "copies")
MUST_SEE = {
    "blur": LOOKS,
    "noise": LOOKS,
    "crop": LOOKS,
    "duplicates": VARIETY,
    "styles": VARIETY,
    "copied": COPYING,
    "mirrored": COPYING,
}


class Photos(NamedTuple):
    """Images on two sides.

    Attributes:
      train, held_out: uint8 [N, H, W, 3].
      styles: of those held out, strings.
      named: what a style is.
    """

    train: np.ndarray
    held_out: np.ndarray
    styles: np.ndarray
    named: str


class Row(NamedTuple):
    """One set of images, judged."""

    damage: str
    level: str
    scores: dict[str, float]


def load(data: str, height: int, width: int) -> Photos:
    """Reads images, or draws fish, and cuts them into halves."""
    images, styles = photographs.load(data, height, width)
    named = "the part of a file's name before the first _" if data else "a drawn fish's body plan"
    groups = near_duplicates(images)
    out = np.random.default_rng(0).integers(0, 2, len(groups))[groups] == 1
    return Photos(images[~out], images[out], np.array(styles)[out], named)


def _crop(percent: float) -> Damage:
    """The middle, that much of height and width, at the old size."""

    def damage(image: np.ndarray) -> np.ndarray:
        height, width = image.shape[:2]
        left, top = (side * (1 - percent / 100) / 2 for side in (width, height))
        box = (left, top, width - left, height - top)
        return np.asarray(Image.fromarray(image).resize((width, height), box=box))

    return damage


OF_ONE = {
    "blur": ("sigma", photographs.blur, (1, 2, 4)),
    "noise": ("sigma", photographs.noise, (5, 10, 20)),
    "crop": ("% of the sides", _crop, (90, 80, 60)),
}


def damaged(photos: Photos, held: np.ndarray, seed: int) -> Iterator[tuple[str, str, np.ndarray]]:
    """Every damage and level, and held-out images that have it.

    Args:
      photos: the choice is from.
      held: places of the undamaged ones, [count].
      seed: of choices.
    """
    images, count, rng = photos.held_out[held], len(held), np.random.default_rng(seed)
    for damage, (unit, make, levels) in OF_ONE.items():
        for level in levels:
            one = make(level)
            yield damage, f"{level} {unit}", np.stack([one(image) for image in images])
    for times in (2, 5, 20):
        yield (
            "duplicates",
            f"each {times} times",
            np.resize(images[: -(-count // times)], images.shape),
        )
    names, numbers = np.unique(photos.styles, return_counts=True)
    names = names[np.argsort(-numbers, kind="stable")]
    for kept in (4, 2, 1):
        there = np.flatnonzero(np.isin(photos.styles, names[:kept]))
        if len(there) < count:
            raise ValueError(
                f"{len(there)} held-out images of {kept} styles are fewer than {count}"
            )
        chosen = np.sort(rng.choice(there, count, replace=False))
        yield "styles", f"{kept} of {len(names)}", photos.held_out[chosen]
    copies = photos.train[np.sort(rng.choice(len(photos.train), count, replace=False))]
    for damage, made in (("copied", copies), ("mirrored", copies[:, :, ::-1])):
        for share in (10, 50, 100):
            from_train = rng.permutation(count) < share * count // 100
            mixed = np.where(from_train[:, None, None, None], made, images)
            yield damage, f"{share} %", mixed


def study(photos: Photos, count: int, draws: int, seed: int = 0) -> tuple[list[Row], References]:
    """Judges all: rows of damage "none" first, one for each draw of the floor."""
    rng, rows = np.random.default_rng(seed), []
    # In random order: sorted by name, the first of them would be of one style.
    choose = lambda: rng.choice(len(photos.held_out), count, replace=False)
    floors = [choose() for _ in range(draws)]
    with stage_bars() as begin:
        real = divide(ImageSet(photos.train, photos.held_out, (), (), (), "photographs"), seed)
        fitted = fit(real.train, real.seen, seed, begin)
        references = prepare(real, fitted, count, seed, begin=begin)
        advance = begin("judging", (draws + 3 * len(MUST_SEE)) * count)

        def add(damage: str, level: str, images: np.ndarray) -> None:
            found = judge(references, images).scores
            scores = {score.name: score.value for score in found if score.name in SCORES}
            rows.append(Row(damage, level, scores))
            advance(count)

        for number, chosen in enumerate(floors):
            add("none", f"draw {number + 1}", photos.held_out[chosen])
        for damage, level, images in damaged(photos, floors[0], seed):
            add(damage, level, images)
    return rows, references


def _floor(rows: list[Row], name: str) -> tuple[float, float]:
    """Mean and standard deviation over the draws."""
    values = [row.scores[name] for row in rows if row.damage == "none"]
    return float(np.mean(values)), float(np.std(values, ddof=1))


def worsening(rows: list[Row], name: str, row: Row) -> float:
    """How many standard deviations of the floor a score is worse than its mean."""
    mean, deviation = _floor(rows, name)
    return WORSE[name] * (row.scores[name] - mean) / max(deviation, 1e-9)


def verdict(rows: list[Row], name: str, damage: str) -> tuple[bool, bool]:
    """Whether the strongest level is seen, and whether no level is better than the one before.

    A step back of less than 1 standard deviation of the floor's draws is none.
    """
    steps = [worsening(rows, name, row) for row in rows if row.damage == damage]
    ordered = all(after > before - 1 for before, after in itertools.pairwise(steps))
    return steps[-1] > SEEN, ordered


def table(rows: list[Row]) -> list[str]:
    """The floors, then each level; a number that is seen has a star."""
    names = list(SCORES)
    lines = [
        "| " + " | ".join(["damage", *(SCORES[name].title for name in names)]) + " |",
        "|---|" + "---:|" * len(names),
    ]
    floors = [_floor(rows, name) for name in names]
    lines.append("| none | " + " | ".join(f"{mean:.3g} ± {sd:.1g}" for mean, sd in floors) + " |")
    for row in rows:
        if row.damage == "none":
            continue
        stars = ["*" if worsening(rows, name, row) > SEEN else "" for name in names]
        cells = [f"{row.scores[name]:.3g}{star}" for name, star in zip(names, stars)]
        lines.append("| " + " | ".join([f"{row.damage}, {row.level}", *cells]) + " |")
    return lines


def marks(rows: list[Row]) -> list[str]:
    """For each damage and score: seen or not, in order or not, asked for or not."""
    names = list(SCORES)
    lines = [
        "| " + " | ".join(["seen / in order", *(SCORES[name].title for name in names)]) + " |",
        "|---|" + ":---:|" * len(names),
    ]
    for damage, asked in MUST_SEE.items():
        cells = []
        for name in names:
            cell = " / ".join("yes" if is_so else "no" for is_so in verdict(rows, name, damage))
            cells.append(f"**{cell}**" if name in asked else cell)
        lines.append("| " + " | ".join([damage, *cells]) + " |")
    return lines


def misses(rows: list[Row]) -> list[str]:
    """What was asked for and is not so, and damage that is nearer to real images than real ones."""
    lines = []
    for damage, asked in MUST_SEE.items():
        for name in asked:
            seen, ordered = verdict(rows, name, damage)
            if not seen:
                lines.append(f"{SCORES[name].title} does not see the strongest {damage}")
            if not ordered:
                lines.append(f"{SCORES[name].title} is not in order of {damage}")
    for name in DISTANCES:
        mean, _ = _floor(rows, name)
        lines += [
            f"{SCORES[name].title}: {row.damage}, {row.level}, is below the floor, "
            f"{row.scores[name]:.3g} < {mean:.3g}"
            for row in rows
            if row.damage not in ("none", "copied", "mirrored") and row.scores[name] < mean
        ]
    return lines


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    photographs.add_arguments(parser, count=500)
    parser.add_argument("--draws", type=arguments.count, default=8, help="of the floor, 2 or more")
    options = parser.parse_args()
    photos = load(options.data, options.height, options.width)
    rows, references = study(photos, options.count, options.draws)
    print(references.protocol)
    print(f"floor: {options.draws} draws; a style is {photos.named}; * is seen; bold is asked for")
    print(*table(rows), "", *marks(rows), "", sep="\n")
    print(*(f"miss: {line}" for line in misses(rows)), sep="\n")


if __name__ == "__main__":
    main()
