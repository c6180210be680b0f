"""Losses compared on one pair of networks, that of ralsgan without batch normalisation in D.

For `fish-jax compare`. Not of the report. All losses have the same Adam; `compare.advised` gives
each the optimiser of its paper. `:demo` is five losses from three seeds on 28 x 64 synthetic fish.
It takes less than ten minutes on 2 CPU cores.
"""

from ml_collections import ConfigDict

from fish_jax.configs import ralsgan
from fish_jax.configs.default import apply_variant

DEMO = ralsgan.DEMO._replace(width=0.35, epochs=5, generator_lr=1e-3, discriminator_lr=5e-4)


def get_config(variant: str = "") -> ConfigDict:
    config = ralsgan.get_config()
    config.name = "compare"
    config.discriminator.norm = "none"  # no loss with a gradient penalty allows it
    config.data.holdout = 0.2
    config.epochs = 50
    config.sample_every_epochs = 10
    config.checkpoint_minutes = 30.0
    config.keep_checkpoints = 1
    config = apply_variant(config, variant, DEMO)
    if variant:
        config.data.count = 2000
    with config.unlocked():
        config.compare = ConfigDict()
        config.compare.losses = "lsgan,ralsgan,rpgan,hinge,wgan_gp"  # or bce, rpgan_r1r2, ...
        config.compare.seeds = 3  # seeds per loss, from config.seed on
        config.compare.marks = 4  # evaluations per run, the last at its end
        config.compare.count = 0  # images on each side of an evaluation; 0: all
        config.compare.advised = False  # True: optimiser and D updates as in each loss's paper
    return config
