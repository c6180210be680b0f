"""Files made to crash, stall or bloat the reading of images, beside good ones."""

import bz2
import contextlib
import io
import itertools
import json
import lzma
import os
import pathlib
import pickle
import random
import socket
import stat
import struct
import subprocess
import sys
import time
import zipfile
import zlib
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import numpy as np
import pytest
from PIL import Image

from fish_jax.data import decoding, image_files, images, rgb, selection, sources
from fish_jax.data.limits import make_room
from fish_jax.errors import UserError

HEIGHT, WIDTH = 20, 30
# What reading may take beside the images, with eight threads, whatever the files: 1.6 GB for
# 160 million pixels, 200 MB of files, and what the system does not get back at once.
MOST_MEMORY = 2_500_000_000
HANGS = 300  # Seconds; a guard, far beyond what is needed.

USED, SKIPPED, EITHER = "used", "skipped", "either"


# Reading in a process of its own.

READER = """
import json, os, resource, sys, zlib
from fish_jax.data import decoding, images
from fish_jax.errors import UserError

os.cpu_count = lambda: 8  # Memory is needed for every thread.
height, width, cache, *paths = json.loads(sys.argv[1])
decode, decoded = decoding.decode, []
decoding.decode = lambda *arguments: decoded.append(1) or decode(*arguments)

def peak():
    if sys.platform != "linux":
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with open("/proc/self/status") as status:  # Here, getrusage counts the parent's peak, too.
        return next(int(line.split()[1]) for line in status if line.startswith("VmHWM")) * 1024

def read(path):
    before = len(decoded)
    try:
        loaded = images.load_images(path, height, width, cache_dir=cache, show_progress=False)
    except UserError as error:
        return {"error": str(error)}
    sums = [zlib.crc32(image.tobytes()) for image in loaded.train]
    images.report(loaded).encode()
    return {
        "used": list(zip(loaded.train_names, sums)),
        "skipped": loaded.skipped,
        "decoded": len(decoded) - before,
    }

start = peak()
results = [read(path) for path in paths]
print(json.dumps({"results": results, "memory": peak() - start}))
"""


def read_apart(paths, cache, height=HEIGHT, width=WIDTH):
    """What `load_images` says of each path, and the bytes of memory that took."""
    request = json.dumps([height, width, str(cache), *map(str, paths)])
    done = subprocess.run(
        [sys.executable, "-W", "default", "-c", READER, request],
        cwd=pathlib.Path(images.__file__).parents[2],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=HANGS,
    )
    assert (done.returncode, done.stderr.decode()) == (0, "")
    answer = json.loads(done.stdout)
    return answer["results"], answer["memory"]


def assert_reasons_are_lines(skipped):
    for name, reason in skipped:
        assert 0 < len(reason) <= 200 and reason.isprintable(), (name, reason)


# Parts of files.


def noise(seed, height=HEIGHT, width=WIDTH):
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)


def encode(image, kind, **options):
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def photo(kind, **options):
    return encode(Image.fromarray(noise(0, 60, 90)), kind, **options)


