"""The same steps on some of the eight devices that tests have, and ports for processes."""

import socket

import jax
import jax.numpy as jnp
import numpy as np
from helpers.tiny import tiny_config, tiny_images, tiny_state

from fish_jax.gan.model import make_gan
from fish_jax.losses.presets import apply_preset
from fish_jax.training import data_parallel, input_pipeline

STEPS, BATCH, SIZE = 5, 8, 20


def small_config(name, loss=None):
    config = tiny_config(name)
    if loss:
        config = apply_preset(config, loss)
    config.batch_size = BATCH
    config.data.count = SIZE
    return config


def run(config, dtype, count):
    """The state before and after `STEPS` steps on some of the devices, and the metrics."""
    gan, images = make_gan(config, dtype), tiny_images(config, SIZE)
    devices = data_parallel.choose_devices(count, BATCH)
    plan = input_pipeline.plan(config, images, count)
    inputs = input_pipeline.make_pipeline(config, images, plan, devices)
    before = tiny_state(gan)
    state = data_parallel.replicate(jax.tree.map(jnp.copy, before), devices)
    call = inputs(0, 1)
    advance, exchanged = data_parallel.compile_steps(gan, state, *call, plan.streams, devices)
    metrics = []
    for step in range(0, STEPS, plan.steps):
        done = min(plan.steps, STEPS - step)
        state, history, heard = advance(
            state, *inputs(step, done), np.int32(done), data_parallel.Requests()
        )
        assert heard is None  # one process needs no agreement
        metrics.append({name: np.asarray(values)[:done] for name, values in history.items()})
    joined = {name: np.concatenate([part[name] for part in metrics]) for name in metrics[0]}
    return before, data_parallel.first_copy(state), joined, exchanged


def leaves(state):
    return [np.asarray(leaf, np.float64) for leaf in jax.tree.leaves(state.replace(key=None))]


def largest_difference(state, other):
    return max(np.abs(a - b).max() for a, b in zip(leaves(state), leaves(other), strict=True))


def free_port():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]
