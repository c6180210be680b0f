"""Strided convolution and its transpose, written so that XLA computes them fast everywhere.

A convolution is bilinear in images and kernel, so it comes with two more bilinear maps: its
adjoint, which is the transposed convolution, and its kernel gradient. The derivatives of each of
the three are the two others, to any order, by reverse mode (`jax.grad`, `jax.vjp`) only.

JAX's own derivatives are the same numbers, but on a CPU two of them run 10 to 100 times slower:
XLA brings convolutions into the order of dimensions its fast kernels know only outside loops, and
dilated inputs never reach them. Here every map is made of convolutions in that order, and a strided
adjoint of convolutions of stride 1, one for each phase of rows.
"""

import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from fish_jax.networks.ops import conv_cpu
from fish_jax.networks.ops.conv_cpu import Geometry, Pair
from fish_jax.networks.ops.derivatives import custom_vjp

Arguments = tuple[jax.Array, jax.Array]

# Networks have many maps of one size. Inlined, the program is the same as without.
_traced_once = functools.partial(jax.jit, static_argnums=2, inline=True)


def geometry(
    image: Pair, kernel: Pair, stride: int, padding: str, precision: jax.lax.PrecisionLike = None
) -> Geometry:
    """The geometry of a convolution with TensorFlow's padding.

    Args:
      image: height and width of its input.
      kernel: height and width of its kernel.
      stride: step in both directions, >= 1.
      padding: "same", ceil(image / stride) outputs, or "valid", no zeros around the image.
      precision: the precision of the products.

    Returns:
      The geometry.

    Raises:
      ValueError: without padding, a kernel larger than the image.
    """
    if padding == "valid":
        height, width = ((side - size) // stride + 1 for side, size in zip(image, kernel))
        if min(height, width) < 1:
            raise ValueError(f"a kernel of {kernel} does not fit an unpadded image of {image}")
        return Geometry(stride, kernel, (0, 0), image, (height, width), precision)
    height, width = (-(-side // stride) for side in image)
    zeros = ((n - 1) * stride + k - side for n, k, side in zip((height, width), kernel, image))
    above, left = (max(z, 0) // 2 for z in zeros)
    return Geometry(stride, kernel, (above, left), image, (height, width), precision)


@custom_vjp(2)
@_traced_once
def convolve(images: jax.Array, kernel: jax.Array, geometry: Geometry) -> jax.Array:
    """Convolution: [N, *image, I] and [k, k, I, O] to [N, *output, O]."""
    return conv_cpu.convolve(images, kernel, geometry)


@custom_vjp(2)
@_traced_once
def kernel_gradient(images: jax.Array, outputs: jax.Array, geometry: Geometry) -> jax.Array:
    """The kernel's cotangent: [N, *image, I] and [N, *output, O] to [k, k, I, O]."""
    return conv_cpu.kernel_gradient(images, outputs, geometry)


@custom_vjp(2)
@_traced_once
def adjoint(outputs: jax.Array, kernel: jax.Array, geometry: Geometry) -> jax.Array:
    """The transposed convolution: [N, *output, O] and [k, k, I, O] to [N, *image, I].

    Each phase of rows, stride*i + p of the image, meets some rows of the kernel only: it is one
    convolution of stride 1, which computes all phases of columns at once as neighbouring channels.
    Rows of the phases then take turns.
    """
    stride, channels = geometry.stride, kernel.shape[2]
    height, width = (-(-side // stride) for side in geometry.image)
    columns, left = _column_phases(kernel, geometry)
    phases = []
    for phase in range(stride):
        # Image row stride*i + phase meets output row i + offset through this row of the kernel.
        taps = [
            ((phase + geometry.before[0] - row) // stride, row)
            for row in reversed(range(geometry.kernel[0]))
            if (phase + geometry.before[0] - row) % stride == 0
        ]
        if taps:
            rows = jnp.stack([columns[row] for _, row in taps])
            phase_geometry = Geometry(
                stride=1,
                kernel=(len(taps), columns.shape[1]),
                before=(-taps[0][0], left),
                image=geometry.output,
                output=(height, width),
                precision=geometry.precision,
            )
            made = conv_cpu.convolve(outputs, rows, phase_geometry)
            made = made.reshape(made.shape[0], height, width * stride, channels)
        else:
            made = jnp.zeros((outputs.shape[0], height, width * stride, channels), outputs.dtype)
        phases.append(made)
    images = jnp.stack(phases, 2).reshape(-1, height * stride, width * stride, channels)
    return images[:, : geometry.image[0], : geometry.image[1]]


def _column_phases(kernel: jax.Array, geometry: Geometry) -> tuple[jax.Array, int]:
    """The kernel with all phases of columns as channels, [k, taps, O, stride*I], and zeros before.

    Column stride*i + p of the image meets outputs i - last .. i - first, each through one tap.
    """
    stride, (rows, size, channels, features) = geometry.stride, kernel.shape
    before = geometry.before[1]
    first, last = -before // stride, (size - 1 - before) // stride
    taps, shift = last - first + 1, -before - stride * first
    kernel = jnp.pad(kernel, ((0, 0), (shift, taps * stride - size - shift), (0, 0), (0, 0)))
    kernel = kernel.reshape(rows, taps, stride, channels, features)[:, ::-1]
    kernel = kernel.transpose(0, 1, 4, 2, 3).reshape(rows, taps, features, stride * channels)
    return kernel, last


def _with_arguments(function: Callable[..., jax.Array]) -> Callable[..., Any]:
    """The forward rule of a function: its value, and its arguments for the backward rule."""
    return lambda left, right, geometry: (function(left, right, geometry), (left, right))


def _convolve_backward(geometry: Geometry, arguments: Arguments, cotangent: jax.Array) -> Arguments:
    images, kernel = arguments
    return adjoint(cotangent, kernel, geometry), kernel_gradient(images, cotangent, geometry)


def _adjoint_backward(geometry: Geometry, arguments: Arguments, cotangent: jax.Array) -> Arguments:
    outputs, kernel = arguments
    return convolve(cotangent, kernel, geometry), kernel_gradient(cotangent, outputs, geometry)


def _kernel_gradient_backward(
    geometry: Geometry, arguments: Arguments, cotangent: jax.Array
) -> Arguments:
    images, outputs = arguments
    return adjoint(outputs, cotangent, geometry), convolve(images, cotangent, geometry)


convolve.defvjp(_with_arguments(convolve), _convolve_backward)
adjoint.defvjp(_with_arguments(adjoint), _adjoint_backward)
kernel_gradient.defvjp(_with_arguments(kernel_gradient), _kernel_gradient_backward)
