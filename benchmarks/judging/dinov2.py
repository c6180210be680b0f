"""DINOv2's network, with weights of a file in the format of Hugging Face's `dinov2-small`.

References:
  Oquab et al., DINOv2: Learning Robust Visual Features without Supervision, 2023,
  https://arxiv.org/abs/2304.07193
  Stein et al., Exposing flaws of generative model evaluation metrics, 2023 (its features agree
  most with people), https://arxiv.org/abs/2306.04675
"""

from collections.abc import Mapping

import jax
import jax.numpy as jnp
import numpy as np

Weights = Mapping[str, jax.Array]  # by the names of the file

PATCH = 14  # pixels
_HEAD = 64  # numbers of each head of attention
_MEAN, _DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # of ImageNet's colours


def cubic(before: int, after: int) -> np.ndarray:
    """The matrix, [before, after], that resizes a side as PyTorch's bicubic filter does.

    Keys' kernel of a = -0.75 with the ends repeated, not widened where a side shrinks.
    """
    a, matrix = -0.75, np.zeros((before, after))
    for place in range(after):
        centre = (place + 0.5) * before / after - 0.5
        for cell in range(int(np.floor(centre)) - 1, int(np.floor(centre)) + 3):
            x = abs(centre - cell)
            near = (a + 2) * x**3 - (a + 3) * x**2 + 1
            far = a * (x**3 - 5 * x**2 + 8 * x - 4)
            matrix[np.clip(cell, 0, before - 1), place] += near if x <= 1 else far
    return matrix.astype(np.float32)


def _row(weights: Weights, name: str) -> jax.Array:
    """A vector as [1, 1, C]."""
    return weights[name][None, None]


def _dense(weights: Weights, name: str, x: jax.Array) -> jax.Array:
    return x @ weights[f"{name}.weight"].T + _row(weights, f"{name}.bias")


def _normalise(weights: Weights, name: str, x: jax.Array) -> jax.Array:
    centred = x - x.mean(-1, keepdims=True)
    scaled = centred * jax.lax.rsqrt(jnp.square(centred).mean(-1, keepdims=True) + 1e-6)
    return scaled * _row(weights, f"{name}.weight") + _row(weights, f"{name}.bias")


def _attend(weights: Weights, name: str, x: jax.Array) -> jax.Array:
    """Lets each token of [N, T, C] look at all."""
    shape = (*x.shape[:2], -1, _HEAD)
    heads = lambda part: _dense(weights, f"{name}.attention.{part}", x).reshape(shape)
    seen = jax.nn.dot_product_attention(heads("query"), heads("key"), heads("value"))
    return _dense(weights, f"{name}.output.dense", seen.reshape(x.shape))


def _tokens(weights: Weights, images: jax.Array) -> jax.Array:
    """Makes a token of the class and one of each patch of [N, H, W, 3]: [N, T, C]."""
    count, height, width, _ = images.shape
    mean, deviation = (jnp.float32(row)[None, None, None] for row in (_MEAN, _DEVIATION))
    patches = jax.lax.conv_general_dilated(
        (images - mean) / deviation,
        weights["embeddings.patch_embeddings.projection.weight"],
        (PATCH, PATCH),
        "VALID",
        dimension_numbers=("NHWC", "OIHW", "NHWC"),
    )
    patches = patches.reshape(count, -1, patches.shape[3])
    patches += _row(weights, "embeddings.patch_embeddings.projection.bias")
    places = weights["embeddings.position_embeddings"]
    side = round((places.shape[1] - 1) ** 0.5)
    rows, columns = cubic(side, height // PATCH), cubic(side, width // PATCH)
    grid = places[0, 1:].reshape(side, side, -1)
    grid = jnp.einsum("hwc,hr,wk->rkc", grid, rows, columns).reshape(1, -1, grid.shape[2])
    first = weights["embeddings.cls_token"] + places[:, :1]
    first = jnp.broadcast_to(first, (count, *first.shape[1:]))
    return jnp.concatenate([first, patches + grid], axis=1)


@jax.jit
def describe(weights: Weights, images: jax.Array) -> jax.Array:
    """Describes images by the last token of the class.

    Args:
      weights: of a network of any size, by the file's names.
      images: [N, H, W, 3] in [0, 1], H and W multiples of 14.

    Returns:
      [N, C].
    """
    x = _tokens(weights, images)
    for layer in range(sum(name.endswith("norm1.weight") for name in weights)):
        name = f"encoder.layer.{layer}"
        seen = _attend(weights, f"{name}.attention", _normalise(weights, f"{name}.norm1", x))
        x += _row(weights, f"{name}.layer_scale1.lambda1") * seen
        hidden = _dense(weights, f"{name}.mlp.fc1", _normalise(weights, f"{name}.norm2", x))
        hidden = _dense(weights, f"{name}.mlp.fc2", jax.nn.gelu(hidden, approximate=False))
        x += _row(weights, f"{name}.layer_scale2.lambda1") * hidden
    return _normalise(weights, "layernorm", x)[:, 0]
