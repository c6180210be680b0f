"""TensorBoard files of a run: each record is written at once, so that a kill loses none."""

import platform
import re
import struct
import time
from collections.abc import Iterable, Mapping
from pathlib import Path

# These classes are made at run time, where type checkers do not see them.
from tensorboardX.proto.event_pb2 import Event, SessionLog  # pyright: ignore[reportAttributeAccessIssue]
from tensorboardX.proto.summary_pb2 import Summary  # pyright: ignore[reportAttributeAccessIssue]
from tensorboardX.record_writer import masked_crc32c

from fish_jax.utils.files import append

# Ten digits of seconds, from 2001 to 2286: names of one length, whose order is that of their times.
STAMPED = re.compile(r"events\.out\.tfevents\.([1-9]\d{9}(?:\.\d+)?)\.")
RGB = 3  # TensorFlow's number of a colour space


def start(folder: Path, first_step: int) -> Path:
    """Makes a file for one start of a run; TensorBoard drops later steps of older files.

    Args:
      folder: made if it does not exist.
      first_step: the first that this start will log.

    Returns:
      The file.
    """
    folder.mkdir(exist_ok=True)
    path = folder / _next_name([path.name for path in folder.iterdir()])
    version = Event(wall_time=time.time(), file_version="brain.Event:2")
    log = SessionLog(status=SessionLog.START)
    begin = Event(wall_time=time.time(), step=first_step, session_log=log)
    append(path, _record(version) + _record(begin))
    return path


def _next_name(names: Iterable[str]) -> str:
    """The name of a new file: its time, or just after the newest of `names`.

    TensorBoard reads files in the order of their names, and drops from earlier ones what a later
    one begins anew. A clock that was set back would put the new file before those that it follows.
    """
    found = [float(match[1]) for name in names if (match := STAMPED.match(name))]
    stamp = max([time.time(), *(newest + 1e-5 for newest in found)])
    return f"events.out.tfevents.{stamp:.6f}.{platform.node()}"


def add_scalars(path: Path, values: Mapping[str, float], step: int) -> None:
    """Adds the numbers of a step, by name, to a file from `start`; raises OSError if it cannot."""
    _add(
        path, [Summary.Value(tag=name, simple_value=value) for name, value in values.items()], step
    )


def add_pictures(path: Path, pictures: Mapping[str, bytes], step: int) -> None:
    """Adds the pictures of a step, files of PNG by name, as `add_scalars` adds numbers."""
    shown = []
    for name, content in pictures.items():
        width, height = struct.unpack(">II", content[16:24])  # of the header, a PNG's first chunk
        image = Summary.Image(
            height=height, width=width, colorspace=RGB, encoded_image_string=content
        )
        shown.append(Summary.Value(tag=name, image=image))
    _add(path, shown, step)


def _add(path: Path, values: list[Summary.Value], step: int) -> None:
    event = Event(wall_time=time.time(), step=step, summary=Summary(value=values))
    append(path, _record(event))


def _record(event: Event) -> bytes:
    """An event as a record: its length and its bytes, each with a checksum."""
    data = event.SerializeToString()
    length = struct.pack("<Q", len(data))
    checked = lambda part: part + struct.pack("<I", masked_crc32c(part))
    return checked(length) + checked(data)
