"""The training state: everything that a step reads and updates, and how a run begins."""

from typing import Any

import flax.struct
import jax
import jax.numpy as jnp
import optax

from fish_jax.gan.model import Gan
from fish_jax.losses.penalties import clip
from fish_jax.utils.seeds import seed_key


class TrainState(flax.struct.PyTreeNode):
    """Everything that a step reads and updates; immutable.

    Attributes:
      step: number of steps done, int32.
      generator_params, discriminator_params: trained parameters.
      generator_stats, discriminator_stats: running statistics of batch normalisation.
      generator_average: {"params", "batch_stats"}, the moving average of the generator's
        parameters and statistics, {} where there is none.
      generator_optimizer, discriminator_optimizer: optax states.
      loss_state: of `Gan.objective`: {"k", "m_global"} for BEGAN, {} for most others.
      key: the run's key. It never changes: each step folds its number in.
    """

    step: jax.Array
    generator_params: Any
    discriminator_params: Any
    generator_stats: Any
    discriminator_stats: Any
    generator_average: dict[str, Any]
    generator_optimizer: optax.OptState
    discriminator_optimizer: optax.OptState
    loss_state: dict[str, Any]
    key: jax.Array

    @property
    def generator_variables(self) -> dict[str, Any]:
        """Parameters and statistics of the generator, without its average, as Flax takes them."""
        return {"params": self.generator_params, "batch_stats": self.generator_stats}

    @property
    def discriminator_variables(self) -> dict[str, Any]:
        """Parameters and statistics of the discriminator, as Flax takes them."""
        return {"params": self.discriminator_params, "batch_stats": self.discriminator_stats}


def split_seed(seed: int) -> jax.Array:
    """Three keys: for the generator's initial weights, the discriminator's, and the run."""
    return jax.random.split(seed_key(seed), 3)


def begin_average(gan: Gan, params: Any, stats: Any) -> dict[str, Any]:
    """`TrainState.generator_average` before the first step: a copy, or {} without averaging."""
    if gan.averaging is None:
        return {}
    # A copy, as a step donates each array's memory.
    return jax.tree.map(jnp.copy, {"params": params, "batch_stats": stats})


def last_weights(state: TrainState) -> TrainState:
    """The state without the generator's average: `generate` then uses the last step's weights."""
    return state.replace(generator_average={})


def create_state(gan: Gan, seed: int) -> TrainState:
    """The state before the first step; a pure function of its arguments.

    Args:
      gan: the fixed parts of the run.
      seed: decides initial parameters and every later draw.

    Returns:
      A state at step 0.
    """
    generator_key, discriminator_key, run_key = split_seed(seed)
    latents = jnp.zeros((1, gan.latent_size), gan.dtype)
    images = jnp.zeros((1, *gan.image_size, 3), gan.dtype)
    generator = gan.generator.init(generator_key, latents)
    discriminator = gan.discriminator.init(discriminator_key, images)
    critic, stats = discriminator["params"], generator.get("batch_stats", {})
    return TrainState(
        step=jnp.int32(0),
        generator_params=generator["params"],
        discriminator_params=clip(critic, gan.loss.clip) if gan.loss.clip else critic,
        generator_stats=stats,
        discriminator_stats=discriminator.get("batch_stats", {}),
        generator_average=begin_average(gan, generator["params"], stats),
        generator_optimizer=gan.generator_optimizer.init(generator["params"]),
        discriminator_optimizer=gan.discriminator_optimizer.init(discriminator["params"]),
        loss_state=jax.tree.map(lambda value: jnp.asarray(value, gan.dtype), gan.objective.init()),
        key=run_key,
    )
