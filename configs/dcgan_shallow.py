"""DCGAN, shallow: the report's first convolutional GAN, with noisy labels.

The report trained it for 405 epochs, about 30 s each on its GPU: D's loss went from 1.2 to 0.55;
G's was 3.9 at epoch 2, 1.8 near 14, 3.6 near 63, and fell slowly to 2.65.
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

DEMO = Demo(0.5, 10, 1e-3, 5e-4)


def get_config(variant: str = "") -> ConfigDict:
    config = default.get_config()
    config.name = "dcgan_shallow"
    config.epochs = 405
    config.loss.d_factor = 0.5
    config.loss.real_label = (0.9, 1.0)
    config.loss.fake_label = (0.0, 0.1)
    config.loss.generator_label = (0.9, 1.0)
    config.generator.layers = (
        project(128),
        conv_transpose(64, 5, 2),
        conv_transpose(32, 3, 1),
        conv_transpose(16, 1, 2),  # smaller than its stride: three of four outputs are zeros
        conv_transpose(8, 5, 1),
        image_output(conv_transpose(3, 3, 1)),
    )
    config.discriminator.layers = (
        conv(8, 3, 1),
        conv(16, 1, 2),
        conv(32, 5, 1),
        conv(64, 3, 2),
        *logit(),
    )
    return apply_variant(config, variant, DEMO)
