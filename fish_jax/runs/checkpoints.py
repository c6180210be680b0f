"""Checkpoints of a run, by Orbax: asynchronous, the newest few and the best kept, each complete.

Each holds checksums of its content: a checkpoint that was damaged on disk counts as unreadable,
even where Orbax reads it, and damaged scores as none.
"""

import contextlib
import dataclasses
import json
import math
import os
import re
import shutil
import threading
from collections.abc import Callable, Collection, Iterator, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

import jax
import orbax.checkpoint as ocp
from orbax.checkpoint.checkpoint_managers import AnyPreservationPolicy, BestN, LatestN

from fish_jax.errors import Diverged, UserError
from fish_jax.gan.config_schema import BEST
from fish_jax.gan.state import TrainState
from fish_jax.runs import layout
from fish_jax.runs.checksums import checksums, not_finite, of_json
from fish_jax.utils.messages import first_line
from fish_jax.utils.validation import shown

NEWEST, THE_BEST = "newest", "best"  # names of a checkpoint; others are numbers of steps
CHECKSUMS = "checksums"  # their key in `progress`, and that of one in the scores
# Files whose absence Orbax reports as another fault.
NEEDED = ("progress/metadata", "state/_METADATA", "state/manifest.ocdbt")
# Orbax knows a save by the newest number of a counter of the process: of two that begin at once,
# one would wait for the other's folder and write before its own is there.
_one_begins = threading.Lock()


class Restored(NamedTuple):
    """A checkpoint that was read.

    Attributes:
      state: the state.
      progress: what the training loop needs beside it.
      damaged: steps of newer checkpoints that could not be read.
    """

    state: TrainState
    progress: dict[str, Any]
    damaged: list[int]


class _Manager(ocp.CheckpointManager):
    """Orbax's manager; it ignores damaged scores, on which Orbax's own fails."""

    def metrics(self, step: int) -> dict[str, float] | None:
        try:
            scores = super().metrics(step)
        except (ArithmeticError, LookupError, OSError, TypeError, ValueError):
            return None
        if not isinstance(scores, dict):
            return None
        sound = scores.pop(CHECKSUMS, None) == of_json(scores)
        return scores if scores and sound else None


@contextlib.contextmanager
def open_checkpoints(
    folder: Path, keep: int = 3, read_only: bool = False, best: str = ""
) -> Iterator[ocp.CheckpointManager]:
    """Opens a manager of the checkpoints in a folder; waits for unfinished writes at the end.

    Args:
      folder: made if it does not exist, unless read_only.
      keep: how many of the newest to keep.
      read_only: change nothing, as another process may be writing.
      best: the score, of `BEST`, whose best checkpoint is kept beside the newest; "": none is.

    Raises:
      UserError: Orbax cannot list them.
    """
    sign = -1 if BEST.get(best) == "low" else 1
    rank = lambda scores: sign * scores[best] if best in scores else -math.inf
    kept = LatestN(keep), BestN(get_metric_fn=rank, n=1, keep_checkpoints_without_metrics=False)
    # Orbax's own read_only adds two warnings a call; a manager that is asked to save nothing and to
    # clean nothing up writes nothing either.
    options = ocp.CheckpointManagerOptions(
        best_fn=rank,
        preservation_policy=AnyPreservationPolicy(kept),
        cleanup_tmp_directories=not read_only,
        create=not read_only,
        # Else threads of a save whose folder cannot be made wait for it, and the process with them.
        async_options=ocp.AsyncOptions(create_directories_asynchronously=False),
    )
    try:
        manager = _Manager(folder.absolute(), options=options)
    except (ArithmeticError, LookupError, TypeError, ValueError) as error:
        raise UserError(
            f"the checkpoints in {folder} cannot be listed: a _CHECKPOINT_METADATA there is "
            f"damaged ({error}); move the newest checkpoint out of that folder, or choose another "
            "--workdir"
        ) from None
    try:
        yield manager
    finally:
        with _writing(manager):
            manager.close()


@contextlib.contextmanager
def _writing(manager: ocp.CheckpointManager) -> Iterator[None]:
    """Turns every failure to write a checkpoint into an OSError with the name of its folder."""
    try:
        yield
    except Exception as error:  # TensorStore says in many kinds what the system told it.
        told = re.search(r"os.error\D{0,9}(\d+)", str(error), re.IGNORECASE)
        number = int(told[1]) if told else getattr(error, "errno", None)
        if number is None:
            raise OSError(f"{manager.directory}: {type(error).__name__}: {error}") from None
        raise OSError(number, os.strerror(number), str(manager.directory)) from None


