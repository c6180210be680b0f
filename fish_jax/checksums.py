"""Checksums of a state and of what is saved beside it, to tell damage that a file system lets by.

Orbax and TensorStore check their own tables, and none of the numbers in an array.
"""

import json
import zlib
from typing import Any

import jax
import numpy as np

from fish_jax.state import TrainState


def checksums(state: TrainState, progress: dict[str, Any]) -> dict[str, int]:
    """CRC-32 of each leaf's type, shape and numbers, and of `progress` as JSON.

    Reads some 2 GB/s. Of an array that lies on several devices or processes, the copy on the first
    of this process.

    Args:
      state: whose leaves are arrays, each whole on every device that has it.
      progress: of JSON's types.

    Returns:
      {"generator_params.00_project.kernel": 305419896, ..., "progress": ...}.
    """
    name = lambda path: jax.tree_util.keystr(path, simple=True, separator=".")
    found = {name(p): _of_array(leaf) for p, leaf in jax.tree_util.tree_leaves_with_path(state)}
    text = json.dumps(progress, sort_keys=True)
    return found | {"progress": zlib.crc32(text.encode())}


def _of_array(leaf: jax.Array) -> int:
    # Not of `leaf` itself, which would keep the host's copy beside it.
    kind, leaf = "array", leaf.addressable_data(0)
    if jax.dtypes.issubdtype(leaf.dtype, jax.dtypes.prng_key):
        kind, leaf = "key", jax.random.key_data(leaf)
    data = np.ascontiguousarray(leaf)
    start = zlib.crc32(f"{kind} {data.dtype} {leaf.shape}".encode())
    return zlib.crc32(data.reshape(-1).view(np.uint8), start)
