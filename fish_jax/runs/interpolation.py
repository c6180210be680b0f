"""Interpolation of latents: images on the way from one seed to the next."""

import functools
from collections.abc import Sequence
from pathlib import Path
from typing import Unpack

import jax
import jax.numpy as jnp
import numpy as np

from fish_jax.errors import UserError
from fish_jax.gan import inference, randomness
from fish_jax.gan.own import Own
from fish_jax.runs import sampling
from fish_jax.runs.checkpoints import NEWEST
from fish_jax.utils import validation
from fish_jax.utils.progress import Advance, ignore_advance

FRAMES = 24  # from one seed to the next
MOST_FRAMES = 2_000


def slerp(start: jax.Array, end: jax.Array, places: jax.Array) -> jax.Array:
    """Spherical interpolation: along the arc between two latents.

    The middle of a straight line between two latents is nearer to 0 than almost any latent that a
    generator was trained on; that of the arc is as far away as its ends.

    Args:
      start, end: [Z] each.
      places: the places of N points, [N]; 0 is the start, 1 the end.

    Returns:
      [N, Z]: in the direction (sin((1 - t) w) start / |start| + sin(t w) end / |end|) / sin(w), w
      the angle between both, with the length (1 - t) |start| + t |end|. The straight line where the
      ends have one direction, or opposite ones, between which there is no one arc.

    References:
      White, Sampling Generative Networks, 2016, https://arxiv.org/abs/1609.04468
    """
    lengths = jnp.stack([jnp.linalg.norm(start), jnp.linalg.norm(end)])
    units = jnp.stack([start, end]) / jnp.maximum(lengths, jnp.finfo(start.dtype).tiny)[:, None]
    angle = jnp.arccos(jnp.clip(jnp.vdot(*units), -1, 1))
    parts = jnp.stack([1 - places, places], axis=1)
    is_arc = (jnp.sin(angle) > 1e-3) & jnp.all(lengths > 0)
    angle = jnp.where(is_arc, angle, 1.0)
    dot = functools.partial(jnp.matmul, precision=jax.lax.Precision.HIGHEST)
    arc = dot(parts, lengths)[:, None] * dot(jnp.sin(parts * angle) / jnp.sin(angle), units)
    path = jnp.where(is_arc, arc, dot(parts, jnp.stack([start, end])))
    path = jnp.where(parts[:, 1:] == 0, start[None], path)  # a station's image is that of its seed
    return jnp.where(parts[:, 1:] == 1, end[None], path)


def closed_walk(stations: jax.Array, frames: int) -> jax.Array:
    """Interpolates latents from each station to the next, and from the last to the first.

    Args:
      stations: [S, Z].
      frames: from one to the next, the first of both among them.

    Returns:
      [S * frames, Z].
    """
    places = jnp.arange(frames, dtype=stations.dtype) / frames
    ends = jnp.roll(stations, -1, axis=0)
    legs = jax.vmap(slerp, in_axes=(0, 0, None))(stations, ends, places)
    return legs.reshape(-1, stations.shape[1])


def walk(
    folder: str | Path,
    seeds: Sequence[int],
    frames: int = FRAMES,
    averaged: bool = True,
    on_progress: Advance = ignore_advance,
    checkpoint: str | int = NEWEST,
    **own: Unpack[Own],
) -> np.ndarray:
    """Renders a walk from seed to seed, and back to the first, with a checkpoint of a run.

    Args:
      folder: the folder of the run.
      seeds: at least two; each gives the same image as in `sample`.
      frames: the number of frames from one seed to the next.
      averaged, checkpoint, **own: as in `sampling.load`.
      on_progress: called with the number of images in each batch that is done.

    Returns:
      uint8 [len(seeds) * frames, H, W, C].

    Raises:
      UserError: too few seeds, too many frames, no run, or no readable checkpoint.
    """
    check_walk(seeds, frames)
    gan, state = sampling.load(folder, averaged, checkpoint, **own)
    latents = closed_walk(randomness.seed_latents(gan, seeds), frames)
    return inference.render_latents(gan, state, np.asarray(latents), on_progress)


def check_walk(seeds: Sequence[int], frames: int) -> None:
    """Raises a UserError for fewer than two seeds, or more images than an animation takes."""
    sampling.check_seeds(seeds)
    validation.check("frames", frames, validation.whole(1))
    if len(seeds) < 2:
        raise UserError(f"a walk needs at least two seeds, such as --seeds=1,5,9, not {seeds}")
    if len(seeds) * frames > MOST_FRAMES:
        raise UserError(
            f"{len(seeds)} seeds with {frames} frames from one to the next make "
            f"{len(seeds) * frames:,} images; an animation may have at most {MOST_FRAMES:,}"
        )
