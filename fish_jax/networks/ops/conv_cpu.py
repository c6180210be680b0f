"""Convolutions and their kernel gradients in the form that is fastest on a CPU.

A GPU computes them as they are defined. On a CPU XLA has one way of computing them, and other forms
of the same sums take a half to a fifth of its time. The best form depends on the sizes, by rules
that were measured (docs/design/speed.md).
"""

import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from fish_jax.networks.ops import fusion, winograd
from fish_jax.networks.ops.winograd import Pair

WIDE = 48  # channels and features from which Winograd's form pays; twice as many for two taps
SAVING = 1.5  # times fewer products from which it pays


class Geometry(NamedTuple):
    """Sizes of one convolution, (height, width) each, and the precision of its products.

    Attributes:
      stride: step between output pixels.
      kernel: size of the kernel.
      before: zeros padded above and left of the image.
      image: size of its input, [N, *image, I].
      output: size of its output, [N, *output, O].
      precision: the precision of the products, here and in all derivatives, a `jax.lax.Precision`.
    """

    stride: int
    kernel: Pair
    before: Pair
    image: Pair
    output: Pair
    precision: jax.lax.PrecisionLike = None

    @property
    def padding(self) -> list[Pair]:
        """Zeros before and after the image's rows and columns; below 0 unused ones are cut off."""
        sides = zip(self.before, self.output, self.kernel, self.image)
        return [(first, (n - 1) * self.stride + k - side - first) for first, n, k, side in sides]

    @property
    def strides(self) -> Pair:
        """The step between rows and between columns."""
        return (self.stride, self.stride)


# The convolution as it is defined: [N, H, W, I] and [k, k, I, O] to [N, H', W', O].
operate = functools.partial(
    jax.lax.conv_general_dilated, dimension_numbers=("NHWC", "HWIO", "NHWC")
)


def convolve(images: jax.Array, kernel: jax.Array, geometry: Geometry) -> jax.Array:
    """A convolution: [N, H, W, I] and [k, k, I, O] to [N, H', W', O]."""
    on_cpu = functools.partial(_convolve_on_cpu, geometry=geometry)
    default = functools.partial(_as_defined, geometry=geometry)
    return jax.lax.platform_dependent(images, kernel, cpu=on_cpu, default=default)


def _as_defined(images: jax.Array, kernel: jax.Array, geometry: Geometry) -> jax.Array:
    return operate(images, kernel, geometry.strides, geometry.padding, precision=geometry.precision)


def _convolve_on_cpu(images: jax.Array, kernel: jax.Array, geometry: Geometry) -> jax.Array:
    rows, taps, channels, features = kernel.shape
    width = geometry.output[1]
    if _winograd_pays(images, taps, features, geometry.stride, width):
        return _by_winograd(images, kernel, geometry)
    if geometry.stride == 1:
        if channels >= 32 and rows * taps * features <= 64:
            return _as_products(images, kernel, geometry)
        block = _block(width, channels, features)
        if block > 1:
            return _in_blocks(images, kernel, geometry, block)
    return _as_defined(images, kernel, geometry)


