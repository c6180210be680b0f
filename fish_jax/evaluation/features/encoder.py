"""The encoder: a small network that is trained to tell real images from torn ones."""

import functools
import math
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax

from fish_jax.evaluation.features.torn import TORN, augment
from fish_jax.evaluation.features.wavelets import shares
from fish_jax.networks.layers import Convolution, Dense
from fish_jax.utils.progress import Advance, ignore_advance
from fish_jax.utils.seeds import seed_key

DIMENSION = 64
STEPS = 1500  # at most; ten for each image where there are fewer than 150
BATCH = 64

_PIXELS = 28 * 64  # of what the encoder sees; shapes do not need more
_LEAST_SIDE = 16
_REAL = BATCH - sum(count for _, count in TORN)  # real images in a batch
_GROUPS = 8  # of channels, normalised together
_RATE, _WARM_UP, _DECAY = 2e-3, 50, 0.01  # of AdamW

Params = dict[str, Any]


class Encoder(nn.Module):
    """Four convolutions, the mean and the largest value of each channel, and a dense layer."""

    @nn.compact
    def __call__(self, images: jax.Array) -> tuple[jax.Array, jax.Array]:
        """Maps images [N, H, W, 3] in [0, 1] to features [N, 64] and logits [N, 1 + kinds]."""
        exact: dict[str, Any] = dict(
            kernel_init=nn.initializers.he_normal(), precision=jax.lax.Precision.HIGHEST
        )
        x = 2 * images - 1
        for channels, size, stride in ((32, 4, 2), (64, 4, 2), (128, 4, 2), (128, 3, 1)):
            x = Convolution(features=channels, kernel_size=size, stride=stride, **exact)(x)
            x = nn.relu(nn.GroupNorm(_GROUPS)(x))
        # x.max() has a gradient of 0 / 0 where XLA computes x twice and rounds it otherwise.
        largest = nn.max_pool(x, x.shape[1:3]).reshape(len(x), -1)
        pooled = jnp.concatenate([x.mean((1, 2)), largest], axis=1)
        features = Dense(features=DIMENSION, **exact)(pooled)
        return features, Dense(features=1 + len(TORN), **exact)(nn.relu(features))


def seen_size(height: int, width: int) -> tuple[int, int]:
    """The size at which the encoder sees images of H x W pixels.

    The same shape in 1,792 pixels, or the images as they are if they have fewer. No side falls
    below 16 pixels, so long ones have more pixels and are squeezed: 16 x 500 becomes 16 x 237.
    """
    factor = min(1.0, math.sqrt(_PIXELS / (height * width)))
    sides = (min(side, max(_LEAST_SIDE, round(side * factor))) for side in (height, width))
    return tuple(sides)  # pyright: ignore[reportReturnType]  # two of them


@jax.jit
def shrink(images: jax.Array) -> jax.Array:
    """Averages uint8 [N, H, W, 3] over the areas of `seen_size`'s pixels: float32 in [0, 1]."""
    sides = zip(images.shape[1:3], seen_size(*images.shape[1:3]))
    rows, columns = (shares(side, cells) for side, cells in sides)
    pixels, exact = images.astype(jnp.float32) / 255, jax.lax.Precision.HIGHEST
    return jnp.einsum("nhwc,hr,wk->nrkc", pixels, rows, columns, precision=exact)


def apply(params: Params, images: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Maps images [N, H, W, 3] in [0, 1] to the encoder's features and logits."""
    return Encoder().apply({"params": params}, images)  # pyright: ignore[reportReturnType]


def init(seed: int) -> Params:
    """Draws an encoder's first parameters, on the host."""
    images = jnp.zeros((1, _LEAST_SIDE, _LEAST_SIDE, 3))
    return jax.device_get(jax.jit(Encoder().init)(seed_key(seed), images)["params"])


def _batch(key: jax.Array, images: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Draws real images and tears some: [64, h, w, 3], and the kind of each, 0 for real."""
    counts = [_REAL, *(count for _, count in TORN)]
    key, drawing, augmenting = jax.random.split(key, 3)
    drawn = images[jax.random.randint(drawing, (sum(counts),), 0, len(images))]
    parts = jnp.split(drawn, np.cumsum(counts)[:-1])
    keys = jax.random.split(key, len(TORN))
    torn = [tear(own, part) for (tear, _), own, part in zip(TORN, keys, parts[1:])]
    kinds = np.repeat(np.arange(len(counts)), counts)
    return augment(augmenting, jnp.concatenate([parts[0], *torn])), jnp.asarray(kinds)


def _optimizer(steps: int) -> optax.GradientTransformation:
    rate = optax.warmup_cosine_decay_schedule(0.0, _RATE, min(_WARM_UP, steps // 2), steps)
    return optax.adamw(rate, weight_decay=_DECAY)


@functools.partial(jax.jit, static_argnames="steps", donate_argnums=(0, 1))
def _step(
    params: Params, opt_state: optax.OptState, key: jax.Array, images: jax.Array, steps: int
) -> tuple[Params, optax.OptState]:
    """Makes one step of `steps` on a batch of its own."""
    batch, kinds = _batch(key, images)

    def loss(params: Params) -> jax.Array:
        logits = apply(params, batch)[1]
        return optax.softmax_cross_entropy_with_integer_labels(logits, kinds).mean()

    updates, opt_state = _optimizer(steps).update(jax.grad(loss)(params), opt_state, params)
    return optax.apply_updates(params, updates), opt_state  # pyright: ignore[reportReturnType]


def steps_for(count: int) -> int:
    """The steps in which an encoder is trained on that many images."""
    return min(STEPS, 10 * count)


def train(images: np.ndarray, seed: int, on_progress: Advance = ignore_advance) -> Params:
    """Trains an encoder on real images, without labels.

    Each batch has 64 images, drawn with replacement: 31 real ones and 33 torn ones of the kinds of
    `torn.TORN`, all augmented by `torn.augment`. The loss is the cross entropy of the kind.

    Args:
      images: real ones, as `shrink` gives them, float32 [N, h, w, 3].
      seed: the seed of the weights and of all random choices.
      on_progress: called with `BATCH` after each of `steps_for(N)` steps.

    Returns:
      The parameters, on the host.
    """
    shrunk, key, steps = jnp.asarray(images), seed_key(seed), steps_for(len(images))
    params = init(seed)
    opt_state = _optimizer(steps).init(params)
    for step in range(steps):
        params, opt_state = _step(params, opt_state, jax.random.fold_in(key, step), shrunk, steps)
        jax.block_until_ready(params)
        on_progress(BATCH)
    return jax.device_get(params)
