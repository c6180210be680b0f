"""Whole runs through main.py, in processes of their own: what they leave, and how they end."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import jax
import numpy as np
import pytest
from helpers import in_process
from helpers.marks import slow
from PIL import Image

from fish_jax.runs import metrics as metrics_module
from fish_jax.runs import sampling

# The dense network compiles fastest.
SMALL = [
    "--config=configs/lsgan_dense.py:demo",
    "--config.data.count=20",
    "--config.epochs=6",
    "--config.batch_size=8",
    "--config.log_every_steps=2",
    "--config.latents.size=4",
    "--config.generator.layers[0].filters=8",
    "--config.generator.layers[1].filters=8",
    "--config.generator.layers[2].filters=8",
    "--config.discriminator.layers[1].filters=8",
    "--config.discriminator.layers[2].filters=8",
]
LARGE = ["--config=configs/dcgan_deep.py", "--config.data.count=40"]  # compiles longest
STEPS = 15  # 6 epochs of 20 images in batches of 8


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """A home folder of the test's own, so that its cache is not the user's."""
    return tmp_path_factory.mktemp("home")


@pytest.fixture(scope="module", autouse=True)
def hangup():
    """The tests may run under nohup; runs inherit it."""
    before = signal.signal(signal.SIGHUP, signal.SIG_DFL)
    yield
    signal.signal(signal.SIGHUP, before)


@pytest.fixture(scope="module")
def environment(home):
    variables = {k: v for k, v in os.environ.items() if k != "XLA_FLAGS"}
    return variables | {"HOME": str(home), "XDG_CACHE_HOME": str(home / "cache")}


def start(environment, *arguments):
    return subprocess.Popen(
        [sys.executable, "main.py", *map(str, arguments)],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def finish(environment, *arguments):
    process = start(environment, *arguments)
    out, err = process.communicate(timeout=300)
    return process.returncode, out, err


@pytest.fixture(scope="module")
def whole(environment, tmp_path_factory):
    """A run that nobody disturbed."""
    folder = tmp_path_factory.mktemp("whole") / "run"
    code, out, err = finish(environment, *SMALL, f"--workdir={folder}")
    assert code == 0, err
    assert out.splitlines()[-1] == f"open {folder}/samples/000006.png"
    return folder


def params(folder):
    state = sampling.load(folder)[1]
    return [np.asarray(leaf) for leaf in jax.tree.leaves(state.replace(key=None))]


def metrics(folder):
    timed = ("images_per_second",)
    lines = metrics_module.read_lines(folder)
    return [{k: v for k, v in line.items() if k not in timed} for line in lines]


def assert_same_run(folder, other):
    for left, right in zip(params(folder), params(other)):
        np.testing.assert_array_equal(left, right)
    assert metrics(folder) == metrics(other)
    for picture in sorted((other / "samples").iterdir()):
        assert (folder / "samples" / picture.name).read_bytes() == picture.read_bytes()
    assert not list(folder.rglob("*.partial"))


def wait_for_steps(process, folder, steps):
    deadline = time.monotonic() + 200
    while time.monotonic() < deadline and process.poll() is None:
        lines = metrics_module.read_lines(folder)
        if lines and lines[-1]["step"] >= steps and list((folder / "checkpoints").glob("[0-9]*")):
            return
        time.sleep(0.02)
    raise AssertionError("the run never came so far: " + "".join(process.communicate()))


def test_what_a_run_leaves(whole):
    names = {path.name for path in whole.iterdir()}
    assert names == {
        "config.json",
        "metrics.jsonl",
        "tensorboard",
        "samples",
        "losses.png",
        "checkpoints",
        "lock",
        "log.txt",
    }
    assert len(list((whole / "samples").glob("*.png"))) == 6
    lines = metrics(whole)
    assert [line["step"] for line in lines] == [2, 3, 4, 5, 6, 8, 10, 12, 13, 14, 15]
    assert sum(line["steps"] for line in lines) == STEPS
    assert np.isfinite([[line["d_loss"], line["g_loss"]] for line in lines]).all()
    assert json.loads((whole / "config.json").read_text())["batch_size"] == 8
    assert any((whole / "tensorboard").iterdir())
    Image.open(whole / "losses.png").verify()


def test_kill_and_resume_equals_the_whole_run(environment, whole, tmp_path):
    folder = tmp_path / "run"
    arguments = [*SMALL, f"--workdir={folder}", "--config.checkpoint_minutes=0"]
    for steps in (3, 9):
        process = start(environment, *arguments)
        wait_for_steps(process, folder, steps)
        process.send_signal(signal.SIGKILL)
        process.communicate()
        assert process.returncode == -signal.SIGKILL
    code, _, err = finish(environment, *arguments)
    assert code == 0 and "resuming from the checkpoint of step" in err
    assert_same_run(folder, whole)


@pytest.mark.slow
def test_a_run_that_nobody_watches_any_more(environment, whole, tmp_path):
    """Started under nohup in a terminal that is closed: SIGHUP is ignored, output goes nowhere."""
    folder = tmp_path / "run"
    process = subprocess.Popen(
        ["nohup", sys.executable, "main.py", *SMALL, f"--workdir={folder}"],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    wait_for_steps(process, folder, 2)
    process.stdout.close()
    process.send_signal(signal.SIGHUP)
    assert process.wait(120) == 0
    assert_same_run(folder, whole)


@pytest.mark.slow
def test_a_checkpoint_of_another_run_is_refused(environment, whole, tmp_path):
    arguments = [*SMALL, f"--workdir={tmp_path}/other", "--config.seed=7", "--config.epochs=1"]
    assert finish(environment, *arguments)[0] == 0
    folder = tmp_path / "run"
    shutil.copytree(whole, folder)
    shutil.rmtree(folder / "checkpoints")
    shutil.copytree(tmp_path / "other" / "checkpoints", folder / "checkpoints")
    before = (folder / "metrics.jsonl").read_bytes()
    code, _, err = finish(environment, *SMALL, f"--workdir={folder}")
    assert code == 1 and "is a checkpoint of another run" in err and "seed: 7 there, 0 now" in err
    assert (folder / "metrics.jsonl").read_bytes() == before


@pytest.mark.slow
def test_images_that_stream_make_the_same_run(environment, whole, tmp_path):
    """Streamed one batch at a time, killed, and gone on with all images on the device."""
    folder = tmp_path / "run"
    arguments = [*SMALL, f"--workdir={folder}", "--config.checkpoint_minutes=0"]
    process = start(environment, *arguments, "--config.data.device_gigabytes=0.0001")
    wait_for_steps(process, folder, 9)
    process.send_signal(signal.SIGKILL)
    _, err = process.communicate()
    assert (
        "the 20 images exceed data.device_gigabytes, so they are streamed: at most 8 at a time"
        in err
    )
    code, _, err = finish(environment, *arguments)
    assert code == 0 and "resuming from the checkpoint of step" in err
    assert_same_run(folder, whole)


@pytest.mark.parametrize("number", [slow(signal.SIGTERM), slow(signal.SIGINT), slow(signal.SIGHUP)])
def test_signals_save_and_the_same_command_goes_on(environment, whole, tmp_path, number):
    folder = tmp_path / "run"
    slow = [*SMALL, f"--workdir={folder}", "--config.checkpoint_minutes=0"]
    process = start(environment, *slow)
    wait_for_steps(process, folder, 2)
    process.send_signal(number)
    _, err = process.communicate(timeout=120)
    assert process.returncode == 128 + number, err
    assert "the checkpoint is saved. Run the same command again" in err
    code, _, err = finish(environment, *slow)
    assert code == 0, err
    assert_same_run(folder, whole)


@pytest.mark.parametrize(
    "number, seconds",
    [
        slow(signal.SIGINT, 0),
        slow(signal.SIGINT, 1),
        slow(signal.SIGTERM, 2),
        slow(signal.SIGINT, 4),
        slow(signal.SIGTERM, 8),
    ],
)
def test_signals_while_the_step_is_traced_and_compiled(environment, tmp_path, number, seconds):
    new = environment | {"XDG_CACHE_HOME": str(tmp_path)}
    process = start(new, *LARGE, f"--workdir={tmp_path}/run")
    told = ""
    while "compiling" not in told:
        line = process.stderr.readline()
        assert line, told
        told += line
    time.sleep(seconds)
    process.send_signal(number)
    _, err = process.communicate(timeout=120)
    assert process.returncode == 128 + number, err
    assert err == "interrupted; saved checkpoints are kept\n"


def test_out_of_memory_as_xla_tells_it():
    code = (
        "from absl import app; from fish_jax.cli import app as command\n"
        "def run(*_, **__): raise RuntimeError('RESOURCE_EXHAUSTED: Out of memory allocating 9')\n"
        "app.run = run; command.run()"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 1
    assert done.stderr == (
        "error: out of memory: RESOURCE_EXHAUSTED: Out of memory allocating 9; "
        "use smaller images or a smaller batch\n"
    )


@pytest.mark.slow
def test_memory_that_runs_out_while_steps_run_ends_the_run(environment, tmp_path):
    """2 TB of weights, of which more than 1 TB is refused. JAX's arrays then never get ready."""
    limited = ["bash", "-c", 'ulimit -v 1000000000; exec "$@"', "-", sys.executable, "main.py"]
    large = ["--config.latents.size=2147483647", "--config.generator.layers[0].filters=256"]
    done = subprocess.run(
        [*limited, *SMALL, *large, f"--workdir={tmp_path}/run"],
        env=environment,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 1
    assert "error: out of memory: RESOURCE_EXHAUSTED" in done.stderr.splitlines()[-1]
    assert "Traceback" not in done.stderr


@pytest.mark.slow
def test_a_finished_run_can_be_made_longer(environment, whole, tmp_path):
    folder = tmp_path / "run"
    short = [a.replace("epochs=6", "epochs=2") for a in SMALL]
    assert finish(environment, *short, f"--workdir={folder}")[0] == 0
    code, _, err = finish(environment, *SMALL, f"--workdir={folder}")
    assert code == 0, err
    assert_same_run(folder, whole)
    code, out, _ = finish(environment, *short, f"--workdir={folder}")
    assert code == 0 and out.splitlines()[-1].endswith("samples/000006.png")


def test_a_changed_config_is_refused_field_by_field(environment, whole):
    before = (whole / "config.json").read_bytes()
    changes = ["--config.loss.g_factor=3", "--config.generator.layers[0].filters=9"]
    code, _, err = finish(environment, *SMALL, f"--workdir={whole}", *changes)
    assert code == 1
    assert "loss.g_factor: 2.0 there, 3.0 now" in err
    assert "generator.layers[0].filters: 8 there, 9 now" in err
    assert err.count(" there, ") == 2 and "Traceback" not in err
    assert (whole / "config.json").read_bytes() == before


def test_changed_images_are_refused(environment, whole):
    code, _, err = finish(environment, *SMALL, f"--workdir={whole}", "--config.data.path=nowhere")
    assert code == 1 and "nowhere does not exist" in err
    np.save(whole.parent / "others.npy", np.zeros((20, 28, 64, 3), np.uint8))
    path = f"--config.data.path={whole.parent / 'others.npy'}"
    before = (whole / "config.json").read_bytes()
    code, _, err = finish(environment, *SMALL, f"--workdir={whole}", path)
    assert code == 1 and "the images of this run have changed" in err
    assert (whole / "config.json").read_bytes() == before


def test_samples_from_a_run(environment, whole, tmp_path):
    arguments = ["--mode=sample", f"--workdir={whole}"]
    code, out, err = finish(environment, *arguments, "--seeds=0-15", f"--out={tmp_path}/g.png")
    assert code == 0, err
    assert out == f"open {tmp_path}/g.png\n"
    # The same seeds, weights and layout as the last grid of the training run.
    np.testing.assert_array_equal(
        np.asarray(Image.open(tmp_path / "g.png")),
        np.asarray(Image.open(whole / "samples" / "000006.png")),
    )
    code, out, _ = finish(environment, *arguments, "--seeds=1,4-6", f"--out={tmp_path}/many")
    assert code == 0
    names = sorted(path.name for path in (tmp_path / "many").iterdir())
    assert names == [f"seed{seed:06d}.png" for seed in (1, 4, 5, 6)]
    assert Image.open(tmp_path / "many" / names[0]).size == (64, 28)


@pytest.mark.slow
def test_a_film_and_a_walk_of_a_run(environment, whole, tmp_path):
    code, out, err = finish(environment, "--mode=film", f"--workdir={whole}")
    assert (code, out) == (0, f"open {whole}/film.webp\n"), err
    with Image.open(whole / "film.webp") as film:
        assert film.n_frames == len(list((whole / "samples").iterdir()))
    walk = ["--mode=walk", f"--workdir={whole}", "--seeds=1,5", "--frames=2"]
    code, out, err = finish(environment, *walk, f"--out={tmp_path}/w.gif")
    assert (code, out) == (0, f"open {tmp_path}/w.gif\n"), err
    with Image.open(tmp_path / "w.gif") as animation:
        assert animation.n_frames == 4 and animation.width == 640


@pytest.mark.slow
def test_an_export_of_a_run(environment, whole, tmp_path):
    arguments = ["--mode=export", f"--workdir={whole}"]
    code, out, err = finish(environment, *arguments, f"--out={tmp_path}/export")
    assert (code, out) == (0, f"open {tmp_path}/export/card.md\n"), err
    names = ["card.json", "card.md", "generator.jax", "samples.png"]
    assert sorted(path.name for path in (tmp_path / "export").iterdir()) == names
    np.testing.assert_array_equal(
        np.asarray(Image.open(tmp_path / "export" / "samples.png")),
        np.asarray(Image.open(whole / "samples" / "000006.png")),
    )
    code, _, err = finish(environment, *arguments, "--out=main.py/export")
    assert code == 1 and "error: cannot write the export" in err and "Traceback" not in err


@pytest.mark.slow
def test_a_damaged_checkpoint_falls_back_to_the_one_before(environment, whole, tmp_path):
    folder = tmp_path / "run"
    assert (
        finish(environment, *SMALL, f"--workdir={folder}", "--config.checkpoint_minutes=0")[0] == 0
    )
    kept = sorted(int(path.name) for path in (folder / "checkpoints").iterdir())
    assert len(kept) == 3 and kept[-1] == STEPS
    newest = folder / "checkpoints" / str(STEPS)
    for path in newest.rglob("*"):
        if path.is_file() and "ocdbt" in str(path):
            path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    code, _, err = finish(environment, *SMALL, f"--workdir={folder}")
    assert code == 0, err
    assert f"checkpoint {STEPS} cannot be read" in err
    assert f"resuming from the checkpoint of step {kept[-2]}" in err
    assert "Traceback" not in err
    assert (folder / "damaged" / str(STEPS)).is_dir()
    assert newest.is_dir()  # written again, by the run that went on
    assert_same_run(folder, whole)


def test_sampling_leaves_a_damaged_checkpoint_alone(environment, whole, tmp_path):
    folder = tmp_path / "run"
    shutil.copytree(whole, folder)
    names = sorted(str(path) for path in folder.rglob("*"))
    for path in (folder / "checkpoints" / str(STEPS)).rglob("*"):
        if path.is_file():
            path.write_bytes(b"")
    (folder / "checkpoints" / "9.orbax-checkpoint-tmp").mkdir()  # another process is writing
    code, _, err = finish(environment, "--mode=sample", f"--workdir={folder}")
    assert code == 1 and "can be read" in err and "Traceback" not in err
    names.append(str(folder / "checkpoints" / "9.orbax-checkpoint-tmp"))
    assert sorted(str(path) for path in folder.rglob("*")) == sorted(names)


@pytest.mark.slow
def test_an_unfinished_checkpoint_is_removed_and_named(environment, whole, tmp_path):
    folder = tmp_path / "run"
    shutil.copytree(whole, folder)
    half = folder / "checkpoints" / "99.orbax-checkpoint-tmp"
    (half / "state").mkdir(parents=True)
    code, _, err = finish(environment, *SMALL, f"--workdir={folder}")
    assert code == 0, err
    assert "removing 99.orbax-checkpoint-tmp, which was only partly written" in err
    assert not half.exists()


@pytest.mark.slow
def test_no_readable_checkpoint_is_an_error(environment, whole, tmp_path):
    folder = tmp_path / "run"
    shutil.copytree(whole, folder)
    for path in (folder / "checkpoints").rglob("*"):
        if path.is_file():
            path.write_bytes(b"")
    code, _, err = finish(environment, "--mode=sample", f"--workdir={folder}")
    assert code == 1 and "can be read; they stay where they are" in err
    assert "Traceback" not in err


@pytest.mark.slow
def test_a_nan_stops_the_run_and_keeps_the_checkpoint(environment, tmp_path):
    folder = tmp_path / "run"
    wild = ["--config.optimizer.name=sgd", "--config.optimizer.generator_lr=30.0"]
    wild += ["--config.optimizer.discriminator_lr=30.0", "--config.checkpoint_minutes=0"]
    code, _, err = finish(environment, *SMALL, *wild, f"--workdir={folder}")
    assert code == 1 and "Traceback" not in err
    match = re.search(
        r"error: step (\d+) gave .* not finite; .*checkpoint of step (\d+) is kept", err
    )
    assert match and int(match[2]) < int(match[1])
    state = sampling.load(folder)[1]
    assert int(state.step) == int(match[2])
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(state.generator_params))
    assert metrics_module.read_lines(folder, 0) == []


