"""Companions of the losses that look at the discriminator's features."""

from collections.abc import Callable

import jax
import jax.numpy as jnp


def _feature_difference(real: jax.Array, fake: jax.Array) -> jax.Array:
    if real.ndim < 2 or real.shape[1:] != fake.shape[1:]:
        raise ValueError(
            "features must be [N, ...] of the same kind, not "
            f"{list(real.shape)} and {list(fake.shape)}"
        )
    return jnp.mean(fake, axis=0) - jnp.mean(real, axis=0)


def feature_matching_sum(real: jax.Array, fake: jax.Array) -> jax.Array:
    """Feature matching as published: || mean_i F(x_i) - mean_j F(G(z_j)) ||_2^2.

    The batch mean is taken first, feature by feature; images are not paired. The sum grows with
    the number of features: give it a small weight.

    Args:
      real: features of real images, [N, ...].
      fake: features of generated images, [M, ...].

    Returns:
      A scalar >= 0, with a zero gradient where the means agree.

    References:
      Salimans et al., Improved Techniques for Training GANs, 2016,
      https://arxiv.org/abs/1606.03498
    """
    return jnp.sum(jnp.square(_feature_difference(real, fake)))


def feature_matching_mean(real: jax.Array, fake: jax.Array) -> jax.Array:
    """`feature_matching_sum` divided by the number of features.

    Args:
      real: features of real images, [N, ...].
      fake: features of generated images, [M, ...].

    Returns:
      A scalar >= 0.
    """
    return jnp.mean(jnp.square(_feature_difference(real, fake)))


def feature_matching_scalar(real: jax.Array, fake: jax.Array) -> jax.Array:
    """|mean of all of F(G(z)) - mean of all of F(x)|: one number for all features.

    What the report's code computed, as sqrt(square(.)), whose gradient at zero is NaN; the
    absolute value is the same function with gradient 0 there.

    Args:
      real: features of real images, [N, ...].
      fake: features of generated images, [M, ...].

    Returns:
      A scalar >= 0.
    """
    difference = jnp.mean(_feature_difference(real, fake))
    return difference * jnp.sign(difference)  # jnp.abs has the derivative 1 at zero


FEATURE_MATCHING: dict[str, Callable[[jax.Array, jax.Array], jax.Array]] = {
    "scalar": feature_matching_scalar,
    "mean": feature_matching_mean,
    "sum": feature_matching_sum,
}
