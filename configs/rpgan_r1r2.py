"""R3GAN's loss: relativistic pairs with penalties of the gradient at real and generated images.

Not of the report. On the networks of ralsgan without batch normalisation; Huang et al. 2024 have
residual ones and none in the generator either. Their gamma falls from 2 to 0.2 on faces of 64 x 64
pixels; here it stays.
"""

from ml_collections import ConfigDict

from fish_jax.configs import ralsgan
from fish_jax.configs.default import apply_variant
from fish_jax.losses.presets import apply_preset

DEMO = ralsgan.DEMO._replace(generator_lr=1e-3, discriminator_lr=1e-3)


def get_config(variant: str = "") -> ConfigDict:
    config = apply_preset(ralsgan.get_config(), "rpgan_r1r2", advised=True)
    config.name = "rpgan_r1r2"
    config.discriminator.norm = "none"
    return apply_variant(config, variant, DEMO)
