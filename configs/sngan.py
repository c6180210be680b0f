"""Spectral normalisation in the critic, with the hinge loss, on the networks of ralsgan.

Not of the report. Each kernel of the critic, the last one too, is divided by its largest singular
value, of which each pass estimates one step of a power iteration (Miyato et al. 2018). Learning
rates and decays are those of SAGAN (Zhang et al. 2018).
"""

from ml_collections import ConfigDict

from fish_jax.configs import hinge
from fish_jax.configs.default import apply_variant

DEMO = hinge.DEMO


def get_config(variant: str = "") -> ConfigDict:
    config = hinge.get_config()
    config.name = "sngan"
    rows = config.discriminator.layers
    config.discriminator.layers = tuple({**row, "norm": "spectral"} for row in rows)
    return apply_variant(config, variant, DEMO)
