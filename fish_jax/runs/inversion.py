"""Inversion of the generator: the latent whose image is closest to a given one."""

import functools
import math
from pathlib import Path
from typing import Any, NamedTuple, Unpack

import jax
import jax.numpy as jnp
import numpy as np
import optax
from PIL import Image

from fish_jax.data.images import load_image, load_images
from fish_jax.gan import inference, randomness
from fish_jax.gan.model import Gan
from fish_jax.gan.own import Own
from fish_jax.gan.state import TrainState
from fish_jax.networks.ops import pyramid
from fish_jax.runs import sampling
from fish_jax.runs.checkpoints import NEWEST
from fish_jax.utils import pictures
from fish_jax.utils.batching import map_padded
from fish_jax.utils.progress import Advance, ignore_advance
from fish_jax.utils.seeds import seed_key

DRAWS = 256  # random latents, of which the best are descended from
STARTS = 8
STEPS = 300
IMAGES = DRAWS + STEPS * STARTS  # drawn in all, for the progress
LEARNING_RATE = 0.1  # of Adam at the first step; latents have a deviation of about 1
BEYOND = 3.0  # the length of a normal latent is sqrt(size), with a deviation of 0.7


class Inversion(NamedTuple):
    """The latent that was found for an image.

    Attributes:
      latent: float32 [Z], to be drawn by `fish_jax.generate` or walked to by `closed_walk`.
      image: the generator's image of it, uint8 [H, W, C].
      target: the given image, at the run's size, uint8 [H, W, C].
      loss: `pyramid_error` of both, of pixels in [-1, 1].
      first_loss: the lowest of the random latents, before the descent.
    """

    latent: np.ndarray
    image: np.ndarray
    target: np.ndarray
    loss: float
    first_loss: float


def pyramid_error(difference: jax.Array) -> jax.Array:
    """The distance of images at all scales, from their difference: Lap1.

        sum_j mean |L_j(x - y)|

    L_j is a band of a Laplacian pyramid, which `pyramid.halve` and `pyramid.double` make: what is
    lost when pixels are averaged in twos, wavelets of Haar's kind; the last is the mean of the
    image. A coarse band tells of the places of things that do not overlap yet, where a distance of
    pixels is flat; a fine one of edges.

    Args:
      difference: the difference of pixels in [-1, 1], [N, H, W, C].

    Returns:
      [N], >= 0.

    References:
      Bojanowski et al., Optimizing the Latent Space of Generative Networks, 2018,
      https://arxiv.org/abs/1707.05776
      Ling and Okada, Diffusion Distance for Histogram Comparison, 2006,
      https://doi.org/10.1109/CVPR.2006.99
    """
    mean = lambda band: jnp.mean(jnp.abs(band), axis=(1, 2, 3))
    error = jnp.zeros(len(difference), difference.dtype)
    while max(difference.shape[1:3]) > 1:
        _, height, width, _ = difference.shape
        below = pyramid.halve(difference)
        error += mean(difference - pyramid.double(below, (height, width)))
        difference = below
    return error + mean(difference)


def _errors(latents: jax.Array, state: TrainState, target: jax.Array, gan: Gan) -> jax.Array:
    """`pyramid_error` of the image of each latent, [N], and a target, [1, H, W, C]."""
    return pyramid_error(inference.draw_images(state, latents, gan) - target)


def _project(latents: jax.Array, gan: Gan) -> jax.Array:
    """The nearest latents that are as long as almost all that the generator was trained on."""
    if gan.latent_distribution == "uniform":
        return optax.projections.projection_box(latents, -1.0, 1.0)
    longest = math.sqrt(gan.latent_size) + BEYOND
    return jax.vmap(lambda latent: optax.projections.projection_l2_ball(latent, longest))(latents)


OPTIMIZER = optax.adam(optax.cosine_decay_schedule(LEARNING_RATE, STEPS))


