"""WGAN with a gradient penalty, on the networks of ralsgan; no batch normalisation in the critic.

Not of the report. The penalty's weight, five steps of the critic for one of the generator, learning
rates and decays are those of Gulrajani et al. 2017. An epoch has a fifth of the usual updates of G.
"""

from ml_collections import ConfigDict

from fish_jax.configs import ralsgan
from fish_jax.configs.default import apply_variant
from fish_jax.losses.presets import apply_preset

DEMO = ralsgan.DEMO._replace(generator_lr=1e-3, discriminator_lr=5e-4)


def get_config(variant: str = "") -> ConfigDict:
    config = apply_preset(ralsgan.get_config(), "wgan_gp", advised=True)
    config.name = "wgan_gp"
    config.discriminator.norm = "none"
    return apply_variant(config, variant, DEMO)