def unfinished(folder: Path) -> list[str]:
    """Names of checkpoints whose writing was interrupted; `open_checkpoints` removes them."""
    return sorted(path.name for path in folder.glob("*.orbax-checkpoint-tmp*"))


def has_checkpoint(folder: Path) -> bool:
    """Whether a folder holds a checkpoint, even a damaged one."""
    return bool(steps(folder))


def steps(folder: Path) -> list[int]:
    """Steps of all checkpoints by their names; Orbax lists folders alone."""
    return [int(path.name) for path in folder.glob("*") if re.fullmatch("0|[1-9][0-9]*", path.name)]


def save(
    manager: ocp.CheckpointManager,
    state: TrainState,
    progress: dict[str, Any],
    scores: Mapping[str, float] = MappingProxyType({}),
) -> None:
    """Begins to write a checkpoint; returns once the state may change.

    Args:
      manager: from `open_checkpoints`.
      state: the newest state, which has no checkpoint yet.
      progress: what the loop needs beside the state, as JSON.
      scores: the scores of the state, finite, by name; none where it was not evaluated.

    Raises:
      Diverged: a number of the state is not finite.
    """
    step = int(state.step)
    for name in not_finite(state):
        raise Diverged(
            f"step {step} gave {name} that is not finite; the run stops, and earlier checkpoints "
            "are kept. A smaller learning rate often helps",
            step,
        )
    written = progress | {CHECKSUMS: checksums(state, progress)}
    arguments = ocp.args.Composite(
        state=ocp.args.StandardSave(_fields(state)), progress=ocp.args.JsonSave(written)
    )
    with _writing(manager), _one_begins:
        metrics = {**scores, CHECKSUMS: of_json(dict(scores))}
        if not manager.save(step, args=arguments, metrics=metrics):
            raise RuntimeError(f"Orbax did not save step {step} in {manager.directory}")


def wait(manager: ocp.CheckpointManager) -> None:
    """Waits until `save` has written; raises OSError if the checkpoint could not be written."""
    with _writing(manager):
        manager.wait_until_finished()


def restore_newest(
    manager: ocp.CheckpointManager,
    like: TrainState,
    sharding: jax.sharding.Sharding,
    say: Callable[[str], None],
    without: Collection[str] = (),
) -> Restored | None:
    """Restores the newest checkpoint that can be read; changes nothing in the folder.

    Args:
      manager: from `open_checkpoints`.
      like: a state of the same shapes and types, as from `jax.eval_shape`.
      sharding: on which devices the state is to be.
      say: called with a message about each checkpoint that cannot be read.
      without: fields of the state that are not read, and are {} in what is returned.

    Returns:
      The checkpoint, or None if there is none.

    Raises:
      UserError: there are checkpoints and none can be read.
    """
    damaged, like = [], like.replace(**{name: {} for name in without})
    for step in sorted(steps(Path(manager.directory)), reverse=True):
        try:
            return Restored(*_read(manager, step, like, sharding, without), damaged)
        except Exception as error:  # Orbax and TensorStore raise many kinds for a damaged file.
            reason = _reason(Path(manager.directory) / str(step), error)
            say(f"checkpoint {step} cannot be read: {reason}")
            damaged.append(step)
    if damaged:
        raise UserError(
            f"none of the {len(damaged)} checkpoints in {manager.directory} can be read; they "
            "stay where they are. Restore a copy, or train from scratch in another --workdir"
        )
    return None


def check_name(checkpoint: str | int) -> None:
    """Raises a UserError unless a checkpoint is named as `restore_named` takes it."""
    if not re.fullmatch(f"{NEWEST}|{THE_BEST}|0|[1-9][0-9]{{0,9}}", str(checkpoint)):
        raise UserError(
            f"checkpoint must be best, newest or the number of a step, not {shown(checkpoint)}"
        )


