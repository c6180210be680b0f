"""Reading images: every kind of file, every fit, what goes wrong, and the cache."""

import io
import os
import pathlib
import random
import struct
import subprocess
import sys
import time
import types
import warnings
import zipfile
import zlib

import numpy as np
import psutil
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from fish_jax.data import array_file, cache, decoding, image_files, images, rgb
from fish_jax.data.frames import Frame
from fish_jax.data.synthetic import drawing
from fish_jax.errors import UserError

HEIGHT, WIDTH = 20, 30
RED, BLUE, WHITE = (200, 40, 30), (20, 60, 180), (255, 255, 255)


@pytest.fixture(autouse=True)
def every_warning_is_an_error():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        yield


def noise(seed, height=HEIGHT, width=WIDTH):
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)


def plain(colour, mode="RGB", size=(WIDTH, HEIGHT)):
    return Image.new(mode, size, colour)


def save_noise(path, seed, height=HEIGHT, width=WIDTH):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(noise(seed, height, width)).save(path)


def encode(image, kind, **options):
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def decode(image, kind="PNG", fit="stretch", height=HEIGHT, width=WIDTH, **options):
    data = encode(image, kind, **options)
    return decoding.decode(data, height, width, fit, "lanczos").pixels


def png_of_16_bit_rgb(values):
    """A PNG file, which Pillow can read but not write."""

    def chunk(kind, data):
        checksum = zlib.crc32(kind + data)
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", checksum)

    height, width, _ = values.shape
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in values)
    header = struct.pack(">IIBBBBB", width, height, 16, 2, 0, 0, 0)
    parts = chunk(b"IHDR", header), chunk(b"IDAT", zlib.compress(rows)), chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


def assert_is_plain(pixels, colour, tolerance=0):
    difference = np.abs(pixels.astype(int) - np.array(colour))
    assert pixels.shape == (HEIGHT, WIDTH, 3) and pixels.dtype == np.uint8
    assert difference.max() <= tolerance


# Formats and modes.


@pytest.mark.parametrize("kind", ["PNG", "BMP", "TIFF"])
def test_lossless_formats_keep_every_pixel(kind):
    np.testing.assert_array_equal(decode(Image.fromarray(noise(1)), kind), noise(1))


def test_webp_without_loss_keeps_every_pixel():
    pixels = decode(Image.fromarray(noise(1)), "WEBP", lossless=True)
    np.testing.assert_array_equal(pixels, noise(1))


def test_jpeg_keeps_colours_roughly():
    assert_is_plain(decode(plain(RED), "JPEG", quality=95), RED, tolerance=4)


def test_first_frame_of_an_animated_gif_is_taken():
    frames = [plain(BLUE)]
    assert_is_plain(decode(plain(RED), "GIF", save_all=True, append_images=frames), RED)


def test_content_counts_not_the_extension(folder, load):
    (folder / "really_a_png.jpg").write_bytes(encode(plain(BLUE), "PNG"))
    assert_is_plain(load(folder).train[0], BLUE)


@pytest.mark.parametrize(
    ("image", "colour"),
    [
        (plain(90, "L"), (90, 90, 90)),
        (plain(1, "1"), WHITE),
        (plain(0, "1"), (0, 0, 0)),
        (plain((*RED, 255), "RGBA"), RED),
        (plain((*RED, 0), "RGBA"), WHITE),
        (plain((0, 100, 200, 51), "RGBA"), (204, 224, 244)),
        (plain((100, 51), "LA"), (224, 224, 224)),
        (plain(RED).quantize(4), RED),
    ],
    ids=["grey", "white bit", "black bit", "opaque", "clear", "fifth", "grey fifth", "palette"],
)
def test_modes_of_a_png_become_rgb_over_white(image, colour):
    assert_is_plain(decode(image), colour)


