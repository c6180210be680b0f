"""References on disk: .npz files without pickled objects, so that none runs code."""

import json
from pathlib import Path
from typing import Any

import numpy as np

from fish_jax.evaluation.features.space import Space
from fish_jax.evaluation.metrics.sliced_wasserstein import Descriptors
from fish_jax.evaluation.scores import References
from fish_jax.utils.files import replacing
from fish_jax.utils.npz import read_stored

_METADATA = ("count", "seed", "floors", "spreads", "protocol", "network")
_ARRAYS = ("training", "real", "away")


def write(path: Path, references: References) -> None:
    """Writes references, without their space, to a .npz file.

    Those of 500 images on each side at 140 x 320 take 150 MB, of 2,000 take 600 MB.

    Raises:
      OSError: it cannot be written.
    """
    metadata = {name: getattr(references, name) for name in _METADATA}
    metadata["sizes"] = references.patches.sizes
    arrays = {name: getattr(references, name) for name in _ARRAYS}
    if references.inception is not None:
        arrays["inception"] = references.inception
    arrays |= {f"level_{at}": level for at, level in enumerate(references.patches.levels)}
    with replacing(path) as file:
        np.savez(file, words=np.frombuffer(json.dumps(metadata).encode(), np.uint8), **arrays)


def read(path: Path, space: Space) -> References:
    """Reads references from a file of `write`; the checksums of the format reveal damage.

    Args:
      path: the path of the file.
      space: the space of their features.

    Raises:
      Exception: of many kinds, for a file that is not whole or not one of these.
    """
    found = read_stored(path)
    metadata = json.loads(found["words"].tobytes())
    arrays: dict[str, Any] = {
        name: found[name] for name in (*_ARRAYS, "inception") if name in found
    }
    sizes = tuple(tuple(size) for size in metadata.pop("sizes"))
    levels = tuple(found[f"level_{at}"] for at in range(len(sizes)))
    return References(space=space, patches=Descriptors(sizes, levels), **metadata, **arrays)
