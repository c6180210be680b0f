"""RaLSGAN with ten times the learning rate: a documented failure.

The report stopped it after epoch 50, with no sign of convergence.
"""

from ml_collections import ConfigDict

from fish_jax.configs import ralsgan
from fish_jax.configs.default import apply_variant

DEMO = ralsgan.DEMO._replace(epochs=10, generator_lr=1e-2, discriminator_lr=5e-3)


def get_config(variant: str = "") -> ConfigDict:
    config = ralsgan.get_config()
    config.name = "ralsgan_high_lr"
    config.epochs = 50
    config.optimizer.generator_lr = 2e-3
    config.optimizer.discriminator_lr = 2e-3
    return apply_variant(config, variant, DEMO)
