"""Terms added to a loss: feature matching, pulling away, gradient penalties, weight clipping."""

from collections.abc import Callable
from typing import Any, Literal, NamedTuple

import jax
import jax.numpy as jnp

Critic = Callable[[jax.Array], jax.Array]
Features = Callable[[jax.Array, jax.Array], jax.Array]  # of real and of generated images


class Penalty(NamedTuple):
    """A term of D's loss that is computed of D at images, such as of its gradient there.

    Attributes:
      function: maps a critic, which maps images to scores [N], and images to a value for each
        image, [N]. D's loss has the mean of them. In networks that grow, the images are divided by
        2 for each level above the lowest, so that a gradient counts the same at each level.
      at: the images: "real" ones, "fake" ones, or points "between" both, from `interpolate`.
      weight: multiplies the mean.
      name: the name of the term in the log; that of a caller is "penalty".
    """

    function: Callable[[Critic, jax.Array], jax.Array]
    at: Literal["real", "fake", "between"] = "real"
    weight: float = 1.0
    name: str = "penalty"


def _feature_difference(real: jax.Array, fake: jax.Array) -> jax.Array:
    """The difference of the batch means of features [N, ...]."""
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

    The report's code computed it as sqrt(square(.)), whose gradient at zero is NaN; here it is the
    absolute value, with gradient 0 there.

    Args:
      real: features of real images, [N, ...].
      fake: features of generated images, [M, ...].

    Returns:
      A scalar >= 0.
    """
    difference = jnp.mean(_feature_difference(real, fake))
    return difference * jnp.sign(difference)  # jnp.abs has the derivative 1 at zero


FEATURE_MATCHING: dict[str, Features] = {
    "scalar": feature_matching_scalar,
    "mean": feature_matching_mean,
    "sum": feature_matching_sum,
}


def pulling_away(codes: jax.Array) -> jax.Array:
    """EBGAN's pulling-away term: the mean squared cosine of each pair of codes.

        1 / (N (N - 1)) sum_{i != j} (S_i . S_j / (|S_i| |S_j|))^2

    Added to the generator's loss, it keeps generated images different from each other.

    Args:
      codes: outputs of the autoencoder's encoder for generated images, [N, D], N >= 2.

    Returns:
      A scalar in [0, 1].

    References:
      Zhao et al., Energy-based Generative Adversarial Networks, 2016,
      https://arxiv.org/abs/1609.03126
    """
    if codes.ndim != 2 or len(codes) < 2:
        raise ValueError(f"codes must be [N, D] of two or more images, not {list(codes.shape)}")
    squares = jnp.sum(jnp.square(codes), axis=1, keepdims=True)
    # A code of zeros has the cosine 0 with all others; 1e-12 leaves the derivative finite.
    unit = codes * jax.lax.rsqrt(jnp.maximum(squares, jnp.asarray(1e-12, codes.dtype)))
    cosines = jnp.matmul(unit, unit.T, precision=jax.lax.Precision.HIGHEST)
    others = ~jnp.eye(len(codes), dtype=bool)
    return jnp.sum(jnp.where(others, jnp.square(cosines), 0)) / (len(codes) * (len(codes) - 1))


def squared_gradient(critic: Critic, images: jax.Array) -> jax.Array:
    """The squared length of the gradient of each image's score by its own pixels.

    On real images it is the R1 penalty, on generated ones R2; a loss adds gamma / 2 times the mean.

    Args:
      critic: maps images [N, H, W, C] to scores [N]; a score depends on its own image only, so
        without batch normalisation.
      images: [N, H, W, C] in [-1, 1].

    Returns:
      [N], >= 0, in squared units of the score per squared unit of pixels.

    References:
      Mescheder et al., Which Training Methods for GANs do actually Converge?, 2018,
      https://arxiv.org/abs/1801.04406
    """
    gradient = jax.grad(lambda x: jnp.sum(critic(x)))(images)
    return jnp.sum(jnp.square(gradient), axis=tuple(range(1, images.ndim)))


def sum_of_squares(images: jax.Array) -> jax.Array:
    """A critic to try penalties with: the sum of the squares of each image's numbers, [N]."""
    return jnp.sum(jnp.square(images), axis=tuple(range(1, images.ndim)))


def interpolate(real: jax.Array, fake: jax.Array, share: jax.Array) -> jax.Array:
    """A point between each real and each generated image: x + e (G(z) - x).

    Args:
      real, fake: images [N, H, W, C].
      share: e, one per image, [N], in [0, 1].

    Returns:
      [N, H, W, C].
    """
    return real + share[:, None, None, None] * (fake - real)


def unit_gradient(critic: Critic, images: jax.Array) -> jax.Array:
    """WGAN-GP's penalty: the squared distance from 1 of the length of each image's gradient.

        (|grad_x C(x)|_2 - 1)^2

    The length is over all pixels of an image. A loss adds 10 times the mean over the points that
    `interpolate` returns.

    Args:
      critic: as in `squared_gradient`.
      images: [N, H, W, C] in [-1, 1].

    Returns:
      [N], >= 0.

    References:
      Gulrajani et al., Improved Training of Wasserstein GANs, 2017,
      https://arxiv.org/abs/1704.00028
    """
    squares = squared_gradient(critic, images)
    # The root of 0 has no derivative.
    return jnp.square(jnp.sqrt(squares + jnp.asarray(1e-12, squares.dtype)) - 1)


def clip(params: Any, limit: float) -> Any:
    """Weight clipping to [-limit, limit], by which WGAN keeps its critic Lipschitz.

    Args:
      params: the params of the critic, a tree of arrays.
      limit: 0.01 in the paper.

    Returns:
      The clipped parameters.

    References:
      Arjovsky et al., Wasserstein GAN, 2017, https://arxiv.org/abs/1701.07875
    """
    return jax.tree.map(lambda weight: jnp.clip(weight, -limit, limit), params)


# Penalties by the field of a config's `loss` section that is the weight of each.
PENALTIES: dict[str, Penalty] = {
    "gradient_penalty": Penalty(unit_gradient, "between", 1.0, "gradient_penalty"),
    "r1": Penalty(squared_gradient, "real", 0.5, "r1"),
    "r2": Penalty(squared_gradient, "fake", 0.5, "r2"),
}
