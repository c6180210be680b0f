"""Collective operations of devices that share a batch, by the name of their axis.

The devices hold equal shares of the batch, in the order of the axis. Without an axis (None) one
device holds the whole batch, and each function returns its argument.
"""

from typing import Any

import jax


def axis_size(axis_name: str | None) -> int:
    """The number of devices that share a batch."""
    return 1 if axis_name is None else jax.lax.axis_size(axis_name)


def gather(share: Any, axis_name: str | None) -> Any:
    """Gathers the whole batch on each device from their shares: [n, ...] to [N, ...]."""
    if axis_name is None:
        return share
    return jax.lax.all_gather(share, axis_name, tiled=True)


def local_share(whole: Any, axis_name: str | None) -> Any:
    """Cuts this device's share from arrays of the whole batch: [N, ...] to [n, ...]."""
    if axis_name is None:
        return whole
    index, count = jax.lax.axis_index(axis_name), jax.lax.axis_size(axis_name)
    cut = lambda x: jax.lax.dynamic_slice_in_dim(x, index * (len(x) // count), len(x) // count)
    return jax.tree.map(cut, whole)


def psum(part: Any, axis_name: str | None) -> Any:
    """Sums over the devices; each gets the sum."""
    return part if axis_name is None else jax.lax.psum(part, axis_name)


def pmean(part: Any, axis_name: str | None) -> Any:
    """Averages over the devices; each gets the mean."""
    if axis_name is None:
        return part
    return jax.tree.map(lambda x: jax.lax.pmean(x, axis_name).astype(x.dtype), part)
