"""The exported generator: the same pixels without this project, whatever the network."""

import hashlib
import json
import re
import subprocess
import sys
from pathlib import Path

import jax
import numpy as np
import pytest
from helpers.marks import slow
from helpers.tiny import CONFIGS, tiny_config, tiny_state
from jax import export
from PIL import Image

from fish_jax.data import dataset
from fish_jax.errors import UserError
from fish_jax.evaluation import scores as scores_module
from fish_jax.evaluation import scores_file
from fish_jax.gan import inference
from fish_jax.gan.inference import GENERATE
from fish_jax.gan.model import make_gan
from fish_jax.gan.randomness import seed_latents
from fish_jax.runs import config_file, sampling
from fish_jax.runs.checkpoints import Restored
from fish_jax.serving import export as exporting
from fish_jax.utils import pictures

# One config of each generator.
GENERATORS = sorted({str(tiny_config(name).generator): name for name in reversed(CONFIGS)}.values())


@pytest.mark.parametrize("name", [n if n in ("began", "best") else slow(n) for n in GENERATORS])
def test_every_generator_gives_the_same_pixels_for_any_number(name):
    gan = make_gan(tiny_config(name))
    state = tiny_state(gan)
    read = export.deserialize(bytearray(exporting.export_generator(gan, state)))
    assert read.platforms == exporting.PLATFORMS
    for count in (1, 3):
        latents = 30 * seed_latents(gan, range(count))  # or images would be nearly grey
        found = np.asarray(read.call(latents)).astype(int)
        expected = np.asarray(GENERATE(state, latents, gan=gan)).astype(int)
        assert found.shape == (count, 20, 40, 3) and found.std() > 1
        assert np.abs(found - expected).max() <= 1 and np.mean(found != expected) < 1e-3


def run_of(name, folder, monkeypatch, channels=3):
    """The folder of a run, whose checkpoint is not on disk."""
    config = tiny_config(name)
    config.data.channels = channels
    gan = make_gan(config)
    state = tiny_state(gan)
    folder.mkdir()
    config.data.path, config.data.cache = "/home/me/photos", "/home/me/cache"
    config_file.write_config(folder, config_file.plain(config))
    restored = Restored(state, {"images": 1234, "data": "abc"}, [])
    monkeypatch.setattr(sampling, "restore", lambda run, checkpoint: (gan, restored))
    return gan, state


def script_of(folder):
    return re.search(r"```python\n(.*?)```", (folder / "card.md").read_text(), re.DOTALL)[1]


def run_script(folder, script):
    command = [sys.executable, "-c", script]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=120)


@pytest.mark.parametrize("name", ["ralsgan", slow("began")])  # normal and uniform latents
def test_the_script_of_the_card_renders_the_samples_without_us(tmp_path, monkeypatch, name):
    run, folder = tmp_path / "run", tmp_path / "export"
    gan, state = run_of(name, run, monkeypatch)
    assert exporting.write_export(folder, exporting.contents(run)) == folder / "card.md"
    script = script_of(folder)
    code = [line for line in script.splitlines() if line]
    assert len(code) <= 12
    if name == "ralsgan":
        plain = script.replace("[N, 20, 40, 3]", "[N, H, W, 3]")
        assert plain in Path("docs/sampling.md").read_text()
    alone = "\nassert not {'fish_jax', 'flax', 'optax', 'PIL'} & set(sys.modules)"
    done = run_script(folder, script + alone)
    assert (done.returncode, done.stderr) == (0, "")
    made = np.asarray(Image.open(folder / "samples.ppm")).reshape(16, 20, 40, 3)
    np.testing.assert_array_equal(made, inference.render(gan, state, range(16)))
    shown = np.asarray(Image.open(folder / "samples.png"))
    assert shown.shape[1] >= 600
    factor = shown.shape[1] // pictures.grid(made, 4).shape[1]
    np.testing.assert_array_equal(shown[::factor, ::factor], pictures.grid(made, 4))

    artifact = (folder / "generator.jax").read_bytes()
    other = bytes([artifact[0] ^ 1]) + artifact[1:]
    for wrong in (artifact[:-1], b"", other):
        (folder / "generator.jax").write_bytes(wrong)
        done = run_script(folder, script)
        assert done.returncode == 1 and "Traceback" not in done.stderr
        assert done.stderr.startswith("generator.jax is not the file that card.json describes")


