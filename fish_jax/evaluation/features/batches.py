"""Features of many images, of which few are in memory at a time."""

from collections.abc import Callable

import jax
import numpy as np

from fish_jax.errors import UserError
from fish_jax.utils.batching import map_padded
from fish_jax.utils.progress import Advance, ignore_advance

LEAST_SIDE = 16  # pixels, of which two are left at the coarsest level of wavelets

_PIXELS_AT_ONCE = 2_000_000  # about 80 MB of scratch memory
_MOST_AT_ONCE = 64  # images

FeatureFunction = Callable[[jax.Array], jax.Array]


def check_size(images: np.ndarray) -> None:
    """Refuses images whose height or width is below 16 pixels, as a `UserError`."""
    if images.ndim == 4 and min(images.shape[1:3]) < LEAST_SIDE:
        height, width = images.shape[1:3]
        raise UserError(
            f"images of {height} x {width} pixels are too small to score: height and width must "
            f"be at least {LEAST_SIDE}"
        )


def map_batches(
    function: FeatureFunction,
    images: np.ndarray,
    on_progress: Advance = ignore_advance,
    at_once: int = _MOST_AT_ONCE,
) -> np.ndarray:
    """Extracts features of images in batches of one size, so that the function compiles once.

    Args:
      function: from uint8 [B, H, W, 3] to [B, D], each row a function of its image alone.
      images: uint8 [N, H, W, 3], N >= 1; read a batch at a time, so it may be mapped from disk.
      on_progress: called with the number of images in each batch that is done.
      at_once: images in a batch; fewer where they are large.

    Returns:
      [N, D], on the host.

    Raises:
      ValueError: other shapes or types.
    """
    if images.ndim != 4 or images.shape[3] != 3 or images.dtype != np.uint8 or not len(images):
        raise ValueError(
            "images must be uint8 [N, H, W, 3], at least one, "
            f"not {images.dtype}{list(images.shape)}"
        )
    most = _PIXELS_AT_ONCE // (images.shape[1] * images.shape[2])
    size = max(1, min(at_once, most))
    return map_padded(function, images, size=size, on_progress=on_progress)


def extract_chosen(
    function: Callable[[np.ndarray], np.ndarray], images: np.ndarray, chosen: np.ndarray
) -> np.ndarray:
    """Extracts features of some images, of which few are in memory at a time.

    Args:
      function: from uint8 [B, H, W, 3] to [B, ...], for any B, each row of its image alone.
      images: uint8 [N, H, W, 3]; may be mapped from disk.
      chosen: indices of images, [M], M >= 1.

    Returns:
      [M, ...], on the host.
    """
    parts = np.split(chosen, range(_MOST_AT_ONCE, len(chosen), _MOST_AT_ONCE))
    return np.concatenate([function(images[part]) for part in parts])
