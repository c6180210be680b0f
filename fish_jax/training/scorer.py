"""Scores during training: the same as `evaluate` gives for a checkpoint of that step."""

import math
from collections.abc import Callable, Mapping
from typing import NamedTuple

from fish_jax.data.images import ImageSet
from fish_jax.errors import UserError
from fish_jax.evaluation.evaluate import read_references
from fish_jax.evaluation.judge import judge
from fish_jax.gan.inference import render
from fish_jax.gan.model import Gan
from fish_jax.gan.state import TrainState
from fish_jax.utils.config import Config
from fish_jax.utils.terminal import stage_bars


class Scorer(NamedTuple):
    """How a run is scored during training.

    Attributes:
      score: from a state on one device to its scores by name, those that are finite.
      floors: the scores of real images by the same names.
    """

    score: Callable[[TrainState], dict[str, float]]
    floors: Mapping[str, float]


def make_scorer(config: Config, gan: Gan, images: ImageSet) -> Scorer:
    """Prepares the real images, which takes minutes where the cache lacks them.

    Args:
      config: the config of the run.
      gan: its fixed parts.
      images: the images of that config.

    Raises:
      UserError: too few images.
    """
    try:
        with stage_bars() as begin:
            references = read_references(config, images, begin=begin)
    except UserError as error:
        raise UserError(f"{error}; to train without scores, set evaluate_every_epochs=0") from None

    def score(state: TrainState) -> dict[str, float]:
        generated = render(gan, state, range(references.count))
        scores = judge(references, generated).scores
        return {score.name: score.value for score in scores if math.isfinite(score.value)}

    return Scorer(score, references.floors)
