"""Estimates the work and the time of a run before it starts."""

import math
import time
from collections.abc import Sequence

import jax
import jax.numpy as jnp

from fish_jax.data.batches import plan_epochs
from fish_jax.gan.summary import Level
from fish_jax.training import input_pipeline
from fish_jax.utils.config import Config
from fish_jax.utils.messages import plural

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


def remaining_flops(levels: Sequence[Level], seen: int, total: int) -> int:
    """Operations of the steps from the image that follows `seen` to the last of `total`."""
    ends = (*(level.start for level in levels[1:]), total)
    lefts = [max(0, min(end, total) - max(level.start, seen)) for level, end in zip(levels, ends)]
    return sum(left * level.flops for left, level in zip(lefts, levels))


def starting_note(
    config: Config, levels: Sequence[Level], size: int, plan: input_pipeline.Plan, devices: int
) -> str:
    """Describes the epochs and steps, whether images stream and, on a CPU, the estimated time.

    Args:
      config: as `configs/default.py` makes it.
      levels: the levels of the networks.
      size: number of images to train on.
      plan: from `input_pipeline.plan`.
      devices: how many share each batch.

    Returns:
      A few lines.
    """
    batch_size, epochs = config["batch_size"], plan_epochs(config, size)
    text = f"{plural(epochs.total, 'epoch')} of {plural(size, 'image')}, "
    text += f"{plural(epochs.steps, 'step')} of {batch_size}"
    for level in [level for level in levels[1:] if level.start < epochs.seen]:
        height, width = level.image_size
        text += f", of {height} x {width} pixels from image {level.start:,} on"
    if devices > 1:
        text += f", {batch_size // devices} on each of {devices} devices"
    if plan.streams:
        text = f"{input_pipeline.note(plan, size)}\n{text}"
    if jax.default_backend() != "cpu":
        return text
    flops = remaining_flops(levels, 0, epochs.seen)
    seconds = flops / (STEP_EFFICIENCY * measured_flops_per_second())
    rate = epochs.seen / seconds
    text += f"; about {duration(seconds)} on this CPU, at an estimated {rate:.3g} images/s"
    if seconds > 1800:
        text += ".\nEvery preset has a small version that takes a few minutes: --config=NAME:demo"
    return text
