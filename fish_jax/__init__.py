"""Generative adversarial networks on a folder of images, in JAX and Flax.

    fish_jax.train(config, "runs/mine")       trains, or resumes
    fish_jax.sample("runs/mine", range(16))   uint8 images of seeds
    fish_jax.walk("runs/mine", [1, 5, 9])     uint8 images on the way from seed to seed
    fish_jax.load("runs/mine")                the networks and the newest state
    fish_jax.evaluate("runs/mine")            scores beside those of real images
    fish_jax.compare(["lsgan", "hinge"], ...) losses compared, and a page of it
    fish_jax.compare_configs({"a": config})   whole configurations compared, likewise
    fish_jax.load_images(path, 140, 320)      a folder, zip or array to uint8 [N, H, W, 3]
    fish_jax.losses.ralsgan(real, fake)       a loss on two vectors of scores
    fish_jax.load_config("ralsgan", "demo")   a configuration, by name or path

Names are imported at their first use, so that `import fish_jax` costs nothing.
"""

import importlib
import importlib.metadata
from typing import Any

_FUNCTIONS = {
    "train": "training.train",
    "sample": "runs.sampling",
    "walk": "runs.interpolation",
    "load": "runs.sampling",
    "load_config": "config_loader",
    "load_images": "data.images",
    "evaluate": "evaluation.evaluate",
    "compare": "comparison.compare",
    "compare_configs": "comparison.compare",
    "make_gan": "gan.model",
    "create_state": "gan.state",
    "plan_generator": "gan.model",
    "plan_discriminator": "gan.model",
    "from_keras": "training.keras_import",
    "draw": "gan.randomness",
    "seed_latents": "gan.randomness",
    "compute_gradients": "gan.gradients",
    "apply_gradients": "gan.step",
    "train_step": "gan.step",
    "train_steps": "gan.step",
    "generate": "gan.inference",
    "last_weights": "gan.state",
}
_PACKAGES = (
    "cli",
    "comparison",
    "configs",
    "data",
    "errors",
    "evaluation",
    "gan",
    "losses",
    "networks",
    "runs",
    "serving",
    "training",
    "utils",
)


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
