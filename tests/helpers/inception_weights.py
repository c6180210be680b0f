"""Random weights for the network of FID, the same for all who compare with it."""

import numpy as np

from fish_jax.evaluation.metrics import inception


def random_weights(seed: int = 0) -> dict[str, np.ndarray]:
    """float32 arrays of all names and shapes, in which no layer's numbers vanish or grow."""
    random = np.random.default_rng(seed)
    return {name: _draw(random, name, shape) for name, shape in inception.SHAPES.items()}


def _draw(random: np.random.Generator, name: str, shape: tuple[int, ...]) -> np.ndarray:
    if name.endswith("conv.weight"):
        return np.float32(random.normal(0, (2 / np.prod(shape[1:])) ** 0.5, shape))
    if name.endswith(("bn.weight", "running_var")):
        return np.float32(random.uniform(0.5, 1.5, shape))
    return np.float32(random.normal(0, 0.1, shape))
