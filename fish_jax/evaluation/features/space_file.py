"""A feature space on disk: a .npz file without pickled objects, so that none runs code."""

from pathlib import Path
from typing import Any

import numpy as np

from fish_jax.evaluation.features.space import Space
from fish_jax.utils.files import check_regular, replacing

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
    check_regular(path)
    with open(path, "rb") as content, np.load(content, allow_pickle=False) as file:
        weights = {
            name.removeprefix(_WEIGHTS): file[name] for name in file if name.startswith(_WEIGHTS)
        }
        return Space(file["words"].tobytes().decode(), weights, file["mean"], file["scale"])
