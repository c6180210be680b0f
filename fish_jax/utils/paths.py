"""Places: paths as users write them, and the folder of the user's caches."""

import os
import stat
import sys
import tempfile
import unicodedata
from pathlib import Path

import platformdirs

from fish_jax.errors import UserError
from fish_jax.utils.messages import printable


def composed(name: str) -> str:
    """Writes a name in Unicode's normal form C, as keyboards do; file systems may not."""
    return unicodedata.normalize("NFC", name)


def expand(path: str) -> str:
    """Turns a path as users write it into one that the system knows.

    `~` is the home folder, `$NAME` a variable of the environment, if it is set. Where nothing has
    this name, but something has it in another Unicode form, as from a Mac, its name is taken.

    Raises:
      UserError: no home folder is known, or nothing has this name and the name has a control
        character, such as the carriage return that a script with Windows' line ends adds.
    """
    expanded = os.path.expandvars(os.path.expanduser(path))
    if path.startswith("~") and Path(expanded).parts[0] == "~":
        raise UserError(f"{printable(path)}: the home folder is unknown; write the full path")
    if os.path.lexists(expanded):
        return expanded
    if any(unicodedata.category(letter) == "Cc" for letter in expanded):
        raise UserError(
            f"{printable(path)} does not exist and contains a control character; a script with "
            "Windows line ends adds \\r: save it with Unix line ends"
        )
    return expanded if expanded.isascii() else _existing_form(expanded.rstrip(os.sep))


def _existing_form(path: str) -> str:
    """The path of what exists under this name in whatever Unicode form, or else the path itself."""
    folder, name = os.path.split(path)
    if os.path.lexists(path) or not name:
        return path
    folder = _existing_form(folder)
    try:
        names = os.listdir(folder or ".")
    except OSError:
        names = []
    same = (each for each in names if composed(each) == composed(name))
    return os.path.join(folder, next(same, name))


def cache_root() -> Path:
    """Finds the folder for what is computed once per user: images, references and programs.

    Returns:
      $XDG_CACHE_HOME/fish_jax where that variable is set; else ~/.cache/fish_jax where that folder
      exists; else the system's own place, such as ~/Library/Caches/fish_jax on macOS. Where no home
      folder is known, or nothing can be written there, a folder among the temporary ones.
    """
    home = os.path.expanduser("~")
    if caches := os.environ.get("XDG_CACHE_HOME"):
        folder = Path(expand(caches), "fish_jax")
    elif home == "~":
        return _temporary_folder("the home folder is unknown")
    else:
        folder = Path(home, ".cache", "fish_jax")
        if not folder.is_dir():
            folder = Path(platformdirs.user_cache_dir("fish_jax", appauthor=False))
    there = next((each for each in (folder, *folder.parents) if each.exists()), folder)
    if there.is_dir() and not os.access(there, os.W_OK | os.X_OK):
        return _temporary_folder(f"{printable(str(there))} cannot be written to")
    return folder


def _temporary_folder(reason: str, number: int = 1) -> Path:
    """This user's folder among the temporary ones; says so when it is made."""
    user = os.getuid() if hasattr(os, "getuid") else 0
    folder = Path(tempfile.gettempdir(), f"fish_jax-{user}" + f"-{number}" * (number > 1))
    try:
        folder.mkdir(mode=0o700)
    except FileExistsError:
        status = folder.lstat()
        if stat.S_ISDIR(status.st_mode) and status.st_uid == user:
            return folder
        return _temporary_folder(reason, number + 1)  # somebody else's, who could plant programs
    except OSError:  # whoever writes there says so
        return folder
    print(f"note: {reason}, so caches are kept in {folder}", file=sys.stderr)
    return folder
