"""What a run is made of beside its networks, and what its callers may ask of it."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import jax
import orbax.checkpoint as ocp

from fish_jax.data import batches
from fish_jax.gan.state import TrainState
from fish_jax.training.data_parallel import Advance
from fish_jax.training.input_pipeline import Feed
from fish_jax.training.previews import Preview


class Watch(NamedTuple):
    """What whoever called wants of a run in its course.

    Attributes:
      epochs: after which `look` is called, once more if the run begins there.
      look: with the epochs done and the state, on one device; not to be kept.
      stopped: tells the number of the signal that ends the run, or 0; None: the run listens.
    """

    epochs: Sequence[int] = ()
    look: Callable[[int, TrainState], None] = lambda epoch, state: None
    stopped: Callable[[], int] | None = None


class Norms(NamedTuple):
    """What a run's health is measured by; see `health`.

    Attributes:
      chance: D's loss where it tells nothing apart.
      diversity: of real images.
    """

    chance: float
    diversity: float


class Run(NamedTuple):
    """What a run needs and no step changes.

    Attributes:
      config: of the run.
      folder: where it leaves its results.
      size: number of images to train on.
      data_digest: of these images.
      steps: how many steps the epochs take.
      devices: that share each batch.
      manager: of the checkpoints.
      board: TensorBoard's file, from `tensorboard.start`; None in a process that does not lead, which
        writes nothing but its part of checkpoints.
      norms: of its health.
      watch: of whoever called.
    """

    config: Mapping[str, Any]
    folder: Path
    size: int
    data_digest: str
    steps: int
    devices: Sequence[jax.Device]
    manager: ocp.CheckpointManager
    board: Path | None
    norms: Norms
    watch: Watch = Watch()


class Programs(NamedTuple):
    """What the device is asked for; each returns before the device has done it.

    Attributes:
      longest: most steps in a call.
      feed: gives a call its images.
      advance: runs a call.
      preview: draws the pictures of an epoch.
    """

    longest: int
    feed: Feed
    advance: Advance
    preview: Preview


class Interval(NamedTuple):
    """Sums of the metrics since the last line of the log, saved with each checkpoint."""

    sums: dict[str, float]
    count: int
    seconds: float


def epochs_done(run: Run, step: int) -> int:
    """The number of passes over the images that are complete after a step."""
    return batches.epochs_done(step, run.size, run.config["batch_size"])
