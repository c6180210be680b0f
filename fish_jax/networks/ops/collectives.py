"""What devices that share a batch tell one another: pure functions of the name of their axis.

A device has its share of the batch, equal parts in the order of the axis. Without an axis (None) it
has all of the batch, and each of these gives back what it was given.
"""

from typing import Any

import jax


def axis_size(axis_name: str | None) -> int:
    """How many devices share a batch."""
    return 1 if axis_name is None else jax.lax.axis_size(axis_name)


def gather(share: Any, axis_name: str | None) -> Any:
    """The whole batch from each device's share of it, the same on all: [n, ...] to [N, ...]."""
    if axis_name is None:
        return share
    return jax.lax.all_gather(share, axis_name, tiled=True)


def local_share(whole: Any, axis_name: str | None) -> Any:
    """A device's share of what all have: [N, ...] to [n, ...]."""
    if axis_name is None:
        return whole
    index, count = jax.lax.axis_index(axis_name), jax.lax.axis_size(axis_name)
    cut = lambda x: jax.lax.dynamic_slice_in_dim(
        x, index * (len(x) // count), len(x) // count, axis=0
    )
    return jax.tree.map(cut, whole)


def psum(part: Any, axis_name: str | None) -> Any:
    """The sum over all devices, the same on all."""
    return part if axis_name is None else jax.lax.psum(part, axis_name)
