"""Losses with a term for real and a term for generated scores: BCE, LSGAN, hinge, WGAN."""

import jax
import jax.numpy as jnp

from fish_jax.losses.base import Losses, Targets, check_scores, check_target, hinge_margin


def _cross_entropy(logits: jax.Array, target: jax.Array) -> jax.Array:
    # softplus(x) - y x is -y log sigmoid(x) - (1 - y) log(1 - sigmoid(x)) without overflow.
    return jnp.mean(jax.nn.softplus(logits) - target * logits)


def bce(real: jax.Array, fake: jax.Array, targets: Targets = Targets()) -> Losses:
    """Binary cross-entropy on logits, with the non-saturating loss for the generator.

    With targets t_r, t_f, t_g and H(t, s) the cross-entropy of a label t and a logit s:

        D = mean H(t_r, real) + mean H(t_f, fake)        G = mean H(t_g, fake)

    The two terms of D are summed, as in the paper; much code halves them (`loss.d_factor`).
    Noisy targets are smoothed labels drawn per image.

    Args:
      real: logits of real images, [N].
      fake: logits of generated images, [M].
      targets: labels in [0, 1]; 1, 0 and 1 are the plain loss.

    Returns:
      The two losses, scalars >= 0.

    References:
      Goodfellow et al., Generative Adversarial Nets, 2014, https://arxiv.org/abs/1406.2661
      Salimans et al., Improved Techniques for Training GANs, 2016 (one-sided label smoothing),
      https://arxiv.org/abs/1606.03498
    """
    check_scores(real, fake)
    discriminator = _cross_entropy(real, check_target(targets.real, real, "real"))
    discriminator += _cross_entropy(fake, check_target(targets.fake, fake, "fake"))
    generator = _cross_entropy(fake, check_target(targets.generator, fake, "generator"))
    return Losses(discriminator, generator)


def minimax(real: jax.Array, fake: jax.Array) -> Losses:
    """The saturating minimax game, D as in `bce` and G = -mean softplus(fake).

    Its generator hardly learns while the discriminator wins; `bce` is what is trained in practice.

    Args:
      real: logits of real images, [N].
      fake: logits of generated images, [M].

    Returns:
      The two losses, scalars; the generator's is <= 0.

    References:
      Goodfellow et al., Generative Adversarial Nets, 2014, https://arxiv.org/abs/1406.2661
    """
    return Losses(bce(real, fake).discriminator, -jnp.mean(jax.nn.softplus(fake)))


def lsgan(real: jax.Array, fake: jax.Array, targets: Targets = Targets()) -> Losses:
    """Least squares on raw scores, never on probabilities.

        D = 1/2 mean (real - b)^2 + 1/2 mean (fake - a)^2        G = 1/2 mean (fake - c)^2

    with a, b, c = `targets.fake`, `targets.real`, `targets.generator`. The paper's practical
    choice is 0, 1, 1; b - c = 1 and b - a = 2, as in -1, 1, 0, give a Pearson chi-square
    divergence. The factors 1/2 are the paper's.

    Args:
      real: scores of real images, [N].
      fake: scores of generated images, [M].
      targets: the values that the scores should have.

    Returns:
      The two losses, scalars >= 0.

    References:
      Mao et al., Least Squares Generative Adversarial Networks, 2017,
      https://arxiv.org/abs/1611.04076
    """
    check_scores(real, fake)
    real_error = jnp.square(real - check_target(targets.real, real, "real"))
    fake_error = jnp.square(fake - check_target(targets.fake, fake, "fake"))
    generator_error = jnp.square(fake - check_target(targets.generator, fake, "generator"))
    discriminator = (jnp.mean(real_error) + jnp.mean(fake_error)) / 2
    return Losses(discriminator, jnp.mean(generator_error) / 2)


def hinge(real: jax.Array, fake: jax.Array) -> Losses:
    """The hinge loss: D gets no gradient from scores beyond the margin.

        D = mean relu(1 - real) + mean relu(1 + fake)        G = -mean fake

    Args:
      real: scores of real images, [N].
      fake: scores of generated images, [M].

    Returns:
      The two losses, scalars; the discriminator's is >= 0.

    References:
      Lim and Ye, Geometric GAN, 2017, https://arxiv.org/abs/1705.02894
      Tran et al., Hierarchical Implicit Models, 2017, https://arxiv.org/abs/1702.08896
    """
    check_scores(real, fake)
    discriminator = jnp.mean(hinge_margin(real)) + jnp.mean(hinge_margin(-fake))
    return Losses(discriminator, -jnp.mean(fake))


def wgan(real: jax.Array, fake: jax.Array) -> Losses:
    """The Wasserstein critic's loss: minus an estimate of the distance, up to a constant.

        D = mean fake - mean real        G = -mean fake

    It estimates a distance only while the critic is Lipschitz: clip its weights (`loss.clip`) or
    penalise its gradient (`loss.gradient_penalty`). Both losses have any sign.

    Args:
      real: scores of real images, [N].
      fake: scores of generated images, [M].

    Returns:
      The two losses, scalars.

    References:
      Arjovsky et al., Wasserstein GAN, 2017, https://arxiv.org/abs/1701.07875
    """
    check_scores(real, fake)
    return Losses(jnp.mean(fake) - jnp.mean(real), -jnp.mean(fake))
