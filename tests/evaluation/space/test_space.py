"""The feature space: its parts, their spreads, its name."""

import numpy as np
import pytest

from fish_jax.errors import UserError
from fish_jax.evaluation.metrics import features
from fish_jax.evaluation.space import encoder, space


@pytest.fixture(scope="module")
def images():
    return np.random.default_rng(0).integers(0, 256, (40, 20, 40, 3), np.uint8)


@pytest.fixture(scope="module")
def fitted(images):
    return space.fit(images, seed=0)[0]


def test_real_images_have_the_spreads(images, fitted):
    found = space.extract(fitted, images)
    assert found.shape == (40, 304) and found.dtype == np.float32
    np.testing.assert_allclose(found.mean(0), 0, atol=1e-4)
    for part, variance in ((space.SHAPES, 100), (space.TEXTURES, 6.25)):
        assert found[:, part].var(0).sum() == pytest.approx(variance, rel=1e-4)


def test_fitting_gives_the_features_of_its_images(images, fitted):
    _, known = space.fit(images, seed=0)
    np.testing.assert_allclose(known, space.extract(fitted, images), atol=1e-4)


def test_textures_are_those_of_the_wavelets(images, fitted):
    found, plain = space.extract(fitted, images), features.extract(images)
    expected = (plain - plain.mean(0)) * 2.5 / np.sqrt(plain.var(0).sum())
    np.testing.assert_allclose(found[:, space.TEXTURES], expected, atol=1e-4)


def test_an_image_has_the_same_features_alone(images, fitted):
    found = space.extract(fitted, images)
    np.testing.assert_allclose(space.extract(fitted, images[7:8])[0], found[7], atol=1e-4)


def test_a_name_tells_encoders_apart(images, fitted, monkeypatch):
    assert fitted.name.startswith("shapes-1 (encoder of seed 0, 200 steps, sha256 ")
    assert space.fit(images, seed=0)[0].name == fitted.name
    assert space.fit(images, seed=1)[0].name != fitted.name
    other = encoder.init(0)
    other["Dense_0"]["bias"] = other["Dense_0"]["bias"] + np.float32(1e-6)
    monkeypatch.setattr(encoder, "train", lambda *arguments: other)
    assert space.fit(images, seed=0)[0].name != fitted.name


def test_images_that_are_all_alike():
    """They have no variance, which nothing is divided by."""
    images = np.full((10, 16, 16, 3), 128, np.uint8)
    fitted, known = space.fit(images, seed=0)
    assert np.abs(space.extract(fitted, images)).max() < 1e-5
    assert np.abs(known).max() < 1e-5


def test_small_images_are_refused_before_anything_is_trained(monkeypatch):
    monkeypatch.setattr(encoder, "train", None)
    with pytest.raises(UserError, match="images of 15 x 40 pixels are too small"):
        space.fit(np.zeros((4, 15, 40, 3), np.uint8), seed=0)
