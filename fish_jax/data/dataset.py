"""The images of a config."""

from typing import Any

from fish_jax.data.images import ImageSet, load_images
from fish_jax.errors import UserError
from fish_jax.utils.config import Config


def arguments(config: Config) -> dict[str, Any]:
    """The arguments of `images.load_images` that a config holds."""
    data = config["data"]
    names = ("path", "fit", "resample", "channels", "include", "holdout", "seed", "count")
    size = {"height": config["height"], "width": config["width"]}
    return {name: data[name] for name in names} | size | {"cache_dir": data["cache"]}


def load_data(config: Config, show_progress: bool = False) -> ImageSet:
    """Loads, decodes or draws the images of a config, at least one batch of them.

    Args:
      config: as `configs/default.py` makes it.
      show_progress: whether the main process draws a progress bar on stderr.

    Returns:
      The images and what was skipped.

    Raises:
      UserError: no such images, or fewer than a batch.
    """
    from fish_jax.utils import multihost  # imports JAX, which this module does without

    show_progress = show_progress and multihost.is_main_process()
    images = load_images(**arguments(config), show_progress=show_progress)
    if len(images.train) < config["batch_size"]:
        raise UserError(
            f"{images.source} gives {len(images.train)} images to train on, fewer than one batch "
            f"of {config['batch_size']}; add images or lower batch_size"
        )
    return images
