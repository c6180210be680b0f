"""TensorBoard's files, read back record by record."""

import io
import struct
import time

import numpy as np
import pytest
from PIL import Image
from tensorboardX.crc32c import crc32c
from tensorboardX.proto.event_pb2 import Event, SessionLog

from fish_jax.runs import tensorboard
from fish_jax.utils.pictures import to_png


def read(path):
    """The events of a file, each checked by both of its sums."""
    data = path.read_bytes()
    found = []
    while data:
        (length,) = struct.unpack("<Q", data[:8])
        for part, stored in ((data[:8], data[8:12]), (data[12 : 12 + length], data[12 + length :])):
            plain = crc32c(part)
            masked = ((plain >> 15 | plain << 17) + 0xA282EAD8) % 2**32
            assert struct.unpack("<I", stored[:4]) == (masked,)
        found.append(Event.FromString(data[12 : 12 + length]))
        data = data[16 + length :]
    return found


def test_scalars_are_in_the_file_at_once(tmp_path):
    path = tensorboard.start(tmp_path / "board", 7)
    tensorboard.add_scalars(path, {"d_loss": 0.5, "g_loss": -2.0}, 8)
    version, begin, scalars = read(path)
    assert version.file_version == "brain.Event:2"
    assert begin.step == 7 and begin.session_log.status == SessionLog.START
    values = [(value.tag, value.simple_value) for value in scalars.summary.value]
    assert scalars.step == 8 and values == [("d_loss", 0.5), ("g_loss", -2.0)]


def test_each_start_has_a_file_of_its_own_in_order(tmp_path):
    paths = [tensorboard.start(tmp_path, step) for step in (1, 5, 3)]
    assert sorted(tmp_path.iterdir()) == paths


@pytest.mark.parametrize("back", [0, 3600, 10**9])  # seconds; the last: no clock at all
def test_a_clock_that_went_back_keeps_the_order(tmp_path, monkeypatch, back):
    first = tensorboard.start(tmp_path, 1)
    now = time.time()
    monkeypatch.setattr(tensorboard.time, "time", lambda: now - back)
    later = [tensorboard.start(tmp_path, step) for step in (11, 21)]
    assert sorted(tmp_path.iterdir()) == [first, *later]


def test_files_of_others_do_not_matter(tmp_path, monkeypatch):
    monkeypatch.setattr(tensorboard.time, "time", lambda: 1_700_000_000.0)
    for name in ("events.out.tfevents.profile", "events.out.tfevents.99999999999.x", "notes.txt"):
        (tmp_path / name).touch()
    assert ".1700000000.000000." in tensorboard.start(tmp_path, 1).name


def test_pictures_are_the_files_of_their_epoch(tmp_path):
    """Read as TensorBoard does: by name and step, a PNG and its size."""
    path = tensorboard.start(tmp_path, 1)
    sheets = {
        name: to_png(np.full((2, width, 3), 7, np.uint8)) for name, width in (("a", 3), ("b", 5))
    }
    tensorboard.add_pictures(path, sheets, 8)
    event = read(path)[-1]
    assert event.step == 8
    for value, (name, content) in zip(event.summary.value, sheets.items(), strict=True):
        image = value.image
        assert (value.tag, image.height, image.width, image.colorspace) == (
            name,
            *Image.open(io.BytesIO(content)).size[::-1],
            3,
        )
        assert image.encoded_image_string == content
