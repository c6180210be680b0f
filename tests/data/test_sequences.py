"""Images that are given from Python: arrays, lists, and anything with a length and items."""

import threading
import time

import numpy as np
import pytest
from helpers.tiny import tiny_config
from PIL import Image

from fish_jax.data import decoding
from fish_jax.data.dataset import GIVEN, load_data, mark_given
from fish_jax.data.images import load_images, report
from fish_jax.errors import UserError

HEIGHT, WIDTH = 20, 30


def noise(*shape, seed=0):
    return np.random.default_rng(seed).integers(0, 256, shape, np.uint8)


def pil(seed, height=HEIGHT, width=WIDTH):
    return Image.fromarray(noise(height, width, 3, seed=seed))


class Column:
    """A column of a table, as of the library `datasets`: it reads a row when it is asked for it."""

    def __init__(self, items):
        self._items, self.asked, self._reading = items, [], threading.Lock()

    def __len__(self):
        return len(self._items)

    def __getitem__(self, index):
        assert type(index) is int and 0 <= index < len(self._items)
        assert self._reading.acquire(blocking=False), "two threads read at once"
        time.sleep(0.001)
        self.asked.append(index)
        item = self._items[index]
        self._reading.release()
        if isinstance(item, Exception):
            raise item
        return item

    def __iter__(self):
        raise AssertionError("only items are asked for")


@pytest.fixture
def read(tmp_path):
    return lambda images, **options: load_images(
        images, HEIGHT, WIDTH, cache_dir=str(tmp_path / "cache"), **options
    )


def test_an_array_of_the_right_form_is_used_as_it_is(read, tmp_path):
    array = noise(5, HEIGHT, WIDTH, 3)
    loaded = read(array)
    assert np.shares_memory(loaded.train, array)
    assert loaded.train_names == ("000000", "000001", "000002", "000003", "000004")
    assert loaded.source == "5 images given from Python" and not (tmp_path / "cache").exists()


@pytest.mark.parametrize("channels", [1, 3, 4])
@pytest.mark.parametrize("shape", [(9, 9), (9, 9, 1), (9, 12, 3), (9, 9, 4), (HEIGHT, WIDTH, 4)])
def test_arrays_are_brought_to_the_form(read, tmp_path, shape, channels):
    """As a file of them is."""
    array = noise(4, *shape)
    np.save(tmp_path / "a.npy", array)
    right = read(str(tmp_path / "a.npy"), channels=channels).train
    for images in (array, list(array), Column(array)):
        np.testing.assert_array_equal(read(images, channels=channels).train, right)


def test_a_column_is_read_item_by_item(read):
    column = Column([pil(seed) for seed in range(30)])
    loaded = read(column)
    np.testing.assert_array_equal(loaded.train, [np.asarray(pil(seed)) for seed in range(30)])
    assert sorted(column.asked) == list(range(30))


def test_pil_images_are_shown_as_files_are(read, tmp_path):
    """Of any mode, size and orientation; also those that Pillow has not loaded yet."""
    turned = Image.Exif()
    turned[0x0112] = 6
    clear = Image.fromarray(noise(40, 50, 4))
    deep = Image.fromarray(noise(40, 50).astype(np.uint16) * 200)
    for name, image, options in (
        ("a.png", clear, {}),
        ("b.png", pil(1, 30, 40), {"exif": turned}),
        ("c.tif", deep, {}),
        ("d.png", Image.fromarray(noise(40, 50) & 1).convert("P"), {}),
    ):
        image.save(tmp_path / name, **options)
        data = (tmp_path / name).read_bytes()
        for channels in (1, 3, 4):
            right = decoding.decode(data, HEIGHT, WIDTH, "crop", "bicubic", channels).pixels
            opened = [Image.open(tmp_path / name)]
            found = read(opened, channels=channels, fit="crop", resample="bicubic").train
            np.testing.assert_array_equal(found, [right], name)


