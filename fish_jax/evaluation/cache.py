"""The cache of results computed once per data set: .npz files, named by their inputs."""

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from fish_jax.utils.files import remove_partial
from fish_jax.utils.log import phase
from fish_jax.utils.messages import explain
from fish_jax.utils.terminal import announce

Kept = TypeVar("Kept")


def cached(
    folder: str,
    key: list[Any],
    what: str,
    build: Callable[[], Kept],
    write: Callable[[Path, Kept], None],
    read: Callable[[Path], Kept],
) -> Kept:
    """Reads a result from a folder, or builds it and writes it there.

    A damaged file, or a folder that cannot be written to, gives a warning.

    Args:
      folder: the folder of the cache.
      key: all that it depends on, of JSON's types.
      what: it is, for the warning.
      build: computes it.
      write: writes it to a file; may raise `OSError`.
      read: reads it from a file; may raise any exception.
    """
    path = Path(folder) / f"{hashlib.sha256(json.dumps(key).encode()).hexdigest()[:32]}.npz"
    if path.exists():
        try:
            return read(path)
        except Exception as error:  # Damaged, in whatever way.
            announce(f"warning: {path} cannot be used and is recomputed: {explain(error)}")
    built = build()
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        remove_partial(path.parent, r"[0-9a-f]{32}\.\w+")
        with phase(f"writing the cache {path}"):
            write(path, built)
    except OSError as error:
        announce(f"warning: {what} cannot be cached in {folder}: {explain(error)}")
    return built
