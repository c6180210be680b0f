"""Objects of the training loop that no step changes, and the caller's callbacks."""

from collections.abc import Callable, Collection, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import orbax.checkpoint as ocp

from fish_jax.data.batches import Epochs
from fish_jax.gan.state import TrainState
from fish_jax.gan.summary import Level
from fish_jax.training.data_parallel import Advance, Device
from fish_jax.training.input_pipeline import InputPipeline
from fish_jax.training.previews import Preview
from fish_jax.training.scorer import Scorer

OnLog = Callable[[int, dict[str, float]], None]
OnEpoch = Callable[[int, TrainState, np.ndarray], None]
OnCheckpoint = Callable[[int, dict[str, float]], None]


class Callbacks(NamedTuple):
    """Your functions, which `train` calls during a run. Each is optional.

    They get copies, which they may keep and change. An exception in a callback ends the run and
    reaches the caller of `train`; an OSError becomes the cause of a UserError. Earlier checkpoints
    are kept, and the same call of `train` resumes from there. A killed run calls them again for
    steps that it repeats. Of several processes, only the main one calls them; all must have the
    same callbacks.

    Attributes:
      on_log: gets the step and the line of metrics.jsonl that was written, numbers by name; those
        of an evaluation are `scores/frechet` and so on.
      on_epoch: gets the number of complete epochs, the state, on one device, and the samples drawn
        of it, uint8 [16, H, W, C] of the seeds 0 .. 15; [0, H, W, C] where none were due.
      on_checkpoint: gets the step of a checkpoint that is complete on disk, and its scores by
        name, as `frechet`; {} where it was not evaluated.
      epochs: `on_epoch` is called at the end of each of these, and at the start of a run that
        resumes there. None: at the end of each epoch whose samples are drawn.
      stopped: returns the number of the signal that ends the run, or 0. None: the loop handles
        signals itself.
    """

    on_log: OnLog | None = None
    on_epoch: OnEpoch | None = None
    on_checkpoint: OnCheckpoint | None = None
    epochs: Collection[int] | None = None
    stopped: Callable[[], int] | None = None


class Run(NamedTuple):
    """The objects of a run that stay fixed while the loop trains.

    Attributes:
      config: the config of the run, in JSON's types as in config.json.
      folder: the folder of the run, where results are written.
      epochs: number of images to train on and images per step.
      data_digest: checksum of these images.
      devices: that share each batch.
      manager: the manager of the checkpoints.
      chance: D's loss where it cannot tell real from generated images; nan if there is none.
      diversity: the diversity of real images, as `health.diversity` gives it. Health checks compare
        with both.
      levels: the levels of the networks.
      callbacks: the callbacks of the caller.
      board: TensorBoard's file, from `tensorboard.start`. None in a process other than the main
        one: such a process writes its part of checkpoints and nothing else.
      scorer: the scorer of the run in its course; None where it is not scored, and where board is
        None.
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
    scorer: Scorer | None = None

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
      sums: the sums of each metric over the steps.
      count: number of steps.
      seconds: that they took on the device.
    """

    sums: dict[str, float]
    count: int
    seconds: float
