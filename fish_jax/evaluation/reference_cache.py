"""What images are judged against, kept on disk: a .npz that runs nothing when it is read."""

import hashlib
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np

from fish_jax.data.cache import digest
from fish_jax.data.images import ImageSet
from fish_jax.evaluation import references as references_module
from fish_jax.evaluation.metrics import features
from fish_jax.evaluation.metrics.sliced_wasserstein import Descriptors
from fish_jax.evaluation.scores import References
from fish_jax.utils import files
from fish_jax.utils.files import remove_partial, replacing
from fish_jax.utils.log import phase
from fish_jax.utils.messages import explain
from fish_jax.utils.terminal import announce

_IN_WORDS = ("count", "seed", "floors", "spreads", "protocol", "network")
_ARRAYS = ("training", "real", "away")


def cached(
    folder: str, images: ImageSet, settings: list, build: Callable[[], References]
) -> References:
    """The references of these images and settings: read, or built and left in the folder.

    A file that is damaged, or a folder that cannot be written to, is a warning. 500 images on each
    side at 140 x 320 take 150 MB, 2,000 take 600 MB.

    Args:
      folder: of the cache.
      images: which are known by a checksum of their pixels.
      settings: what else references depend on, as JSON takes it.
      build: computes them.
    """
    known = [digest(side) for side in (images.train, images.holdout) if len(side)]
    key = json.dumps([references_module.VERSION, features.SPACE, known, settings])
    path = Path(folder) / f"{hashlib.sha256(key.encode()).hexdigest()[:32]}.npz"
    found = _read(path)
    if found is not None:
        return found
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
    """Leaves references in a file.

    Raises:
      OSError: it cannot be written.
    """
    words = {name: getattr(references, name) for name in _IN_WORDS}
    words["sizes"] = references.patches.sizes
    arrays = {name: getattr(references, name) for name in _ARRAYS}
    if references.inception is not None:
        arrays["inception"] = references.inception
    arrays |= {f"level_{at}": level for at, level in enumerate(references.patches.levels)}
    with replacing(path) as file:
        np.savez(file, words=np.frombuffer(json.dumps(words).encode(), np.uint8), **arrays)


def read(path: Path) -> References:
    """References as they were written. The file's own checksums tell whether it is damaged.

    Raises:
      Exception: of many kinds, for a file that is not whole or not one of these.
    """
    files.check_regular(path)
    with open(path, "rb") as content, np.load(content, allow_pickle=False) as file:
        words = json.loads(file["words"].tobytes())
        arrays = {name: file[name] for name in (*_ARRAYS, "inception") if name in file}
        sizes = tuple(tuple(size) for size in words.pop("sizes"))
        levels = tuple(file[f"level_{at}"] for at in range(len(sizes)))
    return References(patches=Descriptors(sizes, levels), **words, **arrays)


def _read(path: Path) -> References | None:
    if not path.exists():
        return None
    try:
        return read(path)
    except Exception as error:  # Damaged, in whatever way.
        announce(f"warning: {path} cannot be used and is computed anew: {explain(error)}")
        return None
