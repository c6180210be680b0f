"""BEGAN: the discriminator is an autoencoder, held in balance with the generator.

The report shows 260 epochs, about 3 min each on its GPU: L(G(z)) / L(x) settles near 0.7, and soon
the autoencoder makes something like a fish of any image.
"""

from ml_collections import ConfigDict

from fish_jax.configs import default
from fish_jax.configs.default import Demo, apply_variant, conv, image_output, project

N = 48  # filters of the first level
DEMO = Demo(0.25, 6, 5e-4, 5e-4)


def get_config(variant: str = "") -> ConfigDict:
    config = default.get_config()
    config.name = "began"
    config.epochs = 260
    config.batch_size = 16
    config.latents.size = 256
    config.latents.distribution = "uniform"
    config.loss.name = "began"
    config.loss.separate_latents = True
    config.loss.gamma = 0.7
    config.loss.lambda_k = 0.003
    config.optimizer.generator_lr = 1e-4
    config.optimizer.discriminator_lr = 1e-4
    config.optimizer.b1 = 0.9
    for table in (config.generator, config.discriminator):
        table.norm = "none"
        table.activation = "none"  # ELU follows the pooling and the up-sampling alone
    config.generator.layers = decoder()
    config.discriminator.layers = encoder()
    config.discriminator.decoder = decoder()
    return apply_variant(config, variant, DEMO)


def encoder() -> tuple[dict, ...]:
    """Image to 256 numbers."""
    pool = dict(op="max_pool", size=(2, 2), activation="elu")
    levels = [(conv(f, 3), conv(f, 3), pool) for f in (N, 2 * N, 3 * N)]
    return (*sum(levels, ()), dict(op="flatten"), dict(op="dense", filters=256))


def decoder() -> tuple[dict, ...]:
    """256 numbers to an image: the generator, and the second half of the discriminator."""
    repeats = [(1, 2), (2, 2), (2, 2)]
    levels = [
        (conv(N, 3), conv(2 * N, 3), dict(op="upsample", size=size, activation="elu"))
        for size in repeats
    ]
    return (project(N), *sum(levels, ()), image_output(conv(3, 3)))
