"""R3GAN's loss: relativistic pairs with penalties of the gradient at real and generated images.

Not of the report. On the networks of ralsgan without batch normalisation; Huang et al. 2024 have
residual ones and none in the generator either. Their gamma falls from 2 to 0.2 on faces of 64 x 64
pixels; here it stays.
"""

from configs import ralsgan
from configs.default import apply_variant

DEMO = ralsgan.DEMO._replace(generator_lr=1e-3, discriminator_lr=1e-3)


def get_config(variant: str = ""):
    config = ralsgan.get_config()
    config.name = "rpgan_r1r2"
    config.loss.name = "rpgan"
    config.loss.r1 = 2.0
    config.loss.r2 = 2.0
    config.optimizer.b1 = 0.0
    config.optimizer.b2 = 0.99
    config.discriminator.norm = "none"
    return apply_variant(config, variant, DEMO)
