"""Which images each step sees: a pure function of the seed and the step.

Shuffled passes over the images follow one another without a gap; full batches are cut from that
stream. Nothing is dropped, and a batch may begin in one pass and end in the next.
"""

import functools

import numpy as np


@functools.lru_cache(maxsize=4)
def _pass_order(seed: int, size: int, number: int) -> np.ndarray:
    # Raw words of a counter-based generator: the order is the same in every version of numpy.
    words = np.random.Philox(np.random.SeedSequence([seed, number])).random_raw(size)
    return np.argsort(words, kind="stable").astype(np.int32)


def batch_indices(seed: int, size: int, batch_size: int, step: int, count: int) -> np.ndarray:
    """The images of some consecutive steps.

    Args:
      seed: decides the order of every pass.
      size: number of images.
      batch_size: images per step.
      step: the first step, from 0.
      count: number of steps.

    Returns:
      int32 [count, batch_size], indices below `size`.
    """
    positions = np.arange(step * batch_size, (step + count) * batch_size, dtype=np.int64)
    passes, places = np.divmod(positions, size)
    indices = np.empty(len(positions), np.int32)
    for number in np.unique(passes):
        chosen = passes == number
        indices[chosen] = _pass_order(seed, size, int(number))[places[chosen]]
    return indices.reshape(count, batch_size)


def steps_until(epoch: int, size: int, batch_size: int) -> int:
    """The number of steps after which `epoch` passes are complete, rounded up."""
    return -(-epoch * size // batch_size)


def epochs_done(step: int, size: int, batch_size: int) -> int:
    """The number of passes that are complete after a step."""
    return step * batch_size // size
