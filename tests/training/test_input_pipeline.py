"""Images that stay on the device and images that stream: the same steps, bit for bit."""

import math
from types import SimpleNamespace

import jax
import numpy as np
import pytest
from helpers.tiny import tiny_config, tiny_images

from fish_jax.errors import UserError
from fish_jax.gan.compilation import compile_steps
from fish_jax.gan.model import make_gan
from fish_jax.gan.state import create_state
from fish_jax.training import input_pipeline

SIZE, STEPS = 50, 13  # one pass over 50 images in batches of 4


def small_config(gigabytes=0.0):
    config = tiny_config("lsgan_dense")  # with few units, as it compiles fastest
    for network in (config.generator, config.discriminator):
        network.layers = tuple(
            row | dict(filters=8) if row.get("filters", 0) > 8 else row for row in network.layers
        )
    config.log_every_steps = 50
    config.data.device_gigabytes = gigabytes
    return config


def test_a_plan_keeps_to_its_limit():
    assert input_pipeline.plan_chunks(100, 10, 4, 64, math.inf) == input_pipeline.Plan(
        64, 100, False
    )
    assert input_pipeline.plan_chunks(100, 10, 4, 64, 1000) == input_pipeline.Plan(64, 100, False)
    assert input_pipeline.plan_chunks(100, 10, 4, 64, 999) == input_pipeline.Plan(12, 48, True)
    assert input_pipeline.plan_chunks(10**6, 10, 4, 64, 10**6) == input_pipeline.Plan(64, 256, True)
    assert input_pipeline.plan_chunks(100, 10, 4, 64, 80) == input_pipeline.Plan(1, 4, True)


@pytest.mark.parametrize("size, least", [(4415, "0.008602"), (33, "0.004436")])
def test_too_small_a_limit_names_the_least(size, least):
    arguments = size, 140 * 320 * 3, 32, 64
    with pytest.raises(UserError, match=f"data.device_gigabytes must be at least {least}, not"):
        input_pipeline.plan_chunks(*arguments, 1e6)
    assert input_pipeline.plan_chunks(
        *arguments, input_pipeline.device_limit(float(least))
    ).rows in (32, 33)


def test_the_limit_is_half_of_what_is_free(monkeypatch):
    assert input_pipeline.device_limit(0) == math.inf  # a CPU does not tell
    assert input_pipeline.device_limit(0.5) == 5e8
    memory = {"bytes_limit": 1000, "bytes_in_use": 200}
    device = SimpleNamespace(memory_stats=lambda: memory)
    monkeypatch.setattr(input_pipeline.jax, "local_devices", lambda: [device])
    assert input_pipeline.device_limit(0) == 400
    with pytest.raises(UserError, match="data.device_gigabytes must be at least 0, not -1"):
        input_pipeline.device_limit(-1)


def test_images_mapped_from_disk_are_gathered_in_order(tmp_path):
    images = tiny_images(small_config(), SIZE)
    np.save(tmp_path / "images.npy", images)
    mapped = np.load(tmp_path / "images.npy", mmap_mode="r")
    indices = np.array([[49, 0, 7, 7, 3], [1, 2, 48, 0, 0]], np.int32)
    chunk = input_pipeline.gather(mapped, indices, 8)
    assert chunk.shape == (2, 8, *images.shape[1:]) and type(chunk) is np.ndarray
    np.testing.assert_array_equal(chunk[:, :5], images[indices])


def test_steps_are_the_same_and_hold_the_state_once():
    """The longest calls that each limit allows, 13 and 5 + 5 + 3 steps."""
    ends = []
    for gigabytes, longest in ((0.0, 50), (1e-4, 5)):
        config = small_config(gigabytes)
        gan, images = make_gan(config), tiny_images(config, SIZE)
        plan = input_pipeline.plan(config, images, 1)
        assert (plan.steps, plan.streams) == (longest, longest == 5)
        state = jax.jit(lambda gan=gan: create_state(gan, 0))()
        advance = compile_steps(gan, state, plan.steps, config.batch_size, plan.rows)
        state_bytes = sum(leaf.nbytes for leaf in jax.tree.leaves(state.replace(key=None)))
        assert advance.memory_analysis().alias_size_in_bytes >= state_bytes
        inputs, step = input_pipeline.make_pipeline(config, images, plan, jax.devices()[:1]), 0
        while step < STEPS:
            count = min(plan.steps, STEPS - step)
            before = state
            chunk, batches = inputs(step, count)
            state, history = advance(state, chunk, batches[:, 0], np.int32(count))
            assert all(leaf.is_deleted() for leaf in jax.tree.leaves(before))
            step += count
        assert history["finite"][:count].all()
        ends.append(jax.device_get(state.replace(key=None)))
    jax.tree.map(np.testing.assert_array_equal, *ends)
