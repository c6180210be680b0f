"""The latent of an image: the error that is descended, where latents stay, and what is found."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers.tiny import tiny_config, tiny_state, write_run
from PIL import Image

import fish_jax
from fish_jax.errors import UserError
from fish_jax.gan.model import make_gan
from fish_jax.gan.state import TrainState
from fish_jax.runs import inversion, sampling
from fish_jax.runs.inversion import IMAGES, beside, find_latent, pyramid_error


@pytest.fixture(scope="module")
def config():
    return tiny_config("lsgan_dense")


@pytest.fixture(scope="module")
def gan(config):
    return make_gan(config)


@pytest.fixture(scope="module")
def state(gan):
    return tiny_state(gan)


@pytest.fixture(scope="module")
def folder(config, state, tmp_path_factory):
    """A run with random weights."""
    return write_run(tmp_path_factory.mktemp("run"), config, state)


def test_golden_errors():
    """Of 2 x 2 pixels: 2, -2, 0, 0 have a mean of 0, so their band is what they are."""
    images = jnp.array([[[2.0, -2.0], [0.0, 0.0]], [[3.0, 3.0], [3.0, 3.0]]])[..., None]
    np.testing.assert_allclose(pyramid_error(images), [1, 3])
    np.testing.assert_allclose(pyramid_error(images[:, :1, :1]), [2, 3])
    both = images[:1] + images[1:]  # bands add up, as each sees one of them
    np.testing.assert_allclose(pyramid_error(both), [4])


@pytest.mark.parametrize("size", [(1, 5), (7, 9), (20, 40)])
def test_an_error_is_0_of_equal_images_alone_and_has_a_gradient_there(size):
    noise = jnp.asarray(np.random.default_rng(0).normal(size=(3, *size, 3)), jnp.float32)
    errors = pyramid_error(noise.at[1].set(0))
    assert errors[1] == 0 and errors[0] > 0.1
    gradient = jax.grad(lambda images: jnp.sum(pyramid_error(images)))(jnp.zeros_like(noise))
    assert np.all(np.isfinite(gradient))


def test_coarse_bands_tell_how_far_apart_things_are():
    """Two bars that do not overlap differ by as many pixels, however far they are apart."""
    bar = lambda place: jnp.zeros((1, 8, 64, 1)).at[:, :, place : place + 2].set(1.0)
    far = [float(pyramid_error(bar(0) - bar(place))[0]) for place in (4, 16, 48)]
    assert far[0] < far[1] < far[2]


def test_latents_stay_where_they_are_drawn_from(gan):
    latents = jnp.array([[9.0] * 8, [0.1] * 8])
    longest = np.sqrt(8) + inversion.BEYOND
    lengths = jnp.linalg.norm(inversion._project(latents, gan), axis=1)
    np.testing.assert_allclose(lengths, [longest, 0.1 * np.sqrt(8)], rtol=1e-6)
    uniform = dataclasses.replace(gan, latent_distribution="uniform")
    np.testing.assert_array_equal(inversion._project(latents, uniform)[:, 0], jnp.array([1, 0.1]))


def test_a_generated_image_is_found_again(gan, state):
    """Of seed 5: its latent and its pixels."""
    target, done = fish_jax.gan.inference.render(gan, state, [5])[0], []
    found = find_latent(gan, state, target, on_progress=done.append)
    assert found.loss < 0.1 * found.first_loss  # the rest is the rounding of the target
    difference = np.abs(found.image.astype(int) - target)
    assert difference.mean() < 1
    latent = np.asarray(fish_jax.seed_latents(gan, [5]))[0]
    assert np.linalg.norm(found.latent - latent) < 0.1 * np.linalg.norm(latent)
    assert sum(done) == IMAGES
    again = find_latent(gan, state, target)
    np.testing.assert_array_equal(again.latent, found.latent)
    assert np.any(find_latent(gan, state, target, seed=1).latent != found.latent)


@pytest.fixture
def looked_for(monkeypatch):
    """What is looked for, without looking."""
    given = []

    def find(gan, state, target, seed, on_progress):
        assert isinstance(state, TrainState)
        given.append((target, seed))
        return inversion.Inversion(np.zeros(8, np.float32), target, target, 0.0, 1.0)

    monkeypatch.setattr(inversion, "find_latent", find)
    return given


def test_images_come_as_those_of_the_run_do(folder, looked_for, tmp_path):
    """Brought to its size, by its filter, from a file or an array."""
    wide = np.random.default_rng(0).integers(0, 256, (40, 60, 3), np.uint8)
    Image.fromarray(wide).save(tmp_path / "a.png")
    fish_jax.invert(folder, tmp_path / "a.png", seed=3)
    fish_jax.invert(folder, wide)
    (of_file, seed), (of_array, _) = looked_for
    expected = Image.fromarray(wide).resize((40, 20), Image.Resampling.LANCZOS)
    np.testing.assert_array_equal(of_file, expected)
    np.testing.assert_array_equal(of_array, expected)
    assert seed == 3


def test_the_image_is_beside_what_was_found(looked_for, folder):
    target = np.zeros((20, 40, 3), np.uint8)
    sheet = beside(fish_jax.invert(folder, target))
    assert sheet.shape == (20, 81, 3) and sheet.max(axis=(0, 2))[40] == 255


def test_mistakes(folder, tmp_path):
    text = tmp_path / "a.txt"
    text.write_text("no image")
    image = np.zeros((20, 40, 3), np.uint8)
    for given, message in (
        ((folder, tmp_path / "b.png"), "b.png cannot be used as an image: no such file"),
        ((folder, text), "a.txt cannot be used as an image: "),
        ((folder, tmp_path), "cannot be used as an image: not a regular file"),
        (
            (folder, image[0, 0]),
            r"the image cannot be used: uint8 \[3\], not a PIL image or a uint8 array",
        ),
        (
            (folder, image / 255),
            "the image cannot be used: float64 .* not a PIL image or a uint8 array",
        ),
        ((tmp_path, image), "is not the folder of a run"),
    ):
        with pytest.raises(UserError, match=message):
            fish_jax.invert(*given)
    with pytest.raises(UserError, match="seeds must be whole numbers"):
        fish_jax.invert(folder, image, seed=-1)


def test_the_last_weights_may_be_asked_for(folder, monkeypatch, looked_for):
    given = []
    load = sampling.load
    monkeypatch.setattr(sampling, "load", lambda *a: given.append(a) or load(*a))
    fish_jax.invert(folder, np.zeros((20, 40, 3), np.uint8), averaged=False)
    assert given == [(folder, False, "newest")]