@pytest.mark.parametrize("channels", [1, slow(4)])
def test_the_script_renders_greys_and_alpha(tmp_path, monkeypatch, channels):
    run, folder = tmp_path / "run", tmp_path / "export"
    gan, state = run_of("lsgan_dense", run, monkeypatch, channels)
    exporting.write_export(folder, exporting.contents(run))
    assert json.loads((folder / "card.json").read_text())["gives"]["images"].endswith(
        f"{channels}]"
    )
    done = run_script(folder, script_of(folder))
    assert (done.returncode, done.stderr) == (0, "")
    expected = inference.render(gan, state, range(16))
    (written,) = folder.glob("samples.p[ga]m")
    data = written.read_bytes()
    assert data[-expected.size :] == expected.tobytes()
    head = (
        b"P5 40 320 255\n",
        b"P7\nWIDTH 40\nHEIGHT 320\nDEPTH 4\nMAXVAL 255\nTUPLTYPE RGB_ALPHA\n",
    )
    assert data[: -expected.size] == (head[0] if channels == 1 else head[1] + b"ENDHDR\n")
    shown = np.asarray(Image.open(folder / "samples.png"))
    factor = shown.shape[1] // pictures.grid(expected, 4).shape[1]
    np.testing.assert_array_equal(shown[::factor, ::factor], pictures.grid(expected, 4))


def test_the_card_of_images_given_from_python(tmp_path, monkeypatch):
    run = tmp_path / "run"
    gan, state = run_of("lsgan_dense", run, monkeypatch)
    config = config_file.read_config(run)
    config["data"]["path"] = dataset.GIVEN
    card = exporting.describe(gan, state, config, {"images": 1234, "data": "abc"}, None)
    assert card["config"]["data"]["path"] == dataset.GIVEN
    assert "1,234 images given from Python, 0\nsteps" in exporting.to_markdown(card)


def test_the_card(tmp_path, monkeypatch):
    run, folder = tmp_path / "run", tmp_path / "export"
    _, state = run_of("best", run, monkeypatch)
    scores = (
        scores_module.Score("frechet", 4.25, 2.5, 4.0, 4.5, 0.1),
        scores_module.Score("recall", 0.5, 0.75),
    )
    judgement = scores_module.Judgement(scores, "of a test", images=0, steps=0)
    scores_file.write_scores(run, judgement, averaged=True)
    exporting.write_export(folder, exporting.contents(run))
    card, text = json.loads((folder / "card.json").read_text()), (folder / "card.md").read_text()
    digest = hashlib.sha256((folder / "generator.jax").read_bytes()).hexdigest()
    assert card["sha256"] == digest and card["weights"] == "average"
    assert card["latents"] == {"size": 8, "distribution": "normal"}
    assert card["parameters"] == sum(leaf.size for leaf in jax.tree.leaves(state.generator_params))
    assert card["config"]["data"]["path"] == "photos" and "/home/me" not in json.dumps(card)
    assert card["data"] == {"images": 1234, "digest": "abc"}
    assert "1,234 images of photos" in text and "$" not in text and "/home/me" not in text
    assert "| Frechet distance | 4.25 | 4 to 4.5 | 2.5 |\n| recall | 0.5 |  | 0.75 |" in text
    assert "of a test." in text
    assert "Run it only if you trust the people who gave you this folder." in text


def test_a_card_of_odd_names_and_scores_that_are_none(tmp_path, monkeypatch):
    """A folder may have a name that is no UTF-8, and a score may be no number."""
    run = tmp_path / "run"
    _, state = run_of("best", run, monkeypatch)
    config = config_file.read_config(run)
    config_file.write_config(run, config | {"name": "a\udcff"})
    nan = float("nan")
    judgement = scores_module.Judgement((scores_module.Score("recall", nan, nan, 0.5, nan),), "p")
    scores_file.write_scores(run, judgement, averaged=bool(state.generator_average))
    files = exporting.contents(run)
    assert b"| recall |  | 0.5 to  |  |" in files["card.md"] and b"a\\udcff" in files["card.md"]


@pytest.mark.parametrize("kept", [dict(steps=1), dict(averaged=False)])
def test_scores_of_another_checkpoint_are_not_told(tmp_path, kept):
    judgement = scores_module.Judgement(
        (scores_module.Score("recall", 0.5, 0.75),), "of a test", steps=0
    )
    steps, averaged = kept.get("steps", 0), kept.get("averaged", True)
    assert scores_file.read_scores(tmp_path, 0, True) is None
    scores_file.write_scores(tmp_path, judgement._replace(steps=steps), averaged)
    assert scores_file.read_scores(tmp_path, 0, True) is None
    assert scores_file.read_scores(tmp_path, steps, averaged)["protocol"] == "of a test"
    (tmp_path / "scores.json").write_text("[]")
    assert scores_file.read_scores(tmp_path, steps, averaged) is None


def test_files_that_are_no_exports_are_left_alone(tmp_path):
    (tmp_path / "samples.png").write_bytes(b"mine")
    files = {"generator.jax": b"new", "card.json": b"{}", "samples.png": b"new"}
    with pytest.raises(
        UserError, match="holds a samples.png that is not from an export; choose another"
    ):
        exporting.write_export(tmp_path, files)
    assert [path.name for path in tmp_path.iterdir()] == ["samples.png"]
    assert (tmp_path / "samples.png").read_bytes() == b"mine"
    exporting.write_export(tmp_path / "export", files)
    exporting.write_export(tmp_path / "export", files)  # an earlier one is replaced
