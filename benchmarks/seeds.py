"""Tests whether training several seeds together under `jax.vmap` is faster than in turn.

    python -m benchmarks.seeds --config configs/ralsgan.py:demo --seeds 3

Both programs run the same steps on the same images and take turns. A ratio above 1 is a gain.
"""

import argparse
import functools
import importlib
import statistics
import time
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np

from fish_jax.gan import compilation
from fish_jax.gan.model import Gan, make_gan
from fish_jax.gan.state import create_state
from fish_jax.gan.step import train_steps
from fish_jax.losses.presets import apply_preset

STEPS = 8  # of a call
IMAGES = 64


def compile_pair(gan: Gan, seeds: int, batch_size: int) -> tuple[Callable, Callable]:
    """A call of all seeds one after another, and one of all together."""
    rng = np.random.default_rng(0)
    images = jnp.asarray(rng.integers(0, 256, (IMAGES, *gan.image_size, 3), np.uint8))
    batches = jnp.asarray(rng.integers(0, IMAGES, (STEPS, batch_size), np.int32))
    create = jax.jit(functools.partial(create_state, gan))
    states = [create(seed) for seed in range(seeds)]
    stacked = jax.tree.map(lambda *leaves: jnp.stack(leaves), *states)
    steps = functools.partial(train_steps, gan=gan)
    together = jax.vmap(steps, in_axes=(0, None, None, None))
    programs = [
        jax.jit(f).lower(s, images, batches, np.int32(1)).compile(compilation.options())
        for f, s in ((steps, states[0]), (together, stacked))
    ]
    apart = lambda count: [programs[0](state, images, batches, count)[1] for state in states]
    return apart, lambda count: programs[1](stacked, images, batches, count)[1]


def seconds(call: Callable, count: int) -> float:
    start = time.perf_counter()
    jax.block_until_ready(call(np.int32(count)))
    return time.perf_counter() - start


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--config", default="configs/ralsgan.py:demo")
    parser.add_argument("--loss", default="")
    parser.add_argument("--precision", default="float32")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()
    file, _, variant = arguments.config.partition(":")
    module = importlib.import_module(file.removesuffix(".py").replace("/", "."))
    config = module.get_config(variant)
    config.precision = arguments.precision
    if arguments.loss:
        config.discriminator.norm = "none"
        config = apply_preset(config, arguments.loss)
    calls = compile_pair(make_gan(config), arguments.seeds, config.batch_size)
    once = [seconds(call, 1) for call in calls for _ in range(2)][1::2]
    count = max(1, min(STEPS, round(1 / max(once))))
    rounds = [[seconds(call, count) / count for call in calls] for _ in range(arguments.rounds)]
    apart, together = (statistics.median(times) for times in zip(*rounds))
    ratio = statistics.median(a / b for a, b in rounds)
    print(
        f"{arguments.config} {arguments.loss} {arguments.precision}, {config.height} x "
        f"{config.width}, batch {config.batch_size}, {jax.devices()[0].device_kind}: a step of "
        f"{arguments.seeds} seeds takes {1000 * apart:.2f} ms one after another, "
        f"{1000 * together:.2f} ms together; ratio {ratio:.2f}"
    )


if __name__ == "__main__":
    main()
