"""Strided convolution and its transpose, written so that XLA computes them fast everywhere.

A convolution is bilinear in images and kernel, so it comes with two more bilinear maps: its
adjoint, which is the transposed convolution, and its kernel gradient. The derivatives of each of
the three are the two others, to any order.

JAX's own derivatives are the same numbers, but on a CPU two of them run 10 to 100 times slower:
XLA brings convolutions into the order of dimensions its fast kernels know only outside loops, and
dilated inputs never reach them. Here every map is made of convolutions in that order, and a strided
adjoint of convolutions of stride 1, one for each phase of rows.
"""

import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp

Pair = tuple[int, int]

CACHED = 2**18  # numbers that fit into a core's cache: their order of access does not matter


class Geometry(NamedTuple):
    """Sizes of one convolution, (height, width) each, and how exactly it multiplies.

    Attributes:
      stride: step between output pixels.
      kernel: size of the kernel.
      before: zeros padded above and left of the image.
      image: size of its input, [N, *image, I].
      output: size of its output, [N, *output, O].
      precision: of the products, here and in all derivatives, as `jax.lax.Precision` has it.
    """

    stride: int
    kernel: Pair
    before: Pair
    image: Pair
    output: Pair
    precision: jax.lax.PrecisionLike = None


def geometry(
    image: Pair,
    kernel: Pair,
    stride: int,
    padding: str,
    precision: jax.lax.PrecisionLike = None,
) -> Geometry:
    """The geometry of a convolution with TensorFlow's padding.

    Args:
      image: height and width of its input.
      kernel: height and width of its kernel.
      stride: step in both directions, >= 1.
      padding: "same", ceil(image / stride) outputs, or "valid", no zeros around the image.
      precision: of the products.

    Returns:
      The geometry.
    """
    if padding == "valid":
        output = tuple((side - size) // stride + 1 for side, size in zip(image, kernel))
        return Geometry(stride, kernel, (0, 0), image, output, precision)
    output = tuple(-(-side // stride) for side in image)
    zeros = ((n - 1) * stride + k - side for n, k, side in zip(output, kernel, image))
    before = tuple(max(z, 0) // 2 for z in zeros)
    return Geometry(stride, kernel, before, image, output, precision)


def _convolve(images, kernel, strides, padding, precision, dilation=1):
    return jax.lax.conv_general_dilated(
        images,
        kernel,
        strides,
        padding,
        rhs_dilation=(dilation, dilation),
        dimension_numbers=("NHWC", "HWIO", "NHWC"),
        precision=precision,
    )


def _block(width: int, channels: int, features: int) -> int:
    """How many neighbouring output pixels a CPU had best compute as one; measured, 1 is none.

    Its kernels waste most of their time on few features, and more of it on channels that do not
    fill a vector. A block costs operations, as its kernel holds zeros.
    """
    limit = 64 if channels % 4 else 16 if channels < 32 else 8
    return next((b for b in (8, 4, 2) if width % b == 0 and b * features <= limit), 1)


def _convolve_in_blocks(images, kernel, padding, precision, block):
    """A convolution of stride 1 as one of stride `block` along the width with wider kernels."""
    taps, channels, features = kernel.shape[1:]
    shifted = [
        jnp.pad(kernel, ((0, 0), (shift, block - 1 - shift), (0, 0), (0, 0)))
        for shift in range(block)
    ]
    wide = jnp.stack(shifted, 3).reshape(-1, taps + block - 1, channels, block * features)
    output = _convolve(images, wide, (1, block), padding, precision)
    return output.reshape(*output.shape[:2], -1, features)


def _convolve_stride_one(images, kernel, padding, precision):
    width = images.shape[2] + sum(padding[1]) - kernel.shape[1] + 1
    block = _block(width, *kernel.shape[2:])
    settings = dict(padding=padding, precision=precision)
    plain = functools.partial(_convolve, strides=(1, 1), **settings)
    if block == 1:
        return plain(images, kernel)
    blocked = functools.partial(_convolve_in_blocks, block=block, **settings)
    return jax.lax.platform_dependent(images, kernel, cpu=blocked, default=plain)


@functools.partial(jax.custom_vjp, nondiff_argnums=(2,))
def convolve(images: jax.Array, kernel: jax.Array, geometry: Geometry) -> jax.Array:
    """Convolution: [N, *image, I] and [k, k, I, O] to [N, *output, O]."""
    padding = [
        (before, (n - 1) * geometry.stride + k - side - before)
        for before, n, k, side in zip(
            geometry.before, geometry.output, geometry.kernel, geometry.image
        )
    ]
    if geometry.stride == 1:
        return _convolve_stride_one(images, kernel, padding, geometry.precision)
    return _convolve(
        images, kernel, (geometry.stride, geometry.stride), padding, geometry.precision
    )


@functools.partial(jax.custom_vjp, nondiff_argnums=(2,))
def adjoint(outputs: jax.Array, kernel: jax.Array, geometry: Geometry) -> jax.Array:
    """The transposed convolution: [N, *output, O] and [k, k, I, O] to [N, *image, I].

    Each phase of rows, stride*i + p of the image, meets some rows of the kernel only: it is one
    convolution of stride 1, which computes all phases of columns at once as neighbouring channels.
    Rows of the phases then take turns.
    """
    stride, channels = geometry.stride, kernel.shape[2]
    height, width = (-(-side // stride) for side in geometry.image)
    columns, column_padding = _column_phases(kernel, geometry, width)
    phases = []
    for phase in range(stride):
        # Image row stride*i + phase meets output row i + offset through this row of the kernel.
        taps = [
            ((phase + geometry.before[0] - row) // stride, row)
            for row in reversed(range(geometry.kernel[0]))
            if (phase + geometry.before[0] - row) % stride == 0
        ]
        if taps:
            above, below = -taps[0][0], height + taps[-1][0] - geometry.output[0]
            rows = jnp.stack([columns[row] for _, row in taps])
            padding = [(above, below), column_padding]
            made = _convolve_stride_one(outputs, rows, padding, geometry.precision)
            made = made.reshape(len(made), height, width * stride, channels)
        else:
            made = jnp.zeros((len(outputs), height, width * stride, channels), outputs.dtype)
        phases.append(made)
    images = jnp.stack(phases, 2).reshape(-1, height * stride, width * stride, channels)
    return images[:, : geometry.image[0], : geometry.image[1]]


def _column_phases(kernel, geometry, width):
    """The kernel with all phases of columns as channels, [k, taps, O, stride*I], and its padding.

    Column stride*i + p of the image meets outputs i - last .. i - first, each through one tap.
    """
    stride, (rows, size, channels, features) = geometry.stride, kernel.shape
    before = geometry.before[1]
    first, last = -before // stride, (size - 1 - before) // stride
    taps, shift = last - first + 1, -before - stride * first
    kernel = jnp.pad(kernel, ((0, 0), (shift, taps * stride - size - shift), (0, 0), (0, 0)))
    kernel = kernel.reshape(rows, taps, stride, channels, features)[:, ::-1]
    kernel = kernel.transpose(0, 1, 4, 2, 3).reshape(rows, taps, features, stride * channels)
    return kernel, (last, width - first - geometry.output[1])


def _transpose(x, axes):
    """A transposition that a CPU does on its own.

    XLA would compute what leads to `x` once more inside it, in an order that misses every cache;
    into a branch it moves nothing. The other branch is never taken.
    """

    if x.size < CACHED:
        return x.transpose(axes)

    def alone(x):
        shape = [x.shape[axis] for axis in axes]
        taken = ~(x[(0,) * x.ndim] > jnp.inf)
        return jax.lax.cond(
            taken, lambda x: x.transpose(axes), lambda x: jnp.zeros(shape, x.dtype), x
        )

    return jax.lax.platform_dependent(x, cpu=alone, default=lambda x: x.transpose(axes))


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
    images, outputs = _transpose(images, (3, 1, 2, 0)), _transpose(outputs, (1, 2, 0, 3))
    gradient = _convolve(
        images, outputs, (1, 1), padding, geometry.precision, dilation=geometry.stride
    )
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
