"""What the training loop needs and no step changes, and the callbacks that a caller registers."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import orbax.checkpoint as ocp

from fish_jax.data.batches import Epochs
from fish_jax.gan.state import TrainState
from fish_jax.gan.summary import Level
from fish_jax.training.data_parallel import Advance, Device
from fish_jax.training.input_pipeline import InputPipeline
from fish_jax.training.previews import Preview


class Callbacks(NamedTuple):
    """Functions of the caller that the training loop calls.

    Attributes:
      epochs: `on_epoch` is called at the end of each of these, and at the start of a run that
        resumes there.
      on_epoch: gets the number of complete epochs and the state, on one device. The next step
        overwrites that state, so it must not be kept.
      stopped: returns the number of the signal that ends the run, or 0. None: the loop handles
        signals itself.
    """

    epochs: Sequence[int] = ()
    on_epoch: Callable[[int, TrainState], None] = lambda epoch, state: None
    stopped: Callable[[], int] | None = None


class Run(NamedTuple):
    """The objects of a run that stay fixed while the loop trains.

    Attributes:
      config: of the run, in JSON's types as in config.json.
      folder: of the run, where results are written.
      epochs: number of images to train on and images per step.
      data_digest: checksum of these images.
      devices: that share each batch.
      manager: of the checkpoints.
      chance: D's loss where it cannot tell real from generated images; nan where there is none.
      diversity: of real images, as `health.diversity` gives it. Health checks compare with both.
      levels: of the networks.
      callbacks: of the caller.
      board: TensorBoard's file, from `tensorboard.start`. None in a process other than the main
        one: such a process writes its part of checkpoints and nothing else.
    """

    config: dict[str, Any]
    folder: Path
    epochs: Epochs
    data_digest: str
    devices: Sequence[Device]
    manager: ocp.CheckpointManager
    chance: float
    diversity: float
    levels: tuple[Level, ...]
    callbacks: Callbacks = Callbacks()
    board: Path | None = None

    @property
    def steps(self) -> int:
        """How many steps the run takes."""
        return self.epochs.steps


class Programs(NamedTuple):
    """Functions that give work to the devices and return before it is done.

    Attributes:
      max_steps: most steps in a call.
      inputs: copies the images of a call to the devices.
      advance: runs the steps of a call.
      preview: draws the pictures of an epoch.
    """

    max_steps: int
    inputs: InputPipeline
    advance: Advance
    preview: Preview


class LogInterval(NamedTuple):
    """Metrics summed since the last logged line; saved with each checkpoint.

    Attributes:
      sums: of each metric over the steps.
      count: number of steps.
      seconds: that they took on the device.
    """

    sums: dict[str, float]
    count: int
    seconds: float
