"""The sliced Wasserstein distance: the definition written out, what it sees and what it refuses."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fish_jax.evaluation.metrics import sliced_wasserstein
from fish_jax.evaluation.metrics.laplacian_pyramid import enlarge, laplacian_pyramid, level_sizes
from fish_jax.evaluation.metrics.sliced_wasserstein import Descriptors, descriptors, distance

pytestmark = pytest.mark.usefixtures("strict_dtypes")


def _draw(seed: int, count: int, height: int, width: int) -> np.ndarray:
    """Squares of random colours with some noise."""
    rng = np.random.default_rng(seed)
    squares = rng.integers(0, 256, (count, -(-height // 8), -(-width // 8), 3))
    images = squares.repeat(8, 1).repeat(8, 2)[:, :height, :width]
    return np.clip(images + rng.integers(-20, 21, images.shape), 0, 255).astype(np.uint8)


def _blur(images: np.ndarray) -> np.ndarray:
    return (
        images + np.roll(images, 1, 1) + np.roll(images, 1, 2) + np.roll(images, (1, 1), (1, 2))
    ) / 4


def _mirror(place, length):
    place = abs(place)
    return 2 * (length - 1) - place if place >= length else place


def _plain_filter(image):
    """Every pixel is the weighted sum of the 25 around it."""
    height, width, _ = image.shape
    taps = [1, 4, 6, 4, 1]
    output = np.zeros_like(image)
    for row in range(height):
        for column in range(width):
            for i in range(5):
                for j in range(5):
                    pixel = image[_mirror(row + i - 2, height), _mirror(column + j - 2, width)]
                    output[row, column] += taps[i] * taps[j] / 256 * pixel
    return output


def _plain_pyramid(image):
    levels = [image.astype(float)]
    while min(-(-levels[-1].shape[0] // 2), -(-levels[-1].shape[1] // 2)) >= 16:
        height, width, _ = levels[-1].shape
        small = _plain_filter(levels[-1])[::2, ::2]
        spread = np.zeros((2 * small.shape[0], 2 * small.shape[1], 3))
        spread[::2, ::2] = small
        levels[-1] = levels[-1] - 4 * _plain_filter(spread)[:height, :width]
        levels.append(small)
    return levels


def _plain_descriptors(images, key):
    pyramids = [_plain_pyramid(image) for image in images]
    output = []
    for index in range(len(pyramids[0])):
        patches = []
        for number, pyramid in enumerate(pyramids):
            level = pyramid[index]
            ends = jnp.array([[level.shape[0] - 6, level.shape[1] - 6]])
            image_key = jax.random.fold_in(jax.random.fold_in(key, number), index)
            for row, column in np.asarray(jax.random.randint(image_key, (128, 2), 0, ends)):
                patches.append(level[row : row + 7, column : column + 7])
        patches = np.array(patches)
        for channel in range(3):
            values = patches[..., channel]
            patches[..., channel] = (values - values.mean()) / values.std()
        output.append(patches.reshape(len(patches), 147))
    return output


def _plain_distance(real, fake, key):
    levels = []
    for index, (a, b) in enumerate(zip(real, fake)):
        numbers = []
        for repeat in range(4):
            repeat_key = jax.random.fold_in(jax.random.fold_in(key, index), repeat)
            for direction in np.asarray(jax.random.normal(repeat_key, (128, 147)), float):
                unit = direction / np.sqrt(np.sum(direction**2))
                numbers.append(np.mean(np.abs(np.sort(a @ unit) - np.sort(b @ unit))))
        levels.append(1000 * np.mean(numbers))
    return levels


@pytest.mark.parametrize(
    ("size", "sizes"),
    [
        ((140, 320), ((140, 320), (70, 160), (35, 80), (18, 40))),
        ((31, 64), ((31, 64), (16, 32))),
        ((64, 30), ((64, 30),)),
        ((16, 16), ((16, 16),)),
        ((1024, 1024), tuple((2**n, 2**n) for n in (10, 9, 8, 7, 6, 5, 4))),
    ],
)
def test_level_sizes(size, sizes):
    assert level_sizes(*size) == sizes


@pytest.mark.parametrize("size", [(35, 32), (31, 50)])
def test_the_pyramid_is_the_definition(size):
    image = _draw(0, 1, *size)
    levels, plain = laplacian_pyramid(image), _plain_pyramid(image[0])
    assert len(levels) == len(plain) == 2
    for level, plain_level in zip(levels, plain):
        np.testing.assert_allclose(level[0], plain_level, atol=1e-4)


@given(st.integers(16, 80), st.integers(16, 80), st.integers(0, 2**31))
@settings(max_examples=6, deadline=None)
def test_the_pyramid_adds_up_to_the_image(height, width, seed):
    images = np.random.default_rng(seed).integers(0, 256, (2, height, width, 3)).astype(np.uint8)
    levels = laplacian_pyramid(images)
    assert tuple(level.shape[1:3] for level in levels) == level_sizes(height, width)
    total = levels[-1]
    for level in levels[-2::-1]:
        total = level + enlarge(total, level.shape[1:3])
    np.testing.assert_allclose(total, images, atol=1e-3)


def test_the_distance_is_the_definition(monkeypatch):
    monkeypatch.setattr(sliced_wasserstein, "_MOST_IMAGES", 2)
    images = _draw(1, 3, 35, 40), _draw(2, 3, 35, 40)
    keys = jax.random.key(0), jax.random.key(1)
    sets = [descriptors(*pair) for pair in zip(images, keys)]
    plain = [_plain_descriptors(*pair) for pair in zip(images, keys)]
    for made, expected in zip(sets, plain):
        for level, plain_level in zip(made.levels, expected):
            np.testing.assert_allclose(level, plain_level, atol=1e-4)
    result = distance(*sets, jax.random.key(2))
    np.testing.assert_allclose(result[1:], _plain_distance(*plain, jax.random.key(2)), rtol=1e-4)
    np.testing.assert_allclose(result[1:], [96.9000434, 183.5391968], rtol=1e-4)
    assert result[0] == pytest.approx(np.mean(result[1:]))
    assert sets[0].sizes == ((35, 40), (18, 20))


@given(st.integers(16, 50), st.integers(16, 50), st.integers(1, 5), st.integers(0, 2**31))
@settings(max_examples=3, deadline=None)
def test_properties(height, width, count, seed):
    images = _draw(seed, 2 * count, height, width)
    real, fake = (descriptors(part, jax.random.key(seed)) for part in (images[::2], images[1::2]))
    for level in (*real.levels, *fake.levels):
        assert level.shape == (128 * count, 147) and level.dtype == np.float32
        by_channel = level.reshape(-1, 3).astype(float)
        np.testing.assert_allclose(by_channel.mean(0), 0, atol=1e-5)
        np.testing.assert_allclose(by_channel.std(0), 1, atol=1e-5)
    key = jax.random.key(1)
    result = distance(real, fake, key)
    assert min(result) > 1
    np.testing.assert_array_equal(distance(fake, real, key), result)
    assert not distance(real, real, key).any()
    order = np.random.default_rng(seed).permutation(128 * count)
    shuffled = fake._replace(levels=tuple(level[order] for level in fake.levels))
    np.testing.assert_allclose(distance(real, shuffled, key), result, rtol=1e-4)


def test_batches_change_nothing(monkeypatch):
    images = _draw(3, 7, 20, 33)
    whole = descriptors(images, jax.random.key(0)).levels[0]
    first = descriptors(images[:3], jax.random.key(0)).levels[0]  # The same but for the scale.
    for most in (1, 3, 7):
        monkeypatch.setattr(sliced_wasserstein, "_MOST_IMAGES", most)
        parts = descriptors(images, jax.random.key(0)).levels[0]
        np.testing.assert_allclose(parts, whole, atol=1e-5)
    assert np.corrcoef(first.ravel(), whole[: 3 * 128].ravel())[0, 1] > 0.99


def test_patches_come_from_everywhere_and_differ_between_images():
    rows, columns = np.mgrid[:17, :21]
    image = np.stack([rows, columns, rows + columns], -1).astype(np.uint8)
    level = descriptors(image[None].repeat(40, 0), jax.random.key(0)).levels[0]
    corners = level.reshape(40, 128, 147)[:, :, :2]
    _, counts = np.unique(corners.round(4).reshape(-1, 2), axis=0, return_counts=True)
    assert len(counts) == 11 * 15
    assert counts.max() < 2 * 40 * 128 / len(counts)
    assert not np.array_equal(corners[0], corners[1])


def test_a_known_distance():
    """Points all at 0, and all at a distance of 3: the mean of |3 cos| over the unit sphere."""
    points = np.zeros((1280, 147), np.float32)
    moved = points.copy()
    moved[:, 5] = 3
    sets = [Descriptors(((16, 16),), (level,)) for level in (points, moved)]
    # E |u_1| is Gamma(n / 2) / (sqrt(pi) Gamma((n + 1) / 2)), .06592 for n = 147.
    assert distance(*sets, jax.random.key(0))[0] == pytest.approx(3000 * 0.06592, rel=0.1)
    sets[1].levels[0][:640] = 0  # Half of them moved: half the distance, whatever their order.
    half = distance(*sets, jax.random.key(0))[0]
    assert half == pytest.approx(1500 * 0.06592, rel=0.1)


def test_the_order_of_images_is_noise():
    images, key = _draw(4, 24, 36, 48), jax.random.key(0)
    real = descriptors(images, key)
    again = distance(real, descriptors(images[::-1], key), key)[0]
    other = distance(real, descriptors(_draw(5, 24, 36, 48), key), key)[0]
    assert 0 < again < other


def test_more_noise_and_more_blur_are_further_away():
    images, key = _draw(6, 24, 36, 48).astype(np.float32), jax.random.key(0)
    real = descriptors(images, key)
    noise = np.random.default_rng(0).normal(0, 1, images.shape).astype(np.float32)
    noisy = [images + deviation * noise for deviation in (0, 10, 20, 40)]
    blurred = [images]
    for _ in range(3):
        blurred.append(_blur(blurred[-1]))
    for series in (noisy, blurred):
        numbers = [distance(real, descriptors(fake, key), key)[0] for fake in series]
        assert numbers[0] == 0
        assert np.all(np.diff(numbers) > 5), numbers


def test_images_of_one_colour_have_a_distance():
    key = jax.random.key(0)
    plain = [np.full((2, 33, 40, 3), value, np.float32) for value in (0, 100.1)]
    black, grey = (descriptors(images, key) for images in plain)
    for level in (*black.levels, *grey.levels):
        np.testing.assert_allclose(level, 0, atol=1e-3)
    result = distance(black, descriptors(_draw(7, 2, 33, 40), key), key)
    assert np.all(np.isfinite(result)) and min(result) > 100


def test_what_cannot_be_compared_is_refused():
    key, images = jax.random.key(0), _draw(8, 3, 16, 20)
    with pytest.raises(ValueError, match="at least 16 pixels, not 15 x 20"):
        descriptors(images[:, :15], key)
    with pytest.raises(ValueError, match="at least 16 pixels, not 16 x 9"):
        level_sizes(16, 9)
    for wrong in (images[0], images[..., :1], images[:0], images.astype(np.int32)):
        with pytest.raises(ValueError, match="uint8 or floats"):
            descriptors(wrong, key)
    real = descriptors(images, key)
    with pytest.raises(ValueError, match="the same number of images, not 3 and 2"):
        distance(real, descriptors(images[:2], key), key)
    with pytest.raises(ValueError, match="levels differ in size"):
        distance(real, descriptors(_draw(8, 3, 20, 16), key), key)


def test_parts_are_sets_of_their_own(monkeypatch):
    """On the same lines, a part has the distance of its images alone."""
    monkeypatch.setattr(sliced_wasserstein, "SUBSET_DIRECTIONS", sliced_wasserstein.DIRECTIONS)
    rng = np.random.default_rng(0)
    sides = []
    for scale in (60, 40):
        shift = rng.normal(0, 30, (9, 1, 1, 3))
        images = np.float32(rng.normal(128, scale, (9, 20, 36, 3)) + shift)
        sides.append(sliced_wasserstein.descriptors(images, jax.random.key(scale)))
    key, places = jax.random.key(2), (np.array([7, 0, 4, 3]), np.array([1, 8, 2, 5]))
    levels = sliced_wasserstein.prepare_subsets(*sides, key)
    parts = []
    for side, which in zip(sides, places):
        cut = side.levels[0].reshape(9, -1, 147)[which].reshape(-1, 147)
        sliced_wasserstein._standardize(cut)
        parts.append(sliced_wasserstein.Descriptors(side.sizes, (cut,)))
    expected = sliced_wasserstein.distance(*parts, key, repeats=1)
    made = sliced_wasserstein.subset_distance(levels, *places)
    np.testing.assert_allclose(made, expected, rtol=1e-4)
