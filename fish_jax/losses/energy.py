"""Losses of energies: the reconstruction errors of a discriminator that is an autoencoder."""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from fish_jax.losses.base import Losses, Objective, Result, State, check_scores, stateful


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
    check_scores(real, fake)
    return Losses(jnp.mean(real) + jnp.mean(jax.nn.relu(margin - fake)), jnp.mean(fake))


def began(real: jax.Array, fake: jax.Array, k: jax.Array | float) -> Losses:
    """Boundary equilibrium GAN, on the reconstruction errors of an autoencoder.

        D = mean real - k mean fake        G = mean fake

    The paper draws separate latents for D's and G's generated images: call this once with each.

    Args:
      real: energies L(x) of real images, [N], >= 0.
      fake: energies L(G(z)) of generated images, [M], >= 0.
      k: the equilibrium variable k_t in [0, 1], carried by `began_update`.

    Returns:
      The two losses, scalars.

    References:
      Berthelot et al., BEGAN, 2017, https://arxiv.org/abs/1703.10717
    """
    check_scores(real, fake)
    fake_energy = jnp.mean(fake)
    return Losses(jnp.mean(real) - jnp.asarray(k, real.dtype) * fake_energy, fake_energy)


class Equilibrium(NamedTuple):
    """BEGAN's state, two scalars carried from step to step: k and the convergence measure."""

    k: jax.Array | float
    m_global: jax.Array | float


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
      gamma: the diversity ratio L(G(z)) / L(x) to keep, in [0, 1].
      lambda_k: the learning rate of k.

    Returns:
      The next step's k, and M_global.

    References:
      Berthelot et al., BEGAN, 2017, https://arxiv.org/abs/1703.10717
    """
    balance = gamma * real_energy - fake_energy
    return Equilibrium(jnp.clip(k + lambda_k * balance, 0, 1), real_energy + jnp.abs(balance))


def equilibrium(gamma: float, lambda_k: float) -> Objective:
    """The objective of `began`, which carries k and the measure of convergence in its state.

    Args:
      gamma, lambda_k: as in `began_update`.
    """

    def init() -> State:
        return Equilibrium(0.0, 0.0)._asdict()

    def apply(real: jax.Array, fake: jax.Array, state: State) -> Result:
        real_energy, fake_energy = jnp.mean(real), jnp.mean(fake)
        after = began_update(state["k"], real_energy, fake_energy, gamma, lambda_k)._asdict()
        metrics = {"real_energy": real_energy, "fake_energy": fake_energy}
        metrics |= {"energy_ratio": fake_energy / real_energy, **after}
        return began(real, fake, state["k"]), after, metrics

    return stateful(init, apply)