def _descend(
    latents: jax.Array, moments: optax.OptState, state: TrainState, target: jax.Array, gan: Gan
) -> tuple[jax.Array, optax.OptState]:
    """One step of Adam, for each latent its own."""
    loss = lambda latents: jnp.sum(_errors(latents, state, target, gan))
    updates, moments = OPTIMIZER.update(jax.grad(loss)(latents), moments)
    moved: Any = optax.apply_updates(latents, updates)  # optax declares any tree
    return _project(moved, gan), moments


# With `gan` as a static argument, equal ones share a program.
ERRORS = jax.jit(_errors, static_argnames="gan")
DESCEND = jax.jit(_descend, static_argnames="gan")


def find_latent(
    gan: Gan,
    state: TrainState,
    target: np.ndarray,
    seed: int = 0,
    on_progress: Advance = ignore_advance,
) -> Inversion:
    """Finds a latent by gradient descent from several random ones, the best of many.

    Args:
      gan: the fixed parts of the run.
      state: the state of any step; its average is taken, where it has one.
      target: the image to look for, uint8 [H, W, C] of the generator's size.
      seed: the seed of the random latents.
      on_progress: called with the number of images drawn since the last call, in all `IMAGES`.

    References:
      Bora et al., Compressed Sensing using Generative Models, 2017 (descent by Adam from several
      starts), https://arxiv.org/abs/1703.03208
      Lipton and Tripathi, Precise Recovery of Latent Vectors from Generative Adversarial Networks,
      2017 (projection), https://arxiv.org/abs/1702.04782
    """
    scaled = inference.scale_images(jnp.asarray(target)[None], gan.dtype)
    measure = functools.partial(ERRORS, state=state, target=scaled, gan=gan)
    errors = functools.partial(map_padded, measure, size=inference.BATCH)
    keys = jax.random.split(seed_key(np.uint32(seed)), DRAWS)
    drawn = np.asarray(randomness.draw_latents(gan, keys))
    first = errors(drawn, on_progress=on_progress)
    latents = jnp.asarray(drawn[np.argsort(first, kind="stable")[:STARTS]])
    moments = OPTIMIZER.init(latents)
    for _ in range(STEPS):
        latents, moments = jax.block_until_ready(DESCEND(latents, moments, state, scaled, gan=gan))
        on_progress(STARTS)
    found = np.asarray(latents)
    last = errors(found)
    best = found[[np.argmin(last)]]
    image = inference.render_latents(gan, state, best)[0]
    return Inversion(best[0], image, target, float(last.min()), float(first.min()))


def invert(
    folder: str | Path,
    image: str | Path | np.ndarray | Image.Image,
    *,
    seed: int = 0,
    averaged: bool = True,
    checkpoint: str | int = NEWEST,
    on_progress: Advance = ignore_advance,
    **own: Unpack[Own],
) -> Inversion:
    """Finds the latent whose image, drawn with a checkpoint of a run, is closest to a given one.

    Args:
      folder: the folder of the run.
      image: an image file, a PIL image, or uint8 [H, W] or [H, W, C]; it is brought to the run's
        size and channels as its images were.
      seed: the seed of the random latents that the descent starts from; the same one finds the same
        latent.
      averaged, checkpoint, **own: as in `sampling.load`.
      on_progress: as in `find_latent`.

    Raises:
      UserError: the seed, the image, the run or its checkpoint cannot be used.
    """
    sampling.check_seeds([seed])
    config, _ = sampling.read_run(Path(folder), **own)
    size, data = (config["height"], config["width"]), config["data"]
    form = {name: data[name] for name in ("fit", "resample", "channels")}
    if isinstance(image, (str, Path)):
        target = load_image(str(image), *size, **form)
    else:
        target = load_images([image], *size, **form).train[0]
    gan, state = sampling.load(folder, averaged, checkpoint, **own)
    return find_latent(gan, state, target, seed, on_progress)


def beside(found: Inversion) -> np.ndarray:
    """The wanted image, and to its right the image that was found."""
    return pictures.grid(np.stack([found.target, found.image]), 2)
