"""The wheel, installed into a new environment and used in an empty folder without the checkout."""

import os
import re
import shutil
import signal
import subprocess
import sys
import urllib.request
import venv
from pathlib import Path

import pytest
from helpers import encoders

ROOT = Path(__file__).resolve().parents[2]
SMALL = ["--config.data.count=16", "--config.batch_size=8", "--config.epochs=1"]  # two steps
PICTURE = "runs/ralsgan-demo/samples/000001.png"
OUTSIDE = "notest"  # marks an example that needs a file of the reader's own


@pytest.fixture(scope="session")
def place(tmp_path_factory):
    """An empty folder."""
    return tmp_path_factory.mktemp("empty")


@pytest.fixture(scope="session")
def scripts(tmp_path_factory):
    """The folder of commands of an environment that has the wheel."""
    folder = tmp_path_factory.mktemp("installed")
    shutil.rmtree(ROOT / "build", ignore_errors=True)  # or modules that moved since would be added
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--quiet"]
    subprocess.run([*pip, "wheel", "--no-deps", f"--wheel-dir={folder}", str(ROOT)], check=True)
    (wheel,) = folder.glob("fish_jax-*.whl")
    environment = folder / "environment"
    venv.create(environment, with_pip=True)
    commands = environment / ("Scripts" if os.name == "nt" else "bin")
    install = [commands / "python", *pip[1:], "install", f"{wheel}[serve]"]
    subprocess.run(install, check=True)
    return commands


@pytest.fixture(scope="session")
def environment(tmp_path_factory):
    home = tmp_path_factory.mktemp("home")
    kept = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    return kept | {"HOME": str(home), "XDG_CACHE_HOME": str(home / "cache")}


@pytest.fixture(scope="session")
def call(scripts, environment, place):
    """Runs a command of the environment in the empty folder; gives what it printed."""

    def run(command, *arguments):
        line = [scripts / command, *arguments]
        done = subprocess.run(line, cwd=place, env=environment, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        return done.stdout

    return run


@pytest.fixture(scope="session")
def score(call, scripts):
    """Runs a mode that computes scores, with an encoder that is hardly trained."""
    return lambda *words: call("python", *encoders.BRIEFLY, scripts / "fish-jax", *words)


@pytest.fixture(scope="session")
def run_folder(call):
    """A run of two steps."""
    assert "open runs/ralsgan-demo/samples/000001.png" in call(
        "fish-jax", "--config=ralsgan:demo", *SMALL
    )
    return "runs/ralsgan-demo"


def test_what_is_installed(call, scripts):
    code = (
        "import fish_jax, fish_jax.configs.default as default\n"
        "print(fish_jax.__version__, fish_jax.__file__, default.__file__, sep='\\n')"
    )
    version, package, config = call("python", "-c", code).split()
    assert version == "0.1.0"
    assert Path(package).is_relative_to(scripts.parent)
    assert Path(config).parent == Path(package).parent / "configs"
    assert (Path(package).parent / "py.typed").exists()


def test_a_mode_is_the_first_word(call, place, run_folder):
    call("fish-jax", "sample", f"--workdir={run_folder}", "--seeds=0-3", "--out=samples.png")
    call("python", "-m", "fish_jax", "--mode=sample", f"--workdir={run_folder}", "--seeds=0-3")
    assert (place / "samples.png").read_bytes() == (place / run_folder / "sampled.png").read_bytes()


@pytest.mark.parametrize(
    "arguments",
    [
        ("describe", "--config=began"),
        ("data", "--config=best:demo", "--config.data.count=16", "--out=data.png"),
        ("--dry_run", "--config=r3gan:demo", "--config.data.count=16"),
        ("walk", "--workdir=runs/ralsgan-demo", "--seeds=1,2", "--frames=2", "--out=walk.webp"),
        ("film", "--workdir=runs/ralsgan-demo", "--out=film.gif"),
        ("invert", "--workdir=runs/ralsgan-demo", f"--image={PICTURE}", "--out=inverted.png"),
    ],
    ids=lambda arguments: arguments[0],
)
def test_other_modes(call, run_folder, arguments):
    assert call("fish-jax", *arguments)


def test_a_run_starts_from_another_and_its_images_are_scored(call, score, run_folder):
    config = ["--config=ralsgan:demo", *SMALL, "--config.data.seed=1", "--config.freeze=1"]
    call("fish-jax", *config, f"--init={run_folder}", "--workdir=runs/other")
    call("fish-jax", "sample", "--workdir=runs/other", "--seeds=0-39", "--out=made")
    fish = "fish_jax.load_images('', 28, 64, count=120).train"
    call("python", "-c", f"import fish_jax, numpy; numpy.save('real.npy', {fish})")
    assert "Frechet distance" in score("score", "--real=real.npy", "--fake=made")


def test_a_config_of_the_users_own(call, place):
    (place / "mine.py").write_text(
        "from fish_jax.configs import hinge\n\n\n"
        "def get_config(variant=''):\n"
        "    config = hinge.get_config(variant)\n"
        "    config.name = 'mine'\n"
        "    return config\n"
    )
    assert call("fish-jax", "--config=mine.py:demo", *SMALL)
    assert (place / "runs" / "mine" / "checkpoints").is_dir()


def test_losses_are_compared_and_a_run_is_evaluated(score, place):
    images = ["--config.data.count=120", "--config.data.holdout=0.4", "--config.epochs=1"]
    losses = ["--config.compare.losses=lsgan,hinge", "--config.compare.seeds=1"]
    table = score("compare", "--config=compare:demo", *images, *losses)
    assert "lsgan" in table and "hinge" in table
    assert (place / "runs" / "compare-demo" / "index.html").stat().st_size > 10_000
    table = score("evaluate", "--workdir=runs/compare-demo/runs/hinge-0")
    assert "Frechet distance" in table


def test_an_export(call, place, run_folder):
    call("fish-jax", "export", f"--workdir={run_folder}", "--out=export")
    assert {path.name for path in (place / "export").iterdir()} >= {"card.json", "generator.jax"}


def test_a_picture_from_the_server(scripts, environment, place, run_folder):
    line = [scripts / "fish-jax", "serve", f"--workdir={run_folder}", "--port=0"]
    server = subprocess.Popen(line, cwd=place, env=environment, stdout=subprocess.PIPE, text=True)
    try:
        address = re.search(r"http://\S+", server.stdout.readline())[0]
        with urllib.request.urlopen(f"{address}fish.png?seed=3") as answer:
            assert answer.read(8) == b"\x89PNG\r\n\x1a\n"
    finally:
        server.send_signal(signal.SIGINT)
        assert server.wait(60) == 0


@pytest.mark.parametrize(
    ("page", "least"), [("README.md", 1), ("docs/getting-started.md", 2), ("docs/sampling.md", 4)]
)
def test_examples_of_the_documents(call, page, least):
    blocks = re.findall(r"^```python ?(\w*)\n(.*?)^```$", (ROOT / page).read_text(), re.M | re.S)
    examples = [code for mark, code in blocks if mark != OUTSIDE]
    assert len(examples) >= least
    call("python", "-c", "\n".join(examples))
