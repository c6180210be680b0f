"""References of images in arrays."""

from typing import Any

import numpy as np

from fish_jax.evaluation import references
from fish_jax.evaluation.features import space
from fish_jax.evaluation.real_images import RealImages
from fish_jax.evaluation.scores import References


def prepare(
    train: np.ndarray,
    held_out: np.ndarray,
    count: int,
    unseen: bool = True,
    **settings: Any,
) -> References:
    """Prepares references; the encoder has seen the first half of the training images."""
    seen = np.arange(len(train)) < len(train) // 2
    fitted = space.fit(train, seen, seed=0)
    return references.prepare(RealImages(train, seen, held_out, unseen), fitted, count, **settings)
