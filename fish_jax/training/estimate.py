"""Estimates the work and the time of a run before it starts."""

import math
import time

import jax
import jax.numpy as jnp

from fish_jax.data.batches import Epochs
from fish_jax.gan.model import Gan
from fish_jax.gan.summary import step_flops
from fish_jax.training import input_pipeline
from fish_jax.utils.config import Config

# Share of a matrix product's rate that a step of these networks reached on 2 CPU cores.
STEP_EFFICIENCY = 0.45


def measured_flops_per_second() -> float:
    """Measures the FLOP/s of a matrix product on the default device, in about 0.1 s."""
    size = 1024
    matrix = jnp.ones((size, size), jnp.float32)
    multiply = jax.jit(jnp.dot)
    multiply(matrix, matrix).block_until_ready()
    start, count = time.perf_counter(), 0
    while time.perf_counter() - start < 0.1:
        multiply(matrix, matrix).block_until_ready()
        count += 1
    return 2 * size**3 * count / (time.perf_counter() - start)


def duration(seconds: float) -> str:
    """A length of time in words: "40 s", "12 min", "3.5 h", "20 days"."""
    if not math.isfinite(seconds):
        return "unknown"
    for length, unit in ((86400, "days"), (3600, "h"), (60, "min")):
        if seconds >= 2 * length:
            return f"{seconds / length:.3g} {unit}"
    return f"{seconds:.0f} s"


def starting_note(
    config: Config, gan: Gan, size: int, plan: input_pipeline.Plan, devices: int
) -> str:
    """Describes the epochs and steps, whether images stream and, on a CPU, the estimated time.

    Args:
      config: as `configs/default.py` makes it.
      gan: the fixed parts of the run.
      size: number of images to train on.
      plan: from `input_pipeline.plan`.
      devices: how many share each batch.

    Returns:
      A few lines.
    """
    batch_size = config["batch_size"]
    steps = Epochs(size, batch_size).steps_until(config["epochs"])
    text = f"{config['epochs']} epochs of {size} images, {steps} steps of {batch_size}"
    if devices > 1:
        text += f", {batch_size // devices} on each of {devices} devices"
    if plan.streams:
        text = f"{input_pipeline.note(plan, size)}\n{text}"
    if jax.default_backend() != "cpu":
        return text
    rate = STEP_EFFICIENCY * measured_flops_per_second() / step_flops(gan)
    seconds = config["epochs"] * size / rate
    text += f"; on this CPU about {duration(seconds)}, at a guess of {rate:.3g} images/s"
    if seconds > 1800:
        text += (
            ".\nThat is long. Every preset has a small version that takes a few minutes: "
            "--config=NAME:demo"
        )
    return text
