"""The forms that convolutions and their kernel gradients are computed in.

A GPU takes them as they are defined. On a CPU XLA has one way of computing them, and other forms of
the same sums take a half to a fifth of its time: which, depends on sizes, and was measured
(BUILD_NOTES.md).
"""

import functools

import jax
import jax.numpy as jnp
import numpy as np

from fish_jax import fusion, winograd

Padding = list[tuple[int, int]]

WIDE = 48  # channels and features from which Winograd's form pays; of two taps, twice as many


def operate(
    images: jax.Array,
    kernel: jax.Array,
    padding: Padding,
    precision: jax.lax.Precision,
    strides: tuple[int, int] = (1, 1),
    dilation: int = 1,
) -> jax.Array:
    """The convolution as it is defined: [N, H, W, I] and [k, k, I, O] to [N, H', W', O]."""
    return jax.lax.conv_general_dilated(
        images,
        kernel,
        strides,
        padding,
        rhs_dilation=(dilation, dilation),
        dimension_numbers=("NHWC", "HWIO", "NHWC"),
        precision=precision,
    )


def convolve(
    images: jax.Array, kernel: jax.Array, padding: Padding, precision: jax.lax.Precision
) -> jax.Array:
    """A convolution of stride 1: [N, H, W, I] and [k, k, I, O] to [N, H', W', O]."""
    settings = dict(padding=padding, precision=precision)
    on_cpu = functools.partial(_convolve_on_cpu, **settings)
    default = functools.partial(operate, **settings)
    return jax.lax.platform_dependent(images, kernel, cpu=on_cpu, default=default)


def _convolve_on_cpu(images, kernel, padding, precision):
    rows, taps, channels, features = kernel.shape
    if _is_large(images) and _is_wide(taps, channels, features):
        plain = functools.partial(operate, precision=precision)
        return winograd.convolve(images, kernel, padding, plain)
    if channels >= WIDE and rows * taps * features <= 32:
        return _as_products(images, kernel, padding, precision)
    width = images.shape[2] + sum(padding[1]) - taps + 1
    block = _block(width, channels, features)
    if block == 1:
        return operate(images, kernel, padding, precision)
    return _in_blocks(images, kernel, padding, precision, block)


def _is_large(images) -> bool:
    return images.size >= fusion.CACHED and images.dtype in (jnp.float32, jnp.float64)


def _is_wide(taps, channels, features) -> bool:
    enough = WIDE if taps > 2 else 2 * WIDE
    return 2 <= taps <= 5 and min(channels, features) >= enough


def _block(width: int, channels: int, features: int) -> int:
    """How many neighbouring output pixels are best computed as one; 1 is none.

    XLA wastes most of its time on few features, and more of it on channels that do not fill a
    vector. A block costs operations, as its kernel holds zeros.
    """
    limit = 64 if channels % 4 else 16 if channels < 32 else 8
    return next((b for b in (8, 4, 2) if width % b == 0 and b * features <= limit), 1)


def _in_blocks(images, kernel, padding, precision, block):
    """A convolution of stride 1 as one of stride `block` along the width with wider kernels."""
    taps, channels, features = kernel.shape[1:]
    shifted = [
        jnp.pad(kernel, ((0, 0), (shift, block - 1 - shift), (0, 0), (0, 0)))
        for shift in range(block)
    ]
    wide = jnp.stack(shifted, 3).reshape(-1, taps + block - 1, channels, block * features)
    output = operate(images, wide, padding, precision, (1, block))
    return output.reshape(*output.shape[:2], -1, features)


def _as_products(images, kernel, padding, precision):
    """The features of all taps as one product for each pixel, and sums of shifted products."""
    rows, taps, channels, features = kernel.shape
    by_channel = kernel.transpose(2, 0, 1, 3).reshape(channels, -1)
    products = jnp.matmul(images, by_channel, precision=precision)
    edges = ((0, 0, 0), *((*sides, 0) for sides in padding), (0, 0, 0))
    products = jax.lax.pad(products, jnp.zeros((), products.dtype), edges)
    height, width = products.shape[1] - rows + 1, products.shape[2] - taps + 1
    terms = [
        products[:, row : row + height, tap : tap + width, index : index + features]
        for index, (row, tap) in zip(
            range(0, rows * taps * features, features), np.ndindex(rows, taps)
        )
    ]
    return functools.reduce(jnp.add, terms)


def _transpose(x, axes):
    """XLA would fuse what leads to `x` into it, in an order that misses every cache."""
    return fusion.apart(lambda x: x.transpose(axes), x)


def operate_gradient(
    images: jax.Array,
    outputs: jax.Array,
    padding: Padding,
    precision: jax.lax.Precision,
    stride: int = 1,
) -> jax.Array:
    """A convolution's kernel gradient: [N, H, W, I] and [N, H', W', O] to [k, k, I, O].

    Its padding is that of the convolution, whose kernel is as large as that makes it. Sums run over
    the batch: it takes the place of the channels.
    """
    images, outputs = _transpose(images, (3, 1, 2, 0)), _transpose(outputs, (1, 2, 0, 3))
    return operate(images, outputs, padding, precision, dilation=stride).transpose(1, 2, 0, 3)


def kernel_gradient(
    images: jax.Array,
    outputs: jax.Array,
    padding: Padding,
    kernel: tuple[int, int],
    precision: jax.lax.Precision,
    stride: int,
) -> jax.Array:
    """A convolution's kernel gradient: [N, H, W, I] and [N, H', W', O] to [*kernel, I, O]."""
    settings = dict(padding=padding, precision=precision, stride=stride)
    on_cpu = functools.partial(_kernel_gradient_on_cpu, kernel=kernel, **settings)
    default = functools.partial(operate_gradient, **settings)
    return jax.lax.platform_dependent(images, outputs, cpu=on_cpu, default=default)


def _kernel_gradient_on_cpu(images, outputs, padding, precision, kernel, stride):
    channels, features = images.shape[-1], outputs.shape[-1]
    plain = functools.partial(operate_gradient, precision=precision)
    if stride == 1 and _is_large(images) and _is_wide(kernel[1], channels, features):
        return winograd.kernel_gradient(images, outputs, padding, kernel[1], plain)
    if stride == 1 and features < channels:
        return _exchanged(images, outputs, padding, precision, kernel)
    return plain(images, outputs, padding, stride=stride)


def _exchanged(images, outputs, padding, precision, kernel):
    """The gradient with images and outputs in each other's place: better with fewer features."""
    edges = [(k - 1 - before, k - 1 - after) for k, (before, after) in zip(kernel, padding)]
    turned = operate_gradient(outputs, images, edges, precision)
    return turned[::-1, ::-1].transpose(0, 1, 3, 2)
