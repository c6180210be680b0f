"""WGAN with a gradient penalty, on the networks of ralsgan; no batch normalisation in the critic.

Not of the report. The penalty's weight, five steps of the critic for one of the generator, learning
rates and decays are those of Gulrajani et al. 2017. An epoch has a fifth of the usual updates of G.
"""

from configs import ralsgan
from configs.default import apply_variant

DEMO = ralsgan.DEMO._replace(generator_lr=1e-3, discriminator_lr=5e-4)


def get_config(variant: str = ""):
    config = ralsgan.get_config()
    config.name = "wgan_gp"
    config.loss.name = "wgan"
    config.loss.gradient_penalty = 10.0
    config.loss.discriminator_steps = 5
    config.optimizer.generator_lr = 1e-4
    config.optimizer.discriminator_lr = 1e-4
    config.optimizer.b1 = 0.0
    config.optimizer.b2 = 0.9
    config.discriminator.norm = "none"
    return apply_variant(config, variant, DEMO)