def test_what_is_no_image_is_skipped_and_named(read):
    floats = noise(20, 30, 3) / 255
    items = [pil(0), OSError("image file is truncated"), pil(1), floats, {"image": pil(2)}]
    loaded = read(Column(items))
    assert loaded.train_names == ("000000", "000002")
    reasons = dict(loaded.skipped)
    assert reasons["000001"] == "image file is truncated"
    assert reasons["000003"].startswith("float64 [20, 30, 3], not a PIL image or a uint8 array [H,")
    assert (
        reasons["000004"] == "a row with the fields image, not an image: pass only its image column"
    )
    assert "3 files skipped" in report(loaded)


def test_notes_are_those_of_files(read):
    loaded = read([Image.new("RGB", (20, 20)), pil(0), Image.new("RGBA", (20, 20))])
    assert dict(loaded.notes) == {
        "000000": "of one colour",
        "000002": "wholly transparent, read as white",
    }


@pytest.mark.parametrize(
    ("images", "message"),
    [
        (np.zeros((2, 9, 9, 3), np.float32), r"first: float32 \[9, 9, 3\], not a PIL image"),
        (np.zeros((2, 3, 9, 9), np.uint8), r"first: uint8 \[3, 9, 9\], not"),
        (
            np.zeros((9, 9, 3), np.uint8),
            r"none of the 9 images can be used: the first: uint8 \[9, 3\], not",
        ),
        (np.zeros((9, 9), np.uint8), r"first: uint8 \[9\], not"),
        (np.zeros((2, 0, 9, 3), np.uint8), r"first: uint8 \[0, 9, 3\], not"),
        (np.zeros((0, HEIGHT, WIDTH, 3), np.uint8), "images is empty; pass at least one"),
        ([], "images is empty; pass at least one"),
        (
            [{"image": 1, "label": 2}],
            "the image cannot be used: a row with the fields image, label, not",
        ),
        (
            {"train": []},
            "images has the type dict; pass a sequence, with a length and",
        ),
        ((image for image in ()), "images has the type generator"),
        (7, "images has the type int"),
        (np.zeros((), np.uint8), "images has the type ndarray"),
    ],
)
def test_what_cannot_be_read_is_explained(read, images, message):
    with pytest.raises(UserError, match=message):
        read(images)


def test_names_pick_none_of_them(read):
    with pytest.raises(UserError, match="selects files of a folder or a zip; clear it"):
        read([pil(0)], include="0*")


def test_images_are_held_out_as_those_of_a_file_are(read, tmp_path):
    array = noise(40, HEIGHT, WIDTH, 3)
    np.save(tmp_path / "a.npy", array)
    given, stored = (read(each, holdout=0.3) for each in (list(array), str(tmp_path / "a.npy")))
    assert given.holdout_names == stored.holdout_names and 4 < len(given.holdout) < 20
    np.testing.assert_array_equal(given.train, stored.train)


def test_a_place_is_a_path_too(tmp_path):
    np.save(tmp_path / "a.npy", noise(2, HEIGHT, WIDTH, 3))
    assert len(load_images(tmp_path / "a.npy", HEIGHT, WIDTH, cache_dir=str(tmp_path)).train) == 2


# Of a config.


def test_images_take_the_place_of_the_path():
    config = tiny_config("ralsgan")
    loaded = load_data(config, images=noise(9, 20, 40, 3))
    assert len(loaded.train) == 9
    assert load_data(config, images=loaded) is loaded
    config.data.channels = 4
    assert load_data(config, images=noise(9, 9, 9)).train.shape == (9, 20, 40, 4)
    message = r"channels \(20, 40, 3\), but the config has \(20, 40, 4\)"
    with pytest.raises(UserError, match=message):
        load_data(config, images=loaded)
    with pytest.raises(UserError, match="3 images given from Python gives 3 .* than one batch"):
        load_data(config, images=noise(3, 9, 9))


def test_a_config_remembers_that_images_were_given():
    config = tiny_config("ralsgan")
    mark_given(config, noise(1, 9, 9))
    mark_given(config, noise(1, 9, 9))
    assert config.data.path == GIVEN
    with pytest.raises(UserError, match="images of this config were given from Python; give them"):
        load_data(config)
    config.data.path = "photos/"
    with pytest.raises(UserError, match="data.path is 'photos/', but images are given too"):
        mark_given(config, noise(1, 9, 9))
    with pytest.raises(UserError, match="images is the path 'photos/'; set data.path to it"):
        mark_given(config, "photos/")
