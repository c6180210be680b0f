"""What is said of files that are no image of a kind that is read."""

import io
import struct
import zipfile

import numpy as np
import pytest
import tifffile
from PIL import Image

from fish_jax.data import decoding
from fish_jax.data.unreadable import name_kind

CONVERT = ", which is not supported: convert it to JPEG or PNG"
DAMAGED = "not an image, or its first bytes are damaged"


def boxes(brand, *others):
    size = 16 + 4 * len(others)
    return struct.pack(">I4s4sI", size, b"ftyp", brand, 0) + b"".join(others) + bytes(400)


def saved(kind):
    file = io.BytesIO()
    Image.new("RGB", (32, 32), (9, 8, 7)).save(file, kind)
    return file.getvalue()


def zipped():
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("a.txt", "a")
    return file.getvalue()


def array():
    file = io.BytesIO()
    np.save(file, np.zeros(3))
    return file.getvalue()


LFS = b"version https://git-lfs.github.com/spec/v1\noid sha256:" + b"0" * 64 + b"\nsize 12345\n"

KINDS = {
    "HEIC": (boxes(b"heic", b"mif1"), "HEIC" + CONVERT),
    "HEIC of another brand": (boxes(b"mif1", b"miaf", b"heix"), "HEIC" + CONVERT),
    "HEIF": (boxes(b"mif1", b"miaf"), "HEIF" + CONVERT),
    "AVIF of another brand": (boxes(b"mif1", b"avif"), "AVIF" + CONVERT),
    "film": (boxes(b"isom", b"mp42"), "film" + CONVERT),
    "JPEG 2000": (saved("JPEG2000"), "JPEG 2000" + CONVERT),
    "JPEG XL": (b"\xff\x0a" + bytes(50), "JPEG XL" + CONVERT),
    "JPEG XL in a box": (b"\0\0\0\x0cJXL \r\n\x87\n" + bytes(50), "JPEG XL" + CONVERT),
    "icon": (saved("ICO"), "Windows icon" + CONVERT),
    "PDF": (b"%PDF-1.7\n", "PDF" + CONVERT),
    "PostScript": (b"%!PS-Adobe-3.0\n", "PostScript" + CONVERT),
    "Photoshop": (b"8BPS\0\1" + bytes(20), "Photoshop document" + CONVERT),
    "pixmap": (saved("PPM"), "PNM" + CONVERT),
    "BigTIFF": (b"MM\0+\0\x08" + bytes(20), "big-endian BigTIFF" + CONVERT),
    "drawing": (b"\xef\xbb\xbf<?xml version='1.0'?>\n<svg xmlns='x'>", "SVG" + CONVERT),
    "pointer": (LFS, "a Git LFS pointer in place of the file: run git lfs pull"),
    "page": (b"\n <!DOCTYPE html><title>404", "a web page in place of the file: download it again"),
    "upper case": (b"<HTML><BODY>", "a web page in place of the file: download it again"),
    "zip": (zipped(), "a zip, not an image: unpack it"),
    "gzip": (b"\x1f\x8b\x08", "a gzip file, not an image: unpack it"),
    "array": (array(), "a NumPy array, not an image: give its path as data.path"),
    "zeros": (bytes(100), "not an image: every byte is zero"),
    "text": (b"PS: no image", DAMAGED),
    "more text": (b"P6 or not", DAMAGED),
    "short box": (b"\0\0\0\x18ftyp", "film" + CONVERT),
}


@pytest.mark.parametrize(("data", "words"), KINDS.values(), ids=KINDS)
def test_kind_is_named_with_what_to_do(data, words):
    assert name_kind(data) == words
    with pytest.raises(ValueError) as caught, decoding.quiet_pillow():
        decoding.decode(data, 32, 32, "stretch", "nearest")
    assert str(caught.value) == words


def test_avif_is_named_where_pillow_can_write_it():
    try:
        data = saved("AVIF")
    except (KeyError, OSError):
        pytest.skip("this Pillow writes no AVIF")
    assert name_kind(data) == "AVIF" + CONVERT


def test_kind_of_a_tiff_is_named():
    file = io.BytesIO()
    tifffile.imwrite(file, np.zeros((32, 32, 3), np.float32), photometric="rgb")
    assert name_kind(file.getvalue()) == (
        "a TIFF of an unsupported kind (32-bit floating-point RGB): convert it to 8-bit RGB"
    )


def test_size_of_a_box_is_not_believed():
    data = struct.pack(">I4s4s", 2**32 - 1, b"ftyp", b"isom") + b"none" * 1000
    assert name_kind(data) == "film" + CONVERT