def frames(kind, count):
    shades = [Image.new("RGB", (20, 20), (i % 256, i // 256, 0)) for i in range(count)]
    return encode(shades[0], kind, save_all=True, append_images=shades[1:])


def chunk(kind, data):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(width, height, depth=8, colour=2, data=None, before=b"", after=b""):
    """A PNG of zeros, unless there are compressed data for it."""
    if data is None:
        channels = {0: 1, 2: 3, 4: 2, 6: 4}[colour]
        row = bytes(1 + (width * channels * depth + 7) // 8)
        packer = zlib.compressobj(1)
        data = b"".join([*(packer.compress(row) for _ in range(height)), packer.flush()])
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0))
    pixels = chunk(b"IDAT", data)
    return b"\x89PNG\r\n\x1a\n" + header + before + pixels + after + chunk(b"IEND", b"")


def tiff(width, height, data, compression=1, **more):
    """A grey TIFF of one strip; `more` may be _322=(type, count, value) and so on."""
    numbers = {256: width, 257: height, 258: 8, 259: compression, 262: 1, 273: 8, 277: 1}
    numbers |= {278: height, 279: len(data)}
    records = {tag: (4, 1, value) for tag, value in numbers.items()}
    records |= {int(name[1:]): record for name, record in more.items()}
    directory = b"".join(struct.pack("<HHII", tag, *records[tag]) for tag in sorted(records))
    head = b"II*\0" + struct.pack("<I", 8 + len(data))
    return head + data + struct.pack("<H", len(records)) + directory + bytes(4)


def segment(marker, data):
    return bytes([255, marker]) + struct.pack(">H", len(data) + 2) + data


def into_jpeg(data):
    file = photo("JPEG")
    return file[:2] + data + file[2:]


def into_gif(data):
    file = encode(Image.new("L", (20, 20)), "GIF")
    palette = 13 + (3 << (file[10] & 7) + 1)
    return file[:palette] + data + file[palette:]


def into_webp(data):
    file = photo("WEBP", exif=b"Exif\0\0MM\0*\0\0\0\x08\0\0") + data
    return file[:4] + struct.pack("<I", len(file) - 8) + file[8:]


def exif(value, kind=3, count=1):
    """EXIF data whose orientation is `value`, four bytes."""
    entry = struct.pack("<HHI", 274, kind, count) + value
    return b"Exif\0\0II*\0\x08\0\0\0\x01\0" + entry + bytes(4)


def bmp(width, height):
    sizes = struct.pack("<IiiHHIIiiII", 40, width, height, 1, 24, 0, 0, 0, 0, 0, 0)
    return b"BM" + struct.pack("<IHHI", 1000, 0, 0, 54) + sizes + bytes(946)


def webp(width, height):
    """A WebP of two frames that claims a canvas of this size."""
    data = bytearray(frames("WEBP", 2))
    data[24:30] = struct.pack("<I", width - 1)[:3] + struct.pack("<I", height - 1)[:3]
    return bytes(data)


def cut(data, rng):
    return data[: rng.randrange(1, len(data) * 9 // 10)]


def flip(data, rng):
    data = bytearray(data)
    for _ in range(rng.choice([1, 1, 2, 5, 50])):
        data[rng.randrange(len(data))] ^= rng.randrange(1, 256)
    return bytes(data)


def zip_of(*members):
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for name, data in members:
            archive.writestr(name, data)
    return file.getvalue()


# The kinds of files: (how many, what becomes of them, what makes one).


def photos():
    deep = np.arange(60 * 90, dtype=np.uint16).reshape(60, 90)
    return {
        "jpg": photo("JPEG"),
        "jpeg": photo("JPEG", progressive=True),
        "png": photo("PNG"),
        "webp": photo("WEBP"),
        "gif": photo("GIF"),
        "tif": photo("TIFF", compression="tiff_lzw"),
        "tiff": encode(Image.fromarray(deep), "TIFF", compression="tiff_adobe_deflate"),
        "bmp": photo("BMP"),
    }


def always(data):
    return lambda rng: data


def damaged_files():
    """Kinds of small files cut off or changed anywhere."""
    for extension, data in photos().items():
        yield 22, SKIPPED, f"cut.{extension}", lambda rng, data=data: cut(data, rng)
        yield 45, EITHER, f"flipped.{extension}", lambda rng, data=data: flip(data, rng)
        head = data[:12]
        yield 2, SKIPPED, f"head.{extension}", always(head)
        yield 3, EITHER, f"random.{extension}", lambda rng, head=head: head + rng.randbytes(900)


def false_files():
    """Kinds of files that are not what their name says."""
    yield 8, USED, "really_a_png.jpg", always(photo("PNG"))
    yield 8, USED, "really_a_jpeg.png", always(photo("JPEG"))
    yield 8, USED, "really_a_webp.gif", always(photo("WEBP"))
    yield 8, USED, "really_a_bmp.tiff", always(photo("BMP"))
    yield 8, SKIPPED, "text.png", always(b"no image at all\n" * 20)
    yield 5, SKIPPED, "page.webp", always(b"<!DOCTYPE html><title>404</title>")
    yield 5, SKIPPED, "script.jpg", always(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 90 90\n")
    yield 5, SKIPPED, "pixmap.bmp", always(photo("PPM"))
    yield 5, SKIPPED, "icon.png", always(photo("ICO"))
    yield 5, SKIPPED, "pickle.png", always(pickle.dumps(noise(0)))
    yield 5, SKIPPED, "archive.jpg", always(zip_of(("a.png", photo("PNG"))))
    yield 12, SKIPPED, "empty.jpg", always(b"")
    yield 23, SKIPPED, "noise.gif", lambda rng: rng.randbytes(500)


def oversized_files():
    """Kinds of files that would take gigabytes or minutes, and some that only look so."""
    text = b"a\0\0" + zlib.compress(bytes(100_000_000), 1)
    scans = photo("JPEG", progressive=True)[:-2]
    scans += scans[scans.rindex(b"\xff\xda") :] * 1000
    deflated = {"compression": "tiff_adobe_deflate"}
    rational = struct.pack("<II", 72, 1)
    large = Image.new("L", (3000, 3000))
    yield 4, SKIPPED, "huge.png", always(png(60_000, 60_000, data=zlib.compress(bytes(999))))
    yield 4, SKIPPED, "huge.bmp", always(bmp(60_000, 60_000))
    yield 4, SKIPPED, "huge.tif", always(tiff(60_000, 60_000, bytes(999)))
    yield 4, SKIPPED, "huge.webp", always(webp(16_383, 16_383))
    for kind, size in (("JPEG", ">HH"), ("GIF", "<HH")):
        claimed = struct.pack(size, 60_000, 60_000)
        data = encode(Image.new("L", (20, 20)), kind).replace(struct.pack(size, 20, 20), claimed, 1)
        yield 4, SKIPPED, f"huge.{kind.lower()}", always(data)
    yield (
        4,
        SKIPPED,
        "wide_frame.gif",
        always(encode(Image.new("L", (20, 20)), "GIF").replace(b",\0\0\0\0", b",\xff\xff\xff\xff")),
    )
    yield 4, SKIPPED, "bomb.png", always(png(20_000, 20_000, 1, 0))
    yield (
        4,
        SKIPPED,
        "giant_tile.tif",
        always(tiff(50, 50, bytes(99), 5, _322=(4, 1, 60_000), _323=(4, 1, 30_000))),
    )
    yield 2, USED, "more_than_its_pixels.png", always(png(20, 20, data=text[3:]))
    yield 2, USED, "text_bomb.png", always(png(20, 20, before=chunk(b"zTXt", text)))
    yield 2, SKIPPED, "profile_bomb.png", always(png(20, 20, before=chunk(b"iCCP", text)))
    yield 2, USED, "long_text.png", always(png(20, 20, before=chunk(b"tEXt", b"a\0" + text * 9)))
    yield 2, USED, "long_profile.jpg", always(photo("JPEG", icc_profile=bytes(10**6)))
    for fate, many in ((USED, 2000), (SKIPPED, 300_000)):
        texts = chunk(b"tEXt", b"a\0b") * many
        yield 1, fate, f"{many}_texts.png", always(png(20, 20, before=texts))
        yield 1, fate, f"{many}_later_texts.png", always(png(20, 20, after=texts))
        yield 1, fate, f"{many}_segments.jpg", always(into_jpeg(segment(0xE5, b"") * many))
        yield 1, fate, f"{many}_comments.gif", always(into_gif(b"!\xfe\1a\0" * many))
    yield 1, SKIPPED, "long.jpg", always(into_jpeg(segment(0xE5, bytes(65_000)) * 500))
    yield 1, USED, "exif_in_parts.jpg", always(into_jpeg(segment(0xE1, b"Exif\0\0" * 999) * 50))
    yield 3, SKIPPED, "many_scans.jpg", always(scans + b"\xff\xd9")
    yield 3, USED, "many_chunks.webp", always(into_webp(b"abcd\0\0\0\0" * 5000))
    yield 2, SKIPPED, "many_samples.tif", always(tiff(50, 50, bytes(99), _277=(4, 1, 60_000)))
    yield (
        1,
        SKIPPED,
        "many_numbers.tif",
        always(tiff(50, 50, rational * 4_500_000, _282=(5, 4_500_000, 8))),
    )
    yield (
        1,
        USED,
        "many_orientations.png",
        always(photo("PNG", exif=exif(struct.pack("<I", 26), 5, 500_000) + rational * 500_000)),
    )
    yield 1, USED, "bits.png", always(png(4000, 4000, 1, 0))
    yield 2, USED, "clear.png", always(png(3000, 3000, 8, 6))
    yield 1, USED, "clear_and_large.png", always(png(8900, 8900, 8, 6))
    yield 1, USED, "deep.png", always(png(3000, 3000, 16, 0))
    yield 1, USED, "large.webp", always(encode(large.convert("RGBA"), "WEBP", lossless=True))
    yield 1, USED, "progressive.jpg", always(encode(large, "JPEG", progressive=True))
    yield 1, USED, "floats.tif", always(encode(large.convert("F"), "TIFF", **deflated))
    yield 1, USED, "tall.png", always(png(16, 400_000, 8, 0))
    yield 1, USED, "wide.png", always(png(400_000, 16, 8, 0))
    yield 8, SKIPPED, "line.png", lambda rng: png(rng.randrange(1, 5000), 1)
    yield 8, SKIPPED, "column.png", lambda rng: png(1, rng.randrange(1, 5000))


def odd_files():
    """Kinds of sound images that are rare."""
    for extension, kind in (("jpg", "JPEG"), ("png", "PNG"), ("webp", "WEBP"), ("tif", "TIFF")):
        yield (
            4,
            USED,
            f"orientation.{extension}",
            lambda rng, kind=kind: photo(
                kind, exif=exif(struct.pack("<I", rng.choice([0, 9, 255, 65_535])))
            ),
        )
    for extension, kind in (("jpg", "JPEG"), ("png", "PNG"), ("webp", "WEBP")):
        text = exif(b"up\0\0", 2, 3)
        yield 4, USED, f"text_orientation.{extension}", always(photo(kind, exif=text))
        yield (
            4,
            USED,
            f"exif.{extension}",
            lambda rng, kind=kind: photo(kind, exif=b"Exif\0\0II*\0" + rng.randbytes(200)),
        )
        yield (
            4,
            USED,
            f"endless_exif.{extension}",
            always(photo(kind, exif=exif(struct.pack("<I", 8), 4).replace(b"\x12\1", b"\x69\x87"))),
        )
    yield 4, USED, "profile.png", lambda rng: photo("PNG", icc_profile=rng.randbytes(500))
    yield 4, USED, "frames.gif", lambda rng: frames("GIF", rng.randrange(2, 9))
    yield 4, USED, "frames.webp", lambda rng: frames("WEBP", rng.randrange(2, 9))
    yield 4, USED, "frames.png", lambda rng: frames("PNG", rng.randrange(2, 9))
    yield 4, USED, "pages.tif", lambda rng: frames("TIFF", rng.randrange(2, 9))
    yield 2, USED, "very_many_frames.gif", always(frames("GIF", 1000))
    yield 2, USED, "very_many_frames.webp", always(frames("WEBP", 200))
    yield 2, USED, "very_many_frames.png", always(frames("PNG", 500))
    yield 2, USED, "very_many_pages.tif", always(frames("TIFF", 500))
    image = Image.fromarray(noise(1, 40, 40))
    grey = np.asarray(image.convert("L"))
    odd = {mode: image.convert(mode) for mode in ("1", "L", "LA", "P", "RGBA", "CMYK", "YCbCr")}
    odd["LAB"] = Image.new("LAB", (40, 40), (50, 99, 30))
    for dtype in (np.uint16, np.int32, np.float32):
        odd[dtype.__name__] = Image.fromarray(grey.astype(dtype))
    wild = np.where(grey > 99, np.array([[np.nan, np.inf, -np.inf, 1] * 10]), 0)
    odd["not_finite"] = Image.fromarray(wild.astype(np.float32))
    for mode, other in odd.items():
        yield 5, USED, f"{mode}.tif", always(encode(other, "TIFF"))
    for mode in ("1", "L", "LA", "P", "RGBA", "uint16"):
        yield 3, USED, f"{mode}.png", always(encode(odd[mode], "PNG"))
    yield 3, USED, "clear_colour.gif", always(encode(odd["P"], "GIF", transparency=3))
    yield 3, USED, "clear_colours.png", always(encode(odd["P"], "PNG", transparency=b"\0\x80"))


NAMES = (
    "new\nline tab\t.png",
    "x" * 240 + ".png",
    os.fsdecode(b"caf\xe9\xff.png"),
    "\u202egnp.jpg",
    "line\u2028e\u0301\ufeff.png",
    "  spaces  .png",
    " .png",
    "-rf.png",
    "\U0001f420\U0001f3fd.png",
    "back\\slash.png",
    "'quotes\".png",
    "%s%n{0}.png",
    "\x1b[31mred\x07.png",
    "*.png",
    "[a-z]?.png",
    "$(touch x);`x`|x&.png",
    "~.png",
    "a.png.jpg.PnG",
    "odd folder\n/\x7f.png",
)


def hostile_files():
    """Files by name: what becomes of each, and its bytes."""
    rng = random.Random(0)
    kinds = itertools.chain(damaged_files(), false_files(), oversized_files(), odd_files())
    files = {
        f"{name.partition('.')[0]}_{index}.{name.partition('.')[2]}": (fate, make(rng))
        for count, fate, name, make in kinds
        for index in range(count)
    }
    files |= {name: (USED, photo("PNG")) for name in NAMES}
    return files | {f"bad/{name}": (SKIPPED, b"\x89PNG") for name in NAMES}


def write_files(folder, files):
    for name, (_, data) in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)


def write_special_files(folder, outside):
    """Writes what is no plain file, and says what becomes of each."""
    links = {
        "self.jpg": "self.jpg",
        "there.jpg": "back.jpg",
        "back.jpg": "there.jpg",
        "dangling.png": "nowhere.png",
        "zero.jpg": "/dev/zero",
        "null.png": "/dev/null",
        "random.gif": "/dev/urandom",
        "terminal.bmp": "/dev/tty",
        "through_a_file.png": "self.jpg/x.png",
    }
    fates = dict.fromkeys(links, SKIPPED)
    links |= {"circle": ".", "circle.png": "../photos", "up": "..", "root": "/", "out": outside}
    links |= {"link.jpg": outside / "a.png"}
    fates |= {"link.jpg": USED, "out/a.png": USED, "folder.png/a.jpg": USED}
    outside.mkdir()
    (outside / "a.png").write_bytes(photo("PNG"))
    (outside / "back").symlink_to(folder)
    for name, target in links.items():
        (folder / name).symlink_to(target)
    (folder / "empty.jpg").mkdir()
    (folder / "folder.png").mkdir()
    (folder / "folder.png" / "a.jpg").write_bytes(photo("PNG"))
    for index in range(3):
        pipe, plug, heavy, zeros = special = [
            f"{kind}_{index}.jpg" for kind in ("pipe", "socket", "heavy", "zeros")
        ]
        os.mkfifo(folder / pipe)
        with contextlib.chdir(folder), socket.socket(socket.AF_UNIX) as server:
            server.bind(plug)  # The name of a socket must be short.
        for name, size in ((heavy, image_files.MOST_BYTES + 1), (zeros, image_files.MOST_BYTES)):
            (folder / name).touch()
            os.truncate(folder / name, size)
        fates |= dict.fromkeys(special, SKIPPED)
    closed = folder / "closed.png"
    closed.write_bytes(photo("PNG"))
    closed.chmod(0)
    return fates | {"closed.png": USED if os.access(closed, os.R_OK) else SKIPPED}


def assert_fates(result, fates):
    """What must be used is, what must not is not, and each is reported once."""
    used, skipped = [[name for name, _ in result[key]] for key in ("used", "skipped")]
    assert sorted(used + skipped) == sorted(fates)
    assert_reasons_are_lines(result["skipped"])
    told = {name: USED for name in used} | {name: SKIPPED for name in skipped}
    assert {name: told[name] for name in fates if fates[name] != EITHER} == {
        name: fate for name, fate in fates.items() if fate != EITHER
    }


def is_text(name):
    return name.encode(errors="replace") == name.encode(errors="surrogateescape")


@pytest.mark.slow
def test_a_thousand_hostile_files_beside_a_hundred_good_ones(tmp_path):
    folder, archive = tmp_path / "photos", tmp_path / "photos.zip"
    hostile = hostile_files()
    good = {f"good_{seed:03d}.png": noise(seed) for seed in range(100)}
    files = hostile | {
        name: (USED, encode(Image.fromarray(image), "PNG")) for name, image in good.items()
    }
    write_files(folder, files)
    special = write_special_files(folder, tmp_path / "outside")
    assert len(hostile) + len(special) == 1000 and len(files) + len(special) == 1100
    plain = {name: value for name, value in files.items() if is_text(name)}
    plain = {name: value for name, value in plain.items() if "\\" not in name}  # "/" in a zip
    archive.write_bytes(zip_of(*((name, data) for name, (_, data) in plain.items())))

    results, memory = read_apart([folder, folder, archive, archive], tmp_path / "cache")

    from_folder, again, from_zip, again_from_zip = results
    assert_fates(from_folder, special | {name: fate for name, (fate, _) in files.items()})
    assert_fates(from_zip, {name: fate for name, (fate, _) in plain.items()})
    pixels = {name: zlib.crc32(image.tobytes()) for name, image in good.items()}
    for result in results:
        assert pixels.items() <= dict(result["used"]).items()
    assert dict(from_zip["used"]).items() <= dict(from_folder["used"]).items()
    for first, second in ((from_folder, again), (from_zip, again_from_zip)):
        assert second == first | {"decoded": 0}
    assert memory < MOST_MEMORY


def test_exif_of_more_than_a_megabyte_is_not_parsed():
    for size, turned in ((0, True), (10**6, False)):
        data = exif(struct.pack("<I", 6)) + bytes(size)
        file = encode(Image.fromarray(noise(0)), "PNG", exif=data)
        pixels = decoding.decode(file, HEIGHT, WIDTH, "stretch", "lanczos").pixels
        assert np.array_equal(pixels, noise(0)) != turned


def test_room_is_shared_out_and_given_back():
    room = make_room(10)
    in_use, most = [], []

    def occupy(amount):
        with room(amount):
            in_use.append(min(amount, 10))
            most.append(sum(in_use))
            time.sleep(0.001)
            in_use.remove(min(amount, 10))
        with contextlib.suppress(ZeroDivisionError), room(amount):
            raise ZeroDivisionError

    with ThreadPoolExecutor(8) as threads:
        list(threads.map(occupy, [1, 3, 5, 9, 10, 99] * 10))
    assert max(most) == 10


# Folders.


def save_noise(path, seed=0):
    Image.fromarray(noise(seed)).save(path)


def become_longer(path):
    with open(path, "ab") as file:
        file.write(bytes(1000))


def become_another(path):
    save_noise(path, 1)
    os.utime(path, (1, 1))


def become_a_pipe(path):
    path.unlink()
    os.mkfifo(path)


def become_endless(path):
    path.unlink()
    path.symlink_to("/dev/zero")


def become_a_folder(path):
    path.unlink()
    path.mkdir()


@pytest.mark.parametrize(
    ("become", "reason"),
    [
        (pathlib.Path.unlink, "no such file or directory"),
        (become_longer, "changed while the images were read"),
        (become_another, "changed while the images were read"),
        (become_a_pipe, "changed while the images were read"),
        (become_endless, "changed while the images were read"),
        (become_a_folder, "is a directory"),
    ],
)
def test_file_that_changes_between_listing_and_reading(folder, load, monkeypatch, become, reason):
    save_noise(folder / "a.png")
    save_noise(folder / "b.png")
    choose = selection.choose_entries
    monkeypatch.setattr(
        sources,
        "choose_entries",
        lambda *arguments: become(folder / "b.png") or choose(*arguments),
    )
    loaded = load(folder)
    assert loaded.train_names == ("a.png",) and loaded.skipped == (("b.png", reason),)
    assert not list(folder.parent.glob("cache/*"))  # It may go better next time.


def test_folder_that_vanishes_while_it_is_listed(folder, load, monkeypatch):
    save_noise(folder / "a.png")
    (folder / "sub").mkdir()
    identity = image_files._identity

    def vanish(path):
        if path == str(folder / "sub"):
            os.rmdir(path)
        return identity(path)

    monkeypatch.setattr(image_files, "_identity", vanish)
    assert load(folder).skipped == (("sub", "no such file or directory"),)


def test_folders_deeper_than_python_can_call(folder, load):
    place, depth = str(folder), 1050
    for _ in range(depth):
        place += "/d"
        os.mkdir(place)
    Image.fromarray(noise(0)).save(place + "/a.png")
    names = load(folder).train_names
    os.unlink(place + "/a.png")
    while place != str(folder):  # Those who clean up the tests cannot do so either.
        os.rmdir(place)
        place = place[:-2]
    assert names == ("d/" * depth + "a.png",)


def test_want_of_memory_for_one_image_is_not_remembered(folder, load, monkeypatch):
    save_noise(folder / "a.png")
    save_noise(folder / "b.png")
    upright = rgb._upright
    outcomes = [MemoryError()]

    def fail_once(image):
        if outcomes:
            raise outcomes.pop()
        return upright(image)

    monkeypatch.setattr(rgb, "_upright", fail_once)
    assert [reason for _, reason in load(folder).skipped] == ["not enough memory"]
    assert load(folder).skipped == ()


# Zips.


class Member(NamedTuple):
    """An entry of a zip, with what its headers claim."""

    name: bytes
    data: bytes = b""  # As stored.
    method: int = 0
    flags: int = 0
    size: int | None = None  # Unpacked.
    checksum: int | None = None
    mode: int = 0
    place: int | None = None  # Of another entry, in its stead; nothing is stored.
    packed_size: int | None = None


def raw_zip(*members, tail=b""):
    """A zip made by hand, as no program would."""
    body, directory = bytearray(), bytearray()
    for member in members:
        place = len(body) if member.place is None else member.place
        size = len(member.data) if member.size is None else member.size
        checksum = zlib.crc32(member.data) if member.checksum is None else member.checksum
        packed_size = len(member.data) if member.packed_size is None else member.packed_size
        fields = (20, member.flags, member.method, 0, 33, checksum, packed_size, size)
        common = struct.pack("<5H3I2H", *fields, len(member.name), 0)
        rest = struct.pack("<3H2I", 0, 0, 0, member.mode << 16, place)
        directory += b"PK\1\2\x14\3" + common + rest + member.name
        if member.place is None:
            body += b"PK\3\4" + common + member.name + member.data
    count = len(members) & 0xFFFF
    end = struct.pack("<4H2IH", 0, 0, count, count, len(directory), len(body), len(tail))
    return bytes(body + directory) + b"PK\5\6" + end + tail


def deflated(data):
    return zlib.compress(data, 1)[2:-4]


def deflated_zeros(megabytes):
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    million = packer.compress(bytes(10**6)) + packer.flush(zlib.Z_FULL_FLUSH)
    return million * megabytes + packer.flush()


def raw_lzma(data):
    """LZMA as zips have it: its version, the length of its properties, these, and the data."""
    filters = [{"id": lzma.FILTER_LZMA1, "preset": 0}]
    packed = lzma.compress(data, lzma.FORMAT_RAW, filters=filters)
    return b"\x09\4\5\0" + bytes([93]) + struct.pack("<I", 1 << 18) + packed


GOOD = photo("PNG")


def read_zip(tmp_path, load, data):
    path = tmp_path / "photos.zip"
    path.write_bytes(data)
    return load(path)


def everything_in(folder):
    return sorted(folder.rglob("*"))


def test_names_that_lead_out_of_a_zip_are_only_names(tmp_path, load):
    names = ("/a.png", "../../b.png", "c/../d.png", "./e.png", "C:\\f.png", "//g/h.png")
    data = raw_zip(*(Member(name.encode(), GOOD) for name in names))
    (tmp_path / "cache").mkdir()
    (tmp_path / "photos.zip").touch()
    before = everything_in(tmp_path)
    loaded = read_zip(tmp_path, load, data)
    assert loaded.train_names == tuple(sorted((*names[:4], "C:/f.png", names[5])))
    assert loaded.skipped == ()
    new = set(everything_in(tmp_path)) - set(before)
    assert {path.parent for path in new} == {tmp_path / "cache"}
    assert not any(map(os.path.exists, ("/a.png", tmp_path.parent / "b.png", "C:\\f.png")))


def test_entries_of_a_zip_that_cannot_be_used_are_told(tmp_path, load):
    data = raw_zip(
        Member(b"twice.png", encode(Image.fromarray(noise(1)), "PNG")),
        Member(b"link.png", b"/etc/passwd", mode=stat.S_IFLNK | 0o777),
        Member(b"locked.png", GOOD, flags=1),
        Member(b"locked_well.png", GOOD, flags=65),
        Member(b"patched.png", GOOD, flags=32),
        Member(b"method_98.png", GOOD, method=98),
        Member(b"method_65535.png", GOOD, method=65_535),
        Member(b"bzip2.png", bz2.compress(GOOD), 12, size=len(GOOD), checksum=zlib.crc32(GOOD)),
        Member(b"no_bzip2.png", GOOD, 12),
        Member(b"no_deflate.png", GOOD, 8),
        Member(b"no_lzma.png", GOOD, 14),
        Member(b"rotten.png", GOOD, checksum=1),
        Member(b"cut.png", GOOD, packed_size=10**6),
        Member(b"short.png", GOOD, size=100),
        Member(b"heavy.png", GOOD, size=200_000_001),
        Member(b"nowhere.png", GOOD, place=10**9),
        Member(b"elsewhere.png", GOOD, place=7),
        Member(b"zip.png", zip_of(("a.png", GOOD))),
        Member(b"twice.png", encode(Image.fromarray(noise(2)), "PNG")),
    )
    loaded = read_zip(tmp_path, load, data)
    assert loaded.train_names == ("bzip2.png", "twice.png")
    np.testing.assert_array_equal(loaded.train[1], noise(2))
    assert_reasons_are_lines(loaded.skipped)
    reasons = dict(loaded.skipped)
    assert len(reasons) == len(loaded.skipped) == 17
    assert reasons["twice.png"] == "replaced by a later entry of the same name"
    assert reasons["locked.png"] == reasons["locked_well.png"] == "encrypted"
    assert reasons["heavy.png"] == "larger than 200 MB"
    assert reasons["zip.png"] == "a zip, not an image: unpack it"
    assert reasons["link.png"].startswith("not an image")
    for name in ("rotten", "short"):
        assert "CRC" in reasons[f"{name}.png"]


@pytest.mark.slow
def test_zips_that_unpack_to_gigabytes_do_not(tmp_path):
    zeros = deflated_zeros(1000)
    kernel = Member(b"0.png", deflated_zeros(190), 8, size=190_000_000)
    layers = [
        Member(b"%d.png" % i, deflated_zeros(190), 8, size=190_000_000, packed_size=10**6)
        for i in range(40)
    ]
    zips = {
        "lies": raw_zip(
            Member(b"deflate.png", zeros, 8, size=1000),
            Member(b"bzip2.png", bz2.compress(bytes(10**8)), 12, size=1000),
            Member(b"lzma.png", raw_lzma(bytes(10**8)), 14, size=1000),
            Member(b"honest.png", zeros, 8, size=10**9),
            Member(b"good.png", GOOD),
        ),
        "same": raw_zip(kernel, *[kernel._replace(place=0)] * 3000, Member(b"good.png", GOOD)),
        "layers": raw_zip(*layers, Member(b"good.png", GOOD)),
        "many": raw_zip(
            *(Member(b"%d.png" % i) for i in range(99_000)),
            *(Member(b"x%d.png" % i, b"no image") for i in range(999)),
            Member(b"good.png", GOOD),
        ),
    }
    for name, data in zips.items():
        (tmp_path / f"{name}.zip").write_bytes(data)
    with open(tmp_path / "list.zip", "wb") as file:  # Its list of entries has four gigabytes.
        file.seek(2**32)
        file.write(b"PK\5\6" + struct.pack("<4H2IH", 0, 0, 1, 1, 2**32 - 2, 0, 0))
    paths = [tmp_path / f"{name}.zip" for name in (*zips, "list")]
    results, memory = read_apart(paths, tmp_path / "cache")
    for result in results[:-1]:
        assert [name for name, _ in result["used"]] == ["good.png"]
        assert_reasons_are_lines(result["skipped"])
    assert "its list of entries is larger than 200 MB" in results[-1]["error"]
    assert [len(result["skipped"]) for result in results[:-1]] == [4, 3001, 40, 99_999]
    assert memory < 500_000_000


def test_damaged_zips_are_read_in_part_or_refused_in_a_sentence(tmp_path, load):
    rng = random.Random(0)
    names = [f"{seed}.png" for seed in range(5)]
    members = [(name, encode(Image.fromarray(noise(0)), "PNG")) for name in names]
    whole = zip_of(*members)
    start = whole.index(b"PK\1\2")  # Of the list of entries, where most damage is done.
    badly_named = whole.replace(b"PK\1\2\x14\3\x14\0\0\0", b"PK\1\2\x14\3\x14\0\0\x08")
    badly_named = badly_named[:start] + badly_named[start:].replace(b"0.png", b"\xff.png")
    damaged = [badly_named, b"", b"PK\5\6", bytes(22), whole[:-4], whole[start:], whole[9:]]
    damaged += [cut(whole, rng) for _ in range(20)]
    damaged += [whole[:start] + flip(whole[start:], rng) for _ in range(200)]
    damaged += [flip(whole, rng) for _ in range(50)]
    read, refused = 0, 0
    for data in damaged:
        try:
            loaded = read_zip(tmp_path, load, data)
        except UserError as error:
            assert str(tmp_path / "photos.zip") in str(error) and "\n" not in str(error)
            refused += 1
        else:
            assert_reasons_are_lines(loaded.skipped)
            read += 1
    assert read > 50 and refused > 50


# Arrays and the cache.


class Bomb:
    """Creates a folder where it is unpickled."""

    def __init__(self, folder):
        self.folder = str(folder)

    def __reduce__(self):
        return os.mkdir, (self.folder,)


def npy(header, data=b"", version=1, length=None):
    """A .npy file with any header."""
    size = len(header) if length is None else length
    return (
        b"\x93NUMPY"
        + struct.pack("<BBH" if version == 1 else "<BBI", version, 0, size)
        + (header.encode("latin1") + data)
    )


def header(shape=(2, 20, 30, 3), kind="|u1", order=False):
    return repr({"descr": kind, "fortran_order": order, "shape": shape}) + "\n"


SIZE = 2 * 20 * 30 * 3


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize(
    "data",
    [
        npy(header((3, 20, 30, 3)), bytes(SIZE)),
        npy(header((2**40, 20, 30, 3)), bytes(SIZE)),
        npy(header((2**62, 2**62, 30, 3)), bytes(SIZE)),
        npy(header((2**64, 20, 30, 3)), bytes(SIZE)),
        npy(header((-2, 20, 30, 3)), bytes(SIZE)),
        npy(header((-2, -20, 30, 3)), bytes(SIZE)),
        npy(header((0, 20, 30, 3))),
        npy(header(()), b"\0"),
        npy(header((2.0, 20, 30, 3)), bytes(SIZE)),
        npy(header((1,) * 99), bytes(SIZE)),
        npy(header(kind="|u9"), bytes(SIZE)),
        npy(header(kind="|V3"), bytes(SIZE * 3)),
        npy(header(kind=[("a" * 9000, "|u1")]), bytes(SIZE)),
        npy(header(kind="|b1"), bytes(SIZE)),
        npy(header(), bytes(SIZE - 1)),
        npy(header(order=1), bytes(SIZE)),
        npy(header(), bytes(SIZE), 4),
        npy(header(), bytes(SIZE), 0),
        npy(header(), bytes(SIZE), 255),
        npy(header(), bytes(SIZE), 2, 2**32 - 1),
        npy(header() + " " * 100_000, bytes(SIZE), 2),
        npy(header(), bytes(SIZE), length=3),
        npy("__import__('os').mkdir('bomb')", bytes(SIZE)),
        npy("{'descr': '|u1', 'shape': __import__('os').mkdir('bomb')}", bytes(SIZE)),
        npy("[" * 9000, bytes(SIZE)),
        npy("-" * 9000 + "1", bytes(SIZE)),
        npy("9" * 9000, bytes(SIZE)),
        npy("'\\d' is 1L", bytes(SIZE)),
        npy("{}", bytes(SIZE)),
        npy("\0", bytes(SIZE)),
        zip_of(("a.npy", npy(header(), bytes(SIZE)))),
        pickle.dumps(noise(0)),
    ],
)
def test_hostile_arrays_are_refused_in_a_sentence(tmp_path, load, monkeypatch, recwarn, data):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a.npy").write_bytes(data)
    with pytest.raises(UserError, match=r"a.npy must hold a uint8 array of shape") as caught:
        load(tmp_path / "a.npy")
    assert str(caught.value).isprintable() and len(str(caught.value)) < 500
    assert not (tmp_path / "bomb").exists() and not recwarn


@pytest.mark.parametrize("version", [1, 2, 3])
@pytest.mark.parametrize("order", [False, True])
def test_arrays_of_every_version_and_order_are_read(tmp_path, load, version, order):
    array = np.stack([noise(0), noise(1)])
    data = array.tobytes("F" if order else "C")
    (tmp_path / "a.npy").write_bytes(npy(header(order=order), data, version))
    np.testing.assert_array_equal(load(tmp_path / "a.npy").train, array)


def test_flipped_array_is_read_or_refused(tmp_path, load):
    rng = random.Random(0)
    whole = npy(header(), noise(0).tobytes() * 2)
    for _ in range(200):
        (tmp_path / "a.npy").write_bytes(flip(whole[:90], rng) + whole[90:])
        with contextlib.suppress(UserError):
            assert load(tmp_path / "a.npy").train.shape[1:] == (HEIGHT, WIDTH, 3)


def test_objects_in_an_array_are_not_unpickled(tmp_path, load):
    bomb = Bomb(tmp_path / "bomb")
    array = np.empty((2, 20, 30, 3), object)
    array[:] = bomb
    np.save(tmp_path / "a.npy", array, allow_pickle=True)
    with pytest.raises(UserError, match="a.npy must hold a uint8 array"):
        load(tmp_path / "a.npy")
    (tmp_path / "a.npy").write_bytes(pickle.dumps(bomb))
    with pytest.raises(UserError, match="a.npy must hold a uint8 array"):
        load(tmp_path / "a.npy")
    assert not (tmp_path / "bomb").exists()
    pickle.loads(pickle.dumps(bomb))
    assert (tmp_path / "bomb").exists()  # It would have gone off.


def test_arrays_too_large_for_memory_are_refused(tmp_path):
    shapes = {"one": (1, 60_000, 60_000), "many": (10**12, 1, 2), "long": (2, 20, 30, 3)}
    for name, shape in shapes.items():
        data = npy(header(shape), length=2**32 - 1 if name == "long" else None, version=2)
        (tmp_path / f"{name}.npy").write_bytes(data)
        os.truncate(tmp_path / f"{name}.npy", 3 * 10**12)  # Most of it takes no room on disk.
    paths = [tmp_path / f"{name}.npy" for name in shapes]
    results, memory = read_apart(paths, tmp_path / "cache")
    one, many, long = [result["error"] for result in results]
    assert "holds images of more than 80,000,000 pixels: uint8 [1, 60000, 60000]" in one
    assert "1,000,000,000,000 images of 20 x 30 pixels need 1,800,000 GB" in many
    assert "header is too long" in long
    assert memory < 100_000_000


@pytest.mark.parametrize("extension", ["zip", "npy"])
def test_pipe_in_place_of_a_zip_or_array_is_refused_at_once(tmp_path, extension):
    os.mkfifo(tmp_path / f"a.{extension}")
    results, _ = read_apart([tmp_path / f"a.{extension}"], tmp_path / "cache")
    assert "not a regular file" in results[0]["error"]


@pytest.fixture
def cached(folder, load):
    """A folder of three images and the two files of its cache."""
    for seed in range(3):
        save_noise(folder / f"{seed}.png", seed)
    (folder / "bad.png").write_bytes(b"no image")
    load(folder)
    (array,), (listing,) = [(folder.parent / "cache").glob(f"*.{end}") for end in ("npy", "json")]
    return folder, array, listing


def assert_is_rebuilt(load, folder):
    loaded = load(folder)
    np.testing.assert_array_equal(loaded.train, np.stack([noise(seed) for seed in range(3)]))
    assert loaded.train_names == ("0.png", "1.png", "2.png") and len(loaded.skipped) == 1


def test_any_flipped_byte_of_the_cache_is_noticed(cached, load):
    folder, *files = cached
    rng = random.Random(0)
    for file in files:
        whole = file.read_bytes()
        places = [0, len(whole) - 1, *(rng.randrange(len(whole)) for _ in range(30))]
        for place in places:
            damaged = bytearray(whole)
            damaged[place] ^= 1 << rng.randrange(8)
            file.write_bytes(damaged)
            assert_is_rebuilt(load, folder)


def test_what_is_planted_in_the_cache_is_never_unpickled(cached, load):
    folder, array, listing = cached
    bomb = folder.parent / "bomb"
    objects = np.empty((3, HEIGHT, WIDTH, 3), object)
    objects[:] = Bomb(bomb)
    file = io.BytesIO()
    np.save(file, objects, allow_pickle=True)
    packed = io.BytesIO()
    np.savez(packed, objects)
    for data in (file.getvalue(), packed.getvalue(), pickle.dumps(Bomb(bomb))):
        for place in (array, listing):
            place.write_bytes(data)
            assert_is_rebuilt(load, folder)
    assert not bomb.exists()


@pytest.mark.parametrize(
    "change",
    [
        {"names": [0, 1, 2]},
        {"names": "abc"},
        {"names": None},
        {"skipped": [["bad.png", 1]]},
        {"skipped": [["bad.png"]]},
        {"skipped": "ab"},
        {"seal": None},
    ],
)
def test_listing_of_another_kind_is_not_believed(cached, load, change):
    folder, _, listing = cached
    listing.write_text(json.dumps(json.loads(listing.read_text()) | change))
    assert_is_rebuilt(load, folder)


@pytest.mark.parametrize("text", ["[" * 100_000, "[]", "null", '"names"', "NaN"])
def test_listing_that_is_none_is_not_believed(cached, load, text):
    folder, _, listing = cached
    listing.write_text(text)
    assert_is_rebuilt(load, folder)


@pytest.mark.parametrize("index", [1, 2])
def test_pipe_in_place_of_the_cache_is_replaced_at_once(cached, index):
    folder = cached[0]
    cached[index].unlink()
    os.mkfifo(cached[index])
    (result,), _ = read_apart([folder], folder.parent / "cache")
    assert [name for name, _ in result["used"]] == ["0.png", "1.png", "2.png"]
    assert cached[index].is_file()
