"""Near-duplicates: images of one object, which must be on the same side of a split."""

import numpy as np
from PIL import Image

from fish_jax.utils.pictures import over_white

# Two images are near-duplicates where small versions of them, or of one and the other's mirror
# image, correlate by more than this. Measured on 2,831 photographs of fish: pairs above it are
# shots of one fish, in groups of at most 6; at 0.93 different fish form groups of 100.
ALIKE = 0.97
SMALL = (32, 14)  # width, height of the small versions
_BLOCK = 1024  # images compared with all others at a time


def near_duplicates(images: np.ndarray) -> np.ndarray:
    """Finds groups of near-duplicates.

    A chain of near-duplicates is one group. Images of a single colour are near-duplicates of those
    of the same one. Time grows with the square of the number of images: 1 s for 5,000.

    Args:
      images: uint8 [N, H, W, C]; read one at a time, so that it may be mapped from disk.

    Returns:
      [N], for each image the index of the first of its group.
    """
    small = np.stack([_shrink(image) for image in images])
    plain, mirrored = _standardise(small), _standardise(small[:, :, ::-1])
    seen: dict[bytes, int] = {}  # of small versions, as those of one colour correlate with none
    first = np.array([seen.setdefault(each.tobytes(), at) for at, each in enumerate(small)])
    for start in range(0, len(images), _BLOCK):
        rows = plain[start : start + _BLOCK]
        alike = np.maximum(rows @ plain.T, rows @ mirrored.T) > ALIKE
        for left, right in zip(*np.nonzero(alike), strict=True):
            low, high = sorted((_first(first, left + start), _first(first, right)))
            first[high] = low
    return np.array([_first(first, index) for index in range(len(images))])


def _shrink(image: np.ndarray) -> np.ndarray:
    shown = Image.fromarray(over_white(image))
    return np.asarray(shown.resize(SMALL, Image.Resampling.BOX), np.float32)


def _standardise(images: np.ndarray) -> np.ndarray:
    vectors = images.reshape(len(images), -1)
    vectors = vectors - vectors.mean(axis=1, keepdims=True)
    return vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1)


def _first(first: np.ndarray, index: int) -> int:
    while first[index] != index:
        first[index] = first[first[index]]
        index = first[index]
    return index
