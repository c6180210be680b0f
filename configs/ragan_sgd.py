"""RaGAN with binary cross-entropy and plain SGD, on the networks of ralsgan.

The report trained it for 100 epochs, about 40 s each on its GPU; it shows the grids of epochs 1 to
100 and states no losses.
"""

from ml_collections import ConfigDict

from fish_jax.configs import ralsgan
from fish_jax.configs.default import apply_variant

DEMO = ralsgan.DEMO._replace(generator_lr=0.05, discriminator_lr=0.05)


def get_config(variant: str = "") -> ConfigDict:
    config = ralsgan.get_config()
    config.name = "ragan_sgd"
    config.epochs = 100
    config.loss.name = "rabce"
    config.optimizer.name = "sgd"
    config.optimizer.generator_lr = 0.01  # Keras' default; the report's is lost
    config.optimizer.discriminator_lr = 0.01
    return apply_variant(config, variant, DEMO)
