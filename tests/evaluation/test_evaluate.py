"""A run is evaluated from any folder, and with its images in a new place."""

import json
from types import SimpleNamespace

import numpy as np
import pytest
from helpers.in_process import run, runs_that_stop
from helpers.tiny import tiny_config

import fish_jax
from fish_jax.cli import commands
from fish_jax.data.cache import digest
from fish_jax.data.dataset import GIVEN
from fish_jax.errors import UserError
from fish_jax.evaluation import evaluate
from fish_jax.runs import config_file


@pytest.fixture
def trained(tmp_path, monkeypatch):
    """The folder of a run, begun in `first` with images in `photos.npy` there, as far as needed."""
    first, folder = tmp_path / "first", tmp_path / "run"
    for each in (first, folder, tmp_path / "second"):
        each.mkdir()
    images = np.random.default_rng(0).integers(0, 256, (100, 20, 40, 3), np.uint8)
    np.save(first / "photos.npy", images)
    monkeypatch.chdir(first)
    config = tiny_config("lsgan_dense")
    config.data.update(path="photos.npy", cache=str(tmp_path / "cache"))
    config.height, config.width = images.shape[1:3]
    plain = config_file.with_absolute_paths(config_file.plain(config))
    config_file.write_config(folder, plain)
    restored = SimpleNamespace(progress={"data": digest(images)}, state=None)
    monkeypatch.setattr(evaluate.sampling, "restore", lambda *_: (None, restored))
    monkeypatch.chdir(tmp_path / "second")
    return folder


def load(folder, data_path="", images=None):
    """The images that `evaluate` takes, whose number is all that is asked of it."""

    class Loaded(Exception):
        pass

    def stop(config, loaded, *_):
        raise Loaded(len(loaded.train))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(evaluate, "read_references", stop)
        with pytest.raises(Loaded) as caught:
            evaluate.evaluate(folder, data_path=data_path, images=images)
    return caught.value.args[0]


def test_images_are_found_from_any_folder(trained, tmp_path):
    paths = json.loads((trained / "config.json").read_text())["data"]
    assert paths["path"] == str(tmp_path / "first" / "photos.npy")
    assert load(trained) == 100


def test_a_new_place_may_be_named(trained, tmp_path):
    (tmp_path / "first" / "photos.npy").rename(tmp_path / "second" / "moved.npy")
    with pytest.raises(UserError, match=r"images of .*run are no longer at .*photos.npy; give"):
        load(trained)
    assert load(trained, "moved.npy") == 100
    with pytest.raises(UserError, match="no longer at nowhere.npy"):
        load(trained, "nowhere.npy")
    np.save("others.npy", np.zeros((100, 20, 40, 3), np.uint8))
    with pytest.raises(
        UserError, match=r"in others.npy differ from those that .*run was trained on"
    ):
        load(trained, "others.npy")


def test_images_may_be_given(trained, tmp_path):
    images = np.load(tmp_path / "first" / "photos.npy")
    path = trained / "config.json"
    of_a_folder = path.read_text()
    for text in (of_a_folder, of_a_folder.replace(str(tmp_path / "first" / "photos.npy"), GIVEN)):
        path.write_text(text)
        assert load(trained, images=list(images)) == 100
        with pytest.raises(
            UserError, match=r"images given differ from those that .*run was trained on"
        ):
            load(trained, images=images[::-1])
    with pytest.raises(UserError, match=r"images of .*run were given from Python; give them again"):
        load(trained)
    assert load(trained, str(tmp_path / "first" / "photos.npy")) == 100
    with pytest.raises(UserError, match="data.path is 'a.npy', but images are given too"):
        load(trained, "a.npy", images)


def test_places_of_drawn_fish_and_caches():
    data = {"path": "", "cache": "", "count": 3}
    assert config_file.with_absolute_paths({"data": data}) == {"data": data}
    given = {"data": data | {"path": GIVEN}}
    assert config_file.with_absolute_paths(given) == given
    kept = config_file.with_absolute_paths({"name": "x", "data": data | {"cache": "c/../d"}})
    assert kept["data"]["cache"].endswith("/d") and kept["data"]["cache"].startswith("/")
    assert kept["name"] == "x"


def test_the_new_place_is_a_flag(tmp_path, monkeypatch):
    given = {}

    def stop(folder, **options):
        given.update(options)
        raise UserError("enough")

    with runs_that_stop(tmp_path):
        monkeypatch.setattr(commands, "evaluate_run", stop)
        for flag in (["--config.data.path=~/new"], ["--config.data.path", "~/new"]):
            assert run("evaluate", "--workdir=run", *flag) == "enough"
            assert given.pop("data_path") == "~/new"
        assert run("evaluate", "--workdir=run") == "enough" and given["data_path"] == ""
        for flag, told in (
            ("--config.epochs=3", "--config.epochs needs a config"),
            ("--config.data.path=", "--config.data.path has no value"),
            ("--config.data.path", "--config.data.path has no value"),
        ):
            assert told in run("evaluate", "--workdir=run", flag)
        assert "does not use --config" in run("evaluate", "--workdir=run", "--config=ralsgan")
        assert "data.path needs a config" in run("sample", "--config.data.path=x", "--workdir=run")


@pytest.mark.slow
def test_a_run_with_a_relative_path_is_continued_elsewhere(tmp_path, monkeypatch):
    for name in ("first", "second"):
        (tmp_path / name).mkdir()
    images = np.random.default_rng(0).integers(0, 256, (8, 20, 40, 3), np.uint8)
    np.save(tmp_path / "first" / "photos.npy", images)
    config = tiny_config("lsgan_dense")
    config.epochs = 1
    config.data.update(path="photos.npy", cache="cache")
    config.height, config.width = images.shape[1:3]
    monkeypatch.chdir(tmp_path / "first")
    fish_jax.train(config, "../run")
    monkeypatch.chdir(tmp_path / "second")
    (tmp_path / "first" / "photos.npy").rename("moved.npy")
    config.epochs, config.data.path = 2, "moved.npy"
    fish_jax.train(config, "../run")
    kept = config_file.read_config(tmp_path / "run")["data"]
    assert kept["path"] == str(tmp_path / "second" / "moved.npy")
    assert kept["cache"] == str(tmp_path / "second" / "cache")
