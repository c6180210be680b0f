"""The folder of a run: who trains in it, its configuration and logs, what a start may change."""

import contextlib
import json
import logging
import math
import os
import threading
import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from fish_jax.errors import UserError
from fish_jax.runs.checkpoints import has_checkpoint
from fish_jax.utils import locks
from fish_jax.utils.files import append, naming, replacing
from fish_jax.utils.log import LOGGER

CONFIG, METRICS, CHECKPOINTS = "config.json", "metrics.jsonl", "checkpoints"
LOCK, LOG = "lock", "log.txt"
COMPARISON = "protocol.json"  # in the folder of a comparison

# Fields that do not change what is computed; data.path may move, its images are compared.
HARMLESS = frozenset(
    {
        "name",
        "devices",
        "epochs",
        "data.path",
        "data.cache",
        "data.device_gigabytes",
        "log_every_steps",
        "sample_every_epochs",
        "checkpoint_minutes",
        "keep_checkpoints",
    }
)

# Fields that folders of older versions lack, and what they mean there.
ADDED = {
    "precision": "float32",
    "devices": 0,
    "average": {"half_life": 0.0, "ramp_up": 0.05},
    "schedule": {"images": 0, "learning_rate": 1.0, "forgetting": 1.0, "penalty": 1.0},
}
ADDED_DATA = {"device_gigabytes": 0.0, "flips": False}
ADDED_LOSS = {
    "energy": "mae",
    "margin": 1.0,
    "pulling_away": 0.0,
    "gradient_penalty": 0.0,
    "r1": 0.0,
    "r2": 0.0,
    "penalty_every": 1,
    "clip": 0.0,
    "instance_noise": 0.0,
    "augment": "",
    "discriminator_steps": 1,
}


def plain(config: Mapping[str, Any]) -> dict[str, Any]:
    """A configuration in JSON's types alone."""
    return json.loads(config.to_json() if hasattr(config, "to_json") else json.dumps(config))


def _flatten(value: Any, name: str = "") -> Iterator[tuple[str, Any]]:
    if isinstance(value, Mapping):
        for key, item in value.items():
            yield from _flatten(item, f"{name}.{key}" if name else key)
    elif isinstance(value, (list, tuple)) and any(isinstance(v, Mapping) for v in value):
        for index, item in enumerate(value):
            yield from _flatten(item, f"{name}[{index}]")
    else:
        yield name, list(value) if isinstance(value, tuple) else value


def differences(
    before: Mapping[str, Any], after: Mapping[str, Any], harmless: Collection[str] = HARMLESS
) -> list[str]:
    """What differs between two configurations and matters, a line for each field."""
    return [
        f"{name}: {old!r} there, {new!r} now"
        for name, (old, new) in differing(before, after).items()
        if name not in harmless
    ]


def refuse(changed: Sequence[str], sentence: str) -> None:
    """Raises a UserError of this sentence and of what differs, if anything does."""
    if changed:
        lines = "\n  ".join(changed)
        raise UserError(f"{sentence}. They differ in:\n  {lines}")


def differing(before: Mapping[str, Any], after: Mapping[str, Any]) -> dict[str, tuple[Any, Any]]:
    """The fields of two configurations that differ, with both values, "(absent)" for none."""
    old, new, absent = dict(_flatten(before)), dict(_flatten(after)), "(absent)"
    both = {name: (old.get(name, absent), new.get(name, absent)) for name in {**old, **new}}
    return {name: (one, other) for name, (one, other) in both.items() if one != other}


def shared_fields(config: Mapping[str, Any]) -> dict[str, Any]:
    """What processes that train one run must have alike: all but where their images are."""
    return {k: v for k, v in _flatten(config) if k not in ("data.path", "data.cache")}


@contextlib.contextmanager
def opened(folder: Path) -> Iterator[None]:
    """Makes the folder of a run, keeps all others from training in it, and logs to its log.txt.

    Args:
      folder: of the run.

    Raises:
      UserError: it cannot be written, or another process or thread trains in it.
      OSError: there is no space.
    """
    with _locked(folder), _logged(folder / LOG):
        try:
            yield
        except BaseException as error:
            with contextlib.suppress(OSError):  # what ended the run is told
                LOGGER.info("stop: %s", str(error) or type(error).__name__)
            raise
        LOGGER.info("stop: done")


@contextlib.contextmanager
def _locked(folder: Path) -> Iterator[None]:
    if not folder.is_dir() and os.path.lexists(folder):
        raise UserError(f"{folder} is no folder, but a run needs one; choose another --workdir")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        file = open(folder / LOCK, "a+b", buffering=0)
    except OSError as error:
        raise UserError(
            f"cannot write to the run's folder {folder} ({error.strerror}); "
            "choose another with --workdir"
        ) from None
    with file:
        if not locks.take(file):
            file.seek(0)
            raise UserError(
                f"{folder} is in use: process {file.read().decode()} trains there; wait until it "
                "has ended, stop it, or choose another --workdir"
            )
        if hasattr(os, "register_at_fork"):  # a child that outlives this process has no lock
            os.register_at_fork(after_in_child=file.close)
        with naming(folder / LOCK):
            file.truncate(0)
            file.write(str(os.getpid()).encode())
        yield


