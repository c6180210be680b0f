"""Checks of a state before it is saved: whether it is finite, and its checksums.

Checksums find damage that the file system does not. Orbax and TensorStore check their own tables,
but not the numbers of an array.
"""

import json
import zlib
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from fish_jax.gan.state import TrainState


def checksums(state: TrainState, progress: dict[str, Any]) -> dict[str, int]:
    """CRC-32 of each leaf's type, shape and numbers, and of `progress` as JSON.

    Reads some 2 GB/s. Of an array that lies on several devices or processes, the copy on the first
    of this process.

    Args:
      state: whose leaves are arrays, each whole on every device that has it.
      progress: the progress of JSON's types.

    Returns:
      {"generator_params.00_project.kernel": 305419896, ..., "progress": ...}.
    """
    found = {name: _of_array(leaf) for name, leaf in _named(state)}
    return found | {"progress": of_json(progress)}


def of_json(value: Any) -> int:
    """CRC-32 of a value of JSON's types."""
    return zlib.crc32(json.dumps(value, sort_keys=True).encode())


def not_finite(state: TrainState) -> list[str]:
    """Names of the leaves in which a number is infinite or NaN."""
    return [name for name, leaf in _named(state) if not _is_finite(leaf)]


def _named(state: TrainState) -> list[tuple[str, jax.Array]]:
    leaves = jax.tree_util.tree_leaves_with_path(state)
    return [(jax.tree_util.keystr(p, simple=True, separator="."), leaf) for p, leaf in leaves]


def _is_finite(leaf: jax.Array) -> bool:
    return not jnp.issubdtype(leaf.dtype, jnp.inexact) or bool(np.isfinite(_on_host(leaf)).all())


def _of_array(leaf: jax.Array) -> int:
    kind, leaf = "array", leaf.addressable_data(0)
    if jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key):
        kind, leaf = "key", jax.random.key_data(leaf)
    data = _on_host(leaf)
    start = zlib.crc32(f"{kind} {data.dtype} {leaf.shape}".encode())
    return zlib.crc32(data.reshape(-1).view(np.uint8).data, start)


def _on_host(leaf: jax.Array) -> np.ndarray:
    # Not of `leaf` itself, which would keep the host's copy beside it.
    return np.ascontiguousarray(leaf.addressable_data(0))
