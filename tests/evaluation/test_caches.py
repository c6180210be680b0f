"""What images are judged against, kept on disk."""

import jax
import numpy as np
import pytest
from helpers.tiny import tiny_config

from fish_jax.data.images import ImageSet
from fish_jax.data.synthetic import drawing
from fish_jax.evaluation import evaluate, reference_cache
from fish_jax.evaluation.judge import judge
from fish_jax.utils.terminal import stage_bars


@pytest.fixture(scope="module")
def images():
    fish = drawing.draw_school(80, 20, 40, 0)
    names = tuple(map(str, range(80)))
    return ImageSet(fish[:45], fish[45:], names[:45], names[45:], (), "80 drawn fish")


@pytest.fixture
def config(tmp_path):
    config = tiny_config("lsgan_dense")
    config.data.cache = str(tmp_path / "cache")
    return config


@pytest.fixture
def prepared(monkeypatch):
    """How often references were computed."""
    calls, prepare = [], evaluate.prepare

    def counted(*arguments, **settings):
        calls.append(arguments)
        return prepare(*arguments, **settings)

    monkeypatch.setattr(evaluate, "prepare", counted)
    return calls


def assert_same(left, right):
    arrays = ("space", "training", "real", "away", "patches")
    without = dict.fromkeys(arrays, 0)
    assert left._replace(**without) == right._replace(**without)
    assert left.space.name == right.space.name
    for name in arrays:
        leaves = [jax.tree.leaves(getattr(side, name)) for side in (left, right)]
        jax.tree.map(np.testing.assert_array_equal, *leaves)


def test_a_second_evaluation_reads_the_same_numbers(config, images, prepared, capsys):
    with stage_bars() as begin:
        first = evaluate.read_references(config, images, 32, begin=begin)
    shown = capsys.readouterr().err
    assert "features of real images" in shown and "baseline of real images" in shown
    second = evaluate.read_references(config, images, 32)
    assert len(prepared) == 1 and capsys.readouterr().err == ""
    assert_same(first, second)
    judged = [judge(side, images.holdout[:32]).scores for side in (first, second)]
    assert judged[0] == judged[1] or str(judged[0]) == str(judged[1])  # nan is not nan


def test_what_differs_is_computed(config, images, prepared):
    evaluate.read_references(config, images, 32)
    evaluate.read_references(config, images, 33)
    evaluate.read_references(config, images, 32, seed=1)
    other = images.train.copy()
    other[3, 2, 1, 0] ^= 1
    evaluate.read_references(config, images._replace(train=other), 32)
    config.data.path, config.data.fit = "photographs", "crop"
    told = evaluate.read_references(config, images, 32)
    assert len(prepared) == 5
    assert "fit crop, resample lanczos" in told.protocol


@pytest.mark.parametrize("damage", ["a byte", "the end", "all", "another file"])
def test_a_damaged_file_is_computed_anew(config, images, prepared, capsys, damage):
    first = evaluate.read_references(config, images, 32)
    (path,) = reference_cache.Path(config.data.cache).glob("*.npz")
    content = bytearray(path.read_bytes())
    if damage == "a byte":
        content[len(content) // 2] ^= 255
    path.write_bytes({"a byte": content, "the end": content[:-100], "all": b""}.get(damage, b"PK"))
    second = evaluate.read_references(config, images, 32)
    assert len(prepared) == 2
    assert f"warning: {path} cannot be used and is computed anew: " in capsys.readouterr().err
    assert_same(first, second)
    evaluate.read_references(config, images, 32)
    assert len(prepared) == 2


def test_objects_are_not_unpickled(tmp_path):
    path = tmp_path / "x.npz"
    np.savez(path, words=np.array([{}], object))
    with pytest.raises(ValueError, match="allow_pickle=False"):
        reference_cache.read(path)


def test_a_cache_that_cannot_be_written_is_a_warning(config, images, tmp_path, capsys):
    (tmp_path / "cache").write_text("a file is in its place")
    assert evaluate.read_references(config, images, 32).count == 32
    assert "warning: what images are judged against is not cached in" in capsys.readouterr().err
