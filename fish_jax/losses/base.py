"""Adversarial losses: pure functions from two vectors of scores to two numbers.

A discriminator gives one score to each image: a logit, a critic's value, or, for EBGAN and BEGAN,
the reconstruction error of an autoencoder (an energy). Every loss here takes the scores of real
and of generated images and returns what the discriminator and what the generator minimise:

    losses = ralsgan(real_scores, fake_scores)
    losses.discriminator, losses.generator

Nothing is detached: gradients flow through the relativistic means, as the papers define them.
The scores must be those of the whole batch.
"""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp


class Losses(NamedTuple):
    """What each network minimises; two scalars."""

    discriminator: jax.Array
    generator: jax.Array


class Targets(NamedTuple):
    """The labels that `bce` and `lsgan` pull scores towards; scalars or one per image, [N]."""

    real: jax.Array | float = 1.0
    fake: jax.Array | float = 0.0
    generator: jax.Array | float = 1.0


ScoreFunction = Callable[[jax.Array], jax.Array]


def _check_scores(real: jax.Array, fake: jax.Array) -> None:
    for name, scores in (("real", real), ("fake", fake)):
        if jnp.ndim(scores) != 1 or not jnp.issubdtype(jnp.result_type(scores), jnp.floating):
            raise ValueError(
                f"{name} scores must be a vector of floats, one per image, not "
                f"{jnp.result_type(scores)}{list(jnp.shape(scores))}"
            )


def _check_target(target: jax.Array | float, scores: jax.Array, name: str) -> jax.Array:
    target = jnp.asarray(target, scores.dtype)
    if target.shape not in ((), scores.shape):
        raise ValueError(
            f"{name} targets must be one number or one per image, {list(scores.shape)}, "
            f"not {list(target.shape)}"
        )
    return target


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
    _check_scores(real, fake)
    discriminator = _cross_entropy(real, _check_target(targets.real, real, "real"))
    discriminator += _cross_entropy(fake, _check_target(targets.fake, fake, "fake"))
    generator = _cross_entropy(fake, _check_target(targets.generator, fake, "generator"))
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
    choice is 0, 1, 1; b - c = 1 and b - a = 2, as in -1, 1, 0, gives a Pearson chi-square
    divergence. The factors 1/2 are the paper's.

    Args:
      real: scores of real images, [N].
      fake: scores of generated images, [M].
      targets: the values that scores are pulled to.

    Returns:
      The two losses, scalars >= 0.

    References:
      Mao et al., Least Squares Generative Adversarial Networks, 2017,
      https://arxiv.org/abs/1611.04076
    """
    _check_scores(real, fake)
    real_error = jnp.square(real - _check_target(targets.real, real, "real"))
    fake_error = jnp.square(fake - _check_target(targets.fake, fake, "fake"))
    generator_error = jnp.square(fake - _check_target(targets.generator, fake, "generator"))
    discriminator = (jnp.mean(real_error) + jnp.mean(fake_error)) / 2
    return Losses(discriminator, jnp.mean(generator_error) / 2)


def hinge(real: jax.Array, fake: jax.Array) -> Losses:
    """The hinge loss: D stops pushing scores that are on their side of the margin.

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
    _check_scores(real, fake)
    discriminator = jnp.mean(_hinge(real)) + jnp.mean(_hinge(-fake))
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
    _check_scores(real, fake)
    return Losses(jnp.mean(fake) - jnp.mean(real), -jnp.mean(fake))


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
    _check_scores(real, fake)
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
    _check_scores(real, fake)
    real_relative, fake_relative = real - jnp.mean(fake), fake - jnp.mean(real)
    return Losses(
        jnp.mean(f1(real_relative)) + jnp.mean(f2(fake_relative)),
        jnp.mean(g1(real_relative)) + jnp.mean(g2(fake_relative)),
    )


def _nothing(x: jax.Array) -> jax.Array:
    return jnp.zeros_like(x)


def _softplus_of_negative(x: jax.Array) -> jax.Array:
    return jax.nn.softplus(-x)


def _square_to_one(x: jax.Array) -> jax.Array:
    return jnp.square(x - 1)


def _hinge(x: jax.Array) -> jax.Array:
    return jax.nn.relu(1 - x)


def _half(function: ScoreFunction) -> ScoreFunction:
    return lambda x: function(x) / 2


def _of_negative(function: ScoreFunction) -> ScoreFunction:
    return lambda x: function(-x)


def _of_pairs(real: jax.Array, fake: jax.Array, f: ScoreFunction) -> Losses:
    """D = mean f(real - fake), G = mean f(fake - real)."""
    return rgan(real, fake, f1=f, f2=_nothing, g1=_nothing, g2=f)


def _of_averages(real: jax.Array, fake: jax.Array, f: ScoreFunction) -> Losses:
    """With r~ and f~: D = 1/2 [mean f(r~) + mean f(-f~)], G = 1/2 [mean f(-r~) + mean f(f~)]."""
    towards, away = _half(f), _half(_of_negative(f))
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
    return _of_pairs(real, fake, _hinge)


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
    return _of_averages(real, fake, _hinge)


