"""Sizes of images that are not decoded, single images, and images in arrays."""

import io
import zipfile

import numpy as np
import pytest
from PIL import Image, UnidentifiedImageError

from fish_jax.data import decoding
from fish_jax.data.images import find_sizes, load_image
from fish_jax.errors import UserError


def noise(height=20, width=30, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)


def encode(image, kind, **options):
    file = io.BytesIO()
    Image.fromarray(image).save(file, kind, **options)
    return file.getvalue()


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "TIFF", "WEBP", "GIF", "BMP"])
def test_the_size_is_that_of_the_file(kind):
    assert decoding.size_of(encode(noise(), kind)) == (20, 30)


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "TIFF", "WEBP"])
def test_the_size_is_that_of_the_upright_image(kind, orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    expected = (30, 20) if orientation > 4 else (20, 30)
    assert decoding.size_of(encode(noise(), kind, exif=exif)) == expected


def test_what_cannot_be_read_has_no_size():
    with pytest.raises(ValueError, match="too small: 8 x 20 pixels"):
        decoding.size_of(encode(noise(20, 8), "PNG"))
    with pytest.raises(UnidentifiedImageError):
        decoding.size_of(b"no image")


def put(folder, *sizes):
    folder.mkdir(exist_ok=True)
    for index, size in enumerate(sizes):
        Image.fromarray(noise(*size)).save(folder / f"{index}.png")
    return str(folder)


def test_sizes_of_a_folder_are_one_or_the_first_two(tmp_path):
    same = put(tmp_path / "same", (20, 30), (20, 30))
    (tmp_path / "same" / "broken.png").write_bytes(b"no image")
    (tmp_path / "same" / "empty.png").write_bytes(b"")
    assert find_sizes(same) == [(20, 30)]
    different = put(tmp_path / "different", (20, 30), (20, 30), (40, 17), (50, 50))
    assert find_sizes(different) == [(20, 30), (40, 17)]
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        for name in ("0.png", "2.png"):
            archive.write(tmp_path / "different" / name, name)
    assert find_sizes(str(tmp_path / "a.zip")) == [(20, 30), (40, 17)]
    assert find_sizes(put(tmp_path / "none")) == []


def test_the_size_of_an_array(tmp_path):
    path = tmp_path / "a.npy"
    np.save(path, np.zeros((3, 20, 30, 3), np.uint8))
    assert find_sizes(str(path)) == [(20, 30)]
    for wrong in (np.zeros((3, 20, 30, 3)), np.zeros(3, np.uint8)):
        np.save(path, wrong)
        assert find_sizes(str(path)) == []
    path.write_bytes(b"no array")
    assert find_sizes(str(path)) == []
    with pytest.raises(UserError, match=r"missing does not exist; give a folder"):
        find_sizes(str(tmp_path / "missing"))


def test_one_image_is_read_as_many_are(tmp_path, load):
    folder = put(tmp_path / "photos", (40, 50))
    many = load(folder, fit="crop", resample="bicubic").train[0]
    one = load_image(f"{folder}/0.png", 20, 30, fit="crop", resample="bicubic")
    np.testing.assert_array_equal(one, many)


def test_one_image_that_cannot_be_read(tmp_path):
    (tmp_path / "a.png").write_bytes(b"")
    for name, reason in (
        ("a.png", "empty file"),
        ("b.png", "no such file or directory"),
        (".", "not a regular file"),
    ):
        message = f"{tmp_path}/{name} cannot be used as an image: {reason}"
        with pytest.raises(UserError, match=message):
            load_image(f"{tmp_path}/{name}", 20, 30)


def test_sizes_of_images_given_from_python():
    grey, image = noise(20, 30)[..., 0], Image.fromarray(noise(20, 30))
    assert find_sizes(np.stack([noise(20, 30)] * 3)) == [(20, 30)]
    assert find_sizes([grey, image, noise(20, 30)]) == [(20, 30)]
    assert find_sizes([image, noise(40, 30), noise(50, 60)]) == [(20, 30), (40, 30)]
    assert find_sizes([]) == [] and find_sizes([3]) == []
    with pytest.raises(UserError, match="images has the type int; pass a sequence"):
        find_sizes(3)
