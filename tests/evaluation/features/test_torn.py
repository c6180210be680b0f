"""Torn images: what each kind keeps of the images, and what it breaks."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fish_jax.evaluation.features import torn

pytestmark = pytest.mark.usefixtures("strict_dtypes")

KEY = jax.random.key(0)


def noise(*shape, seed=0):
    return jnp.asarray(np.random.default_rng(seed).random(shape), jnp.float32)


def flat(*levels):
    """Images of 16 x 20 that have one value each."""
    return jnp.stack([jnp.full((16, 20, 3), level, jnp.float32) for level in levels])


@settings(max_examples=3, deadline=None)
@given(height=st.integers(16, 40), width=st.integers(16, 70))
def test_every_kind_keeps_shape_type_and_range(height, width):
    images = noise(3, height, width, 3)
    for tear in (*(tear for tear, _ in torn.TORN), torn.augment):
        made = tear(KEY, images)
        assert made.shape == images.shape and made.dtype == images.dtype
        assert float(made.min()) >= -1e-6 and float(made.max()) <= 1 + 1e-6
        assert float(jnp.abs(made - images).max()) > 0.01
        np.testing.assert_array_equal(made, tear(KEY, images))


@pytest.mark.parametrize("across", [2, 4, 7])
def test_shuffled_blocks_are_the_same_blocks(across):
    images = noise(2, 29, 64, 3)
    side = 29 // across
    made = torn.shuffle(KEY, images, across)
    rows, columns = across, 64 // side

    def blocks(image):
        whole = np.asarray(image)[: rows * side, : columns * side]
        parts = [np.split(row, columns, axis=1) for row in np.split(whole, rows)]
        return sorted(part.tobytes() for row in parts for part in row)

    for image, other in zip(images, made):
        assert blocks(image) == blocks(other)
        np.testing.assert_array_equal(image[rows * side :], other[rows * side :])
        np.testing.assert_array_equal(image[:, columns * side :], other[:, columns * side :])


def test_tall_images_are_shuffled_by_their_width():
    images = noise(1, 64, 28, 3)
    wide = images.swapaxes(1, 2)
    assert sorted(np.ravel(torn.shuffle(KEY, images, 4))) == sorted(np.ravel(wide))


def test_a_stitched_image_has_two_parts():
    made = np.asarray(torn.stitch(KEY, flat(*np.linspace(0, 1, 8))))
    for index, image in enumerate(made):
        ours, other = index / 7, ((index - 1) % 8) / 7
        assert set(np.unique(np.round(image, 4))) == set(np.round(np.float32([ours, other]), 4))
        # The image itself is above or to the left, and cut at 0.3 to 0.7.
        assert image[0, 0, 0] == pytest.approx(ours)
        assert 0.25 < np.mean(np.isclose(image, ours)) < 0.75


def test_a_blend_is_between_two_images():
    made = np.asarray(torn.blend(KEY, flat(0, 1)))
    assert np.all(np.ptp(made, axis=(1, 2, 3)) < 1e-6)
    assert 0.3 <= made[0, 0, 0, 0] <= 0.5 and 0.5 <= made[1, 0, 0, 0] <= 0.7


def test_a_patch_covers_a_part_with_another_image_or_the_mean():
    images = noise(40, 20, 30, 3)
    made = torn.patch(KEY, images)
    covered = np.any(np.asarray(made != images), axis=-1)
    shares = covered.mean((1, 2))
    assert shares.min() > 0.35**2 - 0.05 and shares.max() < 0.75**2 + 0.05
    means = np.asarray(images.mean((1, 2)))
    by_mean = [
        np.allclose(np.asarray(image)[cover], mean, atol=1e-6)
        for image, cover, mean in zip(made, covered, means)
    ]
    by_other = [
        np.array_equal(np.asarray(image)[cover], np.asarray(other)[cover])
        for image, cover, other in zip(made, covered, jnp.roll(images, 1, axis=0))
    ]
    assert all(a != b for a, b in zip(by_mean, by_other))
    assert 10 <= sum(by_mean) <= 30


def test_a_warp_of_a_flat_image_is_that_image():
    images = flat(0.25, 0.75)
    np.testing.assert_allclose(torn.warp(KEY, images), images, atol=1e-6)


def test_a_warp_moves_by_a_fraction_of_the_shorter_side():
    """Of a slope, it shows the places that were read."""
    slope = jnp.broadcast_to(jnp.arange(64.0)[None, None, :, None] / 64, (200, 32, 64, 3))
    moved = 64 * np.asarray(torn.warp(KEY, slope) - slope)[:, :, 20:44, 0]
    deviations = moved.std((1, 2))
    assert deviations.min() > 32 / 14 * 0.3 and deviations.max() < 32 / 5 * 2
    assert 32 / 14 < deviations.mean() < 32 / 5


def test_scrambling_keeps_the_spectrum():
    images = 0.5 + 0.02 * (noise(2, 18, 25, 3) - 0.5)  # so that nothing is cut
    made = torn.scramble(KEY, images)
    spectra = [np.abs(np.fft.fft2(side, axes=(1, 2))) for side in (images, made)]
    np.testing.assert_allclose(*spectra, atol=1e-4)
    assert np.corrcoef(np.ravel(images), np.ravel(made))[0, 1] < 0.3


def test_varied_images_keep_their_shapes():
    """A bright square stays where it was or where it is mirrored to."""
    image = jnp.full((16, 20, 3), 0.2).at[4:8, 2:6].set(0.8)
    made = np.asarray(torn.augment(KEY, jnp.stack([image] * 60)))
    inside, mirrored = made[:, 5:7, 3:5].mean((1, 2, 3)), made[:, 5:7, 15:17].mean((1, 2, 3))
    assert np.all(np.maximum(inside, mirrored) > 2 * np.minimum(inside, mirrored))
    assert 15 < np.sum(inside > mirrored) < 45


def test_kinds_fill_a_batch():
    assert sum(count for _, count in torn.TORN) == 33
    names = [getattr(tear, "__name__", "shuffle") for tear, _ in torn.TORN]
    assert names == "shuffle shuffle shuffle stitch blend patch warp scramble".split()
    acrosses = [t.keywords["across"] for t, _ in torn.TORN if isinstance(t, functools.partial)]
    assert acrosses == [2, 4, 7]
