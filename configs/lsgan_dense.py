"""LSGAN, fully connected: no convolution and no pooling.

The report trained it for 400 epochs (it gives no time): D's loss settled near 0.04 and G's near
1.06, with fish outlines by epoch 10 and recognisable but very pixelated fish at 400. Its layers
are lost; these are the field's usual ones.
"""

from ml_collections import ConfigDict

from fish_jax.configs import lsgan
from fish_jax.configs.default import Demo, apply_variant, image_output, logit, project

DEMO = Demo(1.0, 20, 1e-3, 1e-3)


def get_config(variant: str = "") -> ConfigDict:
    config = lsgan.get_config()
    config.name = "lsgan_dense"
    config.generator.layers = (
        dict(op="dense", filters=256),
        dict(op="dense", filters=512),
        dict(op="dense", filters=1024),
        image_output(project(3, use_bias=True)),
    )
    config.discriminator.dropout = 0.0
    config.discriminator.norm = "none"
    flatten, output = logit()
    config.discriminator.layers = (
        flatten,
        dict(op="dense", filters=512),
        dict(op="dense", filters=256),
        output,
    )
    return apply_variant(config, variant, DEMO)
