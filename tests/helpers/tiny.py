"""Small versions of the experiments, for tests: the same rows with few filters."""

import importlib
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import optax
from ml_collections import ConfigDict

from fish_jax.configs import default
from fish_jax.gan.model import Gan
from fish_jax.gan.state import TrainState, create_state
from fish_jax.runs import checkpoints, config_file, layout

CONFIGS = sorted(  # of a single run
    path.stem
    for path in Path("configs").glob("*.py")
    if path.stem not in ("default", "compare", "__init__")
)


def tiny_config(name: str, variant: str = "") -> ConfigDict:
    """An experiment at 20 x 40 pixels, which every generator's up-sampling divides."""
    config = importlib.import_module(f"fish_jax.configs.{name}").get_config(variant)
    config.height, config.width = 20, 40
    config.batch_size = 4
    if config.images:  # of networks that grow: two epochs of ten images
        config.images = (8, 8, 4)[: len(config.images)]
    else:
        config.epochs = 2
    config.latents.size = 8
    config.generator.layers = default.narrowed(config.generator.layers, 0.03, least=4)
    config.discriminator.layers = default.narrowed(config.discriminator.layers, 0.03, least=4)
    config.discriminator.decoder = default.narrowed(config.discriminator.decoder, 0.03, least=4)
    config.data.count = 10
    config.log_every_steps = 2
    config.devices = 1  # of the eight that tests have
    return config


def tiny_images(config: ConfigDict, count: int = 10) -> np.ndarray:
    """uint8 [count, H, W, 3] of noise."""
    shape = (count, config.height, config.width, 3)
    return np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)


def tiny_state(gan: Gan) -> TrainState:
    """The state before the first step, of seed 0; compiled in one, which is faster than eagerly."""
    return jax.jit(create_state, static_argnums=0)(gan, 0)


def write_run(folder: Path, config: ConfigDict, state: TrainState) -> Path:
    """A run's folder with its config and one checkpoint."""
    config_file.write_config(folder, config_file.plain(config))
    with checkpoints.open_checkpoints(folder / layout.CHECKPOINTS) as manager:
        checkpoints.save(manager, state, {})
    return folder


def scalar_updates(optimizer: optax.GradientTransformation, gradients: list[float]) -> list[float]:
    """What an optimiser makes of the gradients of one number, one after the other."""
    params, updates = jnp.zeros(()), []
    state = optimizer.init(params)
    for gradient in gradients:
        update, state = optimizer.update(jnp.asarray(gradient), state, params)
        updates.append(float(update))
    return updates
