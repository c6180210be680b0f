"""RaLSGAN with Adam: the relativistic average least squares GAN.

The report trained it for 400 epochs, about 40 s each on its GPU; it shows the grids of epochs 1 to
400 and states no losses.
`:demo` is a narrow network on 28 x 64 synthetic fish.
"""

from ml_collections import ConfigDict

from fish_jax.configs import default
from fish_jax.configs.default import (
    Demo,
    apply_variant,
    conv,
    conv_transpose,
    image_output,
    logit,
    project,
)

DEMO = Demo(0.5, 13, 1e-3, 5e-4)


def get_config(variant: str = "") -> ConfigDict:
    config = default.get_config()
    config.name = "ralsgan"
    config.loss.name = "ralsgan"
    config.optimizer.generator_lr = 2e-4
    config.optimizer.discriminator_lr = 2e-4
    config.generator.layers = (
        project(256),
        conv_transpose(64, 3, 1),
        conv_transpose(32, 3, 2),
        conv_transpose(16, 3, 2),
        conv_transpose(8, 3, 1),
        image_output(conv_transpose(3, 3, 1)),
    )
    config.discriminator.layers = (
        conv(6, 3, 1, norm="none"),
        conv(32, 3, 1, norm="none"),
        conv(64, 3, 2, padding="valid"),
        conv(128, 3, 2, padding="valid"),
        conv(256, 3, 2, padding="valid"),
        *logit(),
    )
    return apply_variant(config, variant, DEMO)
