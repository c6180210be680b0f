"""A run of networks that grow: stopped anywhere it ends as a whole one, and draws at full size."""

import jax
import numpy as np
import pytest
from helpers.growing import growing_config
from PIL import Image

import fish_jax
from fish_jax.errors import UserError
from fish_jax.gan.model import make_gan
from fish_jax.runs import metrics
from fish_jax.training.keras_import import from_keras


def train(folder, epochs):
    config = growing_config()
    config.data.count, config.data.cache = 4, str(folder.parent / "cache")  # a step is an epoch
    config.epochs = epochs
    state = fish_jax.train(config, folder).replace(key=None)
    return jax.tree.leaves(state), metrics.read_lines(folder)


@pytest.mark.slow
def test_stopped_at_and_between_levels_it_ends_as_a_whole_run(tmp_path):
    """Levels begin with steps 3 and 5; it is cut after 2, 3 and 4."""
    whole, lines = train(tmp_path / "whole", 0)
    for epochs in (2, 3, 4, 0):
        cut, others = train(tmp_path / "cut", epochs)
    for left, right in zip(whole, cut, strict=True):
        np.testing.assert_array_equal(left, right)
    timed = {"images_per_second"}
    plain = lambda lines: [{k: v for k, v in line.items() if k not in timed} for line in lines]
    assert plain(lines) == plain(others) and lines[-1]["step"] == 6
    first, last = (Image.open(tmp_path / f"cut/samples/{epoch:06d}.png") for epoch in (1, 6))
    assert first.size == last.size


def test_files_of_keras_have_no_levels(tmp_path):
    gan = make_gan(growing_config())
    with pytest.raises(UserError, match="with residual rows or rows of images"):
        from_keras(gan, generator=tmp_path / "g.h5")