def _winograd_pays(images: jax.Array, taps: int, features: int, stride: int, width: int) -> bool:
    """Whether there are enough products to save, and of enough channels and features."""
    if not fusion.is_large(images) or images.dtype not in (jnp.float32, jnp.float64):
        return False
    gathered = -(-taps // stride)
    if not 2 <= gathered <= 5:
        return False
    if winograd.saving(gathered, width) * taps < SAVING * gathered * stride:
        return False
    return min(images.shape[-1] * stride, features) >= (WIDE if gathered > 2 else 2 * WIDE)


def _by_winograd(images: jax.Array, kernel: jax.Array, geometry: Geometry) -> jax.Array:
    def plain(images: jax.Array, kernel: jax.Array, padding: list[Pair]) -> jax.Array:
        strides = (geometry.stride, 1)
        return operate(images, kernel, strides, padding, precision=geometry.precision)

    images, padding = _gather_columns(images, geometry)
    return winograd.convolve(images, _gather_taps(kernel, geometry.stride), padding, plain)


def _gather_columns(images: jax.Array, geometry: Geometry) -> tuple[jax.Array, list[Pair]]:
    """`stride` neighbouring columns as channels of one, [N, H, W', stride*I], and its padding."""
    stride, padding = geometry.stride, geometry.padding
    if stride == 1:
        return images, padding  # the transform pads as it cuts them up
    width, before = geometry.output[1] - 1 - (-geometry.kernel[1] // stride), padding[1][0]
    padded = winograd.pad_columns(images, before, width * stride - before - images.shape[2])
    return padded.reshape(*images.shape[:2], width, -1), [padding[0], (0, 0)]


def _gather_taps(kernel: jax.Array, stride: int) -> jax.Array:
    """The kernel for gathered columns: [k, k, I, O] to [k, k / stride rounded up, stride*I, O]."""
    rows, taps, _, features = kernel.shape
    kernel = jnp.pad(kernel, ((0, 0), (0, -taps % stride), (0, 0), (0, 0)))
    return kernel.reshape(rows, -(-taps // stride), -1, features)


def _block(width: int, channels: int, features: int) -> int:
    """How many neighbouring output pixels are best computed as one; 1 is none.

    XLA wastes most of its time on few features, and more of it on channels that do not fill a
    vector. A block costs operations, as its kernel holds zeros.
    """
    limit = 64 if channels % 4 else 32
    return next((b for b in (8, 4, 2) if width % b == 0 and b * features <= limit), 1)


def _in_blocks(images: jax.Array, kernel: jax.Array, geometry: Geometry, block: int) -> jax.Array:
    """A convolution of stride 1 as one of stride `block` along the width with wider kernels."""
    taps, channels, features = kernel.shape[1:]
    shifted = [
        jnp.pad(kernel, ((0, 0), (shift, block - 1 - shift), (0, 0), (0, 0)))
        for shift in range(block)
    ]
    wide = jnp.stack(shifted, 3).reshape(-1, taps + block - 1, channels, block * features)
    output = operate(images, wide, (1, block), geometry.padding, precision=geometry.precision)
    return output.reshape(*output.shape[:2], -1, features)


def _as_products(images: jax.Array, kernel: jax.Array, geometry: Geometry) -> jax.Array:
    """The features of all taps as one product for each pixel, and sums of shifted products."""
    rows, taps, channels, features = kernel.shape
    by_channel = kernel.transpose(2, 0, 1, 3).reshape(channels, -1)
    products = jnp.matmul(images, by_channel, precision=geometry.precision)
    edges = ((0, 0, 0), *((*sides, 0) for sides in geometry.padding), (0, 0, 0))
    products = jax.lax.pad(products, jnp.zeros((), products.dtype), edges)
    height, width = geometry.output
    terms = [
        products[:, row : row + height, tap : tap + width, i * features : (i + 1) * features]
        for i, (row, tap) in enumerate(np.ndindex(rows, taps))
    ]
    return functools.reduce(jnp.add, terms)


def _transpose(x: jax.Array, axes: tuple[int, ...]) -> jax.Array:
    """XLA would fuse what leads to `x` into it, in an order that misses every cache."""
    return fusion.isolate_on_cpu(lambda x: x.transpose(axes), x)


def operate_gradient(
    images: jax.Array,
    outputs: jax.Array,
    padding: list[Pair],
    precision: jax.lax.PrecisionLike,
    strides: Pair = (1, 1),
) -> jax.Array:
    """A convolution's kernel gradient: [N, H, W, I] and [N, H', W', O] to [k, k, I, O].

    Its padding is that of the convolution, whose kernel is as large as that makes it. Sums run over
    the batch: it takes the place of the channels.
    """
    images, outputs = _transpose(images, (3, 1, 2, 0)), _transpose(outputs, (1, 2, 0, 3))
    made = operate(images, outputs, (1, 1), padding, rhs_dilation=strides, precision=precision)
    return made.transpose(1, 2, 0, 3)


def kernel_gradient(images: jax.Array, outputs: jax.Array, geometry: Geometry) -> jax.Array:
    """A convolution's kernel gradient: [N, H, W, I] and [N, H', W', O] to [k, k, I, O]."""
    on_cpu = functools.partial(_kernel_gradient_on_cpu, geometry=geometry)
    default = functools.partial(_gradient_as_defined, geometry=geometry)
    return jax.lax.platform_dependent(images, outputs, cpu=on_cpu, default=default)


def _gradient_as_defined(images: jax.Array, outputs: jax.Array, geometry: Geometry) -> jax.Array:
    return operate_gradient(images, outputs, geometry.padding, geometry.precision, geometry.strides)


def _kernel_gradient_on_cpu(images: jax.Array, outputs: jax.Array, geometry: Geometry) -> jax.Array:
    channels, features = images.shape[-1], outputs.shape[-1]
    if _winograd_pays(images, geometry.kernel[1], features, geometry.stride, outputs.shape[2]):
        return _gradient_by_winograd(images, outputs, geometry)
    if geometry.stride == 1 and features < channels:
        return _exchanged(images, outputs, geometry)
    return _gradient_as_defined(images, outputs, geometry)


def _gradient_by_winograd(images: jax.Array, outputs: jax.Array, geometry: Geometry) -> jax.Array:
    (rows, taps), stride, channels = geometry.kernel, geometry.stride, images.shape[-1]
    plain = functools.partial(operate_gradient, precision=geometry.precision, strides=(stride, 1))
    images, padding = _gather_columns(images, geometry)
    made = winograd.kernel_gradient(images, outputs, padding, -(-taps // stride), plain)
    return made.reshape(rows, -1, channels, outputs.shape[-1])[:, :taps]


def _exchanged(images: jax.Array, outputs: jax.Array, geometry: Geometry) -> jax.Array:
    """The gradient with images and outputs in each other's place: better with fewer features."""
    sides = zip(geometry.kernel, geometry.padding)
    edges = [(k - 1 - before, k - 1 - after) for k, (before, after) in sides]
    turned = operate_gradient(outputs, images, edges, geometry.precision)
    return turned[::-1, ::-1].transpose(0, 1, 3, 2)
