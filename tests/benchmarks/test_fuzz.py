"""The program that damages files: whole ones are read, and what goes wrong is seen."""

import random

import numpy as np
import pytest

from benchmarks import fuzz
from fish_jax.errors import UserError


def test_whole_files_are_read(tmp_path):
    for kind, content, read in fuzz.cases():
        assert fuzz.tried(read, content, tmp_path) == "read", kind


def test_damage_is_of_one_seed():
    whole = bytes(range(200))
    first, again, other = (fuzz.damaged(whole, random.Random(seed)) for seed in (1, 1, 2))
    assert first == again != other and whole not in (first, other)


def test_other_pixels_are_wrong(tmp_path, monkeypatch):
    (kind, content, read), *_ = fuzz.cases()
    black = fuzz.decoding.Decoded(np.zeros((20, 30, 3), np.uint8))
    monkeypatch.setattr(fuzz.decoding, "decode", lambda *_: black)
    assert kind == "image" and fuzz.tried(read, content, tmp_path) == "wrong"


@pytest.mark.parametrize(
    ("error", "end"),
    [
        (UserError("a sentence"), "refused"),
        (UserError("two\nlines"), r"long: 'two\nlines'"),
        (KeyError("a"), "escaped: KeyError: 'a'"),
    ],
)
def test_only_sentences_are_refusals(tmp_path, error, end):
    def read(content, folder):
        raise error

    assert fuzz.tried(read, b"", tmp_path) == end
