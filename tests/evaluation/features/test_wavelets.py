"""The feature space never changes by itself, and distances in it grow with damage."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from PIL import Image, ImageFilter

from fish_jax.data.synthetic import drawing
from fish_jax.errors import UserError
from fish_jax.evaluation.features import batches, wavelets
from fish_jax.evaluation.metrics.distances import fit_gaussian, frechet_distance

pytestmark = pytest.mark.usefixtures("strict_dtypes")

HEIGHT, WIDTH = 28, 64
LAYOUT = slice(0, 48)
FIRST = slice(48, 64)  # of the finest octave: orientation by orientation, 2 x 2 parts each
COLOURS = slice(64, 72)
SECOND = slice(72, 88)  # of the second octave


@pytest.fixture(scope="module")
def school():
    return drawing.draw_school(128, HEIGHT, WIDTH)


def features_of(image):
    return wavelets.extract(np.uint8(image)[None])[0]


def test_golden_numbers():
    """Of a picture that needs no random numbers; others need another name of the space."""
    x, y = np.meshgrid(np.arange(WIDTH), np.arange(HEIGHT))
    made = features_of(np.stack([4 * x, 9 * y, x * y % 251], axis=-1))
    assert wavelets.NAME == "scattering-1"
    golden = [
        (LAYOUT, [0.0332756, 0.7431554, 1.4530352, 2.1629150]),
        (FIRST, [-3.4388747, -3.1035025, -2.5712318, -2.4105477]),
        (COLOURS, [-4.0173078, -4.0402660, -3.5709217, -3.5331335]),
        (SECOND, [-0.5181491, -0.2441955, -0.3843756, -0.5806909]),
    ]
    for part, expected in golden:
        np.testing.assert_allclose(made[part][:4], expected, atol=1e-4)
    np.testing.assert_allclose(np.sum(made), -305.0098, atol=2e-3)
    np.testing.assert_allclose(np.linalg.norm(made), 32.33335, atol=1e-3)


def test_one_colour_has_a_layout_and_no_textures():
    made = features_of(np.broadcast_to([255, 51, 0], (HEIGHT, WIDTH, 3)))
    expected = 4 * np.array([0.8 / 2**0.5, 1.2 / 6**0.5, 1.2 / 3**0.5])
    np.testing.assert_allclose(made[LAYOUT].reshape(3, 16), expected[:, None].repeat(16, 1), 1e-5)
    np.testing.assert_allclose(made[FIRST], np.log(0.01), atol=1e-3)
    np.testing.assert_allclose(made[COLOURS], np.log(0.01), atol=1e-3)
    np.testing.assert_allclose(made[SECOND], 0, atol=1e-3)


@pytest.mark.parametrize("orientation", [0, 2])
def test_stripes_have_their_orientation(orientation):
    """Orientation 0 changes along a row."""
    stripes = np.zeros((HEIGHT, WIDTH, 3))
    lines = stripes if orientation == 0 else stripes.swapaxes(0, 1)
    lines[:, ::3] = 255
    strength = features_of(stripes)[FIRST].reshape(4, 4).mean(axis=1)
    assert np.argmax(strength) == orientation
    assert strength[orientation] > strength[2 - orientation] + 2


def test_pooling_shares_pixels_of_two_parts():
    maps = np.random.default_rng(0).random((2, 3, 8, 6), np.float32)
    np.testing.assert_allclose(
        wavelets.pool(maps, 2), maps.reshape(2, 3, 2, 4, 2, 3).mean((3, 5)), rtol=1e-6
    )
    wider = maps.repeat(4, 2).repeat(4, 3)  # of which 4 parts are whole pixels
    np.testing.assert_allclose(wavelets.pool(maps, 4), wavelets.pool(wider, 4), rtol=1e-6)


def test_halving_is_a_binomial_blur_of_every_second_pixel():
    maps = np.random.default_rng(0).random((2, 3, 7, 6), np.float32)
    padded = np.pad(maps, ((0, 0), (0, 0), (2, 2), (2, 2)), "symmetric")
    weights = np.array([1, 4, 6, 4, 1]) / 16
    windows = np.lib.stride_tricks.sliding_window_view(padded, (5, 5), (2, 3))
    expected = np.einsum("nchwij,i,j->nchw", windows, weights, weights)[:, :, ::2, ::2]
    np.testing.assert_allclose(jax.jit(wavelets.halve)(maps), expected, rtol=1e-5)


def test_batches_change_nothing_and_one_program_serves_all(monkeypatch):
    monkeypatch.setattr(batches, "_PIXELS_AT_ONCE", 3 * 20 * 30)
    images = np.random.default_rng(0).integers(0, 256, (7, 20, 30, 3), np.uint8)
    sizes = []

    @jax.jit
    def first_pixels(batch):
        sizes.append(len(batch))
        return batch[:, 0, :2, 0].astype(jnp.float32)

    for count in range(1, 8):
        made = batches.map_batches(first_pixels, images[:count])
        np.testing.assert_array_equal(made, images[:count, 0, :2, 0])
    assert sizes == [3]
    monkeypatch.setattr(batches, "_PIXELS_AT_ONCE", 1)  # less than an image
    assert batches.map_batches(first_pixels, images).shape == (7, 2)


def test_images_know_nothing_of_each_other(school):
    together = wavelets.extract(school)
    assert together.shape == (128, wavelets.DIMENSION) and together.dtype == np.float32
    for image, expected in zip(school[62:66], together[62:66]):
        # Where in a batch an image stands decides what the processor rounds together.
        np.testing.assert_allclose(features_of(image), expected, atol=1e-5)


def test_the_least_side_and_an_odd_one():
    images = np.random.default_rng(0).integers(0, 256, (2, batches.LEAST_SIDE, 45, 3), np.uint8)
    made = wavelets.extract(images)
    assert made.shape == (2, wavelets.DIMENSION)
    assert np.isfinite(made).all() and np.abs(made).max() < 10


@pytest.mark.parametrize("height, width", [(15, 64), (64, 15)])
def test_too_small_an_image_is_an_error(height, width):
    with pytest.raises(UserError, match=f"{height} x {width}.*at least 16"):
        wavelets.extract(np.zeros((1, height, width, 3), np.uint8))


@pytest.mark.parametrize(
    "images",
    [
        np.zeros((1, 20, 20, 3), np.float32),
        np.zeros((1, 20, 20, 4), np.uint8),
        np.zeros((20, 20, 3), np.uint8),
        np.zeros((0, 20, 20, 3), np.uint8),
    ],
    ids=["floats", "four channels", "one image", "none"],
)
def test_other_shapes_and_types_are_errors(images):
    with pytest.raises(ValueError, match="uint8"):
        wavelets.extract(images)


def blur(images, radius):
    smooth = ImageFilter.GaussianBlur(radius)
    return np.stack([np.asarray(Image.fromarray(image).filter(smooth)) for image in images])


def add_noise(images, sigma):
    noise = np.random.default_rng(0).normal(0, sigma, images.shape)
    return np.uint8(np.clip(np.rint(images + noise), 0, 255))


@pytest.mark.parametrize("damage, levels", [(blur, (1, 2, 4)), (add_noise, (8, 16, 32))])
def test_distances_grow_with_damage(damage, levels, school):
    """From other fish, well beyond what these are from sound ones."""
    real = fit_gaussian(wavelets.extract(school[:64]))
    versions = [school[64:], *(damage(school[64:], level) for level in levels)]
    found = [frechet_distance(real, fit_gaussian(wavelets.extract(made))) for made in versions]
    assert found == sorted(found)
    assert found[1] > 1.2 * found[0] and found[3] > 3 * found[0]
