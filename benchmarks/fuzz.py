"""Damages images, arrays, archives and the JSON files of a run, and reads them, for some minutes.

    python -m benchmarks.fuzz --minutes=30 --seed=0

Each file is read in a process that this one ends if it hangs or takes too much. What is counted:

wrong     an image is read to other pixels than Pillow alone gives, or an array to other numbers
escaped   another error than a sentence
long      a message of several lines, or of more than a thousand letters

A process that dies, or takes more than `SECONDS` or `MEMORY`, is reported with its reason. Files
that end badly are kept. TIFF is held against no pixels: of its kinds Pillow gets many wrong.
"""

import argparse
import collections
import functools
import io
import json
import random
import sys
import tempfile
import time
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
from PIL import Image

from fish_jax.data import decoding
from fish_jax.data.images import load_images
from fish_jax.errors import UserError
from fish_jax.utils import limited

SIZE = (20, 30)
SECONDS = 100.0  # of processor time for `BATCH` files, which take five
MEMORY = 1_500_000_000
BATCH = 200  # files in a process
OUTPUT = 10_000_000
COLOURS = {"icc_profile", "transparency", "gamma", "exif"}  # parts of a file that change colours
PLANTED = b"\x00\xff\x7f\x80[]{}\"',:0123456789-eE.NaninfIty"


