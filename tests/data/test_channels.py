"""Grey, RGB and RGBA of every source."""

import io
import zipfile

import numpy as np
import pytest
from helpers.pngs import png
from PIL import Image

from fish_jax.data import decoding
from fish_jax.data.frames import Frame
from fish_jax.data.images import report
from fish_jax.data.near_duplicates import near_duplicates
from fish_jax.errors import UserError

SIDE = 16
CLEAR = (255, 255, 255, 0)


def encode(image, kind="PNG", **options):
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def decode(data, channels, fit="stretch", height=SIDE, width=SIDE, resample="lanczos"):
    return decoding.decode(data, height, width, fit, resample, channels)


def noise(*shape, seed=0):
    return np.random.default_rng(seed).integers(0, 256, shape, np.uint8)


def of_alpha():
    """RGBA of every alpha, in each row wholly transparent and wholly opaque pixels too."""
    image = noise(SIDE, SIDE, 4)
    image[:, 0, 3], image[:, 1, 3] = 0, 255
    return image


@pytest.mark.parametrize("kind", ["PNG", "TIFF", "WEBP"])
def test_alpha_is_straight_and_what_is_clear_is_white(kind):
    image = of_alpha()
    options = {"lossless": True, "exact": True} if kind == "WEBP" else {}
    found = decode(encode(Image.fromarray(image), kind, **options), 4).pixels
    is_clear = image[..., 3:] == 0
    np.testing.assert_array_equal(found, np.where(is_clear, np.array(CLEAR, np.uint8), image))


def test_other_channels_are_over_white():
    image = of_alpha()
    data = encode(Image.fromarray(image))
    rgb, grey = decode(data, 3).pixels, decode(data, 1).pixels
    alpha = image[..., 3:] / 255
    over = image[..., :3] * alpha + 255 * (1 - alpha)
    assert np.abs(rgb - over).max() <= 1
    assert grey.shape == (SIDE, SIDE, 1)
    luma = rgb @ np.array([[0.299], [0.587], [0.114]])
    assert np.abs(grey - luma).max() <= 0.51


@pytest.mark.parametrize("channels", [1, 3, 4])
def test_greys_keep_their_numbers(channels):
    greys = np.arange(SIDE * SIDE, dtype=np.uint8).reshape(SIDE, SIDE, 1)
    found = decode(encode(Image.fromarray(greys[..., 0])), channels).pixels
    assert found.shape == (SIDE, SIDE, channels)
    assert (found[..., :3] == greys).all() and (found[..., 3:] == 255).all()


def test_deep_greys_with_alpha():
    """A PNG of 16 bits, grey and alpha, as docs/images.md has it over white."""
    deep = np.broadcast_to(np.array([25700, 13107]), (SIDE, SIDE, 2))
    data = png(deep, 4, 16)
    assert (decode(data, 4).pixels == (100, 100, 100, 51)).all()
    assert (decode(data, 1).pixels == 224).all()


@pytest.mark.parametrize("resample", decoding.RESAMPLES)
def test_hidden_colours_do_not_bleed(resample):
    """Opaque red beside green that is wholly transparent."""
    image = np.zeros((4 * SIDE, 4 * SIDE, 4), np.uint8)
    image[:, : 2 * SIDE + 2], image[:, 2 * SIDE + 2 :] = (200, 0, 0, 255), (0, 255, 0, 0)
    found = decode(encode(Image.fromarray(image)), 4, resample=resample).pixels
    seen = found[..., 3] > 0
    assert (found[seen][:, 1:3] <= 1).all() and (found[~seen] == CLEAR).all()
    assert (found[:, : SIDE // 2 - 2] == (200, 0, 0, 255)).all() and not seen[:, -4:].any()


@pytest.mark.parametrize(("channels", "around"), [(1, (255,)), (3, (255,) * 3), (4, CLEAR)])
def test_what_is_padded_is_white_or_clear(channels, around):
    data = encode(Image.new("RGB", (40, 20)))
    found = decode(data, channels, "pad", 20, 20).pixels
    assert (found[:5] == around).all() and (found[15:] == around).all()
    assert not found[6:14, :, :3].any()


def test_notes_of_clear_pictures():
    data = encode(Image.new("RGBA", (SIDE, SIDE)))
    assert decode(data, 3).notes == ("wholly transparent, read as white",)
    clear = decode(data, 4)
    assert clear.notes == ("wholly transparent",) and (clear.pixels == CLEAR).all()


@pytest.mark.parametrize("channels", [1, 3, 4])
def test_every_source_gives_the_channels(folder, load, tmp_path, channels):
    image = of_alpha()
    data = encode(Image.fromarray(image))
    (folder / "a.png").write_bytes(data)
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as file:
        file.writestr("a.png", data)
    np.save(tmp_path / "a.npy", image[None])
    right = decode(data, channels).pixels
    for place in (folder, tmp_path / "a.zip", tmp_path / "a.npy"):
        for _ in range(2):  # decoded, and from the cache
            loaded = load(place, SIDE, SIDE, channels=channels)
            np.testing.assert_array_equal(loaded.train, right[None])
    kinds = {1: "), grey", 3: ")", 4: "), with alpha"}
    assert report(loaded).splitlines()[1].endswith(f"(height x width{kinds[channels]}")
    assert len(list((tmp_path / "cache").glob("*.npy"))) == 3


def test_the_channels_are_part_of_the_cache(folder, load):
    (folder / "a.png").write_bytes(encode(Image.fromarray(of_alpha())))
    shapes = [load(folder, channels=channels).train.shape[3] for channels in (3, 1, 4, 3)]
    assert shapes == [3, 1, 4, 3]


@pytest.mark.parametrize("stored", [(), (1,), (3,), (4,)])
@pytest.mark.parametrize("channels", [1, 3, 4])
@pytest.mark.parametrize("height", [20, 24])
def test_arrays_of_any_channels(load, tmp_path, stored, channels, height):
    array = noise(3, 20, 30, *stored)
    np.save(tmp_path / "a.npy", array)
    found = load(tmp_path / "a.npy", height, channels=channels).train
    form = (height, 30, "stretch", "lanczos", channels)
    greys = array[..., 0] if stored == (1,) else array
    right = [decoding.convert(Frame(Image.fromarray(each)), *form).pixels for each in greys]
    np.testing.assert_array_equal(found, right)
    if stored == (channels,) and channels < 4 and height == 20:
        np.testing.assert_array_equal(found, array)


def test_drawn_fish_in_grey_and_with_alpha(load):
    rgb = load("", count=2).train
    assert (load("", count=2, channels=4).train[..., :3] == rgb).all()
    assert (load("", count=2, channels=4).train[..., 3] == 255).all()
    luma = rgb @ np.array([0.299, 0.587, 0.114])
    assert np.abs(load("", count=2, channels=1).train[..., 0] - luma).max() <= 0.51


@pytest.mark.parametrize("channels", [0, 2, 5, True, 3.0, "3", None])
def test_other_channels_are_refused(load, channels):
    with pytest.raises(UserError, match=r"channels must be 1 \(grey\), 3 \(RGB\) or 4 \(RGB and"):
        load("", count=1, channels=channels)


@pytest.mark.parametrize("channels", [1, 4])
def test_near_duplicates_are_of_what_is_seen(channels):
    images = noise(5, 28, 64, channels)
    images[3], images[4] = images[1], images[2, :, ::-1]
    if channels == 4:
        images[..., 3], images[2:, :, :, 3] = 255, images[2:, :, :, 3] | 252
        images[0, ..., 3] = 0
    assert near_duplicates(images).tolist() == [0, 1, 2, 1, 2]
