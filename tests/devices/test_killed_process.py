"""Several processes that train one run through main.py: one is killed, all start again."""

import os
import signal
import subprocess
import sys
import time

import jax
import numpy as np
import pytest
from helpers import encoders
from helpers.several import free_port

from fish_jax.runs import metrics as metrics_module
from fish_jax.runs import sampling
from fish_jax.runs.checkpoints import has_checkpoint

SMALL = [
    "--config=configs/lsgan_dense.py:demo",
    "--config.data.count=20",
    "--config.epochs=8",
    "--config.batch_size=8",
    "--config.log_every_steps=2",
    "--config.checkpoint_minutes=0",
    "--config.latents.size=4",
    *(f"--config.generator.layers[{row}].filters=8" for row in range(3)),
    *(f"--config.discriminator.layers[{row}].filters=8" for row in (1, 2)),
]
# JAX ends a process itself where it is the first to see that another is gone.
GONE = (
    "another process of this run has stopped, so this one stops too; checkpoints are kept",
    "This most likely indicates that another task died",
)


def flags(count):
    address = f"--coordinator=127.0.0.1:{free_port()}"
    arguments = [[address, f"--num_processes={count}", f"--process_id={i}"] for i in range(count)]
    return arguments, [{}] * count


def slurm(count):
    """What `srun` sets for its tasks; JAX makes a port of the job's number."""
    shared = {
        "SLURM_JOB_ID": str(free_port() % 4096),
        "SLURM_STEP_NODELIST": "localhost",
        "SLURM_NTASKS": str(count),
        "SLURM_STEP_NUM_TASKS": str(count),
    }
    own = [{"SLURM_PROCID": str(i), "SLURM_LOCALID": str(i)} for i in range(count)]
    return [[]] * count, [shared | variables for variables in own]


def start(home, folder, launch, program=("main.py",)):
    """Starts processes with two devices each; their output is in files beside the folder."""
    common = os.environ | {
        "XLA_FLAGS": "--xla_force_host_platform_device_count=2",
        "HOME": str(home),
        "XDG_CACHE_HOME": str(home / "cache"),
    }
    tasks = []
    for index, (arguments, variables) in enumerate(zip(*launch)):
        command = [sys.executable, *program, *SMALL, f"--workdir={folder}", *arguments]
        with open(f"{folder}.{index}.txt", "w") as output:
            tasks.append(
                subprocess.Popen(
                    command, env=common | variables, stdout=output, stderr=subprocess.STDOUT
                )
            )
    return tasks


def finish(tasks, seconds=400):
    end = time.monotonic() + seconds
    return [task.wait(max(1, end - time.monotonic())) for task in tasks]


def told(folder, index):
    return open(f"{folder}.{index}.txt").read()


def leaves(folder):
    state = sampling.load(folder)[1]
    return [np.asarray(leaf) for leaf in jax.tree.leaves(state.replace(key=None))]


def metrics(folder):
    lines = metrics_module.read_lines(folder)
    return [{k: v for k, v in line.items() if k != "images_per_second"} for line in lines]


def wait_for_checkpoint(tasks, folder):
    deadline = time.monotonic() + 300
    while time.monotonic() < deadline and all(task.poll() is None for task in tasks):
        if has_checkpoint(folder / "checkpoints"):
            return
        time.sleep(0.05)
    raise AssertionError(told(folder, 0))


@pytest.mark.parametrize("count, victim", [(2, 1), (4, 0)])
def test_one_is_killed_and_all_start_again(tmp_path, count, victim):
    whole, folder = tmp_path / "whole", tmp_path / "run"
    assert finish(start(tmp_path, whole, flags(count))) == [0] * count, told(whole, 0)
    tasks = start(tmp_path, folder, flags(count))
    wait_for_checkpoint(tasks, folder)
    tasks[victim].send_signal(signal.SIGKILL)
    codes = finish(tasks, 60)
    assert codes.pop(victim) == -signal.SIGKILL and all(codes)
    others = [index for index in range(count) if index != victim]
    for index in others:
        assert any(words in told(folder, index) for words in GONE), told(folder, index)
    assert finish(start(tmp_path, folder, flags(count))) == [0] * count, told(folder, 0)
    assert "resuming from the checkpoint of step" in told(folder, 0)
    for ours, theirs in zip(leaves(folder), leaves(whole), strict=True):
        np.testing.assert_array_equal(ours, theirs)
    assert metrics(folder) == metrics(whole)
    for picture in (whole / "samples").iterdir():
        assert (folder / "samples" / picture.name).read_bytes() == picture.read_bytes()


def test_a_signal_to_one_stops_and_saves_all(tmp_path):
    """Two tasks of Slurm, which need no flags."""
    folder = tmp_path / "run"
    arguments, variables = slurm(2)
    longer = [[*each, "--config.epochs=400"] for each in arguments]
    tasks = start(tmp_path, folder, (longer, variables))
    wait_for_checkpoint(tasks, folder)
    tasks[1].send_signal(signal.SIGTERM)
    assert finish(tasks, 60) == [128 + signal.SIGTERM] * 2, told(folder, 0)
    said = [told(folder, index).splitlines()[-1] for index in range(2)]
    assert said[0] == said[1] and "the checkpoint is saved. Run the same command" in said[0]
    step = int(sampling.load(folder)[1].step)
    assert said[0].startswith(f"stopped after step {step} of 1000")


def test_the_main_process_scores_for_all(tmp_path):
    """The others wait, and keep the same checkpoints."""
    folder, (arguments, variables) = tmp_path / "run", flags(2)
    scored = ["--config.data.count=160", "--config.data.holdout=0.4", "--config.epochs=4"]
    scored += ["--config.evaluate_every_epochs=1", "--config.keep_checkpoints=1"]
    launch = [[*each, *scored] for each in arguments], variables
    tasks = start(tmp_path, folder, launch, (*encoders.BRIEFLY, "main.py"))
    assert finish(tasks) == [0] * 2, told(folder, 0) + told(folder, 1)
    found = {line["step"]: line.get("scores/frechet") for line in metrics(folder)}
    scores = {step: score for step, score in found.items() if score is not None}
    best = min(reversed(scores), key=scores.get)
    assert len(scores) == 4 and sampling.load(folder, checkpoint="best")[1].step == best
    assert {int(path.name) for path in (folder / "checkpoints").iterdir()} == {best, max(scores)}


def test_fields_that_differ_are_refused(tmp_path):
    folder = tmp_path / "run"
    (first, second), variables = flags(2)
    second = [*second, "--config.seed=1"]
    tasks = start(tmp_path, folder, ([first, second], variables))
    assert finish(tasks, 100) == [1, 1]
    for index in range(2):
        error = told(folder, index).splitlines()[-1]
        assert error.startswith(f"error: process {index}: ") and "seed" in error, error
    assert not (folder / "checkpoints").exists()
