"""TensorBoard's files of a run, written at once: a kill finds nothing that waits in a queue."""

import platform
import struct
import time
from collections.abc import Mapping
from pathlib import Path

from tensorboardX.proto.event_pb2 import Event, SessionLog
from tensorboardX.proto.summary_pb2 import Summary
from tensorboardX.record_writer import masked_crc32c

from fish_jax.utils.files import append


def start(folder: Path, first_step: int) -> Path:
    """Makes a file for a start of the run; TensorBoard forgets what older ones have from there on.

    Args:
      folder: made if it does not exist.
      first_step: that will be logged.

    Returns:
      The file.
    """
    folder.mkdir(exist_ok=True)
    # TensorBoard reads them in the order of their names.
    path = folder / f"events.out.tfevents.{time.time():.6f}.{platform.node()}"
    version = Event(wall_time=time.time(), file_version="brain.Event:2")
    log = SessionLog(status=SessionLog.START)
    begin = Event(wall_time=time.time(), step=first_step, session_log=log)
    append(path, _record(version) + _record(begin))
    return path


def add_scalars(path: Path, values: Mapping[str, float], step: int) -> None:
    """Adds numbers of a step to a file from `start`, by name; raises OSError if it cannot."""
    scalars = [Summary.Value(tag=name, simple_value=value) for name, value in values.items()]
    event = Event(wall_time=time.time(), step=step, summary=Summary(value=scalars))
    append(path, _record(event))


def _record(event: Event) -> bytes:
    data = event.SerializeToString()
    length = struct.pack("<Q", len(data))
    checked = lambda part: part + struct.pack("<I", masked_crc32c(part))
    return checked(length) + checked(data)
