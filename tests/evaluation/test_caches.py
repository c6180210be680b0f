"""The judge's encoder and what images are judged against, kept on disk."""

import jax
import numpy as np
import pytest
from helpers.tiny import tiny_config

from fish_jax.data.images import ImageSet
from fish_jax.data.synthetic import drawing
from fish_jax.errors import UserError
from fish_jax.evaluation import evaluate, references_file
from fish_jax.evaluation.features import space_file
from fish_jax.evaluation.judge import judge
from fish_jax.utils.terminal import stage_bars


@pytest.fixture(scope="module")
def images():
    fish = drawing.draw_school(110, 20, 40, 0)
    names = tuple(map(str, range(110)))
    return ImageSet(fish[:75], fish[75:], names[:75], names[75:], (), "110 drawn fish")


@pytest.fixture
def config(tmp_path):
    config = tiny_config("lsgan_dense")
    config.data.cache = str(tmp_path / "cache")
    return config


@pytest.fixture
def computed(monkeypatch):
    """What was computed: "fit", "prepare"."""
    calls = []

    def counted(name):
        function = getattr(evaluate, name)

        def call(*arguments, **settings):
            calls.append(name)
            return function(*arguments, **settings)

        monkeypatch.setattr(evaluate, name, call)

    counted("fit")
    counted("prepare")
    return calls


def assert_same(left, right):
    arrays = ("space", "training", "real", "away", "patches")
    without = dict.fromkeys(arrays, 0)
    assert left._replace(**without) == right._replace(**without)
    assert left.space.name == right.space.name
    for name in arrays:
        leaves = [jax.tree.leaves(getattr(side, name)) for side in (left, right)]
        jax.tree.map(np.testing.assert_array_equal, *leaves)


def test_a_second_evaluation_reads_the_same_numbers(config, images, computed, capsys):
    with stage_bars() as begin:
        first = evaluate.read_references(config, images, 32, begin=begin)
    shown = capsys.readouterr().err
    assert "training the feature encoder" in shown
    assert "features of real images" in shown and "baseline of real images" in shown
    second = evaluate.read_references(config, images, 32)
    assert computed == ["fit", "prepare"] and capsys.readouterr().err == ""
    assert_same(first, second)
    judged = [judge(side, images.holdout[:32]).scores for side in (first, second)]
    assert judged[0] == judged[1] or str(judged[0]) == str(judged[1])  # nan is not nan


def test_what_differs_is_computed(config, images, computed):
    first = evaluate.read_references(config, images, 32)
    more = evaluate.read_references(config, images, 33)
    assert computed == ["fit", "prepare", "prepare"]  # the encoder is the same
    assert first.space.name == more.space.name
    evaluate.read_references(config, images, 32, seed=1)
    other = images.train.copy()
    other[3, 2, 1, 0] ^= 1
    evaluate.read_references(config, images._replace(train=other), 32)
    assert computed[3:] == ["fit", "prepare"] * 2
    config.data.path, config.data.fit = "photographs", "crop"
    told = evaluate.read_references(config, images, 32)
    assert computed[7:] == ["prepare"]
    assert "fit crop, resample lanczos" in told.protocol


def test_as_many_as_there_are_is_a_number(config, images, computed):
    assert evaluate.read_references(config, images).count == 35
    assert evaluate.read_references(config, images, 35).count == 35
    assert computed == ["fit", "prepare"]


def test_a_space_can_be_given(config, images, computed):
    first = evaluate.read_references(config, images, 32, seed=5)
    second = evaluate.read_references(config, images, 32, space=first.space)
    assert computed == ["fit", "prepare", "prepare"]
    assert second.space is first.space and first.space.name in second.protocol


@pytest.mark.parametrize("damage", ["a byte", "the end", "all", "another file"])
def test_a_damaged_file_is_computed_anew(config, images, computed, capsys, damage):
    first = evaluate.read_references(config, images, 32)
    paths = list(references_file.Path(config.data.cache).glob("*.npz"))
    for path in paths:
        content = bytearray(path.read_bytes())
        if damage == "a byte":
            content[len(content) // 2] ^= 255
        path.write_bytes(
            {"a byte": content, "the end": content[:-100], "all": b""}.get(damage, b"PK")
        )
    second = evaluate.read_references(config, images, 32)
    assert len(paths) == 2 and computed == ["fit", "prepare"] * 2
    told = capsys.readouterr().err
    for path in paths:
        assert f"warning: {path} cannot be used and is recomputed: " in told
    assert_same(first, second)
    evaluate.read_references(config, images, 32)
    assert computed == ["fit", "prepare"] * 2


def test_objects_are_not_unpickled(tmp_path):
    path = tmp_path / "x.npz"
    np.savez(path, words=np.array([{}], object))
    for read in (space_file.read, lambda path: references_file.read(path, None)):
        with pytest.raises(ValueError, match="allow_pickle=False"):
            read(path)


def test_a_cache_that_cannot_be_written_is_a_warning(config, images, tmp_path, capsys):
    (tmp_path / "cache").write_text("a file is in its place")
    assert evaluate.read_references(config, images, 32).count == 32
    told = capsys.readouterr().err
    assert "warning: the feature encoder cannot be cached in" in told
    assert "warning: reference features of real images cannot be cached in" in told


@pytest.mark.parametrize(
    ("train", "held", "count", "message"),
    [
        (
            62,
            40,
            0,
            "leaves 31 images to compare with and 40 held out; an evaluation needs 32 of each",
        ),
        (
            75,
            31,
            0,
            "leaves 31 images to compare with and 31 held out; an evaluation needs 32 of each",
        ),
        (
            75,
            35,
            36,
            "leaves 35 images to compare with and 35 held out; an evaluation needs 36 of each",
        ),
        (
            94,
            0,
            0,
            "leaves 3[12] images to compare with and 3[12] for the baseline, as no images",
        ),
        (75, 35, 31, "needs at least 32 images on each side"),
    ],
)
def test_too_few_images_are_told_before_an_encoder_is_trained(
    config, images, computed, train, held, count, message
):
    every = np.concatenate([images.train, images.holdout])
    few = images._replace(train=every[:train], holdout=every[train : train + held])
    with pytest.raises(UserError, match=message):
        evaluate.read_references(config, few, count)
    assert computed == []