@contextlib.contextmanager
def _logged(path: Path) -> Iterator[None]:
    """Writes what this thread logs to a file, each record as a line."""
    layout = logging.Formatter(
        "%(asctime)s.%(msecs)03dZ %(process)d %(message)s", "%Y-%m-%dT%H:%M:%S"
    )
    layout.converter = time.gmtime

    def write(record: logging.LogRecord) -> None:
        line = " | ".join(layout.format(record).splitlines())
        append(path, f"{line}\n".encode(errors="backslashreplace"))

    if path.exists() and not path.read_bytes().endswith(b"\n"):
        append(path, b"\n")  # after a line that a power cut left half
    thread, handler = threading.get_ident(), logging.Handler()
    handler.addFilter(lambda record: record.thread == thread)  # others may train elsewhere
    handler.emit = write
    LOGGER.addHandler(handler)
    try:
        yield
    finally:
        LOGGER.removeHandler(handler)


def check_place(folder: Path, data: Mapping[str, Any]) -> None:
    """Checks that a run may be written to a folder.

    Args:
      folder: of the run.
      data: the section of its config.

    Raises:
      UserError: it holds a comparison, or what the run writes there would be trained on.
    """
    if (folder / COMPARISON).exists():
        raise UserError(f"{folder} holds a comparison; choose another --workdir for a run")
    images = Path(data["path"])
    within = data["path"] and folder.resolve().is_relative_to(images.resolve())
    if within and images.is_dir() and not data["include"]:
        raise UserError(
            f"{folder} lies in {images}, the folder of images: pictures that the run writes would "
            "be trained on; choose another --workdir"
        )


def check(folder: Path, config: Mapping[str, Any]) -> None:
    """Checks that the folder of a run belongs to this configuration.

    Args:
      folder: of the run.
      config: of the run, all of JSON's types.

    Raises:
      UserError: the folder holds a run that this configuration cannot go on with.
    """
    # A run without a checkpoint starts anew, and may do so with other settings.
    if has_checkpoint(folder / CHECKPOINTS):
        changed = differences(read_config(folder), config)
        refuse(
            changed,
            f"{folder} holds a run of another configuration; go on with that one or choose "
            "another --workdir",
        )


def write_config(folder: Path, config: Mapping[str, Any]) -> None:
    """Keeps the configuration of a run that is about to start or to go on."""
    _write_text(folder / CONFIG, json.dumps(config, indent=2) + "\n")


def read_config(folder: Path) -> dict[str, Any]:
    """The configuration of a run, with the fields that came after it.

    Raises:
      UserError: the folder holds no run.
    """
    try:
        config = json.loads((folder / CONFIG).read_text())
        if not isinstance(config, dict) or "data" not in config:
            raise ValueError("it holds no config")
        return completed(config)
    except (OSError, RecursionError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        if has_checkpoint(folder / CHECKPOINTS):
            raise UserError(
                f"{folder} has checkpoints, but its {CONFIG} cannot be read ({reason}); put that "
                "file back, or choose another --workdir"
            ) from None
        if (folder / COMPARISON).exists():
            raise UserError(
                f"{folder} is the folder of a comparison; its runs are in {folder / 'runs'}"
            ) from None
        raise UserError(
            f"{folder} is not the folder of a run: its {CONFIG} cannot be read ({reason})"
        ) from None


def completed(config: Mapping[str, Any]) -> dict[str, Any]:
    """A configuration of an older version, with the fields that came after it."""
    added = {"data": ADDED_DATA, "loss": ADDED_LOSS}
    for name in added:
        if not isinstance(config.get(name, {}), Mapping):
            raise ValueError(f"its {name} is {config[name]!r}")
    sections = {name: {**new, **config.get(name, {})} for name, new in added.items()}
    return {**ADDED, **config, **sections}


def default_picture(folder: Path) -> Path:
    """Where --mode=sample writes if it is not told."""
    return folder / "sampled.png"


def _write_text(path: Path, text: str) -> None:
    with replacing(path) as file:
        file.write(text.encode())


def append_metrics(folder: Path, line: Mapping[str, float]) -> None:
    """Adds a line to the log, or raises OSError and leaves the log as it was."""
    append(folder / METRICS, (json.dumps(line) + "\n").encode())


def read_metrics(folder: Path, last_step: float = math.inf) -> list[dict[str, float]]:
    """The log up to a step; lines that a crash cut off, or that were damaged, are left out."""
    if not (folder / METRICS).exists():
        return []
    texts = (folder / METRICS).read_text(errors="replace").splitlines()
    lines = [line for line in map(_metrics_line, texts) if line]
    return [line for line in lines if line["step"] <= last_step]


def _metrics_line(text: str) -> dict[str, float] | None:
    """Finite numbers by name, the step among them, or None."""
    try:
        line = json.loads(text)
        return line if all(map(math.isfinite, line.values())) and "step" in line else None
    except (AttributeError, OverflowError, RecursionError, TypeError, ValueError):
        return None


def rewind(folder: Path, step: int, epochs: int) -> None:
    """Forgets what a run logged and drew after a step, before it is done again.

    Args:
      folder: of the run; in one that holds none, what lies there is not ours to remove.
      step: the last to keep.
      epochs: done after this step.
    """
    if not (folder / CONFIG).exists():
        return
    if (folder / METRICS).exists():
        lines = read_metrics(folder, step)
        _write_text(folder / METRICS, "".join(json.dumps(line) + "\n" for line in lines))
    for kind in ("samples", "autoencoder"):
        for path in (folder / kind).glob("*.png"):
            if path.stem.isdigit() and int(path.stem) > epochs:
                path.unlink()
