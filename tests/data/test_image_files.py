"""Which files of a folder or zip are images, and by what names."""

import io
import os
import struct
import unicodedata
import zipfile

import numpy as np
import pytest
from PIL import Image

from fish_jax.data import image_files, images

MAC = unicodedata.normalize("NFD", "Äsche_1.jpg")


def picture(kind="PNG", seed=0):
    pixels = np.random.default_rng(seed).integers(0, 255, (20, 30, 3), np.uint8)
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, kind)
    return file.getvalue()


def put(folder, *names, data=None):
    for seed, name in enumerate(names):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(picture(seed=seed) if data is None else data)


def zipped(path, *names, data=None, method=zipfile.ZIP_STORED):
    with zipfile.ZipFile(path, "w", method) as archive:
        for seed, name in enumerate(names):
            member = zipfile.ZipInfo("x")
            member.compress_type = method
            member.filename = name  # as it is
            archive.writestr(member, picture(seed=seed) if data is None else data)
    return path


def rename(path, old, new):
    """Replaces bytes of a name in a zip, where nothing tells their encoding."""
    path.write_bytes(path.read_bytes().replace(old, new))


def test_backslashes_of_a_zip_are_between_folders(tmp_path, load):
    names = ("photos\\sash_1.png", "photos\\rls_2.png", "__MACOSX\\._sash_1.png", "photos\\")
    path = zipped(tmp_path / "win.zip", *names)
    loaded = load(path)
    assert loaded.train_names == ("photos/rls_2.png", "photos/sash_1.png") and not loaded.skipped
    assert "ignored" not in loaded.source
    assert load(path, include="sash_*").train_names == ("photos/sash_1.png",)


def test_names_of_a_zip_from_a_mac_are_read(tmp_path, load):
    """They are UTF-8, though the zip does not say so."""
    mac = MAC.encode()
    path = zipped(tmp_path / "mac.zip", "fish/" + "z" * len(mac), "fish/b.png")
    rename(path, b"z" * len(mac), mac)
    assert load(path).train_names == ("fish/b.png", f"fish/{MAC}")
    assert load(path, include="Äsche*").train_names == (f"fish/{MAC}",)


def test_names_of_a_zip_in_an_old_code_page_stay(tmp_path, load):
    path = zipped(tmp_path / "dos.zip", "zzche.png")
    rename(path, b"zzche", b"\x8e\x99che")
    assert load(path).train_names == ("ÄÖche.png",)


@pytest.mark.parametrize("name", ["a.jfif", "a.JPE", "a.mpo", "a.apng", "a.dib", "a.JFIF"])
def test_rarer_extensions_are_images(folder, tmp_path, load, name):
    put(folder, name)
    assert load(folder).train_names == load(zipped(tmp_path / "a.zip", name)).train_names == (name,)


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "BMP", "GIF", "TIFF"])
@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_without_an_extension_content_decides(folder, tmp_path, load, kind, method):
    put(folder, "0f3a", data=picture(kind))
    put(folder, "LICENSE", data=b"text that is long enough to be read")
    put(folder, "empty", data=b"")
    put(folder, "copy.jpg_original", data=picture(kind))
    loaded = load(folder)
    assert loaded.train_names == ("0f3a",) and loaded.skipped == ()
    assert "3 other files ignored" in loaded.source
    path = zipped(tmp_path / "a.zip", "0f3a", data=picture(kind), method=method)
    assert load(path).train_names == ("0f3a",)


def test_files_without_an_extension_that_cannot_be_opened_are_others(folder, load):
    put(folder, "a.png")
    os.mkfifo(folder / "pipe")
    (folder / "lost").symlink_to("nowhere")
    (folder / "circle").symlink_to("circle")
    loaded = load(folder)
    assert loaded.train_names == ("a.png",) and "3 other files ignored" in loaded.source


