"""R3GAN in small: residual networks without normalisation, relativistic pairs with R1 and R2.

Not of the report; after Huang et al. 2024. Up- and down-sampling do not alias, the penalties fall
along a cosine, and samples are drawn with an average of G's weights. In few minutes the recipe
draws more kinds of fish, as docs/design/flat.md shows.
`:demo` is narrow networks on 28 x 64 synthetic fish.
"""

from ml_collections import ConfigDict

from fish_jax.configs import default
from fish_jax.configs.default import (
    Demo,
    apply_variant,
    conv,
    downsample,
    image_output,
    logit,
    project,
    residual,
    upsample,
)

DEMO = Demo(0.5, 7, 5e-4, 5e-4)


def get_config(variant: str = "") -> ConfigDict:
    config = default.get_config()
    config.name = "r3gan"
    config.latents.size = 64
    config.loss.name = "rpgan"
    config.loss.r1 = config.loss.r2 = 1.0
    config.loss.penalty_every = 4
    config.schedule.update(images=40_000, penalty=0.1)
    config.average.half_life = 10_000.0
    config.optimizer.update(name="keras_adam", b1=0.0, b2=0.99, eps=1e-8)
    config.optimizer.update(generator_lr=2e-4, discriminator_lr=2e-4)
    for table in (config.generator, config.discriminator):
        table.update(norm="none", slope=0.2, kernel_init="he_normal")
    small = variant == "demo"  # a fifth as high and wide
    first = (linear(project(256)), residual(256), *raised(128, (5, 5)))
    config.generator.layers = (
        *((linear(project(128)),) if small else first),
        residual(128),
        *raised(64),
        residual(64),
        *raised(32),
        residual(32),
        image_output(conv(3, 3)),
    )
    config.discriminator.layers = (
        linear(conv(64, 4, 2)),
        residual(64),
        downsample(),
        residual(128),
        downsample((2, 2) if small else (5, 5)),
        residual(256),
        *logit(),
    )
    config = apply_variant(config, variant, DEMO)
    if small:
        config.batch_size = 8
    return config


def raised(filters: int, size: tuple[int, int] = (2, 2)) -> tuple[dict, dict]:
    """Fewer filters, then more pixels: otherwise the next row would cost twice as much."""
    return linear(conv(filters, 1)), upsample(size)


def linear(row: dict) -> dict:
    """The row without an activation: residual rows have theirs ahead of each convolution."""
    return row | dict(activation="none")
