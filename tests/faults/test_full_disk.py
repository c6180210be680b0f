"""A disk that is full, at each of a run's files: told in a sentence, and nothing is lost by it."""

import os
import shutil
import subprocess

import drive
import pytest

from fish_jax.runs import layout

FULL = int(os.environ.get("KILLS") or 50) >= 50
# What does not fit: the folder that is on the small disk, its kilobytes, what is named.
CASES = {
    "log.txt": ("run", 4, "run/log.txt"),
    "config.json": ("run", 8, "run/config.json"),
    "TensorBoard's file": ("run/tensorboard", 4, "run/tensorboard/events"),
    "a picture": ("run/samples", 4, "run/samples/000002.png"),
    "the first checkpoint": ("run/checkpoints", 1000, "run/checkpoints"),
    "a second checkpoint": ("run/checkpoints", 5000, "run/checkpoints"),
    "a fourth checkpoint": ("run/checkpoints", 14000, "run/checkpoints"),
}
if FULL:  # the whole folder: from where its first checkpoint does not fit to where a fourth
    SIZES = (24, 60, 120, 2000, 4150, 4200, 4300, 5000, 8300, 8500, 9000, 12400)
    CASES |= {f"a run on {size} kB": ("run", size, "run/") for size in SIZES}


@pytest.fixture
def mount():
    """Mounts a small disk on a folder; afterwards, all are taken away again."""
    mounted = []

    def mount(folder, kilobytes):
        folder.mkdir(parents=True, exist_ok=True)
        size = f"size={kilobytes}k"
        command = ["mount", "-t", "tmpfs", "-o", size, "tmpfs", folder]
        done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode:
            pytest.skip(f"a small disk cannot be mounted here: {done.stderr.strip()}")
        mounted.append(folder)

    def bind(file, place):
        """Puts a file of a small disk in a place elsewhere, where a link would be refused."""
        place.parent.mkdir()
        file.touch(), place.touch()
        subprocess.run(["mount", "--bind", file, place], check=True)
        mounted.append(place)

    def release(place):
        """Keeps what a file of a small disk holds, where there is room."""
        content = place.read_bytes()
        subprocess.run(["umount", place], check=True)
        mounted.remove(place)
        place.write_bytes(content)

    mount.bind, mount.release = bind, release
    yield mount
    for folder in reversed(mounted):
        subprocess.run(["umount", folder], check=True)


def grow(folder):
    subprocess.run(["mount", "-o", "remount,size=100m", folder], check=True)


@pytest.fixture(scope="module")
def command(photographs):
    return [
        *drive.CONFIG,
        "--config.epochs=10",
        "--config.checkpoint_minutes=0.001",
        f"--config.data.path={photographs}",
    ]


@pytest.fixture(scope="module")
def whole(command, tmp_path_factory):
    """A run that nobody disturbed."""
    place = tmp_path_factory.mktemp("whole")
    code, err = drive.finish(place, *command)
    assert code == 0, err
    return place


def assert_told_and_kept(code, err, place, whole, named):
    """One sentence names the file; lines of the log are whole; the newest checkpoint is good."""
    told = err.splitlines()[-1]
    assert code == 1 and told.startswith("error: ") and "No space left on device" in told, err
    assert f"{place}/{named}" in told and "run the same command to resume" in told
    assert "Traceback" not in err and "Exception" not in err, err
    run = place / "run"
    lines = drive.metrics(run) if (run / layout.METRICS).exists() else []
    assert lines == drive.metrics(whole / "run")[: len(lines)]
    saved = [int(path.name) for path in (run / "checkpoints").glob("*") if path.name.isdigit()]
    if saved:
        assert not lines or lines[-1]["step"] >= max(saved) - 3  # lines are of three steps at most
        code, err = drive.finish(place, "--mode=sample", f"--out={place}/sampled.png")
        assert code == 0, err


@pytest.mark.parametrize("name", CASES)
def test_a_full_disk(command, whole, mount, tmp_path, suffer, name):
    on, kilobytes, named = CASES[name]
    shutil.copytree(whole / "cache", tmp_path / "cache")
    mount(tmp_path / on, kilobytes)
    code, err = drive.finish(tmp_path, *command)
    assert_told_and_kept(code, err, tmp_path, whole, named)
    grow(tmp_path / on)
    code, err = drive.finish(tmp_path, *command)
    assert code == 0, err
    drive.assert_same_run(tmp_path, whole)
    suffer(f"full disk: {name.replace(str(kilobytes), 'few')}")


def test_a_full_disk_under_the_metrics(command, whole, mount, tmp_path, suffer):
    """And a half-written last line, as a power cut may leave it, is healed."""
    shutil.copytree(whole / "cache", tmp_path / "cache")
    mount(tmp_path / "small", 4)
    mount.bind(tmp_path / "small" / layout.METRICS, tmp_path / "run" / layout.METRICS)
    code, err = drive.finish(tmp_path, *command)
    assert_told_and_kept(code, err, tmp_path, whole, f"run/{layout.METRICS}")
    assert len(drive.metrics(tmp_path / "run")) > 9
    mount.release(tmp_path / "run" / layout.METRICS)
    with open(tmp_path / "run" / layout.METRICS, "a") as file:
        file.write('{"step": 99, "d_lo')
    code, err = drive.finish(tmp_path, *command)
    assert code == 0, err
    drive.assert_same_run(tmp_path, whole)
    suffer("full disk: metrics.jsonl")


@pytest.mark.parametrize("kilobytes", [8, 1000])
def test_a_full_disk_under_the_cache(command, whole, mount, tmp_path, suffer, kilobytes):
    """Images that cannot be cached are trained on all the same, and said to be not cached."""
    mount(tmp_path / "cache", kilobytes)
    code, err = drive.finish(tmp_path, *command)
    assert code == 0, err
    warning = f"warning: the images are not cached in {tmp_path}/cache/fish_jax: "
    assert warning in err and "no space left" in err and "Traceback" not in err, err
    assert drive.names(tmp_path / "cache") == set()
    grow(tmp_path / "cache")
    code, err = drive.finish(tmp_path, *command)
    assert code == 0 and "warning" not in err, err
    drive.assert_same_run(tmp_path, whole)
    suffer("full disk: the cache, told as a warning")
