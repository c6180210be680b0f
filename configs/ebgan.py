"""EBGAN: an autoencoder's reconstruction error as energy, with the pulling-away term.

Not of the report. On the networks of began; Zhao et al. 2016 have a margin for summed errors, this
one is for the mean absolute error of an image's numbers, which begins near 0.5.
"""

from ml_collections import ConfigDict

from fish_jax.configs import began
from fish_jax.configs.default import apply_variant


def get_config(variant: str = "") -> ConfigDict:
    config = began.get_config()
    config.name = "ebgan"
    config.loss.name = "ebgan"
    config.loss.separate_latents = False
    config.loss.margin = 0.3
    config.loss.pulling_away = 0.1
    config.optimizer.b1 = 0.5
    return apply_variant(config, variant, began.DEMO)
