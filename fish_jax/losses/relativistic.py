"""Relativistic losses, of differences between scores of real and of generated images."""

import jax
import jax.numpy as jnp

from fish_jax.losses.base import Losses, ScoreFunction, check_scores, hinge_margin


def rgan(
    real: jax.Array,
    fake: jax.Array,
    f1: ScoreFunction,
    f2: ScoreFunction,
    g1: ScoreFunction,
    g2: ScoreFunction,
) -> Losses:
    """The general relativistic GAN, on the differences of pairs r_i - f_i.

        D = mean f1(real - fake) + mean f2(fake - real)
        G = mean g1(real - fake) + mean g2(fake - real)

    Args:
      real: scores of real images, [N].
      fake: scores of as many generated images, [N].
      f1, f2: the discriminator's elementwise functions.
      g1, g2: the generator's.

    Returns:
      The two losses, scalars.

    Raises:
      ValueError: the two vectors differ in length, so that they cannot be paired.

    References:
      Jolicoeur-Martineau, The relativistic discriminator, 2018, https://arxiv.org/abs/1807.00734
    """
    check_scores(real, fake)
    if real.shape != fake.shape:
        raise ValueError(f"paired scores differ in length: {real.shape[0]} and {fake.shape[0]}")
    difference = real - fake
    return Losses(
        jnp.mean(f1(difference)) + jnp.mean(f2(-difference)),
        jnp.mean(g1(difference)) + jnp.mean(g2(-difference)),
    )


def ragan(
    real: jax.Array,
    fake: jax.Array,
    f1: ScoreFunction,
    f2: ScoreFunction,
    g1: ScoreFunction,
    g2: ScoreFunction,
) -> Losses:
    """The general relativistic average GAN: each score against the other side's mean.

        D = mean f1(real - mean fake) + mean f2(fake - mean real)
        G = mean g1(real - mean fake) + mean g2(fake - mean real)

    Args:
      real: scores of real images, [N].
      fake: scores of generated images, [M].
      f1, f2: the discriminator's elementwise functions.
      g1, g2: the generator's.

    Returns:
      The two losses, scalars.

    References:
      Jolicoeur-Martineau, The relativistic discriminator, 2018, https://arxiv.org/abs/1807.00734
    """
    check_scores(real, fake)
    real_relative, fake_relative = real - jnp.mean(fake), fake - jnp.mean(real)
    return Losses(
        jnp.mean(f1(real_relative)) + jnp.mean(f2(fake_relative)),
        jnp.mean(g1(real_relative)) + jnp.mean(g2(fake_relative)),
    )


def _softplus_of_negative(x: jax.Array) -> jax.Array:
    return jax.nn.softplus(-x)


def _square_to_one(x: jax.Array) -> jax.Array:
    return jnp.square(x - 1)


def _of_pairs(real: jax.Array, fake: jax.Array, f: ScoreFunction) -> Losses:
    """D = mean f(real - fake), G = mean f(fake - real)."""
    return rgan(real, fake, f1=f, f2=jnp.zeros_like, g1=jnp.zeros_like, g2=f)


def _of_averages(real: jax.Array, fake: jax.Array, f: ScoreFunction) -> Losses:
    """With r~ and f~: D = 1/2 [mean f(r~) + mean f(-f~)], G = 1/2 [mean f(-r~) + mean f(f~)]."""
    towards, away = lambda x: f(x) / 2, lambda x: f(-x) / 2
    return ragan(real, fake, f1=towards, f2=away, g1=away, g2=towards)


def rpgan(real: jax.Array, fake: jax.Array) -> Losses:
    """Relativistic paired GAN with cross-entropy, also called RSGAN; R3GAN's loss.

        D = mean softplus(-(real - fake))        G = mean softplus(-(fake - real))

    Args:
      real: scores of real images, [N].
      fake: scores of as many generated images, [N].

    Returns:
      The two losses, scalars >= 0; both are ln 2 where all scores are equal.

    References:
      Jolicoeur-Martineau, The relativistic discriminator, 2018, https://arxiv.org/abs/1807.00734
      Huang et al., The GAN is dead; long live the GAN!, 2024, https://arxiv.org/abs/2501.05441
    """
    return _of_pairs(real, fake, _softplus_of_negative)


def rplsgan(real: jax.Array, fake: jax.Array) -> Losses:
    """Relativistic paired least squares.

        D = mean ((real - fake) - 1)^2        G = mean ((fake - real) - 1)^2

    Args:
      real: scores of real images, [N].
      fake: scores of as many generated images, [N].

    Returns:
      The two losses, scalars >= 0; both are 1 where all scores are equal.

    References:
      Jolicoeur-Martineau, On relativistic f-divergences, 2019, https://arxiv.org/abs/1901.02474
    """
    return _of_pairs(real, fake, _square_to_one)


def rphinge(real: jax.Array, fake: jax.Array) -> Losses:
    """Relativistic paired hinge.

        D = mean relu(1 - (real - fake))        G = mean relu(1 - (fake - real))

    Args:
      real: scores of real images, [N].
      fake: scores of as many generated images, [N].

    Returns:
      The two losses, scalars >= 0; both are 1 where all scores are equal.

    References:
      Jolicoeur-Martineau, On relativistic f-divergences, 2019, https://arxiv.org/abs/1901.02474
    """
    return _of_pairs(real, fake, hinge_margin)


def rabce(real: jax.Array, fake: jax.Array) -> Losses:
    """Relativistic average GAN with binary cross-entropy, also called RaSGAN.

    With r~ = real - mean fake and f~ = fake - mean real:

        D = 1/2 [mean softplus(-r~) + mean softplus(f~)]
        G = 1/2 [mean softplus(r~) + mean softplus(-f~)]

    The factors 1/2 are those of the paper's code; its formulas have none.

    Args:
      real: scores of real images, [N].
      fake: scores of generated images, [M].

    Returns:
      The two losses, scalars >= 0; both are ln 2 where all scores are equal.

    References:
      Jolicoeur-Martineau, The relativistic discriminator, 2018, https://arxiv.org/abs/1807.00734
    """
    return _of_averages(real, fake, _softplus_of_negative)


def ralsgan(real: jax.Array, fake: jax.Array) -> Losses:
    """Relativistic average least squares.

    With r~ = real - mean fake and f~ = fake - mean real:

        D = 1/2 [mean (r~ - 1)^2 + mean (f~ + 1)^2]
        G = 1/2 [mean (r~ + 1)^2 + mean (f~ - 1)^2]

    The factors 1/2 are those of the paper's code; its formulas have none.

    Args:
      real: scores of real images, [N].
      fake: scores of generated images, [M].

    Returns:
      The two losses, scalars >= 0; both are 1 where all scores are equal.

    References:
      Jolicoeur-Martineau, The relativistic discriminator, 2018, https://arxiv.org/abs/1807.00734
    """
    return _of_averages(real, fake, _square_to_one)


def rahinge(real: jax.Array, fake: jax.Array) -> Losses:
    """Relativistic average hinge.

    With r~ = real - mean fake and f~ = fake - mean real:

        D = 1/2 [mean relu(1 - r~) + mean relu(1 + f~)]
        G = 1/2 [mean relu(1 + r~) + mean relu(1 - f~)]

    The factors 1/2 are those of the paper's code; its formulas have none.

    Args:
      real: scores of real images, [N].
      fake: scores of generated images, [M].

    Returns:
      The two losses, scalars >= 0; both are 1 where all scores are equal.

    References:
      Jolicoeur-Martineau, The relativistic discriminator, 2018, https://arxiv.org/abs/1807.00734
    """
    return _of_averages(real, fake, hinge_margin)
