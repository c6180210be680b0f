"""Paths as users write them, and the folder of their caches."""

import os
import unicodedata
from pathlib import Path

import pytest

from fish_jax.errors import UserError
from fish_jax.utils import paths

DECOMPOSED = unicodedata.normalize("NFD", "Äsche")


@pytest.fixture
def home(tmp_path, monkeypatch):
    """A home folder without caches, which is the current one too."""
    for name in ("HOME", "USERPROFILE"):
        monkeypatch.setenv(name, str(tmp_path))
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def temporary(tmp_path, monkeypatch):
    """A folder for temporary files."""
    folder = tmp_path / "tmp"
    folder.mkdir()
    monkeypatch.setattr(paths.tempfile, "tempdir", str(folder))
    return folder


@pytest.fixture
def no_home(monkeypatch):
    """As in a container with a user id that no list of users has."""

    def unknown(number):
        raise KeyError(number)

    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.delenv("HOME", raising=False)
    monkeypatch.setattr("pwd.getpwuid", unknown)


def test_home_and_variables(home, monkeypatch):
    monkeypatch.setenv("PHOTOS", "/mnt/photos")
    assert paths.expand("~/runs/x") == f"{home}/runs/x"
    assert paths.expand("$PHOTOS/fish") == paths.expand("${PHOTOS}/fish") == "/mnt/photos/fish"
    assert paths.expand("a/$UNKNOWN/~") == "a/$UNKNOWN/~"
    assert paths.expand("") == ""


def test_without_a_home_a_tilde_is_refused(no_home):
    for path in ("~", "~/runs/x"):
        with pytest.raises(UserError, match=f"^{path}: the home folder is unknown; write"):
            paths.expand(path)
    assert paths.expand("~.png") == "~.png"


def test_what_exists_in_another_unicode_form_is_found(home):
    (home / DECOMPOSED / "deep" / f"{DECOMPOSED}2").mkdir(parents=True)
    assert paths.expand("Äsche") == paths.expand("Äsche/") == DECOMPOSED
    assert paths.expand("~/Äsche/deep/Äsche2") == f"{home}/{DECOMPOSED}/deep/{DECOMPOSED}2"
    assert paths.expand("Äsche/new/Ä.png") == f"{DECOMPOSED}/new/Ä.png"
    (home / "Äsche").mkdir()
    assert paths.expand("Äsche") == "Äsche"


@pytest.mark.parametrize("path", ["photos\r", "a\nb", "\x1b[31mred"])
def test_control_characters_are_refused_unless_something_has_that_name(home, path):
    with pytest.raises(
        UserError, match="does not exist and contains a control character"
    ) as caught:
        paths.expand(path)
    assert str(caught.value).isprintable()
    (home / path).mkdir()
    assert paths.expand(path) == path


def test_caches_are_where_the_user_or_the_system_keeps_them(home, monkeypatch, capfd):
    monkeypatch.setattr(paths.platformdirs, "user_cache_dir", lambda *_, **__: "Library/fish_jax")
    assert paths.cache_root() == Path("Library/fish_jax")
    (home / ".cache" / "fish_jax").mkdir(parents=True)
    assert paths.cache_root() == home / ".cache" / "fish_jax"
    monkeypatch.setenv("XDG_CACHE_HOME", "elsewhere")
    assert paths.cache_root() == Path("elsewhere/fish_jax")
    monkeypatch.setenv("XDG_CACHE_HOME", "~/caches")
    assert paths.cache_root() == home / "caches" / "fish_jax"
    assert capfd.readouterr() == ("", "")


def test_without_a_home_caches_are_temporary(temporary, no_home, capfd):
    folder = temporary / f"fish_jax-{os.getuid()}"
    assert paths.cache_root() == folder and folder.stat().st_mode & 0o777 == 0o700
    note = f"note: the home folder is unknown, so caches are kept in {folder}\n"
    assert capfd.readouterr() == ("", note)
    assert paths.cache_root() == folder
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("made", [False, True])
def test_in_a_home_that_is_read_only_caches_are_temporary(
    home, temporary, monkeypatch, capfd, made
):
    if made:
        (home / ".cache" / "fish_jax").mkdir(parents=True)
    monkeypatch.setattr(os, "access", lambda path, _: not Path(path).is_relative_to(home))
    assert paths.cache_root() == temporary / f"fish_jax-{os.getuid()}"
    assert "cannot be written to, so caches are kept in" in capfd.readouterr().err


def test_a_temporary_folder_that_is_not_the_users_own_is_not_used(temporary, no_home, monkeypatch):
    planted = temporary / f"fish_jax-{os.getuid()}"
    planted.symlink_to(temporary)
    folder = paths.cache_root()
    assert folder == temporary / f"fish_jax-{os.getuid()}-2" and folder.is_dir()
    assert paths.cache_root() == folder
    planted.unlink()
    planted.mkdir()
    user = os.getuid()
    monkeypatch.setattr(os, "getuid", lambda: user + 1)
    (temporary / f"fish_jax-{user + 1}").mkdir()
    assert paths.cache_root().name not in (f"fish_jax-{user}", f"fish_jax-{user + 1}")
