"""Layers that Flax lacks: with TensorFlow's padding, fast on a CPU, random per image.

Layers have parameters of `param_dtype` and compute in `dtype`, as Flax's do; but sums over a batch,
of its statistics and of the gradients of biases, are computed in float32 or wider.
"""

import functools
import math
from collections.abc import Callable
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from fish_jax.networks.ops import batch_norm, convolution, fusion
from fish_jax.networks.ops.derivatives import custom_vjp


class Arithmetic(nn.Module, kw_only=True):
    """The settings of a module's arithmetic.

    Attributes:
      dtype: the dtype of the computation and the output.
      param_dtype: the param dtype of the parameters.
      precision: the precision of the products, a `jax.lax.Precision`.
    """

    dtype: jax.typing.DTypeLike = jnp.float32
    param_dtype: jax.typing.DTypeLike = jnp.float32
    precision: jax.lax.PrecisionLike = None

    @property
    def arithmetic(self) -> dict[str, Any]:
        """The three settings, for another module."""
        return dict(dtype=self.dtype, param_dtype=self.param_dtype, precision=self.precision)


class KernelLayer(Arithmetic, kw_only=True):
    """A layer with a kernel and, if asked for, a bias per output channel.

    Attributes:
      kernel_init: initialiser of the kernel.
      use_bias: whether to add a bias.
    """

    kernel_init: nn.initializers.Initializer
    use_bias: bool = True

    def add_bias(self, output: jax.Array) -> jax.Array:
        """Adds the bias, if there is one, to an output [..., C]."""
        if not self.use_bias:
            return output
        shape = (output.shape[-1],)
        bias = self.param("bias", nn.initializers.zeros, shape, self.param_dtype)
        return batch_norm.add_bias(output, bias)


class Convolution(KernelLayer):
    """A convolution, or a transposed one.

    A transposed convolution maps [N, H, W, C] to [N, stride*H, stride*W, features] and is the
    exact adjoint of the strided `same` convolution; its kernel is stored as that convolution's,
    [k, k, features, C], as Keras does. A kernel smaller than the stride leaves zeros between.

    Attributes:
      features: number of output channels.
      kernel_size: height and width of the kernel.
      stride: step between output pixels, or factor of up-sampling.
      padding: "same" or "valid"; a transposed convolution is always "same".
      transposed: whether it up-samples.
    """

    features: int
    kernel_size: int
    stride: int
    padding: str = "same"
    transposed: bool = False

    @nn.compact
    def __call__(self, images: jax.Array) -> jax.Array:
        """Maps images [N, H, W, C] to [N, H', W', features]."""
        size, channels = (self.kernel_size, self.kernel_size), images.shape[-1]
        height, width = images.shape[1:3]
        if self.transposed:
            shape = (*size, self.features, channels)
            image = (height * self.stride, width * self.stride)
            operate, padding = convolution.adjoint, "same"
        else:
            shape = (*size, channels, self.features)
            image = (height, width)
            operate, padding = convolution.convolve, self.padding
        geometry = convolution.geometry(image, size, self.stride, padding, self.precision)
        kernel = self.param("kernel", self.kernel_init, shape, self.param_dtype)
        output = operate(images.astype(self.dtype), kernel.astype(self.dtype), geometry)
        return self.add_bias(output)


class Residual(KernelLayer):
    """A residual block of two convolutions: x + second(act(first(act(x)))).

    The second kernel is initialised to zero, so that a new block passes its input on (Zhang et al.,
    Fixup Initialization, 2019, https://arxiv.org/abs/1901.09321). Where the number of channels
    changes, x is added through a kernel of 1 x 1 without a bias.

    Attributes:
      features: number of output channels, of both convolutions.
      kernel_size: height and width of the kernels, which keep the image's size.
      activation: applied before each convolution.
      kernel_init: the kernel init of the first kernel and of the kernel of 1 x 1.
      use_bias: whether each of the two convolutions adds a bias.
    """

    features: int
    kernel_size: int
    activation: Callable[[jax.Array], jax.Array]

    @nn.compact
    def __call__(self, images: jax.Array) -> jax.Array:
        """Maps images [N, H, W, C] to [N, H, W, features]."""
        convolve = functools.partial(Convolution, self.features, stride=1, **self.arithmetic)
        inner = functools.partial(convolve, self.kernel_size, use_bias=self.use_bias)
        x = inner(kernel_init=self.kernel_init, name="first")(self.activation(images))
        x = inner(kernel_init=nn.initializers.zeros, name="second")(self.activation(x))
        if images.shape[-1] != self.features:
            skip = convolve(1, kernel_init=self.kernel_init, use_bias=False, name="skip")
            images = skip(images)
        return images + x


@custom_vjp(2)
def product(x: jax.Array, kernel: jax.Array, precision: jax.lax.PrecisionLike) -> jax.Array:
    """The matrix product [N, C] by [C, features]."""
    return jnp.dot(x, kernel, precision=precision)


