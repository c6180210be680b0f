"""A run of a caller's parts that is killed and resumes, on one device and on four."""

import os
import signal
import subprocess
import sys
import time

import jax
import numpy as np
import pytest
from helpers import own
from helpers.tiny import tiny_config

import fish_jax
from fish_jax.runs import metrics


def train(folder, devices):
    """Trains a run of all parts in this process, saved after each call."""
    config = tiny_config("lsgan_dense")
    config.loss.update(name="hinge", real_label=(1.0, 1.0))
    config.data.cache, config.devices = f"{folder}-cache", int(devices)
    config.epochs, config.checkpoint_minutes, config.log_every_steps = 12, 0.0, 1
    fish_jax.train(config, folder, **own.PARTS)


def start(folder, devices):
    flags = f"--xla_force_host_platform_device_count={devices}"
    variables = os.environ | {"PYTHONPATH": ".:tests", "XLA_FLAGS": flags, "JAX_PLATFORMS": "cpu"}
    command = [sys.executable, __file__, str(folder), str(devices)]
    return subprocess.Popen(command, env=variables, stderr=subprocess.PIPE, text=True)


def wait_for_steps(process, folder, steps):
    deadline = time.monotonic() + 200
    while time.monotonic() < deadline and process.poll() is None:
        lines = metrics.read_lines(folder)
        if lines and lines[-1]["step"] >= steps and list((folder / "checkpoints").glob("[0-9]*")):
            return
        time.sleep(0.02)
    raise AssertionError("the run never came so far: " + process.communicate()[1])


@pytest.mark.slow
@pytest.mark.parametrize("devices", [1, 4])
def test_kill_and_resume_equals_the_whole_run(devices, tmp_path):
    whole, cut = tmp_path / "whole", tmp_path / "cut"
    _, err = (process := start(whole, devices)).communicate(timeout=300)
    assert process.returncode == 0, err
    for steps in (5, 15):
        process = start(cut, devices)
        wait_for_steps(process, cut, steps)
        process.send_signal(signal.SIGKILL)
        process.communicate()
        assert process.returncode == -signal.SIGKILL
    _, err = (process := start(cut, devices)).communicate(timeout=300)
    assert process.returncode == 0 and "resuming from the checkpoint of step" in err
    states = [fish_jax.load(folder, **own.PARTS)[1].replace(key=None) for folder in (whole, cut)]
    assert int(states[0].step) == 30
    for left, right in zip(*map(jax.tree.leaves, states), strict=True):
        np.testing.assert_array_equal(left, right)


if __name__ == "__main__":
    train(*sys.argv[1:])
