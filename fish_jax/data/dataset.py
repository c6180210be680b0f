"""The images of a config."""

import os
from typing import Any

from fish_jax.data.images import ImageSet, load_images
from fish_jax.data.sources import Indexable
from fish_jax.errors import UserError
from fish_jax.utils.config import Config
from fish_jax.utils.validation import shown

GIVEN = "(given from Python)"  # data.path of a run whose images are an argument


def arguments(config: Config) -> dict[str, Any]:
    """The arguments of `images.load_images` that a config holds."""
    data = config["data"]
    names = ("path", "fit", "resample", "channels", "include", "holdout", "seed", "count")
    size = {"height": config["height"], "width": config["width"]}
    return {name: data[name] for name in names} | size | {"cache_dir": data["cache"]}


def mark_given(config: Any, images: Indexable) -> None:
    """Notes in a config, in place, that its images are given from Python.

    Args:
      config: as `configs/default.py` makes it, or a dict of its fields.
      images: that are given.

    Raises:
      UserError: the images are a path, or the config has a path of others.
    """
    if isinstance(images, (str, os.PathLike)):
        raise UserError(f"images is the path {shown(images)}; set data.path to it instead")
    if config["data"]["path"] not in ("", GIVEN):
        path = shown(config["data"]["path"])
        raise UserError(f"data.path is {path}, but images are given too; use only one of them")
    config["data"]["path"] = GIVEN


def missing(place: Any) -> UserError:
    """The error of a start without the images that were given from Python before."""
    return UserError(
        f"the images of {place} were given from Python; give them again as images=..., or set "
        "data.path to a copy of them"
    )


def load_data(
    config: Config, show_progress: bool = False, images: Indexable | None = None
) -> ImageSet:
    """Loads, decodes or draws the images of a config, at least one batch of them.

    Args:
      config: as `configs/default.py` makes it.
      show_progress: whether the main process draws a progress bar on stderr.
      images: in place of those of `data.path`: an `ImageSet`, or others as of `load_images`.

    Returns:
      The images and what was skipped.

    Raises:
      UserError: no such images, or fewer than a batch.
    """
    from fish_jax.utils import multihost  # imports JAX, which this module does without

    chosen = arguments(config)
    if images is not None:
        chosen["path"] = images
    elif chosen["path"] == GIVEN:
        raise missing("this config")
    if isinstance(images, ImageSet):
        loaded = _of_shape(images, tuple(chosen[name] for name in ("height", "width", "channels")))
    else:
        show_progress = show_progress and multihost.is_main_process()
        loaded = load_images(**chosen, show_progress=show_progress)
    if len(loaded.train) < config["batch_size"]:
        raise UserError(
            f"{loaded.source} gives {len(loaded.train)} images to train on, fewer than one batch "
            f"of {config['batch_size']}; add images or lower batch_size"
        )
    return loaded


def _of_shape(images: ImageSet, shape: tuple[int, ...]) -> ImageSet:
    """The images, if they have the shape of the config's, (height, width, channels)."""
    if images.train.shape[1:] != shape:
        raise UserError(
            f"the given images have height, width and channels {images.train.shape[1:]}, but the "
            f"config has {shape}; load them for this config, or change the config"
        )
    return images
