"""What is served of a run: its newest generator, and facts about it."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np

from fish_jax.data.batches import Epochs
from fish_jax.evaluation import scores_file
from fish_jax.gan.inference import GENERATE, reconstruct
from fish_jax.gan.model import Gan
from fish_jax.gan.randomness import draw_latents
from fish_jax.gan.state import TrainState
from fish_jax.runs import checkpoints, config_file, layout, sampling
from fish_jax.runs.checksums import checksums
from fish_jax.runs.interpolation import slerp

Signature = tuple[int, ...]
SIZES = (1, 4, 16, 32)  # images in a batch; each is compiled once
VIEWS = ("sample", "autoencoded")  # what an autoencoder, BEGAN's discriminator, makes of a sample


class Place(NamedTuple):
    """Where an image is: on the way from one seed to another, or at a seed.

    Attributes:
      start, end: seeds.
      part: of the way, from 0, the start, to 1.
    """

    start: int
    end: int
    part: float

    @classmethod
    def of(cls, seed: int) -> "Place":
        return cls(seed, seed, 0.0)


class ServedGenerator(NamedTuple):
    """A generator that is ready to draw.

    Attributes:
      gan: the fixed parts of the run.
      state: of the newest checkpoint, without what drawing does not need.
      facts: about the run, in JSON's types.
      digest: tells these weights from all others.
    """

    gan: Gan
    state: TrainState
    facts: dict[str, Any]
    digest: str


def _latents(starts: jax.Array, ends: jax.Array, parts: jax.Array, gan: Gan) -> jax.Array:
    """Latents of places, [N, latent_size], of uint32 [N], uint32 [N] and float [N]."""
    first, last = (draw_latents(gan, jax.vmap(jax.random.key)(seeds)) for seeds in (starts, ends))
    return jax.vmap(lambda a, b, part: slerp(a, b, part[None])[0])(first, last, parts)


LATENTS = jax.jit(_latents, static_argnames="gan")
AUTOENCODE = jax.jit(reconstruct, static_argnames="gan")


def views(gan: Gan) -> tuple[str, ...]:
    """Those of `VIEWS` that a run has."""
    return VIEWS if gan.discriminator.decoder else VIEWS[:1]


def signature(folder: Path) -> Signature | None:
    """What changes when there is something newer to serve; None before the first checkpoint."""
    place = folder / layout.CHECKPOINTS
    newest = max(checkpoints.steps(place), default=None)
    if newest is None:
        return None
    stamps = [_stamp(path) for path in (place / str(newest)).rglob("*")]
    scores = _stamp(folder / scores_file.SCORES_FILE)
    return newest, len(stamps), max(stamps, default=0), scores


def _stamp(path: Path) -> int:
    """When a file was changed; 0 if there is none."""
    try:
        return path.stat().st_mtime_ns
    except OSError:
        return 0


def load(folder: Path) -> ServedGenerator:
    """The newest generator of a run.

    Raises:
      UserError: the folder holds no run, or no checkpoint that can be read.
    """
    gan, restored = sampling.restore(folder)
    averaged = bool(restored.state.generator_average)
    scores = scores_file.read_scores(folder, int(restored.state.step), averaged)
    return prepare(gan, restored.state, config_file.read_config(folder), restored.progress, scores)


def prepare(
    gan: Gan,
    state: TrainState,
    config: Mapping[str, Any],
    progress: Mapping[str, Any],
    scores: Mapping[str, Any] | None = None,
) -> ServedGenerator:
    """A generator and facts about it.

    Args:
      gan: the fixed parts of the run.
      state: of any step.
      config: of the run.
      progress: of the checkpoint.
      scores: as `evaluation.read_scores` has them.
    """
    state = state.replace(generator_optimizer=(), discriminator_optimizer=())
    if not gan.discriminator.decoder:
        state = state.replace(discriminator_params={}, discriminator_stats={})
    step, size = int(state.step), progress["images"]
    height, width = gan.image_size
    facts = {
        "step": step,
        "epochs": Epochs(size, config["batch_size"]).done(step),
        "images_seen": step * config["batch_size"],
        "height": height,
        "width": width,
        "loss": config["loss"]["name"],
        "trained_on": size,
        "parameters": sum(leaf.size for leaf in jax.tree.leaves(state.generator_params)),
        "weights": "average" if state.generator_average else "last",
        "views": list(views(gan)),
        "scores": scores,
    }
    text = json.dumps(checksums(state, {}), sort_keys=True)
    return ServedGenerator(gan, state, facts, hashlib.sha256(text.encode()).hexdigest()[:16])


def render(served: ServedGenerator, view: str, places: Sequence[Place]) -> np.ndarray:
    """Draws places in the smallest batch of `SIZES` that holds them.

    Args:
      served: the generator.
      view: of `views`.
      places: N, at most the largest of `SIZES`.

    Returns:
      uint8 [N, H, W, 3], of a seed what `sampling.sample` gives; in batches of other sizes sums
      have another order, and a few pixels may differ by one level of 256.
    """
    size = next(size for size in SIZES if size >= len(places))
    starts, ends, parts = zip(*places, *[Place.of(0)] * (size - len(places)))
    seeds = np.array([starts, ends], np.uint32)
    latents = LATENTS(*seeds, np.array(parts, served.gan.dtype), gan=served.gan)
    images = GENERATE(served.state, latents, gan=served.gan)
    if view == "autoencoded":
        images = AUTOENCODE(served.state, images, gan=served.gan)
    return np.asarray(images)[: len(places)]


def warm(served: ServedGenerator) -> None:
    """Compiles all that `render` will ever need for this run, so that nobody waits for it later."""
    for size in SIZES:
        render(served, views(served.gan)[-1], [Place.of(0)] * size)
