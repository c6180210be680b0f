"""The hinge loss, on the networks of ralsgan without batch normalisation in the critic.

Not of the report. Learning rates and decays are those of SAGAN (Zhang et al. 2018), whose spectral
normalisation this critic has not.
"""

from ml_collections import ConfigDict

from fish_jax.configs import ralsgan
from fish_jax.configs.default import apply_variant
from fish_jax.losses.presets import apply_preset

DEMO = ralsgan.DEMO._replace(generator_lr=5e-4, discriminator_lr=1e-3)


def get_config(variant: str = "") -> ConfigDict:
    config = apply_preset(ralsgan.get_config(), "hinge", advised=True)
    config.name = "hinge"
    config.discriminator.norm = "none"
    return apply_variant(config, variant, DEMO)
