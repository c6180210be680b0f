"""Winograd's convolutions F(m, k): of stride 1 along the width, with half the products.

m outputs of k taps are m + k - 1 products of transformed inputs and kernels, where the definition
has m * k. The transforms are sums of neighbours with small constants: for wide layers they cost
less than they save. Rows are left to ordinary convolutions with kernels of one column.

References:
  Lavin and Gray, Fast Algorithms for Convolutional Neural Networks, 2015, https://arxiv.org/abs/1509.09308
  Barabasz et al., Error Analysis and Improving the Accuracy of Winograd Convolution, 2018,
  https://arxiv.org/abs/1803.10986, whose points these are
"""

import functools
from collections.abc import Callable, Sequence

import jax
import jax.numpy as jnp
import numpy as np

from fish_jax.networks.ops import fusion

POINTS = (0.0, 1.0, -1.0, 0.5, -2.0)  # and infinity
Pair = tuple[int, int]


@functools.cache
def matrices(taps: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The matrices A [p, m], G [p, taps] and B [p, p] of y = A^T (G k * B x), p = m + taps - 1.

    p is the number of points. Products of polynomials are products of their values at p points;
    correlation is the transpose of such a product. Rows of B are scaled to a power of two near 1,
    those of G by its inverse.
    """
    count = len(POINTS) + 1

    def values(degree: int) -> np.ndarray:
        finite = np.power.outer(np.array(POINTS), np.arange(degree))
        return np.vstack([finite, np.eye(degree)[-1:]])

    to_outputs, to_kernel = values(count - taps + 1), values(taps)
    to_inputs = np.linalg.inv(values(count)).T
    scale = np.exp2(np.round(np.log2(np.abs(to_inputs).max(1, keepdims=True))))
    return to_outputs, to_kernel * scale, to_inputs / scale


def block(taps: int) -> int:
    """The number of outputs that are computed together, m."""
    return len(POINTS) + 2 - taps


def saving(taps: int, width: int) -> float:
    """The products of the definition over those of this form; outputs fill whole blocks."""
    blocks = -(-width // block(taps))
    return taps * width / (blocks * (block(taps) + taps - 1))


def _scale(factor: float, array: jax.Array) -> jax.Array:
    if factor == 1:
        return array
    return -array if factor == -1 else float(factor) * array


def _combine(row: np.ndarray, arrays: Sequence[jax.Array]) -> jax.Array:
    """The sum of the arrays with these factors."""
    terms = [_scale(factor, array) for factor, array in zip(row, arrays) if factor]
    return functools.reduce(jnp.add, terms)


def _every(x: jax.Array, first: int, step: int, count: int) -> jax.Array:
    """`count` columns, each `step`-th from the `first`."""
    return x[:, :, first : first + step * (count - 1) + 1 : step]


def pad_columns(x: jax.Array, before: int, after: int) -> jax.Array:
    """Zeros on both sides, or columns cut off the right where `after` is negative."""
    edges = ((0, 0, 0), (0, 0, 0), (before, after, 0), (0, 0, 0))
    return jax.lax.pad(x, jnp.zeros((), x.dtype), edges)


def _transform_images(images: jax.Array, padding: Pair, taps: int) -> list[jax.Array]:
    """B x of each block: one array [N, H, blocks, I] for each point."""
    size, to_inputs = block(taps), matrices(taps)[2]
    outputs = images.shape[2] + sum(padding) - taps + 1
    count = -(-outputs // size)
    missing = size * count + taps - 1 - padding[0] - images.shape[2]
    padded = pad_columns(images, padding[0], missing)
    columns = [_every(padded, i, size, count) for i in range(size + taps - 1)]
    return [_combine(row, columns) for row in to_inputs]


def convolve(
    images: jax.Array, kernel: jax.Array, padding: list[Pair], operate: Callable
) -> jax.Array:
    """A convolution of stride 1: [N, H, W, I] and [k, taps, I, O] to [N, H', W', O].

    Args:
      images: the input.
      kernel: the kernel of 2 to 5 columns.
      padding: the padding of rows and columns.
      operate: the ordinary convolution, `operate(images, kernel, padding)`.

    Returns:
      The result of `operate`, to rounding.
    """
    taps, features = kernel.shape[1], kernel.shape[3]
    to_outputs, to_kernel, _ = matrices(taps)
    width = images.shape[2] + sum(padding[1]) - taps + 1
    columns = [kernel[:, i : i + 1] for i in range(taps)]
    products = [
        operate(transformed, _combine(row, columns), [padding[0], (0, 0)])
        for row, transformed in zip(to_kernel, _transform_images(images, padding[1], taps))
    ]

    def interleave(*products: jax.Array) -> jax.Array:
        outputs = jnp.stack([_combine(row, products) for row in to_outputs.T], 3)
        return outputs.reshape(*outputs.shape[:2], -1, features)[:, :, :width]

    return fusion.isolate_on_cpu(interleave, *products)


def kernel_gradient(
    images: jax.Array, outputs: jax.Array, padding: list[Pair], taps: int, operate: Callable
) -> jax.Array:
    """The kernel's cotangent: [N, H, W, I] and [N, H', W', O] to [k, taps, I, O].

    Args:
      images: the input of the convolution.
      outputs: the cotangent of its output.
      padding: the padding of the input's rows and columns.
      taps: columns of the kernel, 2 to 5.
      operate: the ordinary kernel gradient, `operate(images, outputs, padding)`.

    Returns:
      The result of `operate`, to rounding.
    """
    to_outputs, to_kernel, _ = matrices(taps)
    size = block(taps)
    transformed = _transform_images(images, padding[1], taps)
    count = transformed[0].shape[2]
    padded = pad_columns(outputs, 0, size * count - outputs.shape[2])
    columns = [_every(padded, i, size, count) for i in range(size)]
    products = [
        operate(inputs, _combine(row, columns), [padding[0], (0, 0)])
        for row, inputs in zip(to_outputs, transformed)
    ]
    return jnp.concatenate([_combine(row, products) for row in to_kernel.T], 1)
