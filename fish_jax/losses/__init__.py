"""Adversarial losses: pure functions from two vectors of scores to two numbers.

A discriminator gives one score to each image: a logit, a critic's value, or, for EBGAN and BEGAN,
the reconstruction error of an autoencoder (an energy). Every loss here takes the scores of real
and of generated images and returns what the discriminator and what the generator minimise:

    losses = ralsgan(real_scores, fake_scores)
    losses.discriminator, losses.generator

Nothing is detached: gradients flow through the relativistic means, as the papers define them.
The scores must be those of the whole batch.

`LOSSES` lists them by name, and `register` adds one of your own. The modules hold the losses of a
kind each; `penalties` has what a loss is combined with (R1, gradient penalty, feature matching),
`presets` the settings of each paper.
"""

from fish_jax.losses.base import (
    Losses,
    Objective,
    ScoreFunction,
    Targets,
    labelled,
    stateful,
    stateless,
)
from fish_jax.losses.energy import Equilibrium, began, began_update, ebgan, equilibrium
from fish_jax.losses.penalties import Penalty
from fish_jax.losses.registry import LOSSES, Loss, register
from fish_jax.losses.relativistic import (
    rabce,
    ragan,
    rahinge,
    ralsgan,
    rgan,
    rpgan,
    rphinge,
    rplsgan,
)
from fish_jax.losses.standard import bce, hinge, lsgan, minimax, wgan

__all__ = ["LOSSES", "Equilibrium", "Loss", "Losses", "Objective", "Penalty", "ScoreFunction"]
__all__ += ["Targets", "equilibrium", "labelled", "register", "stateful", "stateless"]
__all__ += ["bce", "began", "began_update", "ebgan", "hinge", "lsgan", "minimax", "wgan"]
__all__ += ["rabce", "ragan", "rahinge", "ralsgan", "rgan", "rpgan", "rphinge", "rplsgan"]