def noise(random_: np.random.Generator, height: int = 40, width: int = 60) -> np.ndarray:
    """An image, uint8 [H, W, 3], that packs neither well nor badly."""
    small = random_.integers(0, 256, (height // 4, width // 4, 3), np.uint8)
    return small.repeat(4, 0).repeat(4, 1)


def images() -> Iterator[bytes]:
    """Whole image files of each kind that is read."""
    pixels = Image.fromarray(noise(np.random.default_rng(0)))
    kinds = [("JPEG", {}), ("JPEG", {"progressive": True}), ("PNG", {}), ("WEBP", {}), ("BMP", {})]
    kinds += [("GIF", {}), ("TIFF", {}), ("TIFF", {"compression": "tiff_lzw"})]
    for kind, options in kinds:
        for mode in ("RGB", "L") if kind != "WEBP" else ("RGB",):
            file = io.BytesIO()
            pixels.convert(mode).save(file, kind, **options)
            yield file.getvalue()


def arrays() -> Iterator[bytes]:
    """Arrays of images."""
    for order in ("C", "F"):
        file = io.BytesIO()
        pictures = np.stack([noise(np.random.default_rng(seed), *SIZE) for seed in (0, 1)])
        np.save(file, np.asarray(pictures, order=order))
        yield file.getvalue()


def archives() -> Iterator[bytes]:
    """Zips of images."""
    for method in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        file = io.BytesIO()
        with zipfile.ZipFile(file, "w", method) as archive:
            for index, content in enumerate(images()):
                archive.writestr(f"a/{index}.png", content)
        yield file.getvalue()


def weights() -> Iterator[bytes]:
    """Files of a network's weights, a .npz and a .safetensors."""
    values = np.arange(6, dtype=np.float32).reshape(2, 3)
    for save in (np.savez, np.savez_compressed):
        file = io.BytesIO()
        save(file, a=values)
        yield file.getvalue()
    header = b'{"a":{"dtype":"F32","shape":[2,3],"data_offsets":[0,24]}}'
    yield len(header).to_bytes(8, "little") + header + values.tobytes()


def json_files() -> Iterator[tuple[str, bytes]]:
    """Files of a run and of a comparison, by name."""
    from fish_jax.config_loader import load_config

    line = {"step": 5, "epoch": 1, "images": 40, "steps": 5, "images_per_second": 2.5, "d_loss": 1}
    score = {"name": "recall", "value": 0.5, "floor": 1, "low": None, "high": 0.7, "spread": 0.1}
    kept = {"steps": 5, "averaged": True, "protocol": "of a test", "scores": [score]}
    mark = {"epoch": 1, "images": 40, "updates": 5, "scores": {"recall": 0.5}}
    mark |= {"real": [0.1], "fake": [0.2]}
    outcome = {"loss": "hinge", "seed": 0, "diverged": None, "marks": [mark], "seconds": 2.5}
    outcome |= {"curves": {"images": [40], "d_loss": [1.0]}, "findings": [], "planned": [1]}
    config = load_config("ralsgan", "demo")
    yield "config.json", config.to_json().encode()
    yield "metrics.jsonl", (json.dumps(line) + "\n").encode() * 3
    yield "scores.json", json.dumps(kept).encode()
    yield "outcome.json", json.dumps(outcome).encode()


def damaged(content: bytes, draw: random.Random) -> bytes:
    """The same file with one to four changes."""
    changed = bytearray(content)
    for _ in range(draw.randint(1, 4)):
        place, length = draw.randrange(max(1, len(changed))), draw.choice((1, 2, 4, 30))
        kind, digits = draw.randrange(7), [at for at, byte in enumerate(changed) if 48 <= byte < 58]
        if kind == 0 and changed:
            changed[min(place, len(changed) - 1)] ^= 1 << draw.randrange(8)
        elif kind == 1:
            del changed[place : place + length]
        elif kind == 2:
            changed[place : place + length] = draw.randbytes(length)
        elif kind == 3:
            changed[place:place] = bytes(draw.choices(PLANTED, k=length))
        elif kind == 4:
            other = draw.randrange(max(1, len(changed)))
            changed[place:place] = changed[other : other + length]
        elif kind == 5 and digits:  # most other changes of a text leave no JSON
            changed[draw.choice(digits)] = draw.randrange(48, 58)
        else:
            changed[place : place + 4] = draw.choice((b"\xff" * 4, b"\0" * 4, b"\x7f\xff\xff\xff"))
    return bytes(changed)


def plain_pixels(content: bytes, resample: Image.Resampling) -> np.ndarray | None:
    """An image as Pillow alone reads it; None where colours need more than that."""
    try:
        with Image.open(io.BytesIO(content)) as image:
            if image.format == "TIFF" or image.mode not in ("RGB", "L") or COLOURS & {*image.info}:
                return None
            return np.asarray(image.convert("RGB").resize(SIZE[::-1], resample))
    except Exception:
        return None


def read_image(content: bytes, folder: Path) -> str:
    """Decodes an image, and compares the pixels with Pillow's where both read it."""
    try:
        made = decoding.decode(content, *SIZE, "stretch", "nearest").pixels
    except Exception:  # of any kind: `data.sources` skips the file
        return "refused"
    expected = plain_pixels(content, Image.Resampling.NEAREST)
    return "read" if expected is None or np.array_equal(made, expected) else "wrong"


def load(path: Path, content: bytes, folder: Path) -> np.ndarray:
    """The images of a file, without what was cached before."""
    path.write_bytes(content)
    return load_images(str(path), *SIZE, cache_dir=str(folder / "cache")).train


def read_array(content: bytes, folder: Path) -> str:
    """Reads an array of images, and compares it with what NumPy reads."""
    made = load(folder / "a.npy", content, folder)
    expected = np.load(io.BytesIO(content))
    if expected.shape[1:] != (*SIZE, 3):
        return "read"
    return "read" if np.array_equal(made, expected) else "wrong"


@functools.cache
def known() -> frozenset[bytes]:
    """The pixels of all whole images, TIFF's as this package reads them."""
    lanczos = Image.Resampling.LANCZOS
    made = ((content, plain_pixels(content, lanczos)) for content in images())
    own = lambda content: decoding.decode(content, *SIZE, "stretch", "lanczos").pixels
    return frozenset(
        (own(content) if pixels is None else pixels).tobytes() for content, pixels in made
    )


def read_archive(content: bytes, folder: Path) -> str:
    """Reads a zip; as it has checksums, all images that are read must be whole ones."""
    made = load(folder / "a.zip", content, folder)
    return "read" if all(image.tobytes() in known() for image in made) else "wrong"


def read_weights(content: bytes, folder: Path) -> str:
    """Reads weights, which must be those of the file as NumPy or its bytes have them."""
    from fish_jax.evaluation.metrics import inception_weights

    (folder / "weights").write_bytes(content)
    found, _ = inception_weights.read(folder / "weights", {"a": (2, 3)}, {})
    if content.startswith(b"PK"):
        return "read" if np.array_equal(np.load(io.BytesIO(content))["a"], found["a"]) else "wrong"
    return "read" if found["a"].astype("<f4").tobytes() in content else "wrong"


def read_json(name: str, content: bytes, folder: Path) -> str:
    """Reads a file of a run or a comparison, and uses what is read as its readers do."""
    from fish_jax.comparison import runner
    from fish_jax.comparison.results import Outcome
    from fish_jax.evaluation import scores_file
    from fish_jax.runs import health, metrics, sampling

    (folder / name).write_bytes(content)
    if name == "config.json":
        sampling.read_run(folder)
    elif name == "metrics.jsonl":
        lines = metrics.read_lines(folder)
        health.diagnose(health.recent(lines * 2000), 1.0)
        runner.curves(lines), runner.step_seconds(lines, 8)
    elif name == "scores.json":
        json.dumps(scores_file.read_scores(folder, 5, True), allow_nan=False).encode()
    elif kept := runner._read(folder / name, Outcome, {"recall": 1.0}):
        json.dumps(kept.plain())
    return "read"


def cases() -> list[tuple[str, bytes, Callable[[bytes, Path], str]]]:
    """(kind, whole file, reader) of everything that is damaged."""
    made = [("image", content, read_image) for content in images()]
    made += [("array", content, read_array) for content in arrays()]
    made += [("archive", content, read_archive) for content in archives()]
    made += [("weights", content, read_weights) for content in weights()]
    for name, content in json_files():
        read = lambda data, folder, name=name: read_json(name, data, folder)
        made.append((name, content, read))
    return made


def tried(read: Callable[[bytes, Path], str], content: bytes, folder: Path) -> str:
    """How reading ends."""
    try:
        return read(content, folder)
    except UserError as error:
        text = str(error)
        return "refused" if "\n" not in text and len(text) < 1000 else f"long: {text[:200]!r}"
    except Exception as error:
        return f"escaped: {type(error).__name__}: {error}"[:300]


def child(seed: int, keep: Path) -> None:
    """Reads a batch of damaged files, and prints a line for each that is no whole one."""
    draw, made = random.Random(seed), cases()
    with tempfile.TemporaryDirectory() as folder, decoding.quiet_pillow():
        for index in range(BATCH):
            kind, content, read = made[draw.randrange(len(made))]
            data = damaged(content, draw)
            (keep / "last").write_bytes(data)  # which a crash leaves
            end = tried(read, data, Path(folder))
            if end not in ("read", "refused"):
                (keep / f"{kind}-{seed}-{index}").write_bytes(data)
            print(json.dumps([kind, end]), flush=True)


def main() -> None:
    """Fuzzes for some minutes, and prints how many files of each kind ended how."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--minutes", type=float, default=30)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--keep", type=Path, default=Path("fuzzed"), help="files that ended badly")
    options = parser.parse_args()
    options.keep.mkdir(parents=True, exist_ok=True)
    ends, seed, until = collections.Counter(), options.seed, time.time() + 60 * options.minutes
    while time.time() < until:
        arguments = [str(seed), str(options.keep)]
        try:
            printed = limited.run_module(
                "benchmarks.fuzz", ["--child", *arguments], MEMORY, SECONDS, OUTPUT
            )
        except ValueError as error:
            ends["a process", str(error)] += 1
            (options.keep / "last").rename(options.keep / f"last-{seed}")
            printed = b""
        ends.update(tuple(json.loads(line)) for line in printed.splitlines())
        seed += 1
    for (kind, end), count in sorted(ends.items()):
        print(f"{kind:15} {count:8,}  {end}")
    sys.exit(any(end not in ("read", "refused") for _, end in ends))


if __name__ == "__main__":
    if sys.argv[1:2] == ["--child"]:
        child(int(sys.argv[2]), Path(sys.argv[3]))
    else:
        main()
