"""The encoder: what it sees, and that it learns to tell torn images from real ones."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers import encoders

from fish_jax.data.synthetic import drawing
from fish_jax.evaluation.features import encoder


@pytest.mark.parametrize(
    ("size", "seen"),
    [
        ((28, 64), (28, 64)),
        ((140, 320), (28, 64)),
        ((70, 160), (28, 64)),
        ((320, 140), (64, 28)),
        ((256, 256), (42, 42)),
        ((20, 20), (20, 20)),
        ((16, 1000), (16, 335)),
        ((2000, 18), (446, 16)),
    ],
)
def test_what_size_is_seen(size, seen):
    assert encoder.seen_size(*size) == seen


def test_shrinking_takes_means_of_areas():
    images = np.random.default_rng(0).integers(0, 256, (2, 140, 320, 3), np.uint8)
    means = images.reshape(2, 28, 5, 64, 5, 3).mean((2, 4)) / 255
    np.testing.assert_allclose(encoder.shrink(images), means, atol=1e-6)
    small = images[:, :20, :30]
    np.testing.assert_allclose(encoder.shrink(small), small / np.float32(255), atol=1e-7)


def test_features_do_not_depend_on_the_rest_of_the_batch(strict_dtypes):
    images = jnp.asarray(np.random.default_rng(0).random((6, 20, 40, 3)), jnp.float32)
    params = encoder.init(0)
    features, logits = encoder.apply(params, images)
    assert features.shape == (6, 64) and logits.shape == (6, 9)
    alone = encoder.apply(params, images[2:3])
    np.testing.assert_allclose(alone[0][0], features[2], atol=1e-5)
    np.testing.assert_allclose(alone[1][0], logits[2], atol=1e-5)


def test_steps_for_few_and_many_images():
    assert [encoder.steps_for(count) for count in (2, 64, 150, 5000)] == [20, 640, 1500, 1500]


def test_a_batch_has_real_and_torn_images():
    images = jnp.asarray(np.random.default_rng(0).random((9, 16, 20, 3)), jnp.float32)
    batch, kinds = jax.jit(encoder._batch)(jax.random.key(0), images)
    assert batch.shape == (64, 16, 20, 3)
    assert np.bincount(kinds).tolist() == [31, 4, 3, 2, 6, 8, 4, 4, 2]


@pytest.mark.slow
def test_torn_fish_are_told_from_whole_ones():
    fish = np.asarray(encoder.shrink(drawing.draw_school(300, 28, 64, 0)))
    held = jnp.asarray(drawing.draw_school(360, 28, 64, 0)[300:], jnp.float32) / 255
    with encoders.trained(steps=100):
        params = encoder.train(fish, 3)
    batch, kinds = encoder._batch(jax.random.key(7), held)
    real = np.asarray(jnp.argmax(encoder.apply(params, batch)[1], axis=1) == 0)
    assert real[:31].mean() > real[31:].mean() + 0.2
    chance = -np.log(1 / 9)
    logits = encoder.apply(params, batch)[1]
    assert encoder.optax.softmax_cross_entropy_with_integer_labels(logits, kinds).mean() < chance


@pytest.mark.slow
def test_a_seed_gives_one_encoder():
    fish, done = np.asarray(encoder.shrink(drawing.draw_school(20, 28, 64, 0))), []
    with encoders.trained(steps=3):
        params, again, other = (encoder.train(fish, seed, done.append) for seed in (3, 3, 4))
    assert done == [64] * 9
    jax.tree.map(np.testing.assert_array_equal, params, again)
    assert np.any(params["Dense_0"]["kernel"] != other["Dense_0"]["kernel"])
