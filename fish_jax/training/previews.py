"""Previews: sample grids, and reconstructions of autoencoders, drawn during training."""

from collections.abc import Callable, Mapping
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np

from fish_jax.data import augment
from fish_jax.gan.inference import GENERATE, reconstruct, scale_images, to_pixels
from fish_jax.gan.model import Gan
from fish_jax.gan.randomness import seed_latents
from fish_jax.gan.state import TrainState
from fish_jax.runs.layout import AUTOENCODER, SAMPLES, epoch_pictures
from fish_jax.utils import pictures
from fish_jax.utils.config import Config
from fish_jax.utils.files import write_bytes
from fish_jax.utils.log import phase
from fish_jax.utils.seeds import seed_key

PAIRS = 8  # samples, and photographs, that are shown beside their reconstructions

# From a state to images on the device, uint8 [N, H, W, C], by the folder they belong in.
Preview = Callable[[TrainState], dict[str, jax.Array]]


def compile_preview(gan: Gan, state: TrainState, images: np.ndarray) -> Preview:
    """Compiles the function that draws the previews of an epoch.

    Args:
      gan: the fixed parts of the run.
      state: the state of any step.
      images: to train on, uint8 [M, H, W, C].

    Returns:
      A function that returns `samples` and, if the discriminator is an autoencoder, `autoencoder`.
      It returns before the device has drawn them.
    """
    latents = seed_latents(gan, list(range(pictures.PREVIEW_COUNT)))
    render = GENERATE.lower(state, latents, gan=gan).compile()
    if not gan.discriminator.decoder:
        return lambda state: {SAMPLES: render(state, latents)}
    samples = jax.ShapeDtypeStruct((pictures.PREVIEW_COUNT, *gan.image_shape), jnp.uint8)
    photographs = jnp.asarray(images[:PAIRS])
    sheet = ARRANGE.lower(state, samples, photographs, gan=gan).compile()

    def draw(state: TrainState) -> dict[str, jax.Array]:
        samples = render(state, latents)
        return {SAMPLES: samples, AUTOENCODER: sheet(state, samples, photographs)}

    return draw


def autoencoder_sheet(
    state: TrainState, samples: jax.Array, photographs: jax.Array, gan: Gan
) -> jax.Array:
    """Four rows of images: samples, their reconstructions by D, photographs, theirs."""
    pairs = [samples[: len(photographs)], photographs]
    return jnp.concatenate(
        [x for images in pairs for x in (images, reconstruct(state, images, gan))]
    )


# With `gan` as a static argument, equal ones share what was traced.
ARRANGE = jax.jit(autoencoder_sheet, static_argnames="gan")


def augmented(config: Config, images: np.ndarray, columns: int) -> np.ndarray:
    """Shows images beside augmented copies, as the discriminator sees them in training.

    Args:
      config: whose `loss.augment` and `data.flips` apply.
      images: uint8 [N, H, W, C].
      columns: images in a row: the original, and `columns` - 1 augmented copies.

    Returns:
      Rows one after the other, uint8 [N * columns, H, W, C].
    """
    copies = jnp.repeat(jnp.asarray(images), columns, axis=0)
    keys, of_flips = jax.random.split(seed_key(config["seed"]), (2, len(copies)))
    seen = augment.flip(copies, of_flips) if config["data"]["flips"] else copies
    policy = augment.read_policy(config["loss"]["augment"])
    seen = to_pixels(augment.augment(scale_images(seen), keys, policy))
    plain = (jnp.arange(len(copies)) % columns == 0)[:, None, None, None]
    return np.asarray(jnp.where(plain, copies, seen))


def write_previews(folder: Path, epoch: int, images: Mapping[str, np.ndarray]) -> dict[str, bytes]:
    """Writes the previews of an epoch, each kind into its folder.

    Args:
      folder: the folder of the run.
      epoch: names the files.
      images: as a `Preview` gives them.

    Returns:
      The content of each file, PNG, by kind.
    """
    if not images:
        return {}
    written = {}
    with phase(f"pictures of epoch {epoch}"):
        for name, drawn in images.items():
            sheet = pictures.grid(drawn, len(drawn) // pictures.PREVIEW_ROWS)
            written[name] = pictures.to_png(sheet, 800)
            write_bytes(folder / name / f"{epoch:06d}.png", written[name])
    return written


def newest_samples(folder: Path) -> Path:
    """The newest sample grid of a run, or the run's folder if it has none."""
    return next(reversed(epoch_pictures(folder, SAMPLES)), folder)