def test_transparent_colour_of_a_palette_becomes_white():
    image = Image.new("P", (WIDTH, HEIGHT), 0)
    image.putpalette([*RED, *BLUE])
    image.paste(1, (0, 0, WIDTH // 2, HEIGHT))
    for kind in ("PNG", "GIF"):
        pixels = decode(image, kind, transparency=0)
        assert (pixels[:, : WIDTH // 2] == BLUE).all() and (pixels[:, WIDTH // 2 :] == 255).all()


def test_palette_with_alpha_becomes_rgb_over_white():
    image = plain((0, 100, 200, 51), "RGBA").convert("PA")
    pixels = np.asarray(rgb.to_rgb(Frame(image)).image).astype(int)
    assert np.abs(pixels - (204, 224, 244)).max() <= 6  # The palette has few colours.


def test_transparent_colour_of_an_rgb_png_becomes_white():
    assert_is_plain(decode(plain(RED), transparency=RED), WHITE)


def test_cmyk_has_about_the_right_colour():
    assert_is_plain(decode(plain((0, 255, 255, 0), "CMYK"), "JPEG"), (255, 0, 0), tolerance=8)
    assert_is_plain(decode(plain((255, 255, 0, 127), "CMYK"), "TIFF"), (0, 0, 128), tolerance=2)


@pytest.mark.parametrize("kind", ["PNG", "TIFF"])
@pytest.mark.parametrize(("deep", "grey"), [(0, 0), (200, 1), (32768, 128), (65535, 255)])
def test_16_bit_greys_are_scaled_not_clipped(kind, deep, grey):
    image = Image.fromarray(np.full((HEIGHT, WIDTH), deep, np.uint16))
    assert_is_plain(decode(image, kind), (grey,) * 3)


def test_16_bit_greys_of_the_other_byte_order_are_scaled():
    image = Image.frombytes("I;16B", (WIDTH, HEIGHT), b"\x80\x00" * (WIDTH * HEIGHT))
    assert_is_plain(decode(image, "TIFF"), (128, 128, 128))


def test_16_bit_colours_are_scaled():
    deep = np.broadcast_to(np.array([0x8080, 0x0101, 0xFFFF]), (HEIGHT, WIDTH, 3))
    pixels = decoding.decode(png_of_16_bit_rgb(deep), HEIGHT, WIDTH, "stretch", "lanczos").pixels
    assert_is_plain(pixels, (128, 1, 255))


@pytest.mark.parametrize(
    ("low", "high", "dtype", "expected"),
    [
        (0.5, 1.0, np.float32, 128),
        (100.0, 255.0, np.float32, 100),
        (1000.0, 4000.0, np.float32, 4),
        (50_000.0, 100_000.0, np.float32, 128),
        (-7.0, 1.0, np.float32, 0),
        (np.nan, 1.0, np.float32, 0),
        (60, 200, np.int32, 60),
        (32768, 65535, np.int32, 128),
        (1 << 20, 1 << 21, np.int32, 128),
    ],
)
def test_32_bit_greys_are_scaled_by_the_range_they_fit_in(low, high, dtype, expected):
    values = np.full((HEIGHT, WIDTH), low, dtype)
    values[0] = high
    pixels = decode(Image.fromarray(values), "TIFF")
    assert (pixels[1:] == expected).all()


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "TIFF", "WEBP"])
def test_exif_orientation_6_is_turned_clockwise(kind):
    image = plain(RED, size=(HEIGHT, WIDTH))
    image.paste(BLUE, (0, 0, HEIGHT, WIDTH // 2))  # The upper half.
    lying = image.transpose(Image.Transpose.ROTATE_90)
    exif = Image.Exif()
    exif[0x0112] = 6
    options = {} if kind in ("PNG", "TIFF") else {"quality": 95}
    pixels = decode(lying, kind, height=WIDTH, width=HEIGHT, exif=exif, **options).astype(int)
    assert np.abs(pixels[: WIDTH // 2 - 2] - BLUE).max() < 8
    assert np.abs(pixels[WIDTH // 2 + 2 :] - RED).max() < 8


@pytest.mark.parametrize("orientation", range(1, 9))
def test_every_exif_orientation_is_turned_upright(orientation):
    stored = {
        1: lambda pixels: pixels,
        2: lambda pixels: pixels[:, ::-1],
        3: lambda pixels: pixels[::-1, ::-1],
        4: lambda pixels: pixels[::-1],
        5: lambda pixels: pixels.transpose(1, 0, 2),
        6: lambda pixels: np.rot90(pixels),
        7: lambda pixels: np.rot90(pixels, 2).transpose(1, 0, 2),
        8: lambda pixels: np.rot90(pixels, -1),
    }[orientation](noise(3))
    exif = Image.Exif()
    exif[0x0112] = orientation
    pixels = decode(Image.fromarray(np.ascontiguousarray(stored)), "PNG", exif=exif)
    np.testing.assert_array_equal(pixels, noise(3))


@pytest.mark.parametrize("extension", ["jpg", "png", "webp"])
@pytest.mark.parametrize("exif", [b"MM\0*\0\0\0\x08\xff\xff broken", b"broken"])
def test_damaged_exif_does_not_matter(folder, load, exif, extension):
    plain(RED).save(folder / f"a.{extension}", exif=b"Exif\0\0" + exif)
    assert_is_plain(load(folder).train[0], RED, tolerance=8)


# Fits.


def stripes():
    """Red, white and blue from left to right, each a square of 40 pixels."""
    image = Image.new("RGB", (120, 40), "white")
    image.paste(RED, (0, 0, 40, 40))
    image.paste(BLUE, (80, 0, 120, 40))
    return image


def test_stretch_keeps_all_of_the_image():
    pixels = decode(stripes(), fit="stretch", height=30, width=30)
    assert (pixels[:, :6] == RED).all()
    assert (pixels[:, 14:16] == 255).all()
    assert (pixels[:, 24:] == BLUE).all()


def test_crop_keeps_the_centre():
    image = stripes()
    image.paste((0, 255, 0), (40, 0, 80, 40))
    assert (decode(image, fit="crop", height=40, width=40) == (0, 255, 0)).all()
    tall = image.transpose(Image.Transpose.ROTATE_90)
    assert (decode(tall, fit="crop", height=40, width=40) == (0, 255, 0)).all()
    wider = decode(image, fit="crop", height=40, width=80)
    assert (wider[:, :20] == RED).all() and (wider[:, 60:] == BLUE).all()


def test_pad_keeps_all_of_the_image_between_white_bars():
    image = plain(RED, size=(60, 20))
    pixels = decode(image, fit="pad", height=30, width=30)
    assert (pixels[10:20] == RED).all()
    assert (pixels[:10] == 255).all() and (pixels[20:] == 255).all()
    pixels = decode(image, fit="pad", height=20, width=80)
    assert (pixels[:, 10:70] == RED).all()
    assert (pixels[:, :10] == 255).all() and (pixels[:, 70:] == 255).all()


@pytest.mark.parametrize("resample", ["bilinear", "bicubic", "lanczos"])
def test_all_filters_but_nearest_average_when_they_shrink(resample):
    chessboard = np.indices((240, 240)).sum(0) % 2 * 255
    image = Image.fromarray(chessboard.astype(np.uint8)).convert("RGB")
    smooth = np.asarray(decoding.fit_image(image, 20, 20, "stretch", resample))
    rough = np.asarray(decoding.fit_image(image, 20, 20, "stretch", "nearest"))
    assert np.abs(smooth[2:-2, 2:-2].astype(int) - 127).max() <= 3
    assert set(np.unique(rough)) <= {0, 255}


@settings(max_examples=60, deadline=None)
@given(
    size=st.tuples(st.integers(16, 90), st.integers(16, 90)),
    target=st.tuples(st.integers(1, 60), st.integers(1, 60)),
    mode=st.sampled_from(["1", "L", "LA", "P", "RGB", "RGBA", "I;16", "CMYK"]),
    fit=st.sampled_from(decoding.FITS),
    resample=st.sampled_from(list(decoding.RESAMPLES)),
    level=st.integers(0, 255),
)
def test_any_image_gives_the_size_asked_for_and_plain_ones_stay_plain(
    size, target, mode, fit, resample, level
):
    image = Image.new(mode, size, (level,) * 4 if mode in ("RGBA", "CMYK") else level)
    height, width = target
    kind = "TIFF" if mode == "CMYK" else "PNG"
    pixels = decoding.decode(encode(image, kind), height, width, fit, resample).pixels
    assert pixels.shape == (height, width, 3) and pixels.dtype == np.uint8
    if fit != "pad":
        assert (pixels == pixels[0, 0]).all()


# Folders, zips and arrays.


def test_folder_is_read_recursively_in_the_order_of_the_names(folder, load):
    names = ["b.png", "a/z.png", "a/deep/x.PNG", "c.tiff"]
    for seed, name in enumerate(names):
        save_noise(folder / name, seed)
    loaded = load(folder)
    assert loaded.train_names == ("a/deep/x.PNG", "a/z.png", "b.png", "c.tiff")
    for name, pixels in zip(loaded.train_names, loaded.train):
        np.testing.assert_array_equal(pixels, noise(names.index(name)))
    assert loaded.holdout.shape == (0, HEIGHT, WIDTH, 3) and loaded.holdout_names == ()
    assert loaded.skipped == () and "4 image files" in loaded.source


def test_order_does_not_depend_on_which_thread_is_first(folder, load, monkeypatch):
    for seed in range(20):
        save_noise(folder / f"{seed:02d}.png", seed)
    decode_at_once = decoding.decode

    def decode_later(*arguments):
        time.sleep(random.random() / 50)
        return decode_at_once(*arguments)

    monkeypatch.setattr(os, "cpu_count", lambda: 8)
    monkeypatch.setattr(decoding, "decode", decode_later)
    expected = np.stack([noise(seed) for seed in range(20)])
    np.testing.assert_array_equal(load(folder).train, expected)


def test_folder_zip_and_array_give_the_same(folder, tmp_path, load):
    with zipfile.ZipFile(tmp_path / "photos.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        for seed, name in enumerate(["a.png", "sub/b.png", "sub/c.png"]):
            save_noise(folder / name, seed, 40, 50)
            archive.write(folder / name, name)
        archive.mkdir("empty.png")
        archive.writestr("__MACOSX/a.png", b"resource fork")
        archive.writestr("readme.txt", b"text")
    np.save(tmp_path / "photos.npy", np.stack([noise(seed, 40, 50) for seed in range(3)]))
    for fit in decoding.FITS:
        from_folder = load(folder, fit=fit)
        from_zip = load(tmp_path / "photos.zip", fit=fit)
        from_array = load(tmp_path / "photos.npy", fit=fit)
        np.testing.assert_array_equal(from_folder.train, from_zip.train)
        np.testing.assert_array_equal(from_folder.train, from_array.train)
        assert from_folder.train_names == from_zip.train_names
        assert from_zip.skipped == () and "1 other file ignored" in from_zip.source
    assert not (tmp_path / "a.png").exists()


def test_array_of_the_right_size_is_copied_and_mapped(tmp_path, load):
    array = np.stack([noise(0), noise(1)])
    np.save(tmp_path / "a.npy", array)
    loaded = load(tmp_path / "a.npy")
    assert loaded.train_names == ("000000", "000001")
    assert isinstance(loaded.train, np.memmap)
    with open(tmp_path / "a.npy", "r+b") as file:
        file.truncate(200)  # a page of a mapped file that is gone ends the process
    np.testing.assert_array_equal(loaded.train, array)
    np.save(tmp_path / "a.npy", array[::-1])
    np.testing.assert_array_equal(loaded.train, array)
    np.testing.assert_array_equal(load(tmp_path / "a.npy").train, array[::-1])


def test_array_without_a_cache_is_in_memory(tmp_path, load, capsys):
    array = np.stack([noise(0), noise(1)])
    np.save(tmp_path / "a.npy", array)
    (tmp_path / "cache").write_text("a file is in its place")
    loaded = load(tmp_path / "a.npy")
    assert not isinstance(loaded.train, np.memmap) and "not cached" in capsys.readouterr().err
    np.testing.assert_array_equal(loaded.train, array)


def test_an_array_that_is_neither_kept_nor_fits_into_memory_is_refused(tmp_path, load, monkeypatch):
    np.save(tmp_path / "a.npy", np.stack([noise(0), noise(1)]))
    monkeypatch.setattr(psutil, "virtual_memory", lambda: types.SimpleNamespace(total=1000))
    load(tmp_path / "a.npy")  # mapped
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(UserError, match="out of memory: 2 images"):
        load(tmp_path / "a.npy", cache_dir=str(tmp_path / "file"))


@pytest.mark.parametrize("size", [(HEIGHT, WIDTH), (40, 50)])
@pytest.mark.parametrize("change", [lambda file: file.truncate(200), lambda file: file.write(b"a")])
def test_array_that_changes_while_it_is_read_is_refused(tmp_path, load, monkeypatch, size, change):
    path, read = tmp_path / "a.npy", array_file.ArrayFile._read
    np.save(path, np.stack([noise(seed, *size) for seed in range(9)]))

    def change_and_read(self, *arguments):
        with open(path, "r+b") as file:
            change(file)
        return read(self, *arguments)

    monkeypatch.setattr(array_file.ArrayFile, "_read", change_and_read)
    with pytest.raises(UserError, match=r"a.npy .*changed while it was read"):
        load(path)


def test_grey_array_becomes_rgb(tmp_path, load):
    np.save(tmp_path / "a.npy", noise(0, 8, WIDTH)[..., 0][:, None].repeat(HEIGHT, 1))
    pixels = load(tmp_path / "a.npy").train
    np.testing.assert_array_equal(pixels[5, 7], noise(0, 8, WIDTH)[5, :, :1].repeat(3, 1))


def test_links_are_followed_but_not_in_circles(folder, tmp_path, load):
    save_noise(tmp_path / "elsewhere" / "a.png", 0)
    save_noise(folder / "b.png", 1)
    (folder / "link").symlink_to(tmp_path / "elsewhere")
    (folder / "circle").symlink_to(folder)
    (tmp_path / "elsewhere" / "back").symlink_to(folder)
    assert load(folder).train_names == ("b.png", "link/a.png")


def test_other_files_are_counted_and_hidden_ones_passed_over(folder, load):
    save_noise(folder / "a.png", 0)
    save_noise(folder / "__MACOSX" / "b.png", 0)
    save_noise(folder / ".thumbnails" / "c.png", 0)
    for name in (
        "notes.txt",
        "labels.csv",
        "x.HEIC",
        "sub/y.heic",
        ".DS_Store",
        "._a.png",
        "Makefile",
    ):
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_bytes(b"?")
    loaded = load(folder)
    assert loaded.train_names == ("a.png",) and loaded.skipped == ()
    line = images.report(loaded).splitlines()[0]
    counts = "5 other files ignored: 2 .heic, "
    assert f"1 image file; {counts}" in line
    assert set(line.partition(counts)[2].split(", ")) == {"1 .txt", "1 .csv", "1 without extension"}


def test_ignored_files_of_a_zip_are_counted_too(tmp_path, load):
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr("a.png", encode(plain(RED), "PNG"))
        for number in range(30):
            archive.writestr(f"{number}.kind{min(number, 9)}", b"?")
        archive.writestr("bad.\x07\n", b"?")
    line = images.report(load(tmp_path / "a.zip")).splitlines()[0]
    assert "31 other files ignored: 21 .kind9, 1 .kind" in line
    assert line.endswith(", 5 of other kinds") and line.isprintable()


def test_notes_are_reported_by_kind_and_kept_in_the_cache(folder, load, decoded):
    for name in ("a", "b", "c"):
        plain(RED).save(folder / f"{name}.png")
    plain((0, 0, 0, 0), "RGBA").save(folder / "clear.png")
    save_noise(folder / "noise.png", 1)
    for _ in range(2):
        loaded = load(folder, holdout=0.5)
        text = images.report(loaded)
        assert "\n3 images of one colour: a.png, b.png, ..." in text
        assert text.endswith("\n1 image wholly transparent, read as white: clear.png")
    assert len(decoded) == 5


def test_notes_of_a_damaged_cache_are_not_believed(folder, load, tmp_path):
    plain(RED).save(folder / "a.png")
    notes = load(folder).notes
    (listing,) = (tmp_path / "cache").glob("*.json")
    listing.write_text(listing.read_text().replace("of one colour", "of two colours"))
    assert load(folder).notes == notes == (("a.png", "of one colour"),)


@pytest.mark.parametrize(
    ("include", "expected"),
    [
        ("sash_*", ("deep/sash_2.png", "sash_1.png")),
        ("sash_1*, rls_*", ("rls_1.png", "sash_1.png")),
        ("deep/*", ("deep/other.png", "deep/sash_2.png")),
    ],
)
def test_include_picks_by_name_or_path(folder, load, include, expected):
    for name in ("sash_1.png", "rls_1.png", "deep/sash_2.png", "deep/other.png"):
        save_noise(folder / name, 0)
    loaded = load(folder, include=include)
    assert loaded.train_names == expected
    assert "4 image files" in loaded.source and "picks 2" in loaded.source


# The split.


def test_holdout_is_about_the_fraction_and_apart_from_the_rest(tmp_path, load):
    array = np.stack([noise(seed, 4, 4) for seed in range(2000)])
    np.save(tmp_path / "a.npy", array)
    loaded = load(tmp_path / "a.npy", 4, 4, holdout=0.2)
    assert 320 < len(loaded.holdout) < 480
    assert set(loaded.train_names) | set(loaded.holdout_names) == {f"{i:06d}" for i in range(2000)}
    assert len(loaded.train) + len(loaded.holdout) == 2000
    np.testing.assert_array_equal(loaded.holdout, array[[int(n) for n in loaded.holdout_names]])
    np.testing.assert_array_equal(loaded.train, array[[int(n) for n in loaded.train_names]])
    more = load(tmp_path / "a.npy", 4, 4, holdout=0.4)
    assert set(loaded.holdout_names) < set(more.holdout_names)
    other = load(tmp_path / "a.npy", 4, 4, holdout=0.2, seed=1)
    assert set(loaded.holdout_names) != set(other.holdout_names)


def test_new_files_do_not_move_old_ones_into_or_out_of_the_holdout(folder, load):
    for seed in range(20):
        save_noise(folder / f"old_{seed}.png", seed)
    before = load(folder, holdout=0.3)
    for seed in range(20):
        save_noise(folder / f"new_{seed}.png", 100 + seed)
    after = load(folder, holdout=0.3)
    assert before.holdout_names and before.train_names
    assert set(before.holdout_names) < set(after.holdout_names)
    assert set(before.train_names) < set(after.train_names)


def test_holdout_of_known_names_never_changes():
    held_out = [name for name in "abcdefghij" if images._is_held_out(f"{name}.png", 0.3, 0)]
    assert held_out == ["c", "j"]


# What goes wrong with single files.


def test_bad_files_are_listed_with_their_reason_and_good_ones_used(folder, load, monkeypatch):
    monkeypatch.setattr(decoding, "MOST_PIXELS", 10_000)
    monkeypatch.setattr(image_files, "MOST_BYTES", 100_000)
    Image.fromarray(noise(5)).save(folder / "good.png")
    photo = encode(Image.fromarray(noise(0, 90, 90)), "JPEG")
    (folder / "cut.jpg").write_bytes(photo[: len(photo) // 2])
    (folder / "cut.png").write_bytes(encode(Image.fromarray(noise(0, 90, 90)), "PNG")[:9000])
    (folder / "cut.tif").write_bytes(encode(Image.fromarray(noise(0, 90, 90)), "TIFF")[:9000])
    (folder / "cut.webp").write_bytes(encode(Image.fromarray(noise(0, 90, 90)), "WEBP")[:2000])
    (folder / "cut.gif").write_bytes(encode(Image.fromarray(noise(0, 90, 90)), "GIF")[:3000])
    (folder / "cut.bmp").write_bytes(encode(Image.fromarray(noise(0, 90, 90)), "BMP")[:9000])
    (folder / "empty.jpg").write_bytes(b"")
    (folder / "text.png").write_text("this is no image")
    (folder / "script.jpg").write_bytes(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 90 90\n")
    plain(RED, size=(101, 100)).save(folder / "huge.png")
    plain(RED, size=(90, 15)).save(folder / "tiny.png")
    (folder / "heavy.png").write_bytes(bytes(100_001))
    (folder / "lost.png").symlink_to(folder / "nowhere.png")
    os.mkfifo(folder / "pipe.png")
    loaded = load(folder)
    reasons = dict(loaded.skipped)
    assert loaded.train_names == ("good.png",)
    np.testing.assert_array_equal(loaded.train[0], noise(5))
    assert len(reasons) == len(loaded.skipped) == 14
    assert list(reasons) == sorted(reasons)
    assert all("truncated" in reasons[name] for name in ("cut.jpg", "cut.png", "cut.bmp"))
    assert reasons["empty.jpg"] == "empty file"
    assert reasons["text.png"].startswith("not an image")
    assert reasons["script.jpg"].startswith("PostScript, which is not supported")
    assert reasons["tiny.png"].startswith("too small: 90 x 15 pixels")
    assert "million pixels" in reasons["huge.png"]
    assert reasons["heavy.png"].startswith("larger than")
    assert reasons["lost.png"] == "no such file or directory"
    assert reasons["pipe.png"] == "not a regular file"
    text = images.report(loaded)
    assert "14 files skipped:" in text and "15 image files" in text
    for name, reason in loaded.skipped:
        assert f"  {name}: {reason}" in text.splitlines()


@pytest.mark.parametrize("pixels", [(9000, 9000), (10_000, 10_000), (30_000, 30_000)])
def test_decompression_bombs_are_skipped_unread(folder, load, pixels):
    data = bytearray(encode(plain(RED), "PNG"))
    data[16:24] = struct.pack(">II", *pixels)
    data[29:33] = struct.pack(">I", zlib.crc32(data[12:29]))
    (folder / "bomb.png").write_bytes(data)
    save_noise(folder / "good.png", 0)
    assert load(folder).skipped == (("bomb.png", "more than 80 million pixels"),)


def test_files_without_permission_are_skipped(folder, load, monkeypatch):
    save_noise(folder / "a.png", 0)
    save_noise(folder / "b.png", 1)
    monkeypatch.setattr(os, "access", lambda file, _: not file.endswith("b.png"))
    assert load(folder).skipped == (("b.png", "permission denied"),)
    monkeypatch.undo()
    assert load(folder).skipped == ()


def test_failure_to_read_is_not_remembered(folder, load, monkeypatch):
    save_noise(folder / "a.png", 0)
    save_noise(folder / "b.png", 1)
    decode_well = decoding.decode
    first = (folder / "a.png").read_bytes()

    def decode_badly(data, *arguments):
        if data == first:
            raise OSError(5, "Input/output error")
        return decode_well(data, *arguments)

    monkeypatch.setattr(decoding, "decode", decode_badly)
    assert load(folder).skipped == (("a.png", "input/output error"),)
    monkeypatch.undo()
    assert load(folder).train_names == ("a.png", "b.png")


def test_names_that_are_no_text_are_reported(folder, load):
    odd = os.fsencode(folder) + b"/caf\xe9\n.png"
    for name, data in ((odd, encode(plain(RED), "PNG")), (odd + b".png", b"?")):
        with open(name, "wb") as file:
            file.write(data)
    for _ in range(2):
        loaded = load(folder, holdout=0.0)
        assert loaded.train_names == (os.fsdecode(b"caf\xe9\n.png"),)
        text = images.report(loaded)
        assert r"caf\udce9\n.png.png: not an image" in text
        text.encode()
    assert len(load(folder, holdout=1e-9).train) == 1


def test_bad_members_of_a_zip_are_skipped(tmp_path, load, monkeypatch):
    monkeypatch.setattr(image_files, "MOST_BYTES", 50_000)
    path = tmp_path / "a.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("good.png", encode(Image.fromarray(noise(0)), "PNG"))
        archive.writestr("heavy.png", bytes(50_001), zipfile.ZIP_DEFLATED)
        archive.writestr("locked.png", encode(plain(RED), "PNG"))
        archive.writestr("rotten.png", encode(Image.fromarray(noise(1)), "PNG"))
        archive.getinfo("locked.png").flag_bits |= 1
        rotten = archive.getinfo("rotten.png").header_offset + 500
    data = bytearray(path.read_bytes())
    data[rotten] ^= 255
    path.write_bytes(data)
    loaded = load(path)
    reasons = dict(loaded.skipped)
    assert loaded.train_names == ("good.png",) and len(reasons) == 3
    assert reasons["heavy.png"].startswith("larger than")
    assert reasons["locked.png"] == "encrypted"
    assert "CRC" in reasons["rotten.png"]


def test_interrupt_ends_decoding_promptly(folder, load, monkeypatch):
    for seed in range(60):
        save_noise(folder / f"{seed}.png", 0)
    begun = []

    def interrupt(*_):
        begun.append(1)
        time.sleep(0.01)
        raise KeyboardInterrupt

    monkeypatch.setattr(decoding, "decode", interrupt)
    with pytest.raises(KeyboardInterrupt):
        load(folder)
    assert len(begun) < 40


# The cache.


@pytest.fixture
def three(folder):
    for seed in range(3):
        save_noise(folder / f"{seed}.png", seed)
    (folder / "bad.png").write_bytes(b"no image")
    return folder


@pytest.fixture
def decoded(monkeypatch):
    """How many images were decoded so far: the length of this list."""
    calls = []
    decode_well = decoding.decode
    monkeypatch.setattr(
        decoding, "decode", lambda *arguments: calls.append(1) or decode_well(*arguments)
    )
    return calls


def test_second_load_decodes_nothing(three, load, decoded):
    first = load(three)
    count = len(decoded)
    second = load(three)
    split = load(three, holdout=0.5, seed=4)
    assert count == len(decoded) == 4
    assert isinstance(first.train, np.memmap) and isinstance(second.train, np.memmap)
    np.testing.assert_array_equal(first.train, second.train)
    assert first[2:] == second[2:] and first.skipped[0][0] == "bad.png"
    assert len(split.train) + len(split.holdout) == 3


def test_change_of_files_or_form_decodes_again(three, load, decoded):
    def decodes_again(**options):
        before = len(decoded)
        load(three, **options)
        return len(decoded) > before

    assert decodes_again()
    assert not decodes_again()
    assert decodes_again(fit="crop")
    assert decodes_again(resample="nearest")
    assert decodes_again(height=HEIGHT + 1)
    assert decodes_again(width=WIDTH + 1)
    assert decodes_again(include="[0-9]*")
    os.utime(three / "1.png", (1, 1))
    assert decodes_again()
    (three / "2.png").rename(three / "3.png")
    assert decodes_again()
    (three / "3.png").unlink()
    assert decodes_again()
    assert not decodes_again(holdout=0.1)


def test_same_names_in_another_folder_are_other_images(folder, tmp_path, load):
    for seed, path in enumerate([folder / "a.bmp", tmp_path / "others" / "a.bmp"]):
        save_noise(path, seed)
        os.utime(path, (1, 1))
        np.testing.assert_array_equal(load(path.parent).train[0], noise(seed))


def test_changed_array_is_fitted_again(tmp_path, load):
    for level in (1, 2):
        np.save(tmp_path / "a.npy", np.full((2, 9, 9, 3), level, np.uint8))
        os.utime(tmp_path / "a.npy", (level, level))
        assert (load(tmp_path / "a.npy").train == level).all()


def damage_by_cutting(file):
    file.write_bytes(file.read_bytes()[:-10])


def damage_by_emptying(file):
    file.write_bytes(b"")


def damage_by_scribbling(file):
    file.write_bytes(b"scribble" * 30)


@pytest.mark.parametrize("extension", ["npy", "json"])
@pytest.mark.parametrize(
    "damage", [damage_by_cutting, damage_by_emptying, damage_by_scribbling, os.unlink]
)
def test_damaged_cache_is_rebuilt_silently(three, load, tmp_path, capfd, extension, damage):
    expected = np.array(load(three).train)
    (file,) = (tmp_path / "cache").glob(f"*.{extension}")
    damage(file)
    np.testing.assert_array_equal(load(three).train, expected)
    assert len(list((tmp_path / "cache").iterdir())) == 2
    assert capfd.readouterr() == ("", "")


def test_cache_for_another_number_of_names_is_rebuilt(three, load, tmp_path):
    load(three)
    (file,) = (tmp_path / "cache").glob("*.npy")
    np.save(file, np.zeros((2, HEIGHT, WIDTH, 3), np.uint8))
    assert len(load(three).train) == 3


def test_unwritable_cache_warns_and_goes_on(three, load, tmp_path, capfd):
    (tmp_path / "file").write_text("in the way")
    loaded = load(three, cache_dir=str(tmp_path / "file" / "cache"))
    assert len(loaded.train) == 3
    (line,) = capfd.readouterr().err.splitlines()
    assert line.startswith("warning: the images are not cached in") and "not a directory" in line


def test_full_disk_leaves_no_temporary_file(three, load, tmp_path, monkeypatch, capfd):
    def fail(file, _):
        file.write(b"part")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(np.lib.format, "write_array_header_1_0", fail)
    assert len(load(three).train) == 3
    assert "no space left" in capfd.readouterr().err
    assert list((tmp_path / "cache").iterdir()) == []


def test_cache_is_by_default_in_the_cache_folder_of_the_user(three, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "user"))
    images.load_images(str(three), HEIGHT, WIDTH, show_progress=False)
    assert len(list((tmp_path / "user" / "fish_jax").glob("*.npy"))) == 1
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    images.load_images(str(three), HEIGHT, WIDTH, show_progress=False)
    assert len(list((tmp_path / "home" / ".cache" / "fish_jax").glob("*.npy"))) == 1


def test_progress_goes_to_stderr_if_wanted(three, load, capfd):
    load(three, fit="pad")
    assert capfd.readouterr() == ("", "")
    load(three, show_progress=True)
    out, err = capfd.readouterr()
    assert out == "" and "decoding" in err and "4/4" in err


# Drawn fish.


def test_empty_path_draws_fish_once(load, monkeypatch):
    loaded = load("", count=3, seed=5)
    np.testing.assert_array_equal(loaded.train, drawing.draw_school(3, HEIGHT, WIDTH, 5))
    assert loaded.train_names == ("fish_000000", "fish_000001", "fish_000002")
    assert "3 drawn fish, seed 5" in images.report(loaded)
    calls = []
    monkeypatch.setattr(
        drawing,
        "draw_school",
        lambda count, height, width, seed, on_progress: (
            calls.append(seed) or np.zeros((count, height, width, 3), np.uint8)
        ),
    )
    load("", count=3, seed=5, fit="crop", holdout=0.01)
    assert calls == []
    load("", count=3, seed=6)
    load("", count=4, seed=5)
    assert calls == [6, 5]
    monkeypatch.setattr(drawing, "VERSION", drawing.VERSION + 1)
    load("", count=3, seed=5)
    assert calls == [6, 5, 5]


# Mistakes of the user.


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"fit": "zoom"}, "fit must be one of stretch, crop, pad, not 'zoom'"),
        ({"resample": "box"}, "resample must be one of nearest, bilinear, bicubic, lanczos"),
        ({"holdout": 1.0}, "holdout must be a fraction of at least 0 and below 1, not 1.0"),
        ({"holdout": -0.1}, "holdout must be a fraction"),
        ({"holdout": float("nan")}, "holdout must be a fraction of .*, not nan$"),
        ({"holdout": 1 - 1e-9}, "leaves none of 3 images to train on"),
        ({"height": 0}, "height and width must be at least 1 pixel, not 0 x 30"),
        ({"width": -3}, "height and width must be at least 1 pixel, not 20 x -3"),
        ({"seed": -1}, "seed must be at least 0, not -1"),
        (
            {"include": "cat_*"},
            r"'cat_\*' matches none of the 4 image files .* 0.png and 1",
        ),
    ],
)
def test_wrong_values_are_explained(three, load, options, message):
    with pytest.raises(UserError, match=message):
        load(three, **options)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"count": 0}, "count must be at least 1 fish, not 0"),
        ({"height": 8}, "at least 16 pixels, not 8 x 30"),
        ({"include": "a*"}, "selects files of a folder or a zip"),
    ],
)
def test_wrong_values_for_drawn_fish_are_explained(load, options, message):
    with pytest.raises(UserError, match=message):
        load("", **options)


def test_missing_path_is_explained(tmp_path, load):
    with pytest.raises(UserError, match="missing does not exist; give a folder, a .zip or a .npy"):
        load(tmp_path / "missing")


def test_folder_without_images_is_explained(folder, load):
    (folder / "notes.txt").write_text("?")
    with pytest.raises(
        UserError, match="holds no image file; supported extensions are .jpg .jpeg .png .webp"
    ) as no:
        load(folder)
    assert str(no.value).endswith("; 1 other file ignored: 1 .txt")


def test_folder_of_bad_images_is_explained(folder, load, tmp_path):
    (folder / "a.png").write_bytes(b"?")
    (folder / "b.png").write_bytes(b"")
    with pytest.raises(UserError, match="no readable image; a.png: not an image"):
        load(folder)
    assert not list(tmp_path.glob("cache/*"))
    (folder / "a.png").rename(folder / "\udcff.png")
    (folder / "b.png").unlink()
    with pytest.raises(UserError, match=r"; \\udcff.png: not an image"):
        load(folder)
    (folder / "\udcff.png").unlink()
    (folder / "b.png").touch()
    with pytest.raises(UserError, match="b.png: empty file"):
        load(folder)


def test_false_zip_is_explained(tmp_path, load):
    (tmp_path / "a.zip").write_bytes(b"no zip")
    with pytest.raises(UserError, match="a.zip is not a zip file, or it is damaged"):
        load(tmp_path / "a.zip")


def test_unknown_kind_of_file_is_explained(tmp_path, load):
    save_noise(tmp_path / "a.png", 0)
    with pytest.raises(UserError, match="a.png is not a folder, a .zip or a .npy"):
        load(tmp_path / "a.png")


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (np.zeros((2, 9, 9, 3), np.float32), r"not float32 \[2, 9, 9, 3\]"),
        (np.zeros((2, 3, 9, 9), np.uint8), r"not uint8 \[2, 3, 9, 9\]"),
        (np.zeros((2, 9, 9, 2), np.uint8), r"not uint8 \[2, 9, 9, 2\]"),
        (np.zeros((9, 9, 1), np.uint8), r"not uint8 \[9, 9, 1\]"),
        (np.zeros((9, 9, 3), np.uint8), r"not uint8 \[9, 9, 3\]"),
        (np.zeros((9, 9, 4), np.uint8), r"not uint8 \[9, 9, 4\]"),
        (np.zeros((0, 9, 9, 3), np.uint8), r"not uint8 \[0, 9, 9, 3\]"),
        (np.array([{}]), "cannot be read"),
    ],
)
def test_wrong_arrays_are_explained(tmp_path, load, array, message):
    np.save(tmp_path / "a.npy", array, allow_pickle=True)
    with pytest.raises(UserError, match=r"uint8 array of shape \[N, H, W, C\].*" + message):
        load(tmp_path / "a.npy")


@pytest.mark.parametrize("data", [b"", b"no array", b"\x93NUMPY\x01\x00"])
def test_damaged_array_is_explained(tmp_path, load, data):
    (tmp_path / "a.npy").write_bytes(data)
    with pytest.raises(UserError, match="a.npy must hold .* but cannot be read"):
        load(tmp_path / "a.npy")


def test_include_with_an_array_is_explained(tmp_path, load):
    np.save(tmp_path / "a.npy", np.zeros((2, 9, 9, 3), np.uint8))
    with pytest.raises(UserError, match="selects files of a folder or a zip"):
        load(tmp_path / "a.npy", include="0*")


# The rest.


def test_digest_tells_arrays_apart():
    array = np.stack([noise(seed) for seed in range(100)])
    changed = array.copy()
    changed[99, -1, -1, -1] ^= 1
    assert cache.digest(array) == cache.digest(array.copy())
    assert cache.digest(array) == cache.digest(np.asfortranarray(array))
    assert cache.digest(array) != cache.digest(changed)
    assert cache.digest(array) != cache.digest(array.reshape(50, 2 * HEIGHT, WIDTH, 3))
    assert cache.digest(array) != cache.digest(array[::-1])
    assert cache.digest(array[:0]) != cache.digest(array)


def test_images_are_read_without_jax():
    check = "import fish_jax.data.images, sys; assert 'jax' not in sys.modules"
    root = pathlib.Path(images.__file__).parents[2]
    subprocess.run([sys.executable, "-c", check], check=True, cwd=root)
