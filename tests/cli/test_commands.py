"""What the modes write: into which folders, and what they remove there."""

import numpy as np
import pytest

from fish_jax.cli import commands
from fish_jax.errors import UserError
from fish_jax.runs import animation, interpolation, sampling
from fish_jax.utils.files import replacing

IMAGES = np.zeros((2, 4, 4, 3), np.uint8)


@pytest.fixture
def quick(monkeypatch):
    """Nothing is loaded or drawn."""
    monkeypatch.setattr(commands, "_prepare_device", lambda: None)
    monkeypatch.setattr(sampling, "sample", lambda *_: IMAGES)
    monkeypatch.setattr(interpolation, "walk", lambda *_: IMAGES)
    frames = animation.enlarged(IMAGES, 4)
    monkeypatch.setattr(animation, "film", lambda _: (frames, [100, 100]))
    monkeypatch.setattr(commands, "contents", lambda *_: {"card.json": b"{}", "card.md": b""})


WRITERS = {
    "sampled.png": lambda place: commands.sample(str(place), "0,1", "", True),
    "many/seed000001.png": lambda place: commands.sample(
        str(place), "0,1", str(place / "many"), True
    ),
    "walk.webp": lambda place: commands.walk(str(place), "0,1", 1, "", True),
    "film.gif": lambda place: commands.film(str(place), str(place / "film.gif")),
    "export/card.json": lambda place: commands.export(str(place), "", True),
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
        commands.export(str(tmp_path / "run"), "", True)
    assert not list(outside.iterdir())
    commands.export(str(tmp_path / "run"), str(tmp_path / "run" / "export"), True)  # asked for
    assert list(outside.iterdir())


def test_what_is_no_picture_is_refused(tmp_path, quick):
    with pytest.raises(UserError, match=r"x.jpg must end in .png, for one picture, or be a folder"):
        commands.sample(str(tmp_path), "0", str(tmp_path / "x.jpg"), True)
