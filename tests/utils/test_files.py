"""Files that are whole or not there, also when their writer fails, is killed, or is at it."""

import os
import time

import pytest

from fish_jax.utils import files


@pytest.fixture
def small_files():
    """No file may grow beyond 100 bytes: of more, a part is written, as to a full disk."""
    resource = pytest.importorskip("resource")
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100, before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_what_does_not_fit_is_not_appended_at_all(small_files, tmp_path):
    path = tmp_path / "log"
    files.append(path, b"a" * 60)
    with pytest.raises(OSError, match="File too large: .*/log"):
        files.append(path, b"b" * 60)
    assert path.read_bytes() == b"a" * 60
    files.append(path, b"c" * 40)
    assert path.read_bytes() == b"a" * 60 + b"c" * 40


def test_what_does_not_fit_replaces_nothing(small_files, tmp_path):
    path = tmp_path / "config"
    with files.replacing(path) as file:
        file.write(b"old")
    with pytest.raises(OSError, match="File too large: .*/config"), files.replacing(path) as file:
        file.write(b"new" * 60)
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_partial_files_of_the_living_are_left_to_them(tmp_path):
    (tmp_path / "below").mkdir()
    (tmp_path / "below" / "picture.png.12345678.partial").write_bytes(b"of one that was killed")
    with files.replacing(tmp_path / "cache") as file:
        file.write(b"whole")
        files.remove_partial(tmp_path)
        assert not list((tmp_path / "below").iterdir())
    assert (tmp_path / "cache").read_bytes() == b"whole"


def test_on_windows_a_file_is_replaced_once_its_readers_have_closed_it(tmp_path, monkeypatch):
    refusals, replace = [1, 1], os.replace

    def refuse_twice(partial, path):
        if refusals:
            raise PermissionError(13, "it is open", path, refusals.pop())
        replace(partial, path)

    monkeypatch.setattr(os, "replace", refuse_twice)
    with pytest.raises(PermissionError), files.replacing(tmp_path / "config") as file:
        file.write(b"elsewhere, that is final")
    monkeypatch.setattr(files, "WINDOWS", True)
    with files.replacing(tmp_path / "config") as file:
        file.write(b"new")
    assert [path.read_bytes() for path in tmp_path.iterdir()] == [b"new"]


def test_on_windows_new_partial_files_stay_for_their_writer(tmp_path, monkeypatch):
    """It lets go of its lock a moment before it renames the file."""
    monkeypatch.setattr(files, "WINDOWS", True)
    path = tmp_path / "config.12345678.partial"
    path.write_bytes(b"whole")
    files.remove_partial(tmp_path)
    assert path.exists()
    os.utime(path, (0, time.time() - 3 * files.PATIENCE))
    files.remove_partial(tmp_path)
    assert not path.exists()
