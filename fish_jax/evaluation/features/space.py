"""The feature space `NAME`: what an encoder sees of shapes, beside what wavelets see of textures.

    space = fit(train_images, seen, seed=0)
    found = extract(space, images)       uint8 [N, H, W, 3] to float32 [N, 305]

The encoder is trained on real images alone, before any generator is judged, and judges all
generators of a comparison. So distances compare only between generators that one space has judged;
`Space.name` tells spaces apart. The encoder knows the images that it was trained on by heart where
they are few, so only others can be compared: generated ones with real ones that it has not seen.
"""

import functools
import hashlib
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from flax.traverse_util import flatten_dict, unflatten_dict

from fish_jax.evaluation.features import batches, encoder, wavelets
from fish_jax.utils.progress import Advance, Begin, ignore_advance, ignore_begin

NAME = "shapes-1"
DIMENSION = encoder.DIMENSION + 1 + wavelets.DIMENSION
SHAPES = slice(0, encoder.DIMENSION)  # the encoder's features
WHOLE = slice(encoder.DIMENSION, encoder.DIMENSION + 1)  # sqrt p, p of being real, not torn
TEXTURES = slice(encoder.DIMENSION + 1, DIMENSION)  # the wavelets

# Standard deviations of real images from their mean, of each part. Wavelets see every change of a
# pixel: they have a sixteenth of the variance, so that soft fish are like real ones. The root makes
# a distance of two probabilities a part of Hellinger's, and, as it is bounded, keeps torn images
# from differing in nothing else.
_SPREADS = ((SHAPES, 10.0), (WHOLE, 5.0), (TEXTURES, 2.5))
_MEASURED = 2000  # images whose spread is measured, at most


class Space(NamedTuple):
    """A space that was fitted to real images.

    Attributes:
      name: the name of its version, its encoder's seed and steps, and a checksum of its weights.
      weights: the weights of the encoder, float32 by "layer/parameter".
      mean, scale: taken away from features, then multiplied with them, float32 [305] each.
    """

    name: str
    weights: dict[str, np.ndarray]
    mean: np.ndarray
    scale: np.ndarray


def fit(images: np.ndarray, seen: np.ndarray, seed: int, begin: Begin = ignore_begin) -> Space:
    """Trains the encoder on some real images, and measures the spread of others.

    Args:
      images: real ones, uint8 [N, H, W, 3], H and W >= 16; may be mapped from disk.
      seen: those that the encoder is trained on, at least one and not all; bool [N].
      seed: the seed of the encoder, and of the choice of others where there are more than 2,000.
      begin: called with the name and the size of the training; returns its progress callback.

    Raises:
      UserError: images that are too small.
      ValueError: other shapes or types.
    """
    batches.check_size(images)
    shrink = functools.partial(batches.map_batches, encoder.shrink)
    shrunk = batches.extract_chosen(shrink, images, np.flatnonzero(seen))
    steps = encoder.steps_for(len(shrunk))
    advance = begin("training the feature encoder", steps * encoder.BATCH)
    params = encoder.train(shrunk, seed, advance)
    weights = {name: np.asarray(value) for name, value in flatten_dict(params, sep="/").items()}
    plain = Space("", weights, np.zeros(DIMENSION, np.float32), np.ones(DIMENSION, np.float32))
    others = np.flatnonzero(~seen)
    if len(others) > _MEASURED:
        others = np.random.default_rng(seed).choice(others, _MEASURED, replace=False)
    found = batches.extract_chosen(functools.partial(extract, plain), images, others)
    scale = np.ones(DIMENSION, np.float32)
    for part, spread in _SPREADS:
        variance = found[:, part].var(0, dtype=np.float64).sum()
        scale[part] = spread / np.sqrt(variance) if variance > 0 else 1
    checksum = hashlib.sha256(b"".join(weights[name].tobytes() for name in sorted(weights)))
    name = f"{NAME} (encoder of seed {seed}, {steps} steps, sha256 {checksum.hexdigest()[:8]})"
    return Space(name, weights, found.mean(0), scale)


@jax.jit
def _describe(
    params: encoder.Params, mean: jax.Array, scale: jax.Array, images: jax.Array
) -> jax.Array:
    shapes, logits = encoder.apply(params, encoder.shrink(images))
    whole = jnp.sqrt(jax.nn.softmax(logits)[:, :1])
    parts = [shapes, whole, wavelets.scattering(images)]
    return (jnp.concatenate(parts, axis=1) - mean[None]) * scale[None]


def extract(space: Space, images: np.ndarray, on_progress: Advance = ignore_advance) -> np.ndarray:
    """Extracts the features of images.

    Columns `SHAPES` are the encoder's, of the image at about 1,800 pixels; `WHOLE` is the root of
    the probability that it gives to the image being real and not torn; columns `TEXTURES` are those
    of `wavelets.extract`, of all pixels. Of each part, the mean of real images is taken away and
    their total variance set: to 100, 25 and 6.25.

    Args:
      space: from `fit`.
      images: uint8 [N, H, W, 3], of the size that the space was fitted to.
      on_progress: as in `batches.map_batches`.

    Returns:
      float32 [N, 305], on the host.

    Raises:
      UserError: images that are too small.
      ValueError: other shapes or types.
    """
    batches.check_size(images)
    params = unflatten_dict(space.weights, sep="/")
    describe = functools.partial(_describe, params, space.mean, space.scale)
    return batches.map_batches(describe, images, on_progress)


def textures(space: Space, images: np.ndarray, on_progress: Advance = ignore_advance) -> np.ndarray:
    """Extracts the columns `TEXTURES` alone, which need no encoder.

    Args:
      space, images, on_progress: as in `extract`.

    Returns:
      float32 [N, 240], on the host.

    Raises:
      UserError, ValueError: as of `extract`.
    """
    found = wavelets.extract(images, on_progress)
    return (found - space.mean[None, TEXTURES]) * space.scale[None, TEXTURES]