def restore_named(
    manager: ocp.CheckpointManager,
    like: TrainState,
    sharding: jax.sharding.Sharding,
    checkpoint: str | int,
    without: Collection[str] = (),
) -> Restored:
    """Restores one checkpoint, and no other in its place; changes nothing in the folder.

    Args:
      manager, like, sharding, without: as in `restore_newest`.
      checkpoint: the number of its step, or "best": the best by the score that the manager was
        opened with.

    Raises:
      UserError: there is none, or it cannot be read.
    """
    folder = Path(manager.directory)
    there = sorted(steps(folder))
    step = manager.best_step() if checkpoint == THE_BEST else int(checkpoint)
    if step is None:
        raise UserError(
            f"no checkpoint in {folder} has scores, so none is the best; train with "
            "--config.evaluate_every_epochs=1 or more, or use --checkpoint=newest"
        )
    if step not in there:
        raise UserError(
            f"{folder} has no checkpoint of step {step}; available: {', '.join(map(str, there))}"
        )
    like = like.replace(**{name: {} for name in without})
    try:
        return Restored(*_read(manager, step, like, sharding, without), [])
    except Exception as error:  # as of `restore_newest`
        raise UserError(
            f"checkpoint {step} in {folder} cannot be read: {_reason(folder / str(step), error)}; "
            "choose another, such as --checkpoint=newest"
        ) from None


def _read(
    manager: ocp.CheckpointManager,
    step: int,
    like: TrainState,
    sharding: jax.sharding.Sharding,
    without: Collection[str],
) -> tuple[TrainState, dict[str, Any]]:
    """Reads the state and progress of a checkpoint, and checks that they are what was written."""
    like = jax.tree.map(lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=sharding), like)
    fields: Any = {name: part for name, part in _fields(like).items() if name not in without}
    state = ocp.args.StandardRestore(fields)
    if without:
        places = ocp.checkpoint_utils.construct_restore_args(fields)
        state = ocp.args.PyTreeRestore(fields, places, partial_restore=True)
    arguments = ocp.args.Composite(state=state, progress=ocp.args.JsonRestore())
    restored = manager.restore(step, args=arguments)
    state, progress = like.replace(**restored["state"]), restored["progress"]
    written = progress.pop(CHECKSUMS, None)
    if written is not None:  # older versions wrote none
        for name, number in checksums(state, progress).items():
            if written.get(name) != number:
                raise ValueError(f"its {name} differs from what was written")
    if int(state.step) != step:
        raise ValueError(f"it is of step {int(state.step)}")
    return state, progress


def _fields(state: TrainState) -> dict[str, Any]:
    """The parts of a state that a checkpoint holds; older versions had no average at all."""
    absent = () if state.generator_average else ("generator_average",)
    names = [field.name for field in dataclasses.fields(state) if field.name not in absent]
    return {name: getattr(state, name) for name in names}


def _reason(folder: Path, error: BaseException) -> str:
    """The root cause in one line, with the name of the damaged file where it is known."""
    while error.__cause__:
        error = error.__cause__
    text = first_line(error).split(" [tensorstore_spec")[0].replace(f"{folder}/", "")
    named = re.fullmatch(r'.*local file "([^"]*[^/"])"(.*)', text)
    for name in (*NEEDED, *(named.groups()[:1] if named else ())):
        if not (folder / name).is_file():
            return f"{name} is missing"
    match error:
        case json.JSONDecodeError():
            text = f"{_file_of(folder, error.doc.encode())} is not JSON: {text}"
        case UnicodeDecodeError():
            text = f"{_file_of(folder, error.object)} is not text: {text}"
        case KeyError():
            text = f"not found: {text}"
    return (named.expand(r"\1\2") if named else text)[:200]


def _file_of(folder: Path, content: bytes) -> str:
    """The name of the file with this content."""
    for path in sorted(folder.rglob("*")):
        if path.is_file() and path.stat().st_size == len(content) and path.read_bytes() == content:
            return str(path.relative_to(folder))
    return "a file"


def set_aside(manager: ocp.CheckpointManager, step: int, leads: bool = True) -> Path:
    """Moves a damaged checkpoint out of the way of new ones.

    Args:
      manager: from `open_checkpoints`.
      step: the step of the checkpoint.
      leads: whether this process moves it; only one of several does.

    Returns:
      Where it is now.
    """
    folder = Path(manager.directory)
    place = folder.parent / layout.DAMAGED / str(step)
    if leads:
        place.parent.mkdir(exist_ok=True)
        shutil.rmtree(place, ignore_errors=True)
        place.unlink(missing_ok=True)
        (folder / str(step)).rename(place)
    manager.reload()
    return place
