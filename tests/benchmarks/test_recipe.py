"""What `benchmarks.recipe` compares: one part changed at a time, as many images or as long."""

import re
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from benchmarks.recipe import flat, small
from fish_jax.comparison.results import Outcome, Results
from fish_jax.errors import UserError
from fish_jax.gan.model import make_gan
from fish_jax.runs.config_file import differences, plain

FIELDS = {
    "no-average": {"average.half_life"},
    "batch-16": {"batch_size"},
    "rpgan": {"loss.name"},
    "augmented": {"loss.augment"},
}


def of_flat(epochs=18):
    return small.prepared(flat, "", epochs)


def test_each_part_is_left_out_alone():
    config = of_flat()
    made = small.without_parts(config)
    assert set(made) == {"flat", "r3gan", *small.PARTS} and made["flat"] == config
    for name, other in made.items():
        make_gan(other)
        fields = {line.partition(":")[0] for line in differences(plain(config), plain(other))}
        if name in FIELDS:
            assert fields == FIELDS[name]
        elif name == "box":
            assert len(fields) == 2 and all(field.endswith(".filter") for field in fields)
        elif name == "transposed":
            rows = [row["op"] for row in other.generator.layers]
            assert rows == ["project", "conv", "conv_transpose", "conv_transpose", "conv"]
        elif name == "networks-of-ralsgan":
            assert {field.partition(".")[0] for field in fields} == {"generator", "discriminator"}


def test_the_reports_networks_see_the_same_images():
    made = small.against_report(of_flat(), "")
    assert list(made) == ["flat", "ralsgan", "dcgan_deep", "began"]
    assert {config.epochs for config in made.values()} == {18}
    assert len({str(config.data) for config in made.values()}) == 1
    assert made["ralsgan"].optimizer.generator_lr == 1e-3  # its demo's


def test_as_long_is_by_the_seconds_of_steps(tmp_path):
    configs = small.against_report(of_flat(), "")
    seconds = {"flat": [90, 110, 100], "ralsgan": [50, 20, 50], "dcgan_deep": [99, 100, 400]}
    seconds["began"] = [2000] * 3
    outcomes = tuple(
        Outcome(name, seed, None, (), took)
        for name, each in seconds.items()
        for seed, took in enumerate(each)
    )
    result = Results(outcomes, tuple(seconds), (0, 1, 2), {}, "")
    kept = tmp_path / "epochs.json"
    made = small.as_long(configs, result, kept)
    epochs = {name: config.epochs for name, config in made.items()}
    expected = {"ralsgan-as-long": 36, "dcgan_deep-as-long": 18, "began-as-long": 1}
    assert epochs == {"flat": 18} | expected and configs["ralsgan"].epochs == 18
    early = [o._replace(diverged=5, seconds=1) for o in outcomes if o.loss == "ralsgan"]
    others = tuple(o for o in outcomes if o.loss != "ralsgan")
    one = result._replace(outcomes=(*others, *early[:2], outcomes[5]))
    assert small.epochs_as_long(configs, one)["ralsgan"] == 36
    none = result._replace(outcomes=(*others, *early))
    with pytest.raises(UserError, match="all runs of ralsgan diverged"):
        small.epochs_as_long(configs, none)
    again = small.as_long(configs, none, kept)
    assert again == made  # whatever is measured later


def test_sets_are_seen_for_as_many_images(tmp_path):
    np.save(tmp_path / "few.npy", np.zeros((50, 28, 64, 3), np.uint8))
    config = of_flat()
    config.data.update(count=400, holdout=0.0)
    own = small.on_set(config, {"path": str(tmp_path / "few.npy")})
    assert own.epochs == 18 * 8 and own.sample_every_epochs == 36 and config.epochs == 18


def test_the_sets_without_photographs(tmp_path, monkeypatch):
    monkeypatch.setattr(small, "DRAWN", 3)
    made = small.image_sets("", tmp_path, 28, 64)
    assert set(made) == {"drawn", "letters"}
    assert np.load(made["letters"]["path"]).shape == (3, 28, 64, 3)


@pytest.mark.parametrize(
    "styles, least, few",
    [((), 0, False), (("sash", "rls", "icv"), 3, True), (("sash", "rls", "icv"), 4, False)],
)
def test_the_sets_of_photographs(tmp_path, monkeypatch, styles, least, few):
    """Those of styles where there are enough of such, and a few where there are more."""
    monkeypatch.setattr(small, "LEAST", least)
    monkeypatch.setattr(small, "DRAWN", 3)
    monkeypatch.setattr(small, "FEW", 2 if few else 300)
    photos = tmp_path / "photos"
    photos.mkdir()
    for name in styles or ("a", "b", "c"):
        Image.new("RGB", (64, 28)).save(photos / f"{name}_1.png")
    made = small.image_sets(str(photos), tmp_path, 28, 64)
    expected = {"drawn", "letters", "all"} | ({"sash-rls-icv", "2"} if few else set())
    assert set(made) == expected
    if few:
        assert np.load(made["2"]["path"]).shape == (2, 28, 64, 3)


@pytest.mark.slow
@pytest.mark.parametrize(
    "arguments, message",
    [
        (["part"], "invalid choice: 'part'"),
        (["parts", "--epochs=0"], "'0' must be a whole number, 1 or more"),
        (["sets", "--data=/nowhere"], "error: .*nowhere"),
    ],
)
def test_mistakes_end_in_a_sentence(arguments, message, tmp_path):
    command = [sys.executable, "-m", "benchmarks.recipe", *arguments, f"--out={tmp_path}/out"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode != 0 and "Traceback" not in done.stderr
    assert re.search(message, done.stderr.splitlines()[-1])
