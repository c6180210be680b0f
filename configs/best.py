"""The recipe for a few thousand images: what docs/recipe.md found to work.

Not of the report. RaLSGAN on networks that grow: they learn shapes at a quarter of the height and
width, then add a level of twice the size, and another. The generator interpolates between pixels
(no lattice) and convolves; samples are drawn with an average of its weights.
`:demo` is the lower two levels, on 56 x 128 synthetic fish.
"""

from ml_collections import ConfigDict

from fish_jax.configs import default
from fish_jax.configs.default import (
    Demo,
    apply_variant,
    conv,
    double,
    from_image,
    logit,
    project,
    to_image,
)

DEMO = Demo(1.0, 0, 1e-3, 5e-4, (56, 128))


def get_config(variant: str = "") -> ConfigDict:
    config = default.get_config()
    config.name = "best"
    config.loss.name = "ralsgan"
    config.loss.r1, config.loss.penalty_every = 1.0, 4
    config.average.half_life, config.average.ramp_up = 10_000.0, 0.02
    config.optimizer.b1, config.optimizer.b2 = 0.0, 0.99
    config.optimizer.generator_lr = 1e-3
    config.optimizer.discriminator_lr = 5e-4
    config.epochs, config.images = 0, (150_000, 40_000, 20_000)
    join = dict(kernel_init="zeros", norm="none", activation="none")  # no seam between levels
    lowest = (  # at 35 x 80, where the images are 140 x 320
        *(project(128), conv(64, 3), double(), conv(64, 3), double(), conv(48, 3)),
        to_image(activation="tanh"),
    )
    middle = (conv(16, 1), double(), conv(16, 3), to_image(kernel_init="zeros"))
    highest = (conv(8, 1), double(), conv(8, 3), to_image(kernel_init="zeros"))
    config.generator.layers = (*lowest, *middle, *highest)
    onto_middle = (from_image(16, 4, 2), conv(32, 4, 2, **join))
    onto_lowest = (from_image(32, 4, 2), conv(32, 4, 2, **join))
    scores = (from_image(32, 4, 2), conv(64, 4, 2), conv(128, 4, 2), *logit())
    config.discriminator.norm = "none"  # of a batch, which R1 does not allow
    config.discriminator.layers = (*onto_middle, *onto_lowest, *scores)
    if variant == "demo":
        config.generator.layers = (*lowest, *middle)
        config.discriminator.layers = (*onto_lowest, *scores)
        config.images = (26_000, 6_000)
    config = apply_variant(config, variant, DEMO)
    config.batch_size = 8
    return config
