"""The training state: everything that a step reads and updates, and how a run begins."""

from typing import Any

import flax.struct
import jax
import jax.numpy as jnp
import numpy as np
import optax

from fish_jax.errors import UserError
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
        parameters and statistics, {} if there is none.
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


def split_seed(seed: int | np.integer) -> jax.Array:
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
    images = jnp.zeros((1, *gan.image_shape), gan.dtype)
    generator = gan.generator.init(generator_key, latents)
    discriminator = gan.discriminator.init(discriminator_key, images)
    return _begin(gan, generator, discriminator, {}, run_key)


def _begin(
    gan: Gan, generator: Any, discriminator: Any, average: dict[str, Any], key: jax.Array
) -> TrainState:
    """The state before the first step of networks with these variables, as Flax takes them.

    Without an average of the generator's, it begins with the generator's variables.
    """
    params, critic = generator["params"], discriminator["params"]
    critic = clip(critic, gan.loss.clip) if gan.loss.clip else critic
    stats = generator.get("batch_stats", {})
    return TrainState(
        step=jnp.int32(0),
        generator_params=params,
        discriminator_params=critic,
        generator_stats=stats,
        discriminator_stats=discriminator.get("batch_stats", {}),
        generator_average=average or begin_average(gan, params, stats),
        generator_optimizer=gan.generator_optimizer.init(params),
        discriminator_optimizer=gan.discriminator_optimizer.init(critic),
        loss_state=jax.tree.map(lambda value: jnp.asarray(value, gan.dtype), gan.objective.init()),
        key=key,
    )


def restart(gan: Gan, seed: int, weights: TrainState, source: str) -> TrainState:
    """The state before the first step of a run that starts from the weights of another run.

    Parameters, batch statistics and the average of the generator's are copies of the other run's.
    The rest is fresh: the step, the optimisers, the loss's own state, and the key.

    Args:
      gan: the fixed parts of the new run.
      seed: the seed of the new run; decides every later draw.
      weights: a state of the other run, of any step.
      source: names the other run in messages.

    Returns:
      A state at step 0.

    Raises:
      UserError: the networks are others; names the first array that differs.
    """
    expected = jax.eval_shape(lambda: create_state(gan, 0))
    given, right = weights.generator_variables, expected.generator_variables
    _check_alike("generator", given, right, source)
    critic = weights.discriminator_variables
    _check_alike("discriminator", critic, expected.discriminator_variables, source)
    average = weights.generator_average if gan.averaging else {}
    if average:
        _check_alike("generator's average", average, right, source)
    # Copies, as a step donates what it is given.
    given, critic, average = jax.tree.map(jnp.copy, (given, critic, average))
    return _begin(gan, given, critic, average, split_seed(np.uint32(seed))[2])


def _check_alike(network: str, given: Any, right: Any, source: str) -> None:
    """Refuses variables of other shapes or types than the config's networks have."""

    def arrays(variables: Any) -> dict[str, str]:
        leaves = jax.tree_util.tree_leaves_with_path(variables)
        name = lambda path: jax.tree_util.keystr(path[1:], simple=True, separator=".")
        return {name(path): f"{leaf.dtype}{list(leaf.shape)}" for path, leaf in leaves}

    there, here = arrays(given), arrays(right)
    for name in sorted(there.keys() | here.keys()):
        if there.get(name) != here.get(name):
            raise UserError(
                f"{source} does not fit this config: {name} of the {network} is "
                f"{there.get(name, 'missing')} there, but {here.get(name, 'missing')} in the "
                "config; use the same layers, latents and image size"
            )
