"""Loading a trained run, and rendering the images of seeds with it."""

import functools
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Unpack

import jax
import numpy as np

from fish_jax.errors import UserError
from fish_jax.gan.inference import render
from fish_jax.gan.model import Gan, make_gan
from fish_jax.gan.own import Own, absent_fields
from fish_jax.gan.programs import remember
from fish_jax.gan.state import TrainState, create_state, last_weights
from fish_jax.runs import checkpoints, config_file, layout
from fish_jax.runs.checkpoints import NEWEST
from fish_jax.utils.terminal import announce
from fish_jax.utils.validation import shown

MOST_SEEDS = 100_000


def parse_seeds(text: str) -> list[int]:
    """Parses numbers and ranges: "0,1,4-6" gives [0, 1, 4, 5, 6].

    Raises:
      UserError: anything else.
    """
    seeds = []
    for part in text.split(","):
        match = re.fullmatch(r"\s*(\d{1,10})(?:-(\d{1,10}))?\s*", part)
        first, last = (int(match[1]), int(match[2] or match[1])) if match else (0, -1)
        if not first <= last < 2**32:
            raise UserError(
                f"{shown(text)} is not a list of seeds; write numbers from 0 to {2**32 - 1} and "
                "ascending ranges, such as 0,1,4-6"
            )
        if len(seeds) + last - first >= MOST_SEEDS:
            raise UserError(f"--seeds names more than {MOST_SEEDS:,} seeds; render fewer at a time")
        seeds += range(first, last + 1)
    return seeds


def load(
    folder: str | Path,
    averaged: bool = True,
    checkpoint: str | int = NEWEST,
    **own: Unpack[Own],
) -> tuple[Gan, TrainState]:
    """Loads the networks of a run and the state of one of its checkpoints.

    Args:
      folder: the folder of the run.
      averaged: whether the state keeps its average of the generator's weights, if there is one,
        with which images are better than with the last weights.
      checkpoint: "newest"; "best", by the score that the run's `keep_best` names; or the number of
        its step. If the newest cannot be read, the one before it is used, with a warning.
      **own: what was passed in to `train`. The generator is needed; fields of the state whose
        parts are left out are {}.

    Raises:
      UserError: no run, no such or no readable checkpoint in the folder; a part that
        is missing or has changed.
    """
    gan, restored = restore(Path(folder), checkpoint, **own)
    return gan, restored.state if averaged else last_weights(restored.state)


def read_run(folder: Path, **own: Unpack[Own]) -> tuple[dict[str, Any], Gan]:
    """Reads the config of a run, and checks it by making its networks.

    Args:
      folder: the folder of the run.
      **own: as in `load`.

    Raises:
      UserError: the folder holds no run, a config that no version wrote, or one of other parts.
    """
    config = config_file.read_config(folder)
    try:
        gan = make_gan(config, **own)
    except UserError as error:
        raise UserError(f"{folder / layout.CONFIG}: {error}") from None
    if own:
        now = remember(config, gan, own)
        then = {name: part for name, part in config.get("own", {}).items() if name in now["own"]}
        config_file.raise_if_changed(
            config_file.differences({**config, "own": then}, now),
            f"{folder} was trained with other parts than those passed; pass the original ones",
        )
    return config, gan


def restore(
    folder: Path, checkpoint: str | int = NEWEST, **own: Unpack[Own]
) -> tuple[Gan, checkpoints.Restored]:
    """Loads the networks of a run and all of a checkpoint; arguments and errors as of `load`."""
    checkpoints.check_name(checkpoint)
    config, gan = read_run(folder, **own)
    best, without = config["keep_best"], absent_fields(config, own)
    if checkpoint == checkpoints.THE_BEST and not best:
        raise UserError(
            f"keep_best is empty in the config of {folder}, so no checkpoint is the best; take "
            "--checkpoint=newest"
        )
    like = jax.eval_shape(functools.partial(create_state, gan), 0)
    place = folder / layout.CHECKPOINTS
    device = jax.sharding.SingleDeviceSharding(jax.local_devices()[0])
    if checkpoints.has_checkpoint(place):
        with checkpoints.open_checkpoints(place, read_only=True, best=best) as manager:
            if checkpoint != NEWEST:
                return gan, checkpoints.restore_named(manager, like, device, checkpoint, without)
            restored = checkpoints.restore_newest(manager, like, device, announce, without)
            if restored is not None:
                return gan, restored
    raise UserError(f"{folder} has no checkpoint yet; train it first")


def sample(
    folder: str | Path,
    seeds: Sequence[int],
    averaged: bool = True,
    checkpoint: str | int = NEWEST,
    **own: Unpack[Own],
) -> np.ndarray:
    """Renders seeds with a checkpoint of a run.

    Args:
      folder: the folder of the run.
      seeds: whole numbers; a seed gives the same latent in every run.
      averaged, checkpoint, **own: as in `load`.

    Returns:
      uint8 [len(seeds), H, W, C].

    Raises:
      UserError: a wrong seed, no run, or no readable checkpoint.
    """
    check_seeds(seeds)
    return render(*load(folder, averaged, checkpoint, **own), seeds)


def check_seeds(seeds: Sequence[int]) -> None:
    """Raises a UserError unless these are seeds, each a whole number below 2**32."""
    is_seed = lambda seed: isinstance(seed, (int, np.integer)) and 0 <= seed < 2**32
    if isinstance(seeds, (str, int)) or not len(seeds) or not all(map(is_seed, seeds)):
        raise UserError(
            f"seeds must be whole numbers from 0 to {2**32 - 1}, such as [1, 5, 9], not "
            f"{shown(seeds)}"
        )
