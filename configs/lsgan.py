"""LSGAN, convolutional: least squares on raw scores.

The report trained it for 400 epochs, about 30 s each on its GPU, and called it the best of many
that it tried. The layers of its final network are lost; these are the authors' earlier ones.
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

DEMO = Demo(0.25, 14, 5e-3, 1e-3, size=(40, 80))


def get_config(variant: str = "") -> ConfigDict:
    config = default.get_config()
    config.name = "lsgan"
    config.loss.name = "lsgan"
    config.loss.real_label = (0.9, 0.9)
    config.loss.g_factor = 2.0  # G = MSE(D(G(z)), 1), without the table's 1/2
    config.optimizer.generator_lr = 1e-3
    config.optimizer.discriminator_lr = 1e-3
    config.optimizer.b1 = 0.9
    config.optimizer.eps = 1e-3
    config.generator.slope = 0.2
    config.generator.layers = (
        project(512),
        conv_transpose(256, 5, 5),
        conv_transpose(128, 5, 2),
        conv_transpose(64, 5, 1),
        image_output(conv_transpose(3, 5, 2)),
    )
    config.discriminator.slope = 0.2
    config.discriminator.dropout = 0.3
    config.discriminator.layers = (
        conv(64, 5, 2),
        conv(128, 5, 2),
        *logit(),
    )
    return apply_variant(config, variant, DEMO)
