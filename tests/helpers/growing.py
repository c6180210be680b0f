"""A small config of networks that grow."""

from ml_collections import ConfigDict

from fish_jax.configs import default
from fish_jax.configs.default import conv, double, from_image, logit, project, to_image


def growing_config() -> ConfigDict:
    """Three levels of odd sizes, 9 x 13, 18 x 26 and 35 x 51 pixels, for 8 images each."""
    config = default.get_config()
    config.name = "growing"
    config.loss.name = "ralsgan"
    config.average.half_life = 100.0
    config.height, config.width = 35, 51
    config.epochs, config.images, config.batch_size = 0, (8, 8, 8), 4
    config.latents.size = 8
    config.data.count = 12
    config.log_every_steps = 2
    config.devices = 1  # of the eight that tests have
    new = dict(kernel_init="zeros", norm="none")
    config.generator.layers = (
        project(8),
        double(),
        conv(6, 3),
        to_image(activation="tanh"),
        double(),
        conv(6, 3),
        to_image(kernel_init="zeros"),
        double(),
        to_image(kernel_init="zeros"),
    )
    config.discriminator.layers = (
        from_image(6, 4, 2),
        conv(8, 4, 2, **new, activation="none"),
        from_image(8, 4, 2),
        conv(8, 4, 2, **new, activation="none"),
        from_image(8, 4, 2),
        conv(8, 4, 2),
        *logit(),
    )
    return config
