"""Near-duplicates are found, and stay on one side of the split."""

import numpy as np
from PIL import Image, ImageEnhance

from fish_jax.data import images
from fish_jax.data.near_duplicates import near_duplicates
from fish_jax.data.synthetic import drawing


def draw(count, seed=0):
    return drawing.draw_school(count, 56, 128, seed)


def retouched(image):
    """Brighter, cut off a little, compressed as a photograph is."""
    picture = Image.fromarray(image)
    picture = ImageEnhance.Brightness(picture).enhance(1.15).crop((1, 1, 126, 55))
    return np.asarray(picture.resize((128, 56)))


def test_versions_of_one_image_are_a_group():
    fish = draw(12)
    copies = np.stack([fish[3], retouched(fish[5]), fish[7, :, ::-1], retouched(fish[5])])
    groups = near_duplicates(np.concatenate([fish, copies]))
    assert groups.tolist() == [*range(12), 3, 5, 7, 5]


def test_a_chain_is_one_group(monkeypatch):
    """In blocks of two, of which none holds the whole chain."""
    monkeypatch.setattr("fish_jax.data.near_duplicates._BLOCK", 2)
    rng = np.random.default_rng(0)
    start, end = rng.integers(0, 256, (2, 14, 32, 3)).astype(np.float32)
    steps = [np.uint8(start + share * (end - start)) for share in np.linspace(0, 1, 20)]
    order = rng.permutation(20)
    assert (near_duplicates(np.stack(steps)[order]) == 0).all()
    assert near_duplicates(np.stack([steps[0], steps[-1]])).tolist() == [0, 1]


def test_images_of_one_colour_are_alike_if_it_is_the_same():
    colours = np.array([[90, 90, 90], [91, 90, 90], [90, 90, 90], [0, 0, 0], [91, 90, 90]])
    images = np.broadcast_to(colours.astype(np.uint8)[:, None, None], (5, 5, 7, 3))
    assert near_duplicates(images).tolist() == [0, 1, 0, 3, 1]


def test_one_image_many_times_is_on_one_side(tmp_path, load):
    flat = np.repeat(np.arange(10, dtype=np.uint8), 20)
    images = np.broadcast_to(flat[:, None, None, None], (200, 20, 30, 3))
    np.save(tmp_path / "flat.npy", images)
    loaded = load(tmp_path / "flat.npy", holdout=0.4)
    sides = [set(side[:, 0, 0, 0].tolist()) for side in loaded[:2]]
    assert sides[0] | sides[1] == set(range(10)) and not sides[0] & sides[1] and sides[1]


def test_near_duplicates_stay_on_one_side(tmp_path, load):
    fish = draw(30)
    pairs = np.concatenate([fish, [retouched(each) for each in fish]])
    np.save(tmp_path / "pairs.npy", pairs)
    loaded = load(tmp_path / "pairs.npy", 56, 128, holdout=0.4)
    sides = [{int(name) % 30 for name in names} for names in loaded[2:4]]
    assert sides[0] | sides[1] == set(range(30)) and not sides[0] & sides[1]
    assert len(loaded.holdout) == 2 * len(sides[1]) > 4
    alone = [images._is_held_out(f"{index:06d}", 0.4, 0) for index in range(30)]
    assert sides[1] == set(np.flatnonzero(alone))
