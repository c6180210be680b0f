"""The examples of docs/examples: short, and run small."""

import runpy
from pathlib import Path

import jax
import pytest
from helpers.tiny import tiny_config, tiny_images

import fish_jax
from fish_jax.gan.state import create_state
from fish_jax.gan.step import train_step

FOLDER = Path(__file__).resolve().parents[1] / "docs" / "examples"
OWN = sorted(FOLDER.glob("own_*.py"))


@pytest.fixture
def small(monkeypatch, tmp_path):
    """The demo that the examples load, at its size, with few filters and images."""

    def load(name, variant):
        config = tiny_config(name, variant)
        config.height, config.width = (28, 64) if variant == "demo" else (140, 320)
        config.data.update(cache=str(tmp_path / "cache"), count=160, holdout=0.4)
        config.batch_size, config.epochs = 16, 1
        return config

    monkeypatch.setattr(fish_jax, "load_config", load, raising=False)
    monkeypatch.chdir(tmp_path)
    return load("hinge", "demo")


@pytest.mark.parametrize("path", OWN, ids=lambda path: path.stem)
def test_an_example_has_fewer_than_twenty_lines(path):
    assert sum(bool(line.strip()) for line in path.read_text().splitlines()) < 20


def parts_of(path):
    """What an example hands over, by the arguments of `train`."""
    names = runpy.run_path(str(path), run_name="example")
    match path.stem:
        case "own_loss":
            return {"loss": names["soft_hinge"]}
        case "own_networks":
            return {"generator": names["Generator"](), "discriminator": names["Critic"]()}
        case "own_optimizer":
            optimizer = names["optimistic"](1e-3)
            return {"generator_optimizer": optimizer, "discriminator_optimizer": optimizer}
    raise AssertionError(f"{path} has no test")


@pytest.mark.parametrize("path", OWN, ids=lambda path: path.stem)
def test_an_example_makes_a_step(path, small):
    gan = fish_jax.make_gan(small, **parts_of(path))
    state = jax.eval_shape(lambda: create_state(gan, 0))
    images = tiny_images(small, 16)
    after, metrics = jax.eval_shape(lambda s: train_step(s, images, gan), state)
    assert {"d_loss", "g_loss"} <= metrics.keys()
    same = jax.tree.map(lambda a, b: (a.shape, a.dtype) == (b.shape, b.dtype), state, after)
    assert all(jax.tree.leaves(same))


@pytest.mark.slow
@pytest.mark.parametrize("path", OWN, ids=lambda path: path.stem)
def test_an_example_runs(path, small, capsys, monkeypatch):
    """From one seed instead of three."""
    for name in ("compare", "compare_configs"):
        compare = getattr(fish_jax, name)
        once = lambda *given, compare=compare: compare(*given[:-2], [0], given[-1], marks=1)
        monkeypatch.setattr(fish_jax, name, once, raising=False)
    runpy.run_path(str(path), run_name="__main__")
    assert "real images" in capsys.readouterr().out
