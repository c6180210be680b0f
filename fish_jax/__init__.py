"""Generative adversarial networks on a folder of images, in JAX and Flax.

    fish_jax.train(config, "runs/mine")       trains a run, or resumes it
    fish_jax.Callbacks(on_log=print)          functions that `train` calls
    fish_jax.sample("runs/mine", range(16))   images of seeds, uint8 [N, H, W, C]
    fish_jax.walk("runs/mine", [1, 5, 9])     images interpolated from seed to seed
    fish_jax.load("runs/mine")                the networks and the state of a checkpoint
    fish_jax.read_metrics("runs/mine")        the log: one array per metric
    fish_jax.invert("runs/mine", "fish.jpg")  the latent whose image is closest to a file
    fish_jax.evaluate("runs/mine")            scores of a run, with baselines
    fish_jax.score("photos/", "samples/")     the same scores for any two sets of images
    fish_jax.compare(["lsgan", "hinge"], ...) compares losses
    fish_jax.compare_configs({"a": config})   compares whole configurations
    fish_jax.load_images(path, 140, 320)      reads a folder, zip or array of images
    fish_jax.losses.ralsgan(real, fake)       a loss of two vectors of scores
    fish_jax.load_config("ralsgan", "demo")   reads a configuration, by name or path

Names are imported at their first use, so `import fish_jax` is fast.
"""

import importlib
import importlib.metadata
from typing import Any

_MODULES = {  # and the names that the package takes from each
    "training.train": "train",
    "training.context": "Callbacks",
    "training.keras_import": "from_keras",
    "runs.sampling": "sample load",
    "runs.interpolation": "walk",
    "runs.inversion": "invert",
    "runs.metrics": "read_metrics",
    "config_loader": "load_config",
    "data.images": "load_images",
    "evaluation.evaluate": "evaluate",
    "evaluation.image_sets": "score",
    "comparison.compare": "compare compare_configs",
    "gan.model": "make_gan plan_generator plan_discriminator",
    "gan.state": "create_state last_weights",
    "gan.randomness": "draw seed_latents",
    "gan.gradients": "compute_gradients",
    "gan.step": "apply_gradients train_step train_steps",
    "gan.inference": "generate",
}
_FUNCTIONS = {name: module for module, names in _MODULES.items() for name in names.split()}
_PACKAGES = (
    "cli comparison configs data errors evaluation gan losses networks runs serving training utils"
).split()


def __getattr__(name: str) -> Any:
    if name == "__version__":
        return importlib.metadata.version("fish_jax")
    if name in _FUNCTIONS:
        return getattr(importlib.import_module(f"fish_jax.{_FUNCTIONS[name]}"), name)
    if name in _PACKAGES:
        return importlib.import_module(f"fish_jax.{name}")
    raise AttributeError(f"module 'fish_jax' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*_FUNCTIONS, *_PACKAGES, "__version__"])
