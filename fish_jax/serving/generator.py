"""A generator that is ready to draw, loaded from a checkpoint of a run."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, Unpack

import jax
import numpy as np

from fish_jax.data.batches import Epochs
from fish_jax.evaluation import scores_file
from fish_jax.gan.inference import GENERATE, reconstruct
from fish_jax.gan.model import Gan
from fish_jax.gan.own import Own
from fish_jax.gan.randomness import draw_latents
from fish_jax.gan.state import TrainState
from fish_jax.runs import checkpoints, config_file, layout, sampling
from fish_jax.runs.checksums import checksums
from fish_jax.runs.interpolation import slerp
from fish_jax.utils.seeds import seed_key

Signature = tuple[int, ...]
Fields = Mapping[str, Any]  # of a file of JSON
SIZES = (1, 4, 16, 32)  # images in a batch; each is compiled once
VIEWS = ("sample", "autoencoded")  # what an autoencoder, BEGAN's discriminator, makes of a sample


class Place(NamedTuple):
    """A point in latent space: at a seed, or on the way from one seed to another.

    Attributes:
      start, end: seeds.
      part: the part of the way, from 0, the start, to 1.
    """

    start: int
    end: int
    part: float

    @classmethod
    def of(cls, seed: int) -> "Place":
        """The place of a seed."""
        return cls(seed, seed, 0.0)


class ServedGenerator(NamedTuple):
    """A generator that is ready to draw.

    Attributes:
      gan: the fixed parts of the run.
      state: the state of a checkpoint, without what drawing does not need.
      facts: about the run, in JSON's types.
      digest: tells these weights from all others.
    """

    gan: Gan
    state: TrainState
    facts: dict[str, Any]
    digest: str


def _latents(starts: jax.Array, ends: jax.Array, parts: jax.Array, gan: Gan) -> jax.Array:
    """Latents of places, [N, latent_size], of uint32 [N], uint32 [N] and float [N]."""
    first, last = (draw_latents(gan, jax.vmap(seed_key)(seeds)) for seeds in (starts, ends))
    return jax.vmap(lambda a, b, part: slerp(a, b, part[None])[0])(first, last, parts)


LATENTS = jax.jit(_latents, static_argnames="gan")
AUTOENCODE = jax.jit(reconstruct, static_argnames="gan")


def views(gan: Gan) -> tuple[str, ...]:
    """The names of `VIEWS` that a run has: both if its discriminator is an autoencoder."""
    return VIEWS if gan.discriminator.decoder else VIEWS[:1]


def signature(folder: Path) -> Signature | None:
    """Numbers that change when there is a newer checkpoint or score; None before the first."""
    place = folder / layout.CHECKPOINTS
    newest = max(checkpoints.steps(place), default=None)
    if newest is None:
        return None
    stamps = [_stamp(path) for path in (place / str(newest)).rglob("*")]
    return newest, len(stamps), max(stamps, default=0), _stamp(folder / scores_file.SCORES_FILE)


def _stamp(path: Path) -> int:
    """When a file was changed; 0 if there is none."""
    try:
        return path.stat().st_mtime_ns
    except OSError:
        return 0


def load(
    folder: Path, checkpoint: str | int = checkpoints.NEWEST, **own: Unpack[Own]
) -> ServedGenerator:
    """Loads the generator of a checkpoint of a run; arguments and errors as of `sampling.load`."""
    gan, restored = sampling.restore(folder, checkpoint, **own)
    averaged = bool(restored.state.generator_average)
    scores = scores_file.read_scores(folder, int(restored.state.step), averaged)
    return prepare(gan, restored.state, config_file.read_config(folder), restored.progress, scores)


def prepare(
    gan: Gan, state: TrainState, config: Fields, progress: Fields, scores: Fields | None = None
) -> ServedGenerator:
    """Prepares a generator for drawing: drops unneeded arrays, and gathers facts.

    Args:
      gan: the fixed parts of the run.
      state: the state of any step.
      config: the config of the run.
      progress: the progress of the checkpoint.
      scores: as `scores_file.read_scores` has them.
    """
    state = state.replace(generator_optimizer=(), discriminator_optimizer=())
    if not gan.discriminator.decoder:
        state = state.replace(discriminator_params={}, discriminator_stats={})
    own = facts(gan, state, config, progress) | {"views": list(views(gan)), "scores": scores}
    text = json.dumps(checksums(state, {}), sort_keys=True)
    return ServedGenerator(gan, state, own, hashlib.sha256(text.encode()).hexdigest()[:16])


def facts(gan: Gan, state: TrainState, config: Fields, progress: Fields) -> dict[str, Any]:
    """Facts about a generator and its training, in JSON's types.

    Args:
      gan, state, config, progress: as in `prepare`.
    """
    step, size = int(state.step), progress["images"]
    height, width, channels = gan.image_shape
    return {
        "step": step,
        "epochs": Epochs(size, config["batch_size"]).done(step),
        "images_seen": step * config["batch_size"],
        "height": height,
        "width": width,
        "channels": channels,
        "loss": config["loss"]["name"],
        "trained_on": size,
        "parameters": sum(leaf.size for leaf in jax.tree.leaves(state.generator_params)),
        "weights": "average" if state.generator_average else "last",
    }


def render(generator: ServedGenerator, view: str, places: Sequence[Place]) -> np.ndarray:
    """Draws places in the smallest batch of `SIZES` that holds them.

    Args:
      generator: the generator of a run.
      view: of `views`.
      places: N, at most the largest of `SIZES`.

    Returns:
      uint8 [N, H, W, C], of a seed what `sampling.sample` gives; in batches of other sizes sums
      have another order, and a few pixels may differ by one level of 256.
    """
    size = next(size for size in SIZES if size >= len(places))
    starts, ends, parts = zip(*places, *[Place.of(0)] * (size - len(places)))
    seeds, gan = np.array([starts, ends], np.uint32), generator.gan
    latents = LATENTS(*seeds, np.array(parts, gan.dtype), gan=gan)
    images = GENERATE(generator.state, latents, gan=gan)
    if view == "autoencoded":
        images = AUTOENCODE(generator.state, images, gan=gan)
    return np.asarray(images)[: len(places)]


def warm(generator: ServedGenerator) -> None:
    """Compiles every program that `render` needs for a run, so that no request waits for it."""
    for size in SIZES:
        render(generator, views(generator.gan)[-1], [Place.of(0)] * size)
