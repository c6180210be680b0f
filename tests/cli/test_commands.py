"""What the modes write and remove, and what they say of the machine around."""

import os
import subprocess
import sys

import jax
import numpy as np
import pytest
from helpers.tiny import tiny_config

from fish_jax.cli import commands, jax_import
from fish_jax.errors import UserError
from fish_jax.runs import animation, interpolation, inversion, sampling
from fish_jax.training.train import train
from fish_jax.utils.files import replacing

IMAGES = np.zeros((2, 4, 4, 3), np.uint8)


@pytest.fixture
def quick(monkeypatch):
    """Nothing is loaded or drawn."""
    monkeypatch.setattr(commands, "_prepare_device", lambda: None)
    monkeypatch.setattr(sampling, "sample", lambda *_: IMAGES)
    monkeypatch.setattr(interpolation, "walk", lambda *_: IMAGES)
    found = inversion.Inversion(np.ones(3, np.float32), *IMAGES, 0.1, 0.2)
    monkeypatch.setattr(inversion, "invert", lambda *_, **__: found)
    frames = animation.enlarged(IMAGES, 4)
    monkeypatch.setattr(animation, "film", lambda _: (frames, [100, 100]))
    monkeypatch.setattr(commands, "contents", lambda *_: {"card.json": b"{}", "card.md": b""})


WRITERS = {
    "sampled.png": lambda place: commands.sample(str(place), "0,1", "", True, "newest"),
    "many/seed000001.png": lambda place: commands.sample(
        str(place), "0,1", str(place / "many"), True, "newest"
    ),
    "walk.webp": lambda place: commands.walk(str(place), "0,1", 1, "", True, "newest"),
    "film.gif": lambda place: commands.film(str(place), str(place / "film.gif")),
    "inverted.png": lambda place: commands.invert(str(place), "a.jpg", "", True, "newest"),
    "own-latent.npy": lambda place: commands.invert(
        str(place), "a.jpg", str(place / "own.png"), True, "newest"
    ),
    "export/card.json": lambda place: commands.export(str(place), "", True, "newest"),
}


@pytest.mark.parametrize("name", WRITERS)
def test_what_a_killed_writer_left_is_removed_by_the_next(tmp_path, quick, name):
    path = tmp_path / name
    path.parent.mkdir(exist_ok=True)
    left = path.with_name(f"{path.name}.0123abcd.partial")
    left.write_bytes(b"half")
    other = path.with_name("mine.png.0123abcd.partial")
    other.write_bytes(b"of somebody else")
    with replacing(path):  # its own partial file is of one that lives
        WRITERS[name](tmp_path)
        names = [each.name for each in path.parent.glob("*.partial")]
    assert left.name not in names and other.name in names and len(names) == 2
    assert path.exists()


def test_an_export_does_not_leave_the_folder_of_the_run(tmp_path, quick):
    outside = tmp_path / "outside"
    outside.mkdir()
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "export").symlink_to(outside)
    with pytest.raises(UserError, match="export is a link to .*outside"):
        commands.export(str(tmp_path / "run"), "", True, "newest")
    assert not list(outside.iterdir())
    asked_for = str(tmp_path / "run" / "export")
    commands.export(str(tmp_path / "run"), asked_for, True, "newest")
    assert list(outside.iterdir())


def test_a_latent_is_written_beside_its_picture(tmp_path, quick, capsys):
    commands.invert(str(tmp_path), "a.jpg", "", True, "newest")
    assert np.load(tmp_path / "inverted-latent.npy").tolist() == [1, 1, 1]
    told = "the error fell from 0.200 to 0.100\nopen "
    assert capsys.readouterr().out.startswith(told)
    with pytest.raises(UserError, match=r"cannot write .*; choose another --out"):
        commands.invert(str(tmp_path), "a.jpg", "/proc/nowhere/x.png", True, "newest")