@pytest.mark.parametrize(
    "name",
    [
        *("@eaDir/a.jpg/SYNOPHOTO_THUMB_M.jpg", "#recycle/a.png", "$RECYCLE.BIN/S-1/$R1.png"),
        *("System Volume Information/a.png", "lost+found/a.png", "@Recycle/a.png"),
        *("sub/$RECYCLE.BIN/a.png", ".Trash-1000/files/a.png", "Thumbs.db", "~snapshot/a.png"),
    ],
)
def test_thumbnails_and_deleted_files_are_passed_over(folder, tmp_path, load, name):
    put(folder, "a.png", name)
    loaded = load(folder)
    assert loaded.train_names == ("a.png",) and "ignored" not in loaded.source
    path = zipped(tmp_path / "a.zip", "a.png", name)
    assert load(path).train_names == ("a.png",)


def test_names_from_a_mac_do_not_move_images(folder, tmp_path, load):
    """Neither in their order nor into or out of the holdout."""
    names = [f"{letter}che_{index}.png" for letter in "aäzö" for index in range(6)]
    put(folder, *names)
    mac = tmp_path / "mac"
    put(mac, *(unicodedata.normalize("NFD", name) for name in names))
    here, there = load(folder, holdout=0.4), load(mac, holdout=0.4)
    np.testing.assert_array_equal(here.train, there.train)
    np.testing.assert_array_equal(here.holdout, there.holdout)
    assert here.train_names != there.train_names and len(here.holdout) > 2


def test_a_path_in_another_unicode_form_is_found(tmp_path, load):
    put(tmp_path / unicodedata.normalize("NFD", "Äschen"), "a.png")
    assert load(tmp_path / "Äschen").train_names == ("a.png",)


def test_a_file_changed_in_place_with_its_date_kept_is_decoded_anew(folder, load):
    """As by exiftool -P, which puts the orientation right."""
    put(folder, "a.tif", data=picture("TIFF"))
    before = load(folder).train
    status = (folder / "a.tif").stat()
    content = bytearray((folder / "a.tif").read_bytes())
    strip = content.index(struct.pack("<HH", 273, 4)) + 8
    content[struct.unpack_from("<I", content, strip)[0]] ^= 255
    (folder / "a.tif").write_bytes(content)
    os.utime(folder / "a.tif", ns=(status.st_atime_ns, status.st_mtime_ns))
    assert before[0, 0, 0, 0] != load(folder).train[0, 0, 0, 0]


def test_an_array_changed_in_place_with_its_date_kept_is_fitted_anew(tmp_path, load):
    path = tmp_path / "a.npy"
    np.save(path, np.zeros((2, 9, 9, 3), np.uint8))
    assert load(path).train.max() == 0
    status = path.stat()
    np.save(path, np.full((2, 9, 9, 3), 7, np.uint8))
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
    assert load(path).train.min() == 7


def test_places_among_images_are_known_by_any_way(folder, tmp_path, monkeypatch):
    put(folder, "deep/a.png")
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (folder / "deep" / "link").symlink_to(elsewhere)
    (tmp_path / "other").symlink_to(folder)
    among = lambda place: image_files.is_among(place, str(folder))
    monkeypatch.chdir(folder)
    for place in (
        *(folder, folder / "new" / "run", folder / "deep" / "a.png", elsewhere / "run"),
        *(tmp_path / "other" / "x", tmp_path / "x" / ".." / "photos" / "run", "x.png"),
    ):
        assert among(place), place
    for place in (tmp_path, tmp_path / "photos-run", tmp_path / "run"):
        assert not among(place), place
    assert not image_files.is_among(folder, str(folder / "deep" / "a.png"))
    assert not image_files.is_among(folder, str(tmp_path / "nowhere"))


def test_the_report_tells_what_may_be_amiss_with_patterns(folder, load):
    put(folder, "a.jpg", "B.JPG", "c.JPG", "cats/d.png")
    loaded = load(folder, include="*.jpg,cats")
    assert loaded.train_names == ("a.jpg",)
    text = images.report(loaded)
    assert "picks 1; cats matches none: it is a folder; write cats/*; left out, as" in text
    assert "left out, as upper and lower case differ: B.JPG and 1 more" in text
