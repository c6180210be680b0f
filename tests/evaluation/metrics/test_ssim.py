"""Structural similarity: other programs' numbers, the definition written out, and its limits."""

import jax
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fish_jax.evaluation.metrics import ssim
from fish_jax.evaluation.metrics.ssim import ms_ssim, pair_similarity

pytestmark = pytest.mark.usefixtures("strict_dtypes")


def _draw(seed: int, height: int, width: int, count: int = 1) -> tuple[np.ndarray, np.ndarray]:
    """Squares of random colours, and the same with noise."""
    rng = np.random.default_rng(seed)
    squares = rng.integers(0, 256, (count, -(-height // 8), -(-width // 8), 3))
    left = squares.repeat(8, 1).repeat(8, 2)[:, :height, :width]
    right = np.clip(left + rng.integers(-60, 61, left.shape), 0, 255)
    return left.astype(np.uint8), right.astype(np.uint8)


def _plain_ssim(left, right):
    """Similarity, and contrast and structure, of one pair of floats: every window one by one."""
    height, width, _ = left.shape
    side = min(11, height, width)
    places = np.arange(side) - (side - 1) / 2
    squared = places[:, None] ** 2 + places[None, :] ** 2
    weights = np.exp(-squared / (2 * (1.5 * side / 11) ** 2))[:, :, None]
    weights /= weights.sum()
    c1, c2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2
    similarities, contrasts = [], []
    for row in range(height - side + 1):
        for column in range(width - side + 1):
            a = left[row : row + side, column : column + side]
            b = right[row : row + side, column : column + side]
            a_mean, b_mean = (weights * a).sum((0, 1)), (weights * b).sum((0, 1))
            a_variance = (weights * (a - a_mean) ** 2).sum((0, 1))
            b_variance = (weights * (b - b_mean) ** 2).sum((0, 1))
            covariance = (weights * (a - a_mean) * (b - b_mean)).sum((0, 1))
            luminance = (2 * a_mean * b_mean + c1) / (a_mean**2 + b_mean**2 + c1)
            contrasts.append((2 * covariance + c2) / (a_variance + b_variance + c2))
            similarities.append(luminance * contrasts[-1])
    return np.mean(similarities), np.mean(contrasts)


def _plain_halve(image):
    height, width = image.shape[0] // 2, image.shape[1] // 2
    return image[: 2 * height, : 2 * width].reshape(height, 2, width, 2, 3).mean((1, 3))


def _plain_ms_ssim(left, right):
    product = 1.0
    for scale, weight in enumerate([0.0448, 0.2856, 0.3001, 0.2363, 0.1333]):
        similarity, contrast = _plain_ssim(left, right)
        product *= max(similarity if scale == 4 else contrast, 0.0) ** weight
        left, right = _plain_halve(left), _plain_halve(right)
    return product


def one_scale(left, right):
    return ssim._compare(ssim._to_planes(left), ssim._to_planes(right))[0]


# scikit-image 0.26.0: structural_similarity(gaussian_weights=True, sigma=1.5, data_range=255,
# use_sample_covariance=False, channel_axis=-1) of `_draw`, and with the right image's negative.
@pytest.mark.parametrize(
    ("seed", "size", "value", "negative"),
    [
        (0, (11, 11), 0.6740838888149913, -0.48207939337512445),
        (1, (24, 37), 0.6523059350098653, -0.43232286483257365),
        (2, (61, 40), 0.588422500778988, -0.4169304337575204),
    ],
)
def test_one_scale_is_that_of_scikit_image(seed, size, value, negative):
    left, right = _draw(seed, *size)
    np.testing.assert_allclose(one_scale(left, right), [value], atol=1e-5)
    np.testing.assert_allclose(one_scale(left, 255 - right), [negative], atol=1e-5)


@pytest.mark.parametrize("size", [(3, 5), (1, 4), (10, 12)])
def test_one_scale_with_a_smaller_window(size):
    left, right = _draw(3, *size)
    plain = _plain_ssim(left[0].astype(float), right[0].astype(float))[0]
    np.testing.assert_allclose(one_scale(left, right), [plain], atol=1e-5)


# Computed once in double precision with SciPy's convolutions by Fourier transforms.
@pytest.mark.parametrize(
    ("size", "value"),
    [((28, 64), 0.9599420911), ((140, 320), 0.9597077502), ((192, 177), 0.9586861503)],
)
def test_golden_numbers_of_five_scales(size, value):
    np.testing.assert_allclose(ms_ssim(*_draw(4, *size)), [value], atol=1e-5)


# Windows of 11, 11, 7, 3, 1 pixels; of 11, 9, 4, 2, 1 with odd sides; of 11, 11, 10, 5, 2.
@pytest.mark.parametrize("size", [(28, 64), (19, 37), (53, 41)])
def test_five_scales_are_the_definition(size):
    left, right = _draw(5, *size)
    plain = _plain_ms_ssim(left[0].astype(float), right[0].astype(float))
    np.testing.assert_allclose(ms_ssim(left, right), [plain], atol=1e-5)


@given(st.integers(16, 40), st.integers(16, 40), st.integers(0, 2**31))
@settings(max_examples=2, deadline=None)
def test_properties(height, width, seed):
    left, right = _draw(seed, height, width, count=2)
    value = ms_ssim(left, right)
    plain = [_plain_ms_ssim(a.astype(float), b.astype(float)) for a, b in zip(left, right)]
    np.testing.assert_allclose(value, plain, atol=1e-5)
    np.testing.assert_allclose(ms_ssim(right, left), value, atol=1e-6)
    np.testing.assert_allclose(ms_ssim(left[::-1], right[::-1]), value[::-1], atol=1e-6)
    np.testing.assert_allclose(ms_ssim(left, left), 1, atol=1e-6)
    np.testing.assert_allclose(one_scale(left, left), 1, atol=1e-6)
    np.testing.assert_allclose(ms_ssim(left.astype(np.float32), right), value, atol=1e-6)


def test_what_is_opposite_is_0_and_not_nan():
    left, _ = _draw(6, 28, 64)
    assert one_scale(left, 255 - left)[0] < -0.5
    np.testing.assert_array_equal(ms_ssim(left, 255 - left), [0])


def test_one_pixel_compares_brightness_alone():
    """The window at the fifth scale, 1 x 4; of images of one colour nothing else is left."""
    dark, bright = (np.full((1, 28, 64, 3), level, np.uint8) for level in (50, 150))
    luminance = (2 * 50 * 150 + 2.55**2) / (50**2 + 150**2 + 2.55**2)
    np.testing.assert_allclose(ms_ssim(dark, bright), [luminance**0.1333], rtol=1e-4)


def test_more_noise_and_more_blur_are_less_similar():
    image = _draw(7, 28, 64)[0].astype(np.float32)
    noise = np.random.default_rng(0).normal(0, 1, image.shape).astype(np.float32)
    noisy = [ms_ssim(image, image + deviation * noise)[0] for deviation in (0, 5, 10, 20, 40)]
    assert np.all(np.diff(noisy) < -0.001)
    blurred, blur = [], image
    for _ in range(5):
        blurred.append(ms_ssim(image, blur)[0])
        blur = (
            np.roll(blur, 1, 1) + blur + np.roll(blur, 1, 2) + np.roll(blur, (1, 1), (1, 2))
        ) / 4
    assert np.all(np.diff(blurred) < -0.001)


def test_batches_change_nothing():
    left, right = _draw(8, 20, 30, count=37)
    together = ms_ssim(left, right)
    apart = np.concatenate([ms_ssim(left[:21], right[:21]), ms_ssim(left[21:], right[21:])])
    assert len(np.unique(together)) == 37
    np.testing.assert_allclose(together, apart, atol=1e-6)


def test_images_that_are_alike_are_similar():
    left, _ = _draw(9, 20, 30, count=6)
    key = jax.random.key(0)
    alike = pair_similarity(left[:1].repeat(6, 0), key)
    varied = pair_similarity(left, key)
    np.testing.assert_allclose(alike, 1, atol=1e-6)
    assert varied.shape == (3,) and np.mean(varied) < 0.7


def test_pairs_are_of_different_images_and_equally_often(monkeypatch):
    missing = lambda left, right: 3.0 - left[:, 0, 0, 0] - right[:, 0, 0, 0]
    monkeypatch.setattr(
        "fish_jax.evaluation.metrics.ssim.ms_ssim", missing
    )  # of three images, the one left over
    images = np.broadcast_to(np.arange(3.0, dtype=np.float32)[:, None, None, None], (3, 16, 16, 3))
    left_over = [int(pair_similarity(images, jax.random.key(s))[0]) for s in range(304)]
    counts = np.bincount(left_over, minlength=3)
    assert len(counts) == 3 and np.all(np.abs(counts - 101) < 33)  # 4 deviations of 8.2.


def test_a_key_gives_the_same_pairs():
    left, _ = _draw(11, 20, 30, count=8)
    values = [pair_similarity(left, jax.random.key(seed)) for seed in (0, 0, 1)]
    np.testing.assert_array_equal(values[0], values[1])
    assert np.any(values[0] != values[2])


def test_what_cannot_be_compared_is_refused():
    images = np.zeros((2, 16, 20, 3), np.uint8)
    with pytest.raises(ValueError, match=r"differ in shape: \[2, 16, 20, 3\] and \[1, 16, 20, 3\]"):
        ms_ssim(images, images[:1])
    with pytest.raises(ValueError, match="at least 16 pixels, not 15 x 20"):
        ms_ssim(images[:, :15], images[:, :15])
    with pytest.raises(ValueError, match="at least 16 pixels, not 16 x 15"):
        pair_similarity(images[:, :, :15], jax.random.key(0))
    for wrong in (images[0], images[..., :1], images[:0], images.astype(np.int32)):
        with pytest.raises(ValueError, match="uint8 or floats"):
            ms_ssim(wrong, wrong)
    with pytest.raises(ValueError, match="uint8 or floats"):
        ms_ssim(images, images.astype(bool))


@pytest.mark.parametrize("count", [2, 9, 10])
def test_disjoint_pairs_have_no_image_twice(monkeypatch, count):
    seen = []

    def compare(left, right):
        seen.extend([*left[:, 0, 0, 0], *right[:, 0, 0, 0]])
        return np.ones(len(left), np.float32)

    monkeypatch.setattr("fish_jax.evaluation.metrics.ssim.ms_ssim", compare)
    images = np.broadcast_to(
        np.arange(count, dtype=np.uint8)[:, None, None, None], (count, 16, 16, 3)
    )
    found = pair_similarity(images, jax.random.key(0))
    assert found.tolist() == [1] * (count // 2)
    assert len(set(seen)) == len(seen) == count // 2 * 2
    with pytest.raises(ValueError, match="at least two images are needed, not 1"):
        pair_similarity(images[:1], jax.random.key(0))
