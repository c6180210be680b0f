"""The cache of references on disk: .npz files without pickled objects, so that none runs code."""

import hashlib
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np

from fish_jax.data.cache import digest
from fish_jax.data.images import ImageSet
from fish_jax.evaluation.metrics.sliced_wasserstein import Descriptors
from fish_jax.evaluation.references import VERSION
from fish_jax.evaluation.scores import References
from fish_jax.evaluation.space.space import SPACE, Space
from fish_jax.utils.files import check_regular, remove_partial, replacing
from fish_jax.utils.log import phase
from fish_jax.utils.messages import explain
from fish_jax.utils.terminal import announce

_METADATA = ("count", "seed", "floors", "spreads", "protocol", "network")
_ARRAYS = ("training", "real", "away")
_WEIGHTS = "weights/"  # before the names of the encoder's


def cached(
    folder: str, images: ImageSet, settings: list, build: Callable[[], References]
) -> References:
    """Reads the references of these images and settings, or builds them and writes them.

    A damaged file, or a folder that cannot be written to, gives a warning. 500 images on each
    side at 140 x 320 take 150 MB, 2,000 take 600 MB.

    Args:
      folder: of the cache.
      images: a checksum of their pixels is part of the file's name.
      settings: what else references depend on; JSON's types.
      build: computes the references.

    Returns:
      The references.
    """
    digests = [digest(side) for side in (images.train, images.holdout) if len(side)]
    key = json.dumps([VERSION, SPACE, digests, settings])
    path = Path(folder) / f"{hashlib.sha256(key.encode()).hexdigest()[:32]}.npz"
    if path.exists():
        try:
            return read(path)
        except Exception as error:  # Damaged, in whatever way.
            announce(f"warning: {path} cannot be used and is computed anew: {explain(error)}")
    references = build()
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        remove_partial(path.parent, r"[0-9a-f]{32}\.\w+")
        with phase(f"writing the cache {path}"):
            write(path, references)
    except OSError as error:
        announce(
            f"warning: what images are judged against is not cached in {folder}: {explain(error)}"
        )
    return references


def write(path: Path, references: References) -> None:
    """Writes references to a .npz file.

    Raises:
      OSError: it cannot be written.
    """
    metadata = {name: getattr(references, name) for name in _METADATA}
    metadata["sizes"] = references.patches.sizes
    fitted = references.space
    metadata["space"] = fitted.name
    arrays = {name: getattr(references, name) for name in _ARRAYS}
    if references.inception is not None:
        arrays["inception"] = references.inception
    arrays |= {f"{_WEIGHTS}{name}": weights for name, weights in fitted.weights.items()}
    arrays |= {"mean": fitted.mean, "scale": fitted.scale}
    arrays |= {f"level_{at}": level for at, level in enumerate(references.patches.levels)}
    with replacing(path) as file:
        np.savez(file, words=np.frombuffer(json.dumps(metadata).encode(), np.uint8), **arrays)


def read(path: Path) -> References:
    """Reads references from a file of `write`; the checksums of the format reveal damage.

    Raises:
      Exception: of many kinds, for a file that is not whole or not one of these.
    """
    check_regular(path)
    with open(path, "rb") as content, np.load(content, allow_pickle=False) as file:
        metadata = json.loads(file["words"].tobytes())
        arrays = {name: file[name] for name in (*_ARRAYS, "inception") if name in file}
        sizes = tuple(tuple(size) for size in metadata.pop("sizes"))
        levels = tuple(file[f"level_{at}"] for at in range(len(sizes)))
        weights = {
            name.removeprefix(_WEIGHTS): file[name] for name in file if name.startswith(_WEIGHTS)
        }
        fitted = Space(metadata.pop("space"), weights, file["mean"], file["scale"])
    patches = Descriptors(sizes, levels)
    return References(space=fitted, patches=patches, **metadata, **arrays)
