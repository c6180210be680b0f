"""Checkpoints of a run, by Orbax: asynchronous, the newest few kept, each complete or not there."""

import contextlib
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import jax
import orbax.checkpoint as ocp

from fish_jax.errors import UserError
from fish_jax.state import TrainState


@contextlib.contextmanager
def open_checkpoints(folder: Path, keep: int = 3) -> Iterator[ocp.CheckpointManager]:
    """A manager of the checkpoints in a folder; waits for unfinished writes at the end.

    Args:
      folder: made if it does not exist.
      keep: how many of the newest to keep.
    """
    options = ocp.CheckpointManagerOptions(max_to_keep=keep, cleanup_tmp_directories=True)
    with ocp.CheckpointManager(folder.absolute(), options=options) as manager:
        yield manager


def save(manager: ocp.CheckpointManager, state: TrainState, progress: dict[str, Any]) -> None:
    """Starts to write a state; returns when the state may change.

    Args:
      manager: from `open_checkpoints`.
      state: a state that no checkpoint has yet.
      progress: what the loop needs beside the state, as JSON.
    """
    step = int(state.step)
    if step in manager.all_steps():
        return
    arguments = ocp.args.Composite(
        state=ocp.args.StandardSave(state), progress=ocp.args.JsonSave(progress)
    )
    manager.save(step, args=arguments)


def restore_newest(
    manager: ocp.CheckpointManager, like: TrainState, say: Callable[[str], None]
) -> tuple[TrainState, dict[str, Any]] | None:
    """The newest state that can be read.

    A damaged checkpoint is set aside, with a message, and the one before it is tried.

    Args:
      manager: from `open_checkpoints`.
      like: shapes and types, as from `jax.eval_shape`.
      say: prints a message.

    Returns:
      The state and its progress, or None where there is no checkpoint.

    Raises:
      UserError: there are checkpoints and none can be read.
    """
    steps = sorted(manager.all_steps(), reverse=True)
    device = jax.sharding.SingleDeviceSharding(jax.devices()[0])
    like = jax.tree.map(lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=device), like)
    arguments = ocp.args.Composite(
        state=ocp.args.StandardRestore(like), progress=ocp.args.JsonRestore()
    )
    for step in steps:
        try:
            restored = manager.restore(step, args=arguments)
            return restored.state, restored.progress
        except Exception as error:  # Orbax and TensorStore raise many kinds for a damaged file.
            reason = str(error).strip().split("\n")[0][:200]
            place = _set_aside(Path(manager.directory), step)
            say(f"checkpoint {step} cannot be read and was moved to {place}: {reason}")
    if steps:
        raise UserError(
            f"none of the {len(steps)} checkpoints in {manager.directory} can be read; "
            "choose another --workdir to start anew"
        )
    return None


def _set_aside(folder: Path, step: int) -> Path:
    place = folder.parent / "damaged" / str(step)
    place.parent.mkdir(exist_ok=True)
    shutil.rmtree(place, ignore_errors=True)
    (folder / str(step)).rename(place)
    return place
