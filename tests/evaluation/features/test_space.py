"""The feature space: its parts, their spreads, its name."""

import numpy as np
import pytest
from flax.traverse_util import unflatten_dict

from fish_jax.errors import UserError
from fish_jax.evaluation.features import encoder, space, wavelets

SEEN = np.arange(40) < 15


@pytest.fixture(scope="module")
def images():
    return np.random.default_rng(0).integers(0, 256, (40, 20, 40, 3), np.uint8)


@pytest.fixture(scope="module")
def fitted(images):
    return space.fit(images, SEEN, seed=0)


def test_images_that_the_encoder_has_not_seen_have_the_spreads(images, fitted):
    found = space.extract(fitted, images[~SEEN])
    assert found.shape == (25, 305) and found.dtype == np.float32
    np.testing.assert_allclose(found.mean(0), 0, atol=1e-4)
    for part, variance in ((space.SHAPES, 100), (space.WHOLE, 25), (space.TEXTURES, 6.25)):
        assert found[:, part].var(0).sum() == pytest.approx(variance, rel=1e-4)


def test_spreads_of_many_images_are_those_of_some(images, monkeypatch):
    monkeypatch.setattr(space, "_MEASURED", 20)
    fitted = space.fit(images, SEEN, seed=0)
    found = space.extract(fitted, images[~SEEN])
    assert 90 < found[:, space.SHAPES].var(0).sum() < 110
    assert np.abs(found.mean(0)).max() > 1e-3


def test_the_encoder_is_trained_on_what_it_may_see(images, monkeypatch):
    seen = []
    train = lambda images, seed, on_progress: seen.append(images) or encoder.init(seed)
    monkeypatch.setattr(encoder, "train", train)
    space.fit(images, SEEN, seed=0)
    np.testing.assert_array_equal(seen[0], encoder.shrink(images[:15]))


def test_whole_is_the_root_of_a_probability(images, fitted):
    params = unflatten_dict(fitted.weights, sep="/")
    logits = np.float64(encoder.apply(params, encoder.shrink(images))[1])
    powers = np.exp(logits)
    root = np.sqrt(powers[:, 0] / powers.sum(1))
    expected = (root - root[~SEEN].mean()) * 5 / root[~SEEN].std()
    found = space.extract(fitted, images)[:, space.WHOLE]
    np.testing.assert_allclose(found[:, 0], expected, atol=1e-3)


def test_textures_are_those_of_the_wavelets(images, fitted):
    found, plain = space.extract(fitted, images), wavelets.extract(images)
    others = plain[~SEEN]
    expected = (plain - others.mean(0)) * 2.5 / np.sqrt(others.var(0).sum())
    np.testing.assert_allclose(found[:, space.TEXTURES], expected, atol=1e-4)
    np.testing.assert_allclose(space.textures(fitted, images), expected, atol=1e-4)


def test_an_image_has_the_same_features_alone(images, fitted):
    found = space.extract(fitted, images)
    np.testing.assert_allclose(space.extract(fitted, images[7:8])[0], found[7], atol=1e-4)


def test_a_name_tells_encoders_apart(images, fitted, monkeypatch):
    assert fitted.name.startswith("shapes-1 (encoder of seed 0, 150 steps, sha256 ")
    assert space.fit(images, SEEN, seed=0).name == fitted.name
    assert space.fit(images, SEEN, seed=1).name != fitted.name
    other = encoder.init(0)
    other["Dense_0"]["bias"] = other["Dense_0"]["bias"] + np.float32(1e-6)
    monkeypatch.setattr(encoder, "train", lambda *arguments: other)
    assert space.fit(images, SEEN, seed=0).name != fitted.name


def test_images_that_are_all_alike():
    """They have no variance, which nothing is divided by."""
    images = np.full((10, 16, 16, 3), 128, np.uint8)
    fitted = space.fit(images, SEEN[:10] & (np.arange(10) < 5), seed=0)
    assert np.abs(space.extract(fitted, images)).max() < 1e-5


def test_small_images_are_refused_before_anything_is_trained(monkeypatch):
    monkeypatch.setattr(encoder, "train", None)
    with pytest.raises(UserError, match="images of 15 x 40 pixels are too small"):
        space.fit(np.zeros((4, 15, 40, 3), np.uint8), SEEN[13:17], seed=0)
