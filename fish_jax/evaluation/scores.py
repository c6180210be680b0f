"""The scores that a judgement reports: what each measures, and their values for a set of images."""

import math
from typing import NamedTuple

import numpy as np

from fish_jax.evaluation.features.space import Space
from fish_jax.evaluation.metrics.sliced_wasserstein import Descriptors
from fish_jax.utils.messages import rounded


class ScoreKind(NamedTuple):
    """The properties of a score; an entry of `SCORES`.

    Attributes:
      title: its name for people.
      better: "low", "high", or "real": as near to the score of real images as can be.
      summary: what it measures, and its paper.
      least, most: the range the score cannot leave.
    """

    title: str
    better: str
    summary: str
    least: float = 0.0
    most: float = math.inf

    def badness(self, value: float, floor: float) -> float:
        """A number that is lower for better values, whichever way the score points.

        Args:
          value: the value of generated images.
          floor: the floor of real images.
        """
        return {"low": value, "high": -value, "real": abs(value - floor)}[self.better]


SCORES: dict[str, ScoreKind] = {
    "sliced_wasserstein": ScoreKind(
        "sliced Wasserstein",
        "low",
        "distance of patches at each scale, x 1000 (Karras et al. 2018)",
    ),
    "frechet": ScoreKind(
        "Frechet distance", "low", "distance of means and covariances of features"
    ),
    "kernel": ScoreKind(
        "kernel distance",
        "low",
        "squared MMD of features, unbiased, x 1000 (as KID's kernel)",
        least=-math.inf,
    ),
    "precision": ScoreKind(
        "precision",
        "high",
        "share of generated images that resemble a real one (Park and Kim 2023)",
        most=1,
    ),
    "recall": ScoreKind(
        "recall",
        "high",
        "share of real images that resemble a generated one (Park and Kim 2023)",
        most=1,
    ),
    "coverage": ScoreKind(
        "coverage",
        "high",
        "share of real images with a generated one nearby (Naeem et al. 2020)",
        most=1,
    ),
    "similarity": ScoreKind(
        "MS-SSIM of pairs",
        "real",
        "similarity of generated images to each other; shows collapse only (Odena et al. 2017)",
        most=1,
    ),
    "memorisation": ScoreKind(
        "memorisation",
        "real",
        "distance to the nearest training image, relative to held-out images'",
    ),
    "copies": ScoreKind(
        "copies", "real", "share closer to a training image than 99 % of held-out images", most=1
    ),
}
INCEPTION_SCORES: dict[str, ScoreKind] = {
    "fid": ScoreKind("FID", "low", "Frechet distance of Inception features (Heusel et al. 2017)"),
    "kid": ScoreKind(
        "KID",
        "low",
        "squared MMD of Inception features, unbiased, x 1000 (Binkowski et al. 2018)",
        least=-math.inf,
    ),
}
# Of older runs: what they stored stays readable.
_RETIRED: dict[str, ScoreKind] = {
    "density": ScoreKind(
        "density",
        "high",
        "density of generated images around real ones (Naeem et al. 2020); no longer computed",
    )
}


def is_level(name: str) -> bool:
    """Whether a score is of one level of the sliced Wasserstein distance."""
    return name.startswith("at_")


def kind_of(name: str) -> ScoreKind:
    """The kind of the score with this name.

    Args:
      name: of `SCORES`, of `INCEPTION_SCORES`, of a score that older runs have, or of a level of
        the sliced Wasserstein distance, such as "at_28_x_64".

    Raises:
      KeyError: none of these.
    """
    if is_level(name):
        return ScoreKind(name.replace("_", " "), "low", "")
    return (SCORES | INCEPTION_SCORES | _RETIRED)[name]


class Score(NamedTuple):
    """A score of generated images beside its baseline.

    Attributes:
      name: as `kind_of` takes it.
      value: the value of the generated images.
      floor: the baseline: the mean score of held-out real images over several draws of them.
      low, high: a 95 % interval of the value over images, cut to the range of the score; nan where
        none was asked for.
      spread: the standard deviation of the baseline's draws.
    """

    name: str
    value: float
    floor: float
    low: float = np.nan
    high: float = np.nan
    spread: float = np.nan


class References(NamedTuple):
    """Features and baselines of real images, shared by all evaluations of a data set.

    Attributes:
      count: images on each side.
      seed: the seed of all random choices.
      space: the space of all features.
      training: `TEXTURES` of all M training images, then of their mirror images, [2 M, 240]; empty
        if generators are trained on the held-out images, too.
      real: features of `count` training images, [count, 305].
      away: distance of each held-out image to the nearest of `training`, [K]; empty as that is.
      patches: the patches of the images of `real`.
      floors, spreads: by score, the baseline and the standard deviation of its draws.
      protocol: a sentence that says how the scores are made.
      network: a description of the network of FID and KID; "" without Inception's weights.
      inception: its features of the images of `real`, [count, 2048]; None without the weights.
    """

    count: int
    seed: int
    space: Space
    training: np.ndarray
    real: np.ndarray
    away: np.ndarray
    patches: Descriptors
    floors: dict[str, float]
    spreads: dict[str, float]
    protocol: str
    network: str = ""
    inception: np.ndarray | None = None


class Judgement(NamedTuple):
    """The scores of a set of generated images.

    Attributes:
      scores: each with its baseline.
      protocol: a sentence that says how they were made.
      images: how many images the discriminator had seen; 0 where that is unknown.
      steps: the steps of training; 0 where that is unknown.
    """

    scores: tuple[Score, ...]
    protocol: str
    images: int = 0
    steps: int = 0

    def table(self) -> str:
        """Lays the scores out for a terminal: one per line, with its interval and its baseline."""
        lines = [f"{'':30}{'generated':>12}{'95 % interval':>26}{'real':>12}{'+-':>10}   better"]
        for score in self.scores:
            kind = kind_of(score.name)
            title = f"  {kind.title}" if is_level(score.name) else kind.title
            has_interval = np.isfinite(score.low)
            interval = f"{rounded(score.low)} to {rounded(score.high)}" if has_interval else ""
            # Draws of all held-out images are the same draw, whose spread says nothing.
            spread = rounded(score.spread, 2) if score.spread > 1e-9 * abs(score.floor) else "-"
            wish = {"low": "lower", "high": "higher", "real": "near real"}[kind.better]
            lines.append(
                f"{title:30}{rounded(score.value):>12}{interval:>26}{rounded(score.floor):>12}"
                f"{spread:>10}   {wish}"
            )
        return "\n".join([*lines, self.protocol])
