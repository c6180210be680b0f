"""Images of several styles, and ways to damage them, to test scores and feature spaces."""

import argparse
from collections.abc import Callable

import numpy as np
from PIL import Image, ImageFilter

import fish_jax
from benchmarks import arguments
from fish_jax.data.synthetic import species

DRAWN = 2000  # fish, where there is no folder

Damage = Callable[[np.ndarray], np.ndarray]  # of one uint8 image [H, W, 3]


def add_arguments(parser: argparse.ArgumentParser, count: int) -> None:
    """Which images, their size, and how many of them on each side."""
    parser.add_argument("--data", default="", help="a folder of images; drawn fish without")
    parser.add_argument("--height", type=arguments.count, default=140)
    parser.add_argument("--width", type=arguments.count, default=320)
    parser.add_argument("--count", type=arguments.count, default=count, help="images on each side")


def load(data: str, height: int, width: int) -> tuple[np.ndarray, list[str]]:
    """Images, uint8 [N, H, W, 3], and the style of each.

    A photograph's style is the part of its name before the first `_`, a drawn fish's its body plan.
    """
    found = fish_jax.load_images(data, height, width, count=DRAWN, show_progress=False)
    if data:
        styles = [name.split("/")[-1].split("_")[0] for name in found.train_names]
    else:
        styles = [species.choose_fish(0, index).plan.name for index in range(len(found.train))]
    return np.asarray(found.train), styles


def to_pixels(values: np.ndarray) -> np.ndarray:
    return np.uint8(np.clip(np.rint(values), 0, 255))


def blur(radius: float) -> Damage:
    kernel = ImageFilter.GaussianBlur(radius)
    return lambda image: np.asarray(Image.fromarray(image).filter(kernel))


def noise(sigma: float) -> Damage:
    rng = np.random.default_rng(0)
    return lambda image: to_pixels(image + rng.normal(0, sigma, image.shape))
