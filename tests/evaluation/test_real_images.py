"""The three parts of the real images."""

import numpy as np
import pytest

from fish_jax.data.images import ImageSet
from fish_jax.data.near_duplicates import near_duplicates
from fish_jax.evaluation import real_images
from fish_jax.utils.pictures import over_white


def noise(count, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (count, 16, 20, 3), np.uint8)


def image_set(train, holdout):
    return ImageSet(train, holdout, (), (), (), "noise")


def rows(images):
    return {image.tobytes() for image in images}


@pytest.mark.parametrize(("count", "held", "seen"), [(2, 9, 1), (41, 30, 20), (60, 7, 53)])
def test_as_many_as_are_held_out_are_not_seen(count, held, seen):
    images = image_set(noise(count), noise(held, seed=1))
    found = real_images.divide(images, 0)
    assert found.train is images.train and found.held_out is images.holdout and found.unseen
    assert found.seen.sum() == seen
    np.testing.assert_array_equal(real_images.divide(images, 0).seen, found.seen)
    if count > 2:
        assert np.any(real_images.divide(images, 1).seen != found.seen)


@pytest.mark.parametrize("channels", [1, 4])
def test_parts_are_as_people_see_them(channels):
    rng = np.random.default_rng(0)
    train, held = rng.integers(0, 256, (2, 30, 16, 20, channels), np.uint8)
    found = real_images.divide(image_set(train, held), 0)
    np.testing.assert_array_equal(found.train, over_white(train))
    np.testing.assert_array_equal(found.held_out, over_white(held))
    found = real_images.divide(image_set(train, held[:0]), 0)
    assert rows(found.train) | rows(found.held_out) == rows(over_white(train))


@pytest.mark.parametrize("count", [3, 41, 60, 95])
def test_thirds_where_none_are_held_out(count):
    images = image_set(noise(count), noise(0))
    found = real_images.divide(images, 0)
    assert not found.unseen and found.seen.sum() == count // 3
    assert abs((~found.seen).sum() - len(found.held_out)) <= (count - count // 3) % 2
    assert rows(found.train) | rows(found.held_out) == rows(images.train)
    assert len(found.train) + len(found.held_out) == count


def test_halves_are_equal_group_by_group():
    """Of groups of one to six, of which a coin for each would make unequal halves."""
    sizes = np.arange(36) % 6 + 1
    images = np.repeat(noise(36), sizes, axis=0)
    images = images[np.random.default_rng(1).permutation(len(images))]
    for seed in range(20):
        found = real_images.divide(image_set(images, noise(0)), seed)
        assert abs((~found.seen).sum() - len(found.held_out)) <= 1
        assert not rows(found.train) & rows(found.held_out)


@pytest.mark.parametrize("held", [0, 9])
def test_near_duplicates_are_in_one_part(held):
    """Of 30 images with one or two copies each, shuffled."""
    different = noise(30)
    images = np.repeat(different, np.arange(30) % 3 + 1, axis=0)
    images = images[np.random.default_rng(1).permutation(len(images))]
    assert len(np.unique(near_duplicates(images))) == 30
    for seed in range(5):
        found = real_images.divide(image_set(images, noise(held, seed=2)), seed)
        seen, others = rows(found.train[found.seen]), rows(found.train[~found.seen])
        parts = [seen, others] + ([] if held else [rows(found.held_out)])
        assert sum(map(len, parts)) == 30
        assert min(map(len, parts)) >= 3


def test_at_most_so_many_are_seen(monkeypatch):
    monkeypatch.setattr(real_images, "MOST_SEEN", 4)
    assert real_images.divide(image_set(noise(20), noise(5)), 0).seen.sum() == 4
    found = real_images.divide(image_set(noise(21), noise(0)), 0)
    assert found.seen.sum() == 4 and len(found.held_out) in (8, 9)