def test_training_takes_a_checkpoint_of_the_run_that_it_starts_from(tmp_path, quick, monkeypatch):
    given = []
    monkeypatch.setattr(sampling, "load", lambda *a, **k: ("gan", f"{a[0]} {k['checkpoint']}"))
    monkeypatch.setattr(commands, "train_run", lambda *_, initial: given.append(initial))
    monkeypatch.setattr(commands.previews, "newest_samples", lambda _: "")
    train = lambda *names: commands.train({}, None, str(tmp_path), *names, "", None, None)
    for names in (("", "newest"), ("other", "newest"), ("other", "best")):
        train(*names)
    assert given == [None, "other", "other best"]
    with pytest.raises(UserError, match="train uses --checkpoint only with --init"):
        train("", "best")


def test_a_latent_replaces_no_array_of_the_same_name(tmp_path, quick):
    """Such as the images of the run."""
    np.save(tmp_path / "photos.npy", np.arange(5))
    commands.invert(str(tmp_path), "a.jpg", str(tmp_path / "photos.png"), True, "newest")
    assert np.load(tmp_path / "photos.npy").tolist() == [0, 1, 2, 3, 4]
    assert np.load(tmp_path / "photos-latent.npy").tolist() == [1, 1, 1]


def test_what_is_no_picture_is_refused(tmp_path, quick):
    with pytest.raises(UserError, match=r"x.jpg must end in .png, or be a folder"):
        commands.sample(str(tmp_path), "0", str(tmp_path / "x.jpg"), True, "newest")


@pytest.mark.parametrize("error", [AssertionError(), AttributeError("'NoneType' object has no")])
def test_a_device_that_is_not_there_is_a_sentence(monkeypatch, error):
    def devices():
        raise error

    monkeypatch.setattr(commands.jax, "devices", devices)  # the second: as under `python -O`
    with pytest.raises(UserError, match=r"JAX found no device for .* \(none was found\); install"):
        commands._prepare_device()


def test_training_says_that_it_compiles(tmp_path, monkeypatch):
    with jax.disable_jit(), pytest.raises(UserError, match="JAX_DISABLE_JIT=1 is set, .*; unset"):
        train(tiny_config("ralsgan"), tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_a_wrong_value_of_a_variable_of_jax_is_a_sentence():
    """As JAX and Flax say it while they are imported, which would take seconds here."""
    code = (
        "import sys\n"
        "class Finder:\n"
        "    def find_spec(name, path=None, target=None):\n"
        "        if name == 'flax': raise ValueError(\"invalid value 'yess' for JAX_ENABLE_X64\")\n"
        "sys.meta_path.insert(0, Finder)\n"
        "from fish_jax.cli import app\n"
        "app.run()\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, "describe", "--config=ralsgan:demo"],
        capture_output=True,
        text=True,
    )
    expected = (
        "error: JAX does not start: invalid value 'yess' for JAX_ENABLE_X64; correct or "
        "unset that environment variable\n"
    )
    assert (done.returncode, done.stderr) == (1, expected)


def test_too_few_addresses_are_a_sentence(monkeypatch):
    monkeypatch.setattr(jax_import, "_address_limit", lambda: 943_718_400)
    with pytest.raises(
        UserError, match=r"0\.94 GB of address space \(ulimit -v\), but JAX needs 1\.5"
    ):
        jax_import.import_jax()
    monkeypatch.setattr(jax_import, "_address_limit", lambda: None)
    jax_import.import_jax()


@pytest.mark.slow
@pytest.mark.parametrize("name", ["JAX_ENABLE_X64", "JAX_DEFAULT_MATMUL_PRECISION", "FLAX_PROFILE"])
def test_wrong_values_themselves(name):
    done = subprocess.run(
        [sys.executable, "main.py", "describe", "--config=ralsgan:demo"],
        env=os.environ | {name: "yess"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 1 and done.stderr.count("\n") == 1
    assert done.stderr.startswith("error: JAX does not start: ") and name in done.stderr.upper()