@pytest.mark.slow
def test_a_failed_start_does_not_block_its_cure(environment, tmp_path):
    folder = tmp_path / "run"
    code, _, err = finish(environment, *SMALL, "--config.batch_size=30", f"--workdir={folder}")
    assert code == 1 and "fewer than one batch" in err
    code, _, err = finish(environment, *SMALL, "--config.epochs=1", f"--workdir={folder}")
    assert code == 0, err


def test_dry_run_trains_nothing(environment, tmp_path):
    code, out, _ = finish(environment, *SMALL, "--dry_run", f"--workdir={tmp_path}/run")
    assert code == 0 and not (tmp_path / "run").exists()
    for part in ("batch_size: 8", "generator", "GFLOP per image", "20", "15 steps of 8"):
        assert part in out


def test_data_sheet(environment, tmp_path):
    code, out, err = finish(environment, *SMALL, "--mode=data", f"--out={tmp_path}/sheet.png")
    assert code == 0, err
    assert f"open {tmp_path}/sheet.png" in out
    assert Image.open(tmp_path / "sheet.png").size[0] >= 500


BAD_INPUT = {
    "missing config": (["--config=configs/nothing.py"], "no config file 'configs/nothing.py'"),
    "no config": ([], "give a config: --config=NAME or a .py file; presets are began"),
    "unknown variant": (
        ["--config=configs/lsgan.py:dmo"],
        "no variant 'dmo'; the only one is demo",
    ),
    "unknown field": ([*SMALL, "--config.batchsize=3"], "did you mean batch_size?"),
    "unknown row field": (
        [*SMALL, "--config.generator.layers[0].filtres=3"],
        "did you mean generator.layers[0].filters?",
    ),
    "not a number in a row": (
        [*SMALL, "--config.generator.layers[0].dropout=x"],
        "generator.layers[0].dropout must be a number, not 'x'",
    ),
    "no such row": ([*SMALL, "--config.generator.layers[9].filters=3"], "has no field"),
    "wrong type": ([*SMALL, "--config.batch_size=many"], "must be a whole number, not 'many'"),
    "unknown flag": ([*SMALL, "--wrkdir=x"], "wrkdir"),
    "unknown mode": ([*SMALL, "--mode=trian"], "--mode must be one of train, compare"),
    "stray argument": ([*SMALL, "more"], "unexpected argument 'more'"),
    "unknown loss": ([*SMALL, "--config.loss.name=wgann"], "loss.name must be one of bce"),
    "energy loss without decoder": ([*SMALL, "--config.loss.name=began"], "needs an autoencoder"),
    "impossible size": (
        ["--config=configs/lsgan.py", "--config.height=30"],
        "the nearest are 20 x 320 or 40 x 320",
    ),
    "too small": (
        ["--config=configs/ralsgan.py", "--config.height=4", "--config.width=4"],
        "too small for this network",
    ),
    "missing folder": ([*SMALL, "--config.data.path=/no/where"], "/no/where does not exist"),
    "fewer than a batch": ([*SMALL, "--config.batch_size=30"], "fewer than one batch of 30"),
    "batch of nothing": (
        [*SMALL, "--config.batch_size=0"],
        "batch_size must be a whole number from 1",
    ),
    "no epochs": (
        [*SMALL, "--config.epochs=0"],
        "epochs is 0 and images is (), so there is nothing",
    ),
    "huge images": (
        [*SMALL, "--config.height=1000000", "--config.width=1000000"],
        "error: out of memory",
    ),
    "small device": (
        [*SMALL, "--config.data.device_gigabytes=0.00001"],
        "data.device_gigabytes must be at least 0.000087, not 0.000010",
    ),
    "bad sheet": ([*SMALL, "--mode=data", "--out=a.jpg"], "--out=a.jpg must end in .png"),
    "bad decay": ([*SMALL, "--config.optimizer.b1=1.5"], "b1 must be a number in [0, 1), not 1.5"),
    "bad label": ([*SMALL, "--config.loss.real_label=ab"], "loss.real_label must be"),
    "bad picture": (["--mode=sample", "--workdir=x", "--out=a.jpg"], "must end in .png"),
    "bad rate": (
        [*SMALL, "--config.optimizer.generator_lr=0"],
        "must be a finite number above 0, not 0.0",
    ),
    "bad seeds": (["--mode=sample", "--workdir=x", "--seeds=4-"], "'4-' is not a list of seeds"),
    "no workdir": (["--mode=sample"], "sample needs --workdir"),
    "walk of one": (["--mode=walk", "--workdir=x", "--seeds=4"], "needs at least two seeds"),
    "bad animation": (["--mode=film", "--workdir=x", "--out=a.mp4"], "must end in .webp or .gif"),
    "not a run": (["--mode=sample", "--workdir=tests"], "tests is not the folder of a run"),
    "unwritable workdir": ([*SMALL, "--workdir=main.py/run"], "cannot write to the run's folder"),
}


