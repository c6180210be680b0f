"""RaGAN with binary cross-entropy and plain SGD, on the networks of ralsgan.

The report trained it for 100 epochs, about 40 s each on its GPU.
"""

from configs import ralsgan


def get_config(variant: str = ""):
    config = ralsgan.get_config(variant)
    config.name = config.name.replace("ralsgan", "ragan_sgd")
    config.loss.name = "rabce"
    config.optimizer.name = "sgd"
    config.optimizer.generator_lr = 0.01  # Keras' default; the report's is lost
    config.optimizer.discriminator_lr = 0.01
    if not variant:
        config.epochs = 100
    return config
