"""The hinge loss, on the networks of ralsgan without batch normalisation in the critic.

Not of the report. Learning rates and decays are those of SAGAN (Zhang et al. 2018), whose spectral
normalisation this critic has not.
"""

from configs import ralsgan
from configs.default import apply_variant

DEMO = ralsgan.DEMO._replace(generator_lr=5e-4, discriminator_lr=1e-3)


def get_config(variant: str = ""):
    config = ralsgan.get_config()
    config.name = "hinge"
    config.loss.name = "hinge"
    config.optimizer.generator_lr = 1e-4
    config.optimizer.discriminator_lr = 4e-4
    config.optimizer.b1 = 0.0
    config.optimizer.b2 = 0.9
    config.discriminator.norm = "none"
    return apply_variant(config, variant, DEMO)
