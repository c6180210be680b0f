"""The recipe as it was before it grew: all of its pixels from the first image on."""

from ml_collections import ConfigDict

from fish_jax.configs import default
from fish_jax.configs.default import (
    Demo,
    apply_variant,
    conv,
    image_output,
    logit,
    project,
    upsample,
)

DEMO = Demo(1.0, 9, 1e-3, 5e-4)


def get_config(variant: str = "") -> ConfigDict:
    config = default.get_config()
    config.name = "flat"
    config.loss.name = "ralsgan"
    config.average.half_life = 10_000.0
    config.optimizer.generator_lr = config.optimizer.discriminator_lr = 2e-4
    small = variant == "demo"  # a fifth as high and wide
    first = (project(128),) if small else (project(256), conv(128, 3), upsample((5, 5)))
    config.generator.layers = (
        *first,
        conv(64, 3),
        upsample(),
        conv(48, 3),
        upsample(),
        conv(24, 3),
        image_output(conv(3, 3)),
    )
    last = () if small else (conv(256, 4, 2),)
    config.discriminator.layers = (
        conv(32, 4, 2, norm="none"),
        conv(64, 4, 2),
        conv(128, 4, 2),
        *last,
        *logit(),
    )
    config = apply_variant(config, variant, DEMO)
    config.batch_size = 8
    return config
