"""A feature space on disk: a .npz file without pickled objects, so that none runs code."""

from pathlib import Path
from typing import Any

import numpy as np

from fish_jax.evaluation.features.space import Space
from fish_jax.utils.files import replacing
from fish_jax.utils.npz import read_stored

_WEIGHTS = "weights/"  # before the names of the encoder's


def write(path: Path, space: Space) -> None:
    """Writes a space to a .npz file, of about 2 MB.

    Raises:
      OSError: it cannot be written.
    """
    arrays: dict[str, Any] = {f"{_WEIGHTS}{name}": values for name, values in space.weights.items()}
    arrays |= {"mean": space.mean, "scale": space.scale}
    with replacing(path) as file:
        np.savez(file, words=np.frombuffer(space.name.encode(), np.uint8), **arrays)


def read(path: Path) -> Space:
    """Reads a space from a file of `write`; the checksums of the format reveal damage.

    Raises:
      Exception: of many kinds, for a file that is not whole or not one of these.
    """
    found = read_stored(path)
    weights = {
        name.removeprefix(_WEIGHTS): values
        for name, values in found.items()
        if name.startswith(_WEIGHTS)
    }
    return Space(found["words"].tobytes().decode(), weights, found["mean"], found["scale"])