def _product_backward(
    precision: jax.lax.PrecisionLike, arguments: tuple[jax.Array, jax.Array], cotangent: jax.Array
) -> tuple[jax.Array, jax.Array]:
    x, kernel = arguments
    dot = functools.partial(jnp.dot, precision=precision)
    # A CPU multiplies a large matrix from the left, by a few columns, in a sixth of the time that
    # it takes from the right: isolated, or XLA would turn the product around.
    from_left = lambda kernel, cotangent: dot(kernel, cotangent.T)
    to_x = fusion.isolate_on_cpu(from_left, kernel, cotangent).T
    return to_x, dot(x.T, cotangent)


product.defvjp(
    lambda x, kernel, precision: (product(x, kernel, precision), (x, kernel)), _product_backward
)


class Dense(KernelLayer):
    """A dense layer.

    Attributes:
      features: number of outputs.
    """

    features: int

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        """Maps [N, C] to [N, features]."""
        if x.ndim != 2:
            raise ValueError(f"a dense layer takes [N, C], not an array of shape {x.shape}")
        shape = (x.shape[-1], self.features)
        kernel = self.param("kernel", self.kernel_init, shape, self.param_dtype)
        output = product(x.astype(self.dtype), kernel.astype(self.dtype), self.precision)
        return self.add_bias(output)


class BatchNorm(nn.Module):
    """Batch normalisation over all axes but the last, with Flax's names and Keras' arithmetic.

    Attributes:
      momentum: the momentum of the running averages, of the mean and of the biased variance.
      epsilon: added to the variance.
      dtype: the dtype of the output.
      param_dtype: the param dtype of parameters, statistics and computation.
      axis_name: the axis name of the devices that share a batch in training, or None.
    """

    momentum: float
    epsilon: float
    dtype: jax.typing.DTypeLike = jnp.float32
    param_dtype: jax.typing.DTypeLike = jnp.float32
    axis_name: str | None = None

    @nn.compact
    def __call__(self, x: jax.Array, train: bool) -> jax.Array:
        """Normalises [..., C] with the batch's statistics in training, else with the averages."""
        shape = (x.shape[-1],)
        scale = self.param("scale", nn.initializers.ones, shape, self.param_dtype)
        bias = self.param("bias", nn.initializers.zeros, shape, self.param_dtype)
        mean = self.variable("batch_stats", "mean", jnp.zeros, shape, self.param_dtype)
        variance = self.variable("batch_stats", "var", jnp.ones, shape, self.param_dtype)
        x = x.astype(self.dtype)
        if not train:
            slope = scale * jax.lax.rsqrt(variance.value + self.epsilon)
            spread = lambda values: values.reshape((1,) * (x.ndim - 1) + shape)
            y = (x.astype(self.param_dtype) - spread(mean.value)) * spread(slope) + spread(bias)
            return y.astype(self.dtype)
        y, batch_mean, batch_variance = batch_norm.batch_norm(
            x, scale, bias, self.epsilon, self.axis_name
        )
        for average, value in ((mean, batch_mean), (variance, batch_variance)):
            average.value = self.momentum * average.value + (1 - self.momentum) * value
        return y


@jax.custom_vjp
def elu(x: jax.Array) -> jax.Array:
    """The exponential linear unit: x, or exp(x) - 1 below zero, with its slope from its value."""
    return jnp.maximum(x, 0) + (jnp.exp(jnp.minimum(x, 0)) - 1)


elu.defvjp(lambda x: (elu(x),) * 2, lambda y, cotangent: (cotangent * (jnp.minimum(y, 0) + 1),))


def image_dropout(images: jax.Array, keys: jax.Array, rate: float) -> jax.Array:
    """Dropout with one key per image, so that masks do not depend on how a batch is split.

    Args:
      images: [N, ...].
      keys: N keys.
      rate: share of values set to zero, in [0, 1), to a 65,536th; the others are scaled by
        1 / (1 - rate).

    Returns:
      [N, ...].
    """
    size, kept = math.prod(images.shape[1:]), round((1 - rate) * 2**16)

    def mask(key: jax.Array) -> jax.Array:
        # Random words take most of the time: each half of one decides on a value.
        words = jax.random.bits(key, (-(-size // 2),), jnp.uint32)
        halves = jnp.concatenate([words & 0xFFFF, words >> 16])
        return (halves < kept)[:size].reshape(images.shape[1:])

    return jnp.where(jax.vmap(mask)(keys), images / (1 - rate), 0)


def image_noise(images: jax.Array, keys: jax.Array, deviation: float) -> jax.Array:
    """Adds Gaussian noise with one key per image.

    Args:
      images: [N, ...].
      keys: N keys.
      deviation: standard deviation, in units of the values.

    Returns:
      [N, ...].
    """
    # A normal number drawn in bfloat16 is one of a few hundred.
    dtype = batch_norm.widened(images.dtype)
    draw = jax.vmap(lambda key: jax.random.normal(key, images.shape[1:], dtype))
    return images + (deviation * draw(keys)).astype(images.dtype)
