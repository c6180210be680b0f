"""The images that a config names."""

from collections.abc import Mapping
from typing import Any

from fish_jax.data.images import ImageSet, load_images
from fish_jax.errors import UserError
from fish_jax.utils import multihost


def arguments(config: Mapping[str, Any]) -> dict[str, Any]:
    """The arguments of `images.load_images` in a config."""
    data = config["data"]
    return dict(
        path=data["path"],
        height=config["height"],
        width=config["width"],
        fit=data["fit"],
        resample=data["resample"],
        include=data["include"],
        holdout=data["holdout"],
        seed=data["seed"],
        count=data["count"],
        cache_dir=data["cache"],
    )


def load_data(config: Mapping[str, Any]) -> ImageSet:
    """Loads, decodes or draws the images to train on.

    Args:
      config: as `configs/default.py` makes it.

    Returns:
      The images and what was skipped.

    Raises:
      UserError: no such images, or fewer than a batch.
    """
    images = load_images(**arguments(config), show_progress=multihost.is_main_process())
    if len(images.train) < config["batch_size"]:
        raise UserError(
            f"{images.source} gives {len(images.train)} images to train on, fewer than one batch "
            f"of {config['batch_size']}; add images or lower batch_size"
        )
    return images
