from fish_jax.losses.base import *  # noqa
