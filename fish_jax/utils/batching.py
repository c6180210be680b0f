"""Long arrays cut into batches of one shape."""

from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike

from fish_jax.utils.progress import Advance, ignore_advance


def map_padded(
    function: Callable[..., ArrayLike],
    *arrays: np.ndarray,
    size: int,
    on_progress: Advance = ignore_advance,
) -> np.ndarray:
    """Calls a function on `size` rows at a time and joins the results.

    Zeros fill the last batch up, so that a jitted function is compiled for one shape alone.

    Args:
      function: from `size` rows of each array to `size` rows, each a function of its row alone.
      *arrays: [N, ...] each, N >= 1; read a batch at a time, so they may be mapped from disk.
      size: rows in a batch, >= 1.
      on_progress: called with the number of rows in each batch that is done.

    Returns:
      [N, ...], on the host.
    """
    results = []
    for start in range(0, len(arrays[0]), size):
        batch = [_pad(np.asarray(array[start : start + size]), size) for array in arrays]
        count = min(size, len(arrays[0]) - start)
        results.append(np.asarray(function(*batch))[:count])
        on_progress(count)
    return np.concatenate(results)


def _pad(rows: np.ndarray, size: int) -> np.ndarray:
    return np.pad(rows, [(0, size - len(rows)), *[(0, 0)] * (rows.ndim - 1)])
