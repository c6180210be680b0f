"""The input of every contestant: the same config, weights, images and latents for all."""

import importlib
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

CHECKED = 4  # images in the check of the losses
IMAGES = 64  # in the data set
EXPERIMENTS = ("dcgan_shallow", "dcgan_deep", "ralsgan", "lsgan", "began")


class Case(NamedTuple):
    """What is measured, the same for every contestant.

    Attributes:
      experiment: a file of configs.
      device: "cpu" or "gpu".
      precision: of the networks' arithmetic.
      height, width: of the images, in pixels.
      batch: images per step.
      filters: factor on those of all rows but each network's last.
      images: in the data set; the peers have `IMAGES`.
    """

    experiment: str
    device: str
    precision: str
    height: int
    width: int
    batch: int
    filters: float = 1.0
    images: int = IMAGES


def read_case(words: Sequence[str]) -> Case:
    """The case of a command line, which has all of its fields in their order."""
    kinds = Case.__annotations__.values()
    return Case(*(kind(word) for kind, word in zip(kinds, words, strict=True)))


class LeftOut(Exception):
    """A contestant cannot run here, or not in this precision; the message is a table's line."""


class Contestant(NamedTuple):
    """One implementation, ready to run.

    Attributes:
      settings: what it was given to be at its best.
      check: gives its trained parameters, [G, D], and its losses, [D, G], for the shared weights,
        `CHECKED` images and latents, without dropout; BEGAN's with k = 0.
      run: makes so many full updates, and returns when they are done.
      flops: operations of an update, per image; 0 where it does not know.
      peak: most memory it held, in bytes; where it is None, that of the process.
      trace: makes three calls of `run` under a profiler that writes to a folder, or None.
    """

    settings: str
    check: Callable[[], dict[str, list[float]]]
    run: Callable[[int], None]
    flops: float = 0.0
    peak: Callable[[], int] | None = None
    trace: Callable[[str, int], None] | None = None


def _scaled(layers: tuple[dict, ...], factor: float) -> tuple[dict, ...]:
    """The rows with so many times the filters, but for the last, which is the network's output."""
    scale = lambda row: row | dict(filters=max(1, round(row["filters"] * factor)))
    return tuple(scale(row) if "filters" in row else row for row in layers[:-1]) + layers[-1:]


def get_config(case: Case) -> Any:
    config = importlib.import_module(f"fish_jax.configs.{case.experiment}").get_config()
    config.height, config.width, config.batch_size = case.height, case.width, case.batch
    config.precision, config.data.count = case.precision, case.images
    config.generator.layers = _scaled(config.generator.layers, case.filters)
    config.discriminator.layers = _scaled(config.discriminator.layers, case.filters)
    config.discriminator.decoder = _scaled(config.discriminator.decoder, case.filters)
    return config


def choose_batch(experiment: str, wanted: int | str) -> int:
    """A number, or what "small" and "report" are for this experiment.

    BEGAN's contestants, all alive at once, take more than 24 GB at a batch of 8.
    """
    if wanted == "small":
        return 4 if experiment == "began" else 8
    return report_batch(experiment) if wanted == "report" else int(wanted)


def report_batch(experiment: str) -> int:
    return importlib.import_module(f"fish_jax.configs.{experiment}").get_config().batch_size


class Weights:
    """Gives a network's initial kernels one after the other, in TensorFlow's layout.

    The last axis but one of a kernel is what it sums over, but for transposed convolutions, whose
    kernels are [k, k, out, in]. Biases are zero.
    """

    def __init__(self, seed: int):
        self.generator = np.random.default_rng(seed)

    def __call__(self, shape: tuple[int, ...]) -> np.ndarray:
        return 0.05 * self.generator.standard_normal(shape, np.float32)


def draw_images(count: int, height: int, width: int) -> np.ndarray:
    """uint8 [count, height, width, 3]."""
    shape = (count, height, width, 3)
    return np.random.default_rng(1).integers(0, 256, shape, np.uint8)


def draw_latents(count: int, size: int) -> np.ndarray:
    return np.random.default_rng(2).standard_normal((count, size), np.float32)


def middle_labels(config: Any) -> list[float]:
    """Labels for real and fake images and for the generator, in the check of the losses."""
    names = ("real_label", "fake_label", "generator_label")
    return [sum(config["loss"][name]) / 2 for name in names]
