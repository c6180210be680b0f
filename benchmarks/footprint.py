"""Measures memory on Linux: what a run must hold, what XLA plans, and what the process takes.

Usage: python -m benchmarks.footprint CASE, with all fields of `common.Case` and the settings of
`process.environment`. It prints one line of JSON, all numbers in bytes.
"""

import ctypes
import functools
import json
import sys
from pathlib import Path
from typing import Any

import jax
import numpy as np

import fish_jax
from benchmarks import common
from fish_jax.gan import compilation, gradients, inference
from fish_jax.gan.model import Gan
from fish_jax.gan.randomness import Draws, Stream
from fish_jax.gan.state import TrainState
from fish_jax.training import input_pipeline

RELATIVISTIC = ("rabce", "ralsgan")  # in these each score's gradient needs all the others
STEPS = 3  # run to see the peak


def _bytes(tree: Any) -> int:
    return sum(leaf.size * leaf.dtype.itemsize for leaf in jax.tree.leaves(tree))


def _passes(
    gan: Gan, state: TrainState, images: jax.Array, draws: Draws
) -> dict[str, gradients.Pass]:
    """The forward passes of a step that there is a way back through."""
    keys, stats = draws.keys, state.discriminator_stats
    g = gradients._generate(
        gan, state, state.generator_stats, draws.latents, keys[Stream.GENERATOR]
    )
    images = inference.scale_images(images, gan.dtype)
    real = gradients._score(gan, state, stats, images, draws, Stream.SCORE_REAL)
    fake = gradients._score(gan, state, stats, g.output, draws, Stream.SCORE_FAKE)
    return {"generator": g, "real": real, "fake": fake}


def saved_bytes(gan: Gan, batch: int) -> dict[str, int]:
    """What the passes of a step keep for the way back; nothing is computed.

    Args:
      gan: the fixed parts of the run.
      batch: images per step.

    Returns:
      Bytes of each pass, parameters not counted, nor what a pass before it keeps already.
    """
    kept = {}

    def measure(state: TrainState, images: jax.Array) -> None:
        known = {id(leaf) for leaf in jax.tree.leaves(state)}
        passes = _passes(gan, state, images, fish_jax.draw(gan, state.key, state.step, batch))
        for name, made in passes.items():
            leaves = {id(leaf): leaf for leaf in jax.tree.leaves(made.pull)}
            kept[name] = _bytes([leaf for key, leaf in leaves.items() if key not in known])
            known |= set(leaves)

    state = jax.eval_shape(functools.partial(fish_jax.create_state, gan), 0)
    jax.eval_shape(measure, state, jax.ShapeDtypeStruct((batch, *gan.image_size, 3), np.uint8))
    return kept


def needed_bytes(gan: Gan, state: TrainState, batch: int, images: int) -> dict[str, int]:
    """What must be in memory at once in a step, whoever computes it.

    The passes over real and generated images can go one after the other, with the generator's,
    unless the loss is relativistic.

    Args:
      gan: the fixed parts of the run.
      state: or its shapes.
      batch: images per step.
      images: bytes of the data set.

    Returns:
      Bytes of each part, and their sum, "needed".
    """
    kept = saved_bytes(gan, batch)
    through_fake = kept["generator"] + kept["fake"]
    together = through_fake + kept["real"]
    saved = together if gan.loss.name in RELATIVISTIC else max(through_fake, kept["real"])
    parts = {
        "state": _bytes(state.replace(key=None)),
        "gradients": _bytes([state.generator_params, state.discriminator_params]),
        "saved": saved,
        "data": images,
    }
    return parts | {"needed": sum(parts.values())}


def planned_bytes(compiled: Any) -> dict[str, int]:
    """XLA's plan of a compiled call; an output that takes over an argument's memory is no more."""
    plan = compiled.memory_analysis()
    names = ("argument", "output", "alias", "temp")
    parts = {name: getattr(plan, f"{name}_size_in_bytes") for name in names}
    total = parts["argument"] + parts["output"] - parts["alias"] + parts["temp"]
    return parts | {"planned": total}


def _resident(name: str) -> int:
    """Bytes of memory that the process has: now, "VmRSS", or had at most, "VmHWM"."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(name))


def _settle_memory() -> int:
    """Gives back what the compiler freed, lest the steps hide in it, and begins a new peak."""
    ctypes.CDLL(None).malloc_trim(0)
    Path("/proc/self/clear_refs").write_text("5")
    return _resident("VmRSS")


def measure(config: Any) -> dict[str, int]:
    """Runs a few steps on a CPU, with `data.count` images, and compares.

    Returns:
      Bytes: needed and planned as `needed_bytes` and `planned_bytes` give them, and "measured", the
      process's peak above what it had before it made the state.
    """
    gan = fish_jax.make_gan(config)
    create = jax.jit(functools.partial(fish_jax.create_state, gan)).lower(np.uint32(0)).compile()
    shapes = jax.eval_shape(functools.partial(fish_jax.create_state, gan), np.uint32(0))
    plan = input_pipeline.Plan(input_pipeline.CHUNK, config.data.count, streams=False)
    advance = compilation.compile_steps(gan, shapes, plan.steps, config.batch_size, plan.rows)
    before = _settle_memory()
    images = common.draw_images(config.data.count, *gan.image_size)
    inputs = input_pipeline.make_pipeline(config, images, plan, jax.local_devices()[:1])
    # A run compiles after this, so the state is made and its scratch memory is free by the steps.
    state = jax.block_until_ready(create(np.uint32(0)))
    resident, batches = inputs(0, STEPS)
    state, history = advance(state, resident, batches[:, 0], np.int32(STEPS))
    jax.block_until_ready((state, history))
    measured = _resident("VmHWM") - before
    needed = needed_bytes(gan, shapes, config.batch_size, images.nbytes)
    return needed | planned_bytes(advance) | {"measured": measured}


if __name__ == "__main__":
    print(json.dumps(measure(common.get_config(common.read_case(sys.argv[1:])))))