def ebgan(real: jax.Array, fake: jax.Array, margin: float) -> Losses:
    """Energy-based GAN, on the reconstruction errors of an autoencoder.

        D = mean real + mean relu(margin - fake)        G = mean fake

    The hinge is of each image. The margin is on the energy's scale: a mean absolute error of
    pixels in [-1, 1] is at most 2, so that the paper's 10 to 80, for sums, would never close it.

    Args:
      real: energies e(x) of real images, [N], >= 0.
      fake: energies e(G(z)) of generated images, [M], >= 0.
      margin: m; energies above it are no longer pushed up.

    Returns:
      The two losses, scalars >= 0.

    References:
      Zhao et al., Energy-based Generative Adversarial Networks, 2016,
      https://arxiv.org/abs/1609.03126
    """
    _check_scores(real, fake)
    return Losses(jnp.mean(real) + jnp.mean(jax.nn.relu(margin - fake)), jnp.mean(fake))


def began(real: jax.Array, fake: jax.Array, k: jax.Array | float) -> Losses:
    """Boundary equilibrium GAN, on the reconstruction errors of an autoencoder.

        D = mean real - k mean fake        G = mean fake

    The paper draws the latents of D's and G's generated images separately: call it with either.

    Args:
      real: energies L(x) of real images, [N], >= 0.
      fake: energies L(G(z)) of generated images, [M], >= 0.
      k: the equilibrium variable k_t in [0, 1], carried by `began_update`.

    Returns:
      The two losses, scalars.

    References:
      Berthelot et al., BEGAN, 2017, https://arxiv.org/abs/1703.10717
    """
    _check_scores(real, fake)
    fake_energy = jnp.mean(fake)
    return Losses(jnp.mean(real) - jnp.asarray(k, real.dtype) * fake_energy, fake_energy)


class Equilibrium(NamedTuple):
    """BEGAN's own state: two scalars carried from step to step."""

    k: jax.Array
    m_global: jax.Array


def began_update(
    k: jax.Array | float,
    real_energy: jax.Array,
    fake_energy: jax.Array,
    gamma: float,
    lambda_k: float,
) -> Equilibrium:
    """BEGAN's proportional control of k and its measure of convergence.

        k <- clip(k + lambda_k (gamma L(x) - L(G(z))), 0, 1)
        M_global = L(x) + |gamma L(x) - L(G(z))|

    Args:
      k: the equilibrium variable used in this step's loss.
      real_energy: L(x), the batch mean, a scalar.
      fake_energy: L(G(z)) of the generator's latents, the batch mean, a scalar.
      gamma: the diversity ratio L(G(z)) / L(x) that is held, in [0, 1].
      lambda_k: the step of k.

    Returns:
      The next step's k, and M_global.

    References:
      Berthelot et al., BEGAN, 2017, https://arxiv.org/abs/1703.10717
    """
    balance = gamma * real_energy - fake_energy
    return Equilibrium(jnp.clip(k + lambda_k * balance, 0, 1), real_energy + jnp.abs(balance))


class Loss(NamedTuple):
    """An entry of `LOSSES`.

    Attributes:
      function: `(real, fake, ...) -> Losses`.
      summary: one line for people.
      takes: what it needs beside the scores: "" (nothing), "targets", "k" or "margin".
      energy: whether scores are energies, low for real images, of an autoencoder.
    """

    function: Callable[..., Losses]
    summary: str
    takes: str = ""
    energy: bool = False


LOSSES: dict[str, Loss] = {
    "bce": Loss(bce, "cross-entropy, non-saturating (Goodfellow et al. 2014)", "targets"),
    "minimax": Loss(minimax, "cross-entropy, saturating (Goodfellow et al. 2014)"),
    "lsgan": Loss(lsgan, "least squares (Mao et al. 2017)", "targets"),
    "hinge": Loss(hinge, "hinge (Lim and Ye 2017)"),
    "wgan": Loss(wgan, "Wasserstein (Arjovsky et al. 2017)"),
    "rpgan": Loss(rpgan, "relativistic pairs, cross-entropy (Jolicoeur-Martineau 2018)"),
    "rplsgan": Loss(rplsgan, "relativistic pairs, least squares (Jolicoeur-Martineau 2019)"),
    "rphinge": Loss(rphinge, "relativistic pairs, hinge (Jolicoeur-Martineau 2019)"),
    "rabce": Loss(rabce, "relativistic average, cross-entropy (Jolicoeur-Martineau 2018)"),
    "ralsgan": Loss(ralsgan, "relativistic average, least squares (Jolicoeur-Martineau 2018)"),
    "rahinge": Loss(rahinge, "relativistic average, hinge (Jolicoeur-Martineau 2018)"),
    "ebgan": Loss(ebgan, "energy-based (Zhao et al. 2016)", "margin", energy=True),
    "began": Loss(began, "boundary equilibrium (Berthelot et al. 2017)", "k", energy=True),
}
