"""The folder of a run: its lock, its log.txt, and the checks before a start."""

import contextlib
import json
import logging
import os
import threading
import time
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import IO, Any

from fish_jax.data import image_files
from fish_jax.errors import UserError
from fish_jax.runs import checkpoints, config_file, layout, metrics
from fish_jax.utils.files import append, naming, try_lock, write_text
from fish_jax.utils.log import LOGGER
from fish_jax.utils.paths import expand

# What a run opens under its own name; the rest is written to a new file, which is then renamed.
WRITTEN = (
    *(layout.LOCK, layout.LOG, layout.METRICS, layout.CHECKPOINTS, layout.DAMAGED),
    *(layout.SAMPLES, layout.AUTOENCODER, layout.TENSORBOARD),
)


@contextlib.contextmanager
def open_run(folder: Path) -> Iterator[None]:
    """Makes the folder of a run, locks it against other trainers, and logs to its log.txt.

    Args:
      folder: the folder of the run.

    Raises:
      UserError: the folder cannot be written, or another process or thread trains in it.
      OSError: there is no space.
    """
    with _locked(folder), _logged(folder / layout.LOG):
        try:
            yield
        except BaseException as error:
            with contextlib.suppress(OSError):  # the exception itself matters more
                LOGGER.info("stop: %s", str(error) or type(error).__name__)
            raise
        LOGGER.info("stop: done")


@contextlib.contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Holds the lock of a run's folder, which has the process id of its owner as content."""
    if not folder.is_dir() and os.path.lexists(folder):
        raise UserError(f"{folder} is not a folder, but a run needs one; choose another --workdir")
    with contextlib.ExitStack() as stack:
        try:
            folder.mkdir(parents=True, exist_ok=True)
            refuse_links(folder, WRITTEN)
            file = stack.enter_context(open(folder / layout.LOCK, "a+b", buffering=0))
        except OSError as error:
            raise UserError(
                f"cannot write to the run's folder {folder} ({error.strerror}); "
                "choose another with --workdir"
            ) from None
        if not try_lock(file):
            raise UserError(
                f"{folder} is in use: {_owner(file)} trains there; wait for it, stop it, or "
                "choose another --workdir"
            )
        if hasattr(os, "register_at_fork"):  # a child that outlives this process has no lock
            os.register_at_fork(after_in_child=file.close)
        with naming(folder / layout.LOCK):
            file.truncate(0)
            file.write(str(os.getpid()).encode())
        yield


def refuse_links(folder: Path, names: Iterable[str]) -> None:
    """Checks that what is to be written to a folder stays in it: it may have come from elsewhere.

    Args:
      folder: may itself be a link.
      names: the names of files and folders in it, which need not exist.

    Raises:
      UserError: one is a link, or neither a file nor a folder.
    """
    for path in (folder / name for name in names):
        if path.is_symlink():
            raise UserError(
                f"{path} is a link to {os.readlink(path)}, and writing there would change files "
                "outside its folder; replace the link by a copy, or remove it"
            )
        if path.exists() and not (path.is_file() or path.is_dir()):
            raise UserError(f"{path} is neither a file nor a folder; remove it")


def _owner(file: IO[bytes]) -> str:
    """Names the process that holds a run's lock."""
    try:
        file.seek(0)
        return f"process {file.read().decode()}"
    except OSError:  # Windows lets nobody else read what is locked
        return "another process"


@contextlib.contextmanager
def _logged(path: Path) -> Iterator[None]:
    """Writes the log records of this thread to a file, a line each."""
    formatter = logging.Formatter(
        "%(asctime)s.%(msecs)03dZ %(process)d %(message)s", "%Y-%m-%dT%H:%M:%S"
    )
    formatter.converter = time.gmtime

    def write(record: logging.LogRecord) -> None:
        line = " | ".join(formatter.format(record).splitlines())
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
      folder: the folder of the run.
      data: the section `data` of its config.

    Raises:
      UserError: it holds a comparison, or the run would train on its own pictures.
    """
    if (folder / layout.COMPARISON).exists():
        raise UserError(f"{folder} holds a comparison; choose another --workdir for a run")
    check_apart(folder, data)


def check_apart(place: Path, data: Mapping[str, Any], flag: str = "--workdir") -> None:
    """Checks that what is written to a place would not be found among the images of a run.

    Args:
      place: a file or folder; need not exist.
      data: the section `data` of the run's config.
      flag: that names the place, for the message.

    Raises:
      UserError: it would.
    """
    images = expand(str(data.get("path", "")))
    if image_files.is_among(place, images):
        raise UserError(
            f"{place} lies in {images}, the folder of images, so training would read what is "
            f"written there; choose another {flag}"
        )


def check(folder: Path, config: Mapping[str, Any]) -> None:
    """Checks that a run in a folder can resume with this configuration.

    Args:
      folder: the folder of the run.
      config: the config of the run, all of JSON's types.

    Raises:
      UserError: the folder holds a run of another configuration, or of images that were given.
    """
    # A run without a checkpoint starts anew, and may do so with other settings.
    if checkpoints.has_checkpoint(folder / layout.CHECKPOINTS):
        before = config_file.read_config(folder)
        config_file.ask_for_own(folder, before, config)
        config_file.refuse_drawn_fish(before, config, folder)
        config_file.raise_if_changed(
            config_file.differences(before, config),
            f"{folder} holds a run of another configuration; resume it with that configuration or "
            "choose another --workdir",
        )


def rewind(folder: Path, step: int, epochs: int) -> None:
    """Removes the metrics and pictures of later steps, before a run resumes from a checkpoint.

    Args:
      folder: the folder of the run; nothing is removed from a folder without a config.json.
      step: the last step to keep.
      epochs: number of epochs done after this step.
    """
    if not (folder / layout.CONFIG).exists():
        return
    if (folder / layout.METRICS).exists():
        lines = metrics.read_lines(folder, step)
        write_text(folder / layout.METRICS, "".join(json.dumps(line) + "\n" for line in lines))
    for kind in (layout.SAMPLES, layout.AUTOENCODER):
        for path in layout.epoch_pictures(folder, kind):
            if int(path.stem) > epochs:
                path.unlink()
