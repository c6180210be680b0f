"""Runs of images that are given from Python, of each number of channels, from first to last."""

import io

import numpy as np
import pytest
from helpers.tiny import tiny_config
from PIL import Image
from starlette.testclient import TestClient

import fish_jax
from fish_jax.cli import commands
from fish_jax.data.dataset import GIVEN
from fish_jax.errors import UserError
from fish_jax.runs import config_file
from fish_jax.runs.animation import film
from fish_jax.serving import generator
from fish_jax.serving.app import make_app
from fish_jax.serving.export import contents
from fish_jax.serving.live_runs import LiveRun, LiveRuns

pytestmark = pytest.mark.slow
MODES = {1: "L", 3: "RGB", 4: "RGBA"}


@pytest.fixture
def config(tmp_path):
    config = tiny_config("lsgan_dense")
    config.data.cache = str(tmp_path / "cache")
    config.batch_size, config.epochs = 16, 1
    return config


def noise(*shape, seed=0):
    return np.random.default_rng(seed).integers(0, 256, shape, np.uint8)


@pytest.mark.parametrize("channels", [1, 3, 4])
def test_a_run_of_each_kind_of_images(config, tmp_path, channels):
    """Trained, sampled, walked, filmed, evaluated, exported and served."""
    config.data.channels = channels
    config.data.holdout = 0.4
    images, run = noise(120, 24, 44, channels), tmp_path / "run"
    fish_jax.train(config, run, images=images)
    assert fish_jax.sample(run, range(3)).shape == (3, 20, 40, channels)
    assert fish_jax.walk(run, [1, 2], 3).shape == (6, 20, 40, channels)
    commands.walk(str(run), "1,2", 3, "", True, "newest")
    commands.sample(str(run), "5", str(tmp_path / "seeds"), True, "newest")
    assert Image.open(tmp_path / "seeds" / "seed000005.png").mode == MODES[channels]
    for grid in (run / "samples" / "000001.png", run / "walk.webp"):
        opaque = Image.open(grid).convert("RGBA").getchannel("A").getextrema()
        assert opaque == (255, 255)
    assert film(run)[0][0].mode == "RGB"
    protocol = fish_jax.evaluate(run, images=images, intervals=False).protocol
    seen = {
        1: "lanczos, grey as RGB, rounded",
        3: "lanczos, rounded",
        4: "alpha over white, rounded",
    }
    assert seen[channels] in protocol
    assert b"images given from Python" in contents(run)["card.md"]
    live = LiveRuns([LiveRun(run, "run")])
    live.runs[0].generator = generator.load(run)
    with TestClient(make_app(live, lambda header: ""), base_url="http://127.0.0.1") as client:
        answer = client.get("/fish.png?seed=1")
        assert Image.open(io.BytesIO(answer.content)).mode == MODES[channels]
        assert client.get("/walk.webp?start=1&end=2&frames=3").status_code == 200


def test_a_later_start_needs_the_same_images(config, tmp_path):
    images, run = noise(32, 20, 40, 3), tmp_path / "run"
    fish_jax.train(config, run, images=images)
    assert config_file.read_config(run)["data"]["path"] == GIVEN and config.data.path == ""
    config.epochs = 2
    with pytest.raises(UserError, match="images of .*run were given from Python; give them again"):
        fish_jax.train(config, run)
    with pytest.raises(UserError, match="the images of this run have changed since its checkpoint"):
        fish_jax.train(config, run, images=images[::-1])
    items = [Image.fromarray(image) for image in images]
    assert fish_jax.train(config, run, images=items).step == 4
    np.save(tmp_path / "copy.npy", images)
    config.epochs, config.data.path = 3, str(tmp_path / "copy.npy")
    assert fish_jax.train(config, run).step == 6
    assert config_file.read_config(run)["data"]["path"] == str(tmp_path / "copy.npy")


def test_given_images_train_as_those_of_a_file(config, tmp_path):
    """Bit for bit, also where some are held out."""
    config.data.holdout = 0.3
    images = noise(40, 24, 44, 3)
    np.save(tmp_path / "images.npy", images)
    fish_jax.train(config, tmp_path / "given", images=images)
    config.data.path = str(tmp_path / "images.npy")
    fish_jax.train(config, tmp_path / "stored")
    pairs = zip(
        fish_jax.sample(tmp_path / "given", range(3)),
        fish_jax.sample(tmp_path / "stored", range(3)),
    )
    for given, stored in pairs:
        np.testing.assert_array_equal(given, stored)


def test_losses_are_compared_on_given_images(config, tmp_path):
    config.data.holdout, config.data.channels = 0.4, 1
    images = noise(120, 20, 40)
    compare = lambda: fish_jax.compare(["lsgan", "hinge"], config, [0], tmp_path, 1, images=images)
    found = compare()
    assert [o.diverged for o in found.outcomes] == [None, None]
    assert compare().to_csv() == found.to_csv()
    found.save(tmp_path / "page")
