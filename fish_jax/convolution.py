"""Strided convolution and its transpose, written so that XLA computes them fast everywhere.

A convolution is bilinear in images and kernel, so it comes with two more bilinear maps: its
adjoint, which is the transposed convolution, and its kernel gradient. The derivatives of each of
the three are the two others, to any order.

JAX's own derivatives are the same numbers, but on a CPU two of them run 10 to 100 times slower:
XLA brings convolutions into the order of dimensions its fast kernels know only outside loops, and
dilated inputs never reach them. Here every map is one convolution in that order, and a strided
adjoint computes all its phases at once with stride 1.
"""

import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp

Pair = tuple[int, int]


class Geometry(NamedTuple):
    """Sizes of one convolution, (height, width) each.

    Attributes:
      stride: step between output pixels.
      kernel: size of the kernel.
      before: zeros padded above and left of the image.
      image: size of its input, [N, *image, I].
      output: size of its output, [N, *output, O].
    """

    stride: int
    kernel: Pair
    before: Pair
    image: Pair
    output: Pair


def geometry(image: Pair, kernel: Pair, stride: int, padding: str) -> Geometry:
    """The sizes of a convolution with TensorFlow's padding.

    Args:
      image: height and width of its input.
      kernel: height and width of its kernel.
      stride: step in both directions, >= 1.
      padding: "same", ceil(image / stride) outputs, or "valid", no zeros around the image.

    Returns:
      The geometry.
    """
    if padding == "valid":
        output = tuple((side - size) // stride + 1 for side, size in zip(image, kernel))
        return Geometry(stride, kernel, (0, 0), image, output)
    output = tuple(-(-side // stride) for side in image)
    zeros = ((n - 1) * stride + k - side for n, k, side in zip(output, kernel, image))
    return Geometry(stride, kernel, tuple(max(z, 0) // 2 for z in zeros), image, output)


def _convolve(images, kernel, stride, padding, dilation=1):
    return jax.lax.conv_general_dilated(
        images,
        kernel,
        (stride, stride),
        padding,
        rhs_dilation=(dilation, dilation),
        dimension_numbers=("NHWC", "HWIO", "NHWC"),
    )


@functools.partial(jax.custom_vjp, nondiff_argnums=(2,))
def convolve(images: jax.Array, kernel: jax.Array, geometry: Geometry) -> jax.Array:
    """Convolution: [N, *image, I] and [k, k, I, O] to [N, *output, O]."""
    padding = [
        (before, (n - 1) * geometry.stride + k - side - before)
        for before, n, k, side in zip(
            geometry.before, geometry.output, geometry.kernel, geometry.image
        )
    ]
    return _convolve(images, kernel, geometry.stride, padding)


@functools.partial(jax.custom_vjp, nondiff_argnums=(2,))
def adjoint(outputs: jax.Array, kernel: jax.Array, geometry: Geometry) -> jax.Array:
    """The transposed convolution: [N, *output, O] and [k, k, I, O] to [N, *image, I].

    Row s*i + p of the image meets outputs i - last .. i - first, each through one tap of phase p:
    the kernel is cut into its phases, all are computed by one convolution of stride 1 with s*s
    times the channels, and depth becomes space.
    """
    stride, (_, _, channels, features) = geometry.stride, kernel.shape
    count = outputs.shape[0]
    fills, taps, paddings, blocks = [], [], [], []
    for k, before, side, n in zip(
        geometry.kernel, geometry.before, geometry.image, geometry.output
    ):
        first, last = -before // stride, (k - 1 - before) // stride
        taps.append(last - first + 1)
        blocks.append(-(-side // stride))
        shift = -before - stride * first
        fills.append((shift, taps[-1] * stride - k - shift))
        paddings.append((last, blocks[-1] - first - n))
    phases = jnp.pad(kernel, (*fills, (0, 0), (0, 0)))
    phases = phases.reshape(taps[0], stride, taps[1], stride, channels, features)
    phases = phases[::-1, :, ::-1].transpose(0, 2, 5, 1, 3, 4).reshape(*taps, features, -1)
    images = _convolve(outputs, phases, 1, paddings)
    images = images.reshape(count, *blocks, stride, stride, channels).transpose(0, 1, 3, 2, 4, 5)
    images = images.reshape(count, blocks[0] * stride, blocks[1] * stride, channels)
    return images[:, : geometry.image[0], : geometry.image[1]]


@functools.partial(jax.custom_vjp, nondiff_argnums=(2,))
def kernel_gradient(images: jax.Array, outputs: jax.Array, geometry: Geometry) -> jax.Array:
    """The kernel's cotangent: [N, *image, I] and [N, *output, O] to [k, k, I, O]."""
    padding = [
        (before, k - side - before + (n - 1) * geometry.stride)
        for k, side, before, n in zip(
            geometry.kernel, geometry.image, geometry.before, geometry.output
        )
    ]
    # Sums run over the batch: it takes the place of the channels.
    images, outputs = images.transpose(3, 1, 2, 0), outputs.transpose(1, 2, 0, 3)
    gradient = _convolve(images, outputs, 1, padding, dilation=geometry.stride)
    return gradient.transpose(1, 2, 0, 3)


def _with_arguments(function):
    return lambda left, right, geometry: (function(left, right, geometry), (left, right))


def _convolve_backward(geometry, arguments, cotangent):
    images, kernel = arguments
    return adjoint(cotangent, kernel, geometry), kernel_gradient(images, cotangent, geometry)


def _adjoint_backward(geometry, arguments, cotangent):
    outputs, kernel = arguments
    return convolve(cotangent, kernel, geometry), kernel_gradient(cotangent, outputs, geometry)


def _kernel_gradient_backward(geometry, arguments, cotangent):
    images, outputs = arguments
    return adjoint(outputs, cotangent, geometry), convolve(images, cotangent, geometry)


convolve.defvjp(_with_arguments(convolve), _convolve_backward)
adjoint.defvjp(_with_arguments(adjoint), _adjoint_backward)
kernel_gradient.defvjp(_with_arguments(kernel_gradient), _kernel_gradient_backward)
