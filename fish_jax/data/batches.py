"""Which images each training step sees: a pure function of the seed and the step.

One epoch is one pass over the images in shuffled order. The passes follow one another without a
gap, and batches are cut from that stream: no image is dropped, and a batch may begin in one epoch
and end in the next.
"""

import functools
from typing import NamedTuple

import numpy as np

from fish_jax.utils.config import Config
from fish_jax.utils.validation import MOST


class Epochs(NamedTuple):
    """Converts between training steps and epochs, which are passes over all images.

    Attributes:
      size: number of images.
      batch_size: images per step.
      seen: images that D sees in the whole run, which may end within an epoch.
    """

    size: int
    batch_size: int
    seen: int = MOST

    @property
    def steps(self) -> int:
        """The number of steps of the run."""
        return -(-self.seen // self.batch_size)

    @property
    def total(self) -> int:
        """The number of epochs of the run, the last of which may be cut short."""
        return -(-self.seen // self.size)

    def steps_until(self, epoch: int) -> int:
        """The number of steps after which `epoch` epochs are complete, rounded up."""
        return min(-(-epoch * self.size // self.batch_size), self.steps)

    def done(self, step: int) -> int:
        """The number of epochs that are complete after `step` steps; all at the end of the run.

        A run that was longer before may have done more.
        """
        return self.total if step == self.steps else step * self.batch_size // self.size


def plan_epochs(config: Config, size: int) -> Epochs:
    """The epochs of a run: as many as the config says, or as its `images` make.

    Args:
      config: as `configs/default.py` makes it.
      size: number of images to train on.
    """
    return Epochs(size, config["batch_size"], config["epochs"] * size or sum(config["images"]))


@functools.lru_cache(maxsize=4)
def _pass_order(seed: int, size: int, number: int) -> np.ndarray:
    # Raw words of a counter-based generator: the order is the same in every version of numpy.
    words = np.random.Philox(np.random.SeedSequence([seed, number])).random_raw(size)
    return np.argsort(words, kind="stable").astype(np.int32)


def batch_indices(seed: int, epochs: Epochs, step: int, count: int) -> np.ndarray:
    """The indices of the images of consecutive steps.

    Args:
      seed: decides the order of every pass.
      epochs: number of images and images per step.
      step: the first step, from 0.
      count: number of steps.

    Returns:
      int32 [count, batch_size], indices below `epochs.size`.
    """
    size, batch_size = epochs.size, epochs.batch_size
    positions = np.arange(step * batch_size, (step + count) * batch_size, dtype=np.int64)
    passes, places = np.divmod(positions, size)
    indices = np.empty(len(positions), np.int32)
    for number in np.unique(passes):
        chosen = passes == number
        indices[chosen] = _pass_order(seed, size, int(number))[places[chosen]]
    return indices.reshape(count, batch_size)
