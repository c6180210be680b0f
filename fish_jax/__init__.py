"""Generative adversarial networks on a folder of images, in JAX and Flax.

    fish_jax.train(config, "runs/mine")       trains, or goes on
    fish_jax.sample("runs/mine", range(16))   uint8 images of seeds
    fish_jax.walk("runs/mine", [1, 5, 9])     uint8 images on the way from seed to seed
    fish_jax.load("runs/mine")                the networks and the newest state
    fish_jax.evaluate("runs/mine")            scores beside those of real images
    fish_jax.compare(["lsgan", "hinge"], ...) losses compared, and a page of it
    fish_jax.compare_configs({"a": config})   whole configurations compared, likewise
    fish_jax.load_images(path, 140, 320)      a folder, zip or array to uint8 [N, H, W, 3]
    fish_jax.losses.ralsgan(real, fake)       a loss on two vectors of scores

Names are imported at their first use, so that `import fish_jax` costs nothing.
"""

import importlib
from typing import Any

_FUNCTIONS = {
    "train": "training",
    "sample": "sampling",
    "walk": "walks",
    "load": "sampling",
    "load_images": "images",
    "evaluate": "evaluation",
    "compare": "comparison",
    "compare_configs": "comparison",
    "make_gan": "state",
    "create_state": "state",
    "plan_generator": "state",
    "plan_discriminator": "state",
    "from_keras": "keras_import",
    "draw": "draws",
    "seed_latents": "draws",
    "compute_gradients": "step",
    "apply_gradients": "step",
    "train_step": "step",
    "train_steps": "step",
    "generate": "step",
    "last_weights": "state",
}
_MODULES = (
    "augment",
    "averaging",
    "compilation",
    "convolution",
    "distances",
    "draws",
    "duplicates",
    "errors",
    "exporting",
    "features",
    "films",
    "inception",
    "judge",
    "layers",
    "losses",
    "manifolds",
    "memory",
    "networks",
    "normalization",
    "optimizers",
    "page",
    "penalties",
    "pictures",
    "ramps",
    "recipes",
    "resampling",
    "sliced_wasserstein",
    "smoothing",
    "ssim",
    "standings",
    "state",
    "synthetic",
    "walks",
)


def __getattr__(name: str) -> Any:
    if name in _FUNCTIONS:
        return getattr(importlib.import_module(f"fish_jax.{_FUNCTIONS[name]}"), name)
    if name in _MODULES:
        return importlib.import_module(f"fish_jax.{name}")
    raise AttributeError(f"module 'fish_jax' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*_FUNCTIONS, *_MODULES])
