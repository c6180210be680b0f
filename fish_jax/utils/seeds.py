"""The key of a seed: the same random numbers whatever the environment says.

JAX's generator of random numbers, and how it counts, are settings that a user, a TPU's shell or
another library may have changed. A seed must give the same latent and the same initial weights in
every process, so they are fixed here, at JAX's and Flax's own defaults.
"""

import flax
import jax
import numpy as np

IMPLEMENTATION = "threefry2x32"

# Programs are compiled after the functions that draw have returned, and by callers too: a context
# around our own draws would not reach those programs, a setting of the process does.
jax.config.update("jax_threefry_partitionable", True)
jax.config.update("jax_random_seed_offset", 0)
flax.config.update("flax_fix_rng_separator", False)  # of the keys of parameters


def seed_key(seed: int | np.integer | jax.Array) -> jax.Array:
    """The key of a seed; all keys come from here.

    Args:
      seed: a whole number, or an integer scalar.

    Returns:
      A typed key of `IMPLEMENTATION`.
    """
    return jax.random.key(seed, impl=IMPLEMENTATION)
