"""Whole runs of main.py in processes of their own: watched by their log, and compared."""

import json
import os
import re
import struct
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import jax
import numpy as np
from PIL import Image
from tensorboardX.proto.event_pb2 import Event, SessionLog

from fish_jax.runs import layout, sampling

IMAGES = 120
# The dense network compiles fastest. Lines of the log, pictures and checkpoints are frequent.
CONFIG = [
    "--config=configs/lsgan_dense.py:demo",
    "--config.height=56",
    "--config.width=128",
    "--config.batch_size=8",
    "--config.log_every_steps=3",
    "--config.sample_every_epochs=2",
    "--config.latents.size=4",
    *[f"--config.generator.layers[{row}].filters=8" for row in range(3)],
    *[f"--config.discriminator.layers[{row}].filters=8" for row in (1, 2)],
]
LINE = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z (\d+) (.*)")


def make_images(folder: Path) -> Path:
    """Makes photographs of noise, which take some milliseconds each to decode."""
    folder.mkdir()
    random = np.random.default_rng(0)
    for index in range(IMAGES):
        noise = Image.fromarray(random.integers(0, 256, (30, 40, 3), np.uint8))
        noise.resize((800, 600)).save(folder / f"{index:03d}.png", compress_level=1)
    return folder


def start(place: Path, *arguments: object) -> subprocess.Popen:
    """Starts main.py in `place`/run, with its images' cache in `place`/cache.

    What it says goes to files there, so that no pipe fills up.
    """
    variables = {k: v for k, v in os.environ.items() if k != "XLA_FLAGS"}
    variables["XDG_CACHE_HOME"] = str(place / "cache")
    command = [sys.executable, "main.py", f"--workdir={place}/run", *map(str, arguments)]
    place.mkdir(exist_ok=True)
    with open(place / "out", "wb") as out, open(place / "err", "wb") as err:
        return subprocess.Popen(command, env=variables, stdout=out, stderr=err)


def finish(place: Path, *arguments: object) -> tuple[int, str]:
    """Runs main.py to its end; gives its exit status and what it said on stderr."""
    code = start(place, *arguments).wait(timeout=300)
    return code, (place / "err").read_text()


def log(folder: Path, pid: int | None = None) -> list[str]:
    """The log's lines, of a process or of all; each must be whole."""
    path = folder / layout.LOG
    text = path.read_text() if path.exists() else ""
    found = [LINE.fullmatch(line) for line in text.splitlines()]
    assert all(found), text
    return [match[2] for match in found if pid is None or int(match[1]) == pid]


def under_way(lines: list[str]) -> list[str]:
    """What was begun by a process and has not ended, the last begun last."""
    begun = []
    for line in lines:
        word, _, what = line.partition(": ")
        if word == "begin":
            begun.append(what)
        elif word in ("end", "broken off"):
            begun.remove(next(b for b in begun if b.startswith(what)))
    return begun


def await_line(
    process: subprocess.Popen, folder: Path, wanted: Callable[[str], bool], count: int = 1
) -> bool:
    """Returns at once when a process has logged `count` such lines; False if it ended before."""
    deadline, rest = time.monotonic() + 200, b""
    while not (folder / layout.LOG).exists() and process.poll() is None:
        time.sleep(0.001)
    with open(folder / layout.LOG, "rb") as file:
        while time.monotonic() < deadline:
            ended = process.poll() is not None
            *lines, rest = (rest + file.read()).split(b"\n")
            found = [LINE.fullmatch(line.decode()) for line in lines]
            count -= sum(int(match[1]) == process.pid and wanted(match[2]) for match in found)
            if count <= 0 or ended:
                return count <= 0
            time.sleep(0.0002)
    raise AssertionError(f"never logged: {log(folder, process.pid)}")


def state(folder: Path) -> dict[str, np.ndarray]:
    """Parameters, statistics, optimisers' state, key and step of a run's newest checkpoint."""
    newest = sampling.load(folder)[1]
    newest = newest.replace(key=jax.random.key_data(newest.key))
    leaves = jax.tree_util.tree_leaves_with_path(newest)
    return {jax.tree_util.keystr(path): np.asarray(leaf) for path, leaf in leaves}


def metrics(folder: Path) -> list[dict[str, float]]:
    """Every line of metrics.jsonl, less how fast it was."""
    lines = [json.loads(line) for line in (folder / layout.METRICS).read_text().splitlines()]
    return [{k: v for k, v in line.items() if k != "images_per_second"} for line in lines]


def scalars(folder: Path) -> list[tuple[int, str, float]]:
    """What TensorBoard shows of a run: files by name, and at a start nothing from its step on."""
    shown = []
    for path in sorted((folder / "tensorboard").iterdir()):
        data = path.read_bytes()
        while data:
            (length,) = struct.unpack("<Q", data[:8])
            event = Event.FromString(data[12 : 12 + length])
            data = data[16 + length :]
            if event.session_log.status == SessionLog.START:
                shown = [entry for entry in shown if entry[0] < event.step]
            shown += [(event.step, value.tag, value.simple_value) for value in event.summary.value]
    return [entry for entry in shown if entry[1] != "images_per_second"]


def names(folder: Path) -> set[str]:
    """Files of a run or a cache, less those that need not have the same name in two runs."""
    paths = {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}
    return {path for path in paths if not path.startswith(("tensorboard/", "checkpoints/"))}


def assert_same_run(place: Path, whole_place: Path) -> None:
    """A run is, bit for bit, what one that nobody disturbed is, and nothing else lies about."""
    folder, whole = place / "run", whole_place / "run"
    ours, theirs = state(folder), state(whole)
    assert ours.keys() == theirs.keys()
    for name, leaf in theirs.items():
        np.testing.assert_array_equal(ours[name], leaf, name)
    assert metrics(folder) == metrics(whole)
    assert scalars(folder) == scalars(whole)
    assert names(folder) == names(whole)
    assert names(place / "cache") == names(whole_place / "cache")
    for name in sorted(names(whole) - {layout.METRICS, layout.LOG, layout.LOCK}):
        assert (folder / name).read_bytes() == (whole / name).read_bytes(), name
    saved = [path.name for path in (folder / layout.CHECKPOINTS).iterdir()]
    assert 1 <= len(saved) <= 3 and all(name.isdigit() for name in saved), saved
