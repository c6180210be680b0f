"""Calls from Python print nothing, on stdout or stderr, that was not asked for."""

import os
import subprocess
import sys

import pytest
from helpers.tiny import tiny_config, tiny_state

from fish_jax.gan.model import make_gan
from fish_jax.runs import checkpoints, config_file, layout

CALLS = """
import sys
import fish_jax
from fish_jax.evaluation.features import encoder
encoder.STEPS = 3
folder, cache = sys.argv[1:]
fish_jax.load_images("", 20, 40, count=2, cache_dir=cache)
fish_jax.load(folder)
fish_jax.sample(folder, [0, 1])
fish_jax.walk(folder, [0, 1], frames=2)
fish_jax.evaluate(folder, intervals=False)
"""


@pytest.mark.slow
def test_calls_from_python_print_nothing(tmp_path):
    config = tiny_config("lsgan_dense")
    config.data.count, config.data.holdout, config.data.cache = 160, 0.4, str(tmp_path / "cache")
    config_file.write_config(tmp_path, config_file.plain(config))
    with checkpoints.open_checkpoints(tmp_path / layout.CHECKPOINTS) as manager:
        checkpoints.save(manager, tiny_state(make_gan(config)), {})
    command = [sys.executable, "-c", CALLS, str(tmp_path), config.data.cache]
    environment = os.environ | {"PYTHONPATH": "."}
    done = subprocess.run(command, capture_output=True, text=True, env=environment)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
