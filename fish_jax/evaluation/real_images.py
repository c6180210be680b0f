"""The real images, divided by their use in an evaluation."""

from typing import NamedTuple

import numpy as np

from fish_jax.data.images import ImageSet
from fish_jax.data.near_duplicates import near_duplicates
from fish_jax.utils.pictures import over_white

MOST_SEEN = 5000  # images that the space is fitted to


class RealImages(NamedTuple):
    """Real images as people see them, in three parts, near-duplicates in one.

    The encoder of the feature space knows the images that it was trained on better than others of
    their kind. So it is trained on one part, generated images are compared with the second, and
    baselines compare the third with the second.

    Attributes:
      train: the first two parts, uint8 [M, H, W, 3]; all that generators are trained on, where
        others are held out.
      seen: which of them the space is fitted to, bool [M].
      held_out: the third part, uint8 [K, H, W, 3].
      unseen: whether generators are not trained on the third part.
    """

    train: np.ndarray
    seen: np.ndarray
    held_out: np.ndarray
    unseen: bool


def divide(images: ImageSet, seed: int) -> RealImages:
    """Keeps as many training images from the encoder as are held out, at most half of them.

    Where none are held out, the encoder sees a third of all images, and the rest is cut into halves
    of equal size, as far as groups of near-duplicates allow. The encoder sees at most 5,000. Greys
    become RGB, and what has an alpha is put over white.

    Args:
      images: N training images and those that are held out.
      seed: the seed of the random parts.
    """
    train, holdout = over_white(images.train), over_white(images.holdout)
    count, held = len(train), len(holdout)
    groups, rng = near_duplicates(train), np.random.default_rng(seed)
    ends = _ends(groups, rng)
    seen = ends <= min(MOST_SEEN, max(count // 2, count - held) if held else count // 3)
    if held:
        return RealImages(train, seen, holdout, True)
    out = _half(groups, ~seen, rng)
    return RealImages(train[~out], seen[~out], train[out], False)


def _ends(groups: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Lays groups out in a random order; where the group of each image ends, [N].

    Args:
      groups: as in `near_duplicates`, [N].
      rng: the rng of the order.
    """
    leaders, sizes = np.unique(groups, return_counts=True)
    order = rng.permutation(len(leaders))
    ends = np.zeros(len(groups), int)
    ends[leaders[order]] = np.cumsum(sizes[order])
    return ends[groups]


def _half(groups: np.ndarray, chosen: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Picks half of some images, bool [N]; the larger groups first, each for the smaller half.

    Args:
      groups: as in `near_duplicates`, [N].
      chosen: the images to halve, whole groups; bool [N].
      rng: the rng of the order of groups of one size, and of the first half.
    """
    leaders, sizes = np.unique(groups[chosen], return_counts=True)
    order = rng.permutation(len(leaders))
    order = order[np.argsort(-sizes[order], kind="stable")]
    halves, of_group = [0, 0], {}
    for leader, size in zip(leaders[order], sizes[order], strict=True):
        of_group[leader] = int(np.argmin(halves))
        halves[of_group[leader]] += size
    return chosen & np.array([of_group.get(group) == 0 for group in groups])
