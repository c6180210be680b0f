"""Checkpoints of a run, by Orbax: asynchronous, the newest few kept, each complete or not there."""

import contextlib
import os
import re
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import jax
import orbax.checkpoint as ocp

from fish_jax.errors import UserError
from fish_jax.state import TrainState


class Restored(NamedTuple):
    """A checkpoint that was read.

    Attributes:
      state: the state.
      progress: what the loop needs beside it.
      damaged: steps of newer checkpoints that could not be read.
    """

    state: TrainState
    progress: dict[str, Any]
    damaged: list[int]


@contextlib.contextmanager
def open_checkpoints(
    folder: Path, keep: int = 3, read_only: bool = False
) -> Iterator[ocp.CheckpointManager]:
    """A manager of the checkpoints in a folder; waits for unfinished writes at the end.

    Args:
      folder: made if it does not exist, unless read_only.
      keep: how many of the newest to keep.
      read_only: change nothing, as another process may be writing.
    """
    options = ocp.CheckpointManagerOptions(
        max_to_keep=None if read_only else keep,
        cleanup_tmp_directories=not read_only,
        create=not read_only,
        read_only=read_only,
    )
    manager = ocp.CheckpointManager(folder.absolute(), options=options)
    try:
        yield manager
    finally:
        with _writing(manager):
            manager.close()


@contextlib.contextmanager
def _writing(manager: ocp.CheckpointManager) -> Iterator[None]:
    """Raises whatever a checkpoint could not be written for as OSError, with its folder's name."""
    try:
        yield
    except Exception as error:  # TensorStore says in many kinds what the system told it.
        told = re.search(r"os.error\D{0,9}(\d+)", str(error), re.IGNORECASE)
        number = int(told[1]) if told else getattr(error, "errno", None)
        if number is None:
            raise OSError(f"{manager.directory}: {type(error).__name__}: {error}") from None
        raise OSError(number, os.strerror(number), str(manager.directory)) from None


def unfinished(folder: Path) -> list[str]:
    """Names of checkpoints whose writing was cut off; `open_checkpoints` removes them."""
    return sorted(path.name for path in folder.glob("*.orbax-checkpoint-tmp*"))


def has_checkpoint(folder: Path) -> bool:
    """Whether a folder holds a complete checkpoint."""
    return any(path.name.isdigit() for path in folder.glob("*"))


def save(manager: ocp.CheckpointManager, state: TrainState, progress: dict[str, Any]) -> None:
    """Starts to write a state; returns when the state may change.

    Args:
      manager: from `open_checkpoints`.
      state: the newest state, which has no checkpoint yet.
      progress: what the loop needs beside the state, as JSON.
    """
    step = int(state.step)
    arguments = ocp.args.Composite(
        state=ocp.args.StandardSave(state), progress=ocp.args.JsonSave(progress)
    )
    with _writing(manager):
        if not manager.save(step, args=arguments):
            raise RuntimeError(f"Orbax did not save step {step} in {manager.directory}")


def is_writing(manager: ocp.CheckpointManager) -> bool:
    """Whether what `save` began goes on."""
    return manager.is_saving_in_progress()


def wait(manager: ocp.CheckpointManager) -> None:
    """Waits for what `save` began; raises OSError if the checkpoint could not be written."""
    with _writing(manager):
        manager.wait_until_finished()


def restore_newest(
    manager: ocp.CheckpointManager,
    like: TrainState,
    sharding: jax.sharding.Sharding,
    say: Callable[[str], None],
) -> Restored | None:
    """The newest state that can be read; changes nothing in the folder.

    Args:
      manager: from `open_checkpoints`.
      like: shapes and types, as from `jax.eval_shape`.
      sharding: on which devices the state is to be.
      say: prints a message about each checkpoint that cannot be read.

    Returns:
      The state, or None where there is no checkpoint.

    Raises:
      UserError: there are checkpoints and none can be read.
    """
    like = jax.tree.map(lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=sharding), like)
    arguments = ocp.args.Composite(
        state=ocp.args.StandardRestore(like), progress=ocp.args.JsonRestore()
    )
    damaged = []
    for step in sorted(manager.all_steps(), reverse=True):
        try:
            restored = manager.restore(step, args=arguments)
            return Restored(restored.state, restored.progress, damaged)
        except Exception as error:  # Orbax and TensorStore raise many kinds for a damaged file.
            reason = (str(error).strip().splitlines() or [type(error).__name__])[0][:200]
            say(f"checkpoint {step} cannot be read: {reason}")
            damaged.append(step)
    if damaged:
        raise UserError(
            f"none of the {len(damaged)} checkpoints in {manager.directory} can be read; they are "
            "left as they are: choose another --workdir to start anew"
        )
    return None


def set_aside(manager: ocp.CheckpointManager, step: int, leads: bool = True) -> Path:
    """Moves a damaged checkpoint out of the way of new ones.

    Args:
      manager: from `open_checkpoints`.
      step: of the checkpoint.
      leads: whether this process does so; of several, one.

    Returns:
      Where it is now.
    """
    folder = Path(manager.directory)
    place = folder.parent / "damaged" / str(step)
    if leads:
        place.parent.mkdir(exist_ok=True)
        shutil.rmtree(place, ignore_errors=True)
        (folder / str(step)).rename(place)
    manager.reload()
    return place
