"""The scores there are, and the values they have for one set of images."""

import math
from typing import NamedTuple

import numpy as np

from fish_jax.evaluation.metrics import (
    sliced_wasserstein,
)


class Kind(NamedTuple):
    """An entry of `SCORES`.

    Attributes:
      title: for people.
      better: "low", "high", or "real": as near to the floor as can be.
      summary: what it sees, and its paper.
      least, most: between which it always is.
    """

    title: str
    better: str
    summary: str
    least: float = 0.0
    most: float = math.inf

    def badness(self, value: float, floor: float) -> float:
        """A number that is the lower the better a value is, whichever way the score points.

        Args:
          value: of generated images.
          floor: of real images.
        """
        return {"low": value, "high": -value, "real": abs(value - floor)}[self.better]


SCORES: dict[str, Kind] = {
    "sliced_wasserstein": Kind(
        "sliced Wasserstein", "low", "patches at each scale, x 1000 (Karras et al. 2018)"
    ),
    "frechet": Kind("Frechet distance", "low", "means and covariances of features"),
    "kernel": Kind(
        "kernel distance", "low", "features, unbiased, x 1000 (as KID's kernel)", least=-math.inf
    ),
    "precision": Kind("precision", "high", "fakes among reals (Kynkaanniemi et al. 2019)", most=1),
    "recall": Kind("recall", "high", "reals among fakes (Kynkaanniemi et al. 2019)", most=1),
    "density": Kind("density", "high", "how densely reals surround fakes (Naeem et al. 2020)"),
    "coverage": Kind(
        "coverage", "high", "reals that have a fake near by (Naeem et al. 2020)", most=1
    ),
    "similarity": Kind(
        "MS-SSIM of pairs", "real", "an alarm for collapse alone (Odena et al. 2017)", most=1
    ),
    "memorisation": Kind(
        "memorisation", "real", "distance to the nearest training image over held-out ones'"
    ),
    "copies": Kind(
        "copies", "real", "share nearer to a training image than 99 % of held-out ones", most=1
    ),
}
INCEPTION_SCORES: dict[str, Kind] = {
    "fid": Kind("FID", "low", "Frechet distance of Inception's features (Heusel et al. 2017)"),
    "kid": Kind(
        "KID",
        "low",
        "the same features', unbiased, x 1000 (Binkowski et al. 2018)",
        least=-math.inf,
    ),
}


class Score(NamedTuple):
    """A number with what it must be seen beside.

    Attributes:
      name: of `SCORES`, `INCEPTION_SCORES`, or of one level of the sliced Wasserstein distance.
      value: of generated images.
      floor: of held-out real images.
      low, high: a 95 % interval of the value over images, cut where the score cannot be; nan where
        none was asked for.
      spread: the standard deviation of the floor's draws.
    """

    name: str
    value: float
    floor: float
    low: float = np.nan
    high: float = np.nan
    spread: float = np.nan


class References(NamedTuple):
    """What all judgements of a data set share.

    Attributes:
      count: images on each side.
      seed: of all choices.
      training: features of all M images to train on, then of their mirror images, [2 M, D]; none
        if nothing was held out.
      real: features of `count` of them, [count, D].
      away: from each held-out image to the nearest in `training`, [K]; none as there.
      patches: of those of `real`.
      floors, spreads: by score, mean and standard deviation of held-out images' over the draws.
      protocol: in words.
      network: what FID and KID are of, in words; "" without Inception's weights.
      inception: features of the images of `real` in it, [count, 2048]; None as there.
    """

    count: int
    seed: int
    training: np.ndarray
    real: np.ndarray
    away: np.ndarray
    patches: sliced_wasserstein.Descriptors
    floors: dict[str, float]
    spreads: dict[str, float]
    protocol: str
    network: str = ""
    inception: np.ndarray | None = None


class Judgement(NamedTuple):
    """The scores of a set of generated images, and how they were made.

    Attributes:
      scores: each with its floor.
      protocol: in words.
      images, steps: that D had seen, and of the run, where that is known; else 0.
    """

    scores: tuple[Score, ...]
    protocol: str
    images: int = 0
    steps: int = 0

    def table(self) -> str:
        """A line for each score, with its interval and its floor."""
        lines = [f"{'':30}{'generated':>12}{'95 % of it':>26}{'real':>12}{'+-':>10}   better"]
        kinds = SCORES | INCEPTION_SCORES
        for score in self.scores:
            kind = kinds.get(score.name, Kind(score.name.replace("_", " "), "low", ""))
            title = f"  {kind.title}" if score.name not in kinds else kind.title
            known = np.isfinite(score.low)
            between = f"{score.low:.4g} to {score.high:.4g}" if known else ""
            spread = score.spread if score.spread > 1e-9 * abs(score.floor) else 0.0
            wish = {"low": "lower", "high": "higher", "real": "near real"}[kind.better]
            lines.append(
                f"{title:30}{score.value:>12.4g}{between:>26}{score.floor:>12.4g}"
                f"{spread:>10.2g}   {wish}"
            )
        return "\n".join([*lines, self.protocol])
