"""JSON of bounded size and depth."""

import json
import math
import os

import pytest

from fish_jax.utils import json_text


def nested(depth):
    return "[" * depth + "7" + "]" * depth


def test_json_is_read(tmp_path):
    value = {"a": [1, 2.5, None, True, "b"], "c": {"d": {}}, "e": []}
    (tmp_path / "a.json").write_text(json.dumps(value))
    assert json_text.read(tmp_path / "a.json") == value
    assert json_text.parse("7") == 7 and math.isnan(json_text.parse("NaN"))
    assert json.dumps(json_text.parse(nested(json_text.DEEPEST))) == nested(json_text.DEEPEST)


@pytest.mark.parametrize("text", ["", "{", "[1,]", "\0", "9" * 9000, b"\xff", "nothing"])
def test_what_is_no_json_is_a_value_error(tmp_path, text):
    with pytest.raises(ValueError):
        json_text.parse(text)


@pytest.mark.parametrize("depth", [json_text.DEEPEST + 1, 500, 100_000])
def test_depth_is_bounded(depth):
    for text in (nested(depth), '{"a":' * depth + "7" + "}" * depth):
        with pytest.raises(ValueError, match="nested too deep"):
            json_text.parse(text)


def test_size_is_bounded(tmp_path):
    path = tmp_path / "a.json"
    with open(path, "wb") as file:
        file.truncate(10**12)  # takes no room on disk
    with pytest.raises(ValueError, match="more than 16,777,216 bytes"):
        json_text.read(path)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no named pipes")
def test_a_pipe_is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "a.json")
    with pytest.raises(ValueError, match="not a regular file"):
        json_text.read(tmp_path / "a.json")