# What needs the folder, the memory or the one device of a process of its own, and one of the rest.
IN_A_PROCESS = {
    *("no config", "not a run", "huge images"),
    *("small device", "fewer than a batch", "unknown field"),
}


@pytest.mark.parametrize("name", BAD_INPUT)
def test_bad_input_is_told_in_one_sentence(environment, name, tmp_path):
    arguments, message = BAD_INPUT[name]
    if not any(argument.startswith("--workdir") for argument in arguments) and name != "no workdir":
        arguments = [*arguments, f"--workdir={tmp_path}/run"]
    if name in IN_A_PROCESS:
        code, _, err = finish(environment, *arguments)
        assert code == 1
    else:
        with in_process.runs_that_stop(tmp_path):
            err = "error: " + in_process.run(*arguments)
    assert message in err
    assert "Traceback" not in err
    assert err.strip().splitlines()[-1].startswith("error: ")
    assert not (tmp_path / "run" / "checkpoints").exists()


def test_a_misspelt_field_in_a_config_file(environment, tmp_path):
    (tmp_path / "mine.py").write_text(
        "from fish_jax.configs import lsgan_dense\n"
        "def get_config():\n"
        "    config = lsgan_dense.get_config('demo')\n"
        "    config.epoch = 3\n"
        "    return config\n"
    )
    code, _, err = finish(environment, f"--config={tmp_path}/mine.py", "--dry_run")
    assert code == 1 and 'Did you mean "epochs" instead of "epoch"?' in err
    assert len(err) < 400 and "Traceback" not in err


@pytest.mark.slow
def test_a_killed_start_leaves_no_picture_of_its_own(environment, tmp_path):
    folder = tmp_path / "run"
    (folder / "samples").mkdir(parents=True)
    (folder / "samples" / "000147.png").write_bytes(b"of a run that was killed")
    (folder / "config.json").write_text("{}")
    code, out, err = finish(environment, *SMALL, "--config.epochs=1", f"--workdir={folder}")
    assert code == 0, err
    assert out.splitlines()[-1] == f"open {folder}/samples/000001.png"


def test_empty_folder_and_no_image(environment, tmp_path):
    (tmp_path / "empty").mkdir()
    code, _, err = finish(environment, *SMALL, f"--config.data.path={tmp_path}/empty")
    assert code == 1 and "empty" in err and "Traceback" not in err
    (tmp_path / "broken").mkdir()
    Path(tmp_path / "broken" / "fish.jpg").write_bytes(b"no image")
    code, _, err = finish(environment, *SMALL, f"--config.data.path={tmp_path}/broken")
    assert code == 1 and "fish.jpg" in err and "Traceback" not in err
