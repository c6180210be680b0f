"""RaLSGAN with ten times the learning rate: a documented failure.

The report stopped it after epoch 50, with no sign of convergence.
"""

from configs import ralsgan


def get_config(variant: str = ""):
    config = ralsgan.get_config(variant)
    config.name = config.name.replace("ralsgan", "ralsgan_high_lr")
    config.optimizer.generator_lr *= 10
    config.optimizer.discriminator_lr *= 10
    if not variant:
        config.epochs = 50
    return config
