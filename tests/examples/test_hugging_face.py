"""The example of a Hugging Face data set, which needs their library."""

import runpy
from pathlib import Path

import numpy as np
import pytest

import fish_jax

EXAMPLE = Path(__file__).parents[2] / "docs" / "examples" / "hugging_face.py"


@pytest.fixture
def example(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return runpy.run_path(str(EXAMPLE))


def test_a_column_has_the_pixels_of_its_files(example, tmp_path):
    table = example["fish_table"](tmp_path / "fish", 5)
    drawn = fish_jax.load_images("", 28, 64, count=5).train
    for images in (table["image"], table.with_format("numpy")["image"]):
        np.testing.assert_array_equal(fish_jax.load_images(images, 28, 64).train, drawn)


def test_the_example_trains_and_resumes(example, tmp_path):
    example["main"](tmp_path, 32)
    assert fish_jax.read_metrics(tmp_path / "run")["epoch"][-1] == 3
