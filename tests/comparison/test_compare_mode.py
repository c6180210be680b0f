"""--mode=compare in separate processes: ended ones resume, and mistakes are reported."""

import csv
import json
import os
import signal
import subprocess
import sys
import time

import pytest
from helpers import encoders, in_process

CONFIG = """
from fish_jax.configs import compare, lsgan_dense

def get_config():
    config = lsgan_dense.get_config("demo")
    config.name, config.batch_size, config.epochs = "mine", 16, 4
    config.data.count, config.data.holdout, config.latents.size = 160, 0.4, 4
    config.discriminator.norm, config.log_every_steps = "none", 5
    for table in (config.generator, config.discriminator):
        wide = lambda row: row.get("filters", 0) > 8
        table.layers = tuple(r | {"filters": 8} if wide(r) else r for r in table.layers)
    section = compare.get_config("demo").compare
    section.losses, section.seeds, section.marks = "lsgan,hinge", 1, 2
    with config.unlocked():
        config.compare = section
    return config
"""


@pytest.fixture(scope="module")
def start(tmp_path_factory):
    """Starts main.py with a home folder of the tests' own, for a workdir and with other flags."""
    home = tmp_path_factory.mktemp("home")
    file = home / "mine.py"
    file.write_text(CONFIG)
    own = {"HOME": str(home), "XDG_CACHE_HOME": str(home / "cache"), "PYTHONPATH": os.getcwd()}
    flags = [flag for flag in os.environ["XLA_FLAGS"].split() if "device_count" not in flag]
    environment = os.environ | own | {"XLA_FLAGS": " ".join(flags)}

    def begin(folder, *arguments, mode="compare", config=file):
        flags = [f"--mode={mode}", f"--config={config}", f"--workdir={folder}", *arguments]
        return subprocess.Popen(
            [sys.executable, *encoders.BRIEFLY, "main.py", *flags],
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    return begin


def finish(process):
    out, err = process.communicate(timeout=300)
    return process.returncode, out, err


def wait_for(path, process):
    deadline = time.monotonic() + 200
    while not path.exists() and time.monotonic() < deadline and process.poll() is None:
        time.sleep(0.02)
    assert path.exists(), "".join(process.communicate())


def rows(folder):
    with open(folder / "comparison.csv") as file:
        return list(csv.DictReader(file))


@pytest.fixture(scope="module")
def whole(start, tmp_path_factory):
    """A comparison that nobody disturbed."""
    folder = tmp_path_factory.mktemp("whole") / "comparison"
    code, out, err = finish(start(folder))
    assert code == 0, err
    assert out.splitlines()[-1] == f"open {folder}/index.html"
    assert "fewer than 3 seeds: anecdotal" in out and "real images" in out
    return folder


@pytest.mark.slow
def test_what_a_comparison_leaves(whole):
    found = json.loads((whole / "comparison.json").read_text())
    assert [(o["loss"], o["seed"], o["diverged"]) for o in found["outcomes"]] == [
        ("lsgan", 0, None),
        ("hinge", 0, None),
    ]
    assert [(r["loss"], r["epoch"]) for r in rows(whole)] == [
        *(("lsgan", "2"), ("lsgan", "4")),
        *(("hinge", "2"), ("hinge", "4")),
    ]
    assert "<title>" in (whole / "index.html").read_text()


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_a_comparison_that_is_ended_goes_on(start, whole, tmp_path, number):
    """In its second run, where the scores of the first mark are already there."""
    folder = tmp_path / "comparison"
    process = start(folder)
    wait_for(folder / "runs" / "hinge-0" / "mark-000002.json", process)
    process.send_signal(number)
    code, _, err = finish(process)
    assert code in (-signal.SIGKILL, 128 + signal.SIGTERM), err
    assert not (folder / "comparison.csv").exists()
    code, _, err = finish(start(folder))
    assert code == 0, err
    assert "lsgan, seed 0 (run 1 of 2): begins" not in err
    assert rows(folder) == rows(whole)


@pytest.mark.parametrize(
    "changes, message",
    [
        ({"--config.compare.losses": "lsgan,hingge"}, "no loss 'hingge'; did you mean hinge?"),
        ({"--config.compare.losses": "lsgan,began"}, "loss began needs an autoencoder"),
        ({"--config.compare.seeds": 0}, "compare.seeds must be a whole number from 1 to 1000"),
        ({"--config.compare.mark": 3}, "no field 'compare.mark'; did you mean compare.marks?"),
        (
            {"--config.discriminator.norm": "batch", "--config.compare.losses": "wgan_gp"},
            "loss wgan_gp does not fit these networks: loss.gradient_penalty is 10.0",
        ),
        ({"--config.compare.losses": ", ,"}, "at least one loss and one seed"),
        ({"--config.compare.count": 31}, "needs at least 32 images on each side, not 31"),
        ({"--config.data.holdout": 0.1}, "needs 32 of each"),
        ({"--seeds": 3}, "compare does not use --seeds"),
    ],
)
def test_mistakes_are_told_before_anything_is_trained(tmp_path, changes, message):
    (tmp_path / "mine.py").write_text(CONFIG)
    arguments = [f"{name}={value}" for name, value in changes.items()]
    arguments += [f"--config={tmp_path}/mine.py", f"--workdir={tmp_path}/comparison"]
    with in_process.runs_that_stop(tmp_path):
        assert message in in_process.run("--mode=compare", *arguments)
    assert not (tmp_path / "comparison" / "runs").exists()


def test_a_config_of_one_run_and_one_of_a_comparison_are_told_apart(tmp_path):
    (tmp_path / "mine.py").write_text(CONFIG)
    run = lambda *words: in_process.run(*words, f"--workdir={tmp_path}/run")
    said = run("--mode=train", f"--config={tmp_path}/mine.py")
    assert "mine compares losses; use mode compare" in said
    for words in ([], ["--dry_run"]):
        said = run("--mode=compare", "--config=hinge", *words)
        assert "hinge has no section `compare`" in said
    said = run("--mode=compare", "--config=hinge", "--config.compare.losses=hinge")
    assert "the config has no section compare, so no field 'compare.losses'; use" in said
    assert not (tmp_path / "run").exists()


def test_dry_run_says_how_many_runs(start, tmp_path):
    code, out, err = finish(start(tmp_path, "--dry_run"))
    assert code == 0 and "losses lsgan, hinge, seeds 0: 2 such runs, each evaluated" in out, err
