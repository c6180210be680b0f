"""Configurations by name and by path."""

import numpy as np
import pytest

import fish_jax
from fish_jax.config_loader import preset_names
from fish_jax.errors import UserError


def test_presets():
    names = preset_names()
    assert {"best", "ralsgan", "compare"} < set(names) and "default" not in names
    for name in names:
        assert fish_jax.load_config(name).name == name
        assert fish_jax.load_config(name, "demo").name == f"{name}-demo"


def test_a_path(tmp_path):
    path = tmp_path / "mine.py"
    path.write_text(
        "from fish_jax.configs import default\n\n\n"
        "def get_config(variant=''):\n"
        "    config = default.get_config()\n"
        "    config.name = f'mine{variant}'\n"
        "    return config\n"
    )
    assert fish_jax.load_config(str(path)).name == "mine"
    assert fish_jax.load_config(str(path), "3").name == "mine3"


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("import nomod", "ModuleNotFoundError: No module named 'nomod'"),
        ("{}['a b']", "KeyError: a b"),
        ("(5).width", "AttributeError: 'int' object has no attribute 'width'"),
        ("raise ValueError(\"'a' is not 'b'\")", "ValueError: 'a' is not 'b'"),
    ],
)
def test_what_a_file_raises_is_quoted_whole(tmp_path, line, said):
    path = tmp_path / "mine.py"
    path.write_text(line)
    with pytest.raises(UserError) as caught:
        fish_jax.load_config(str(path))
    assert str(caught.value) == f"{path}: {said}"


@pytest.mark.parametrize("name", ["raslgan", "raslgan.py", "", "README.md", "default"])
def test_neither(name):
    with pytest.raises(UserError, match="ive the path of a .py file, or one of the presets began"):
        fish_jax.load_config(name)


REGISTERS = """
from fish_jax import losses
from fish_jax.configs import hinge

SCALE = 2.0


def scaled(real, fake):
    found = losses.hinge(real, fake)
    return losses.Losses(SCALE * found.discriminator, found.generator)


def get_config():
    losses.register("{name}", scaled, summary="twice the hinge loss")
    config = hinge.get_config("demo")
    config.loss.name = "{name}"
    return config
"""


def test_a_file_may_register_a_loss(tmp_path):
    path = tmp_path / "mine.py"
    path.write_text(REGISTERS.format(name="scaled"))
    known = fish_jax.losses.LOSSES
    try:
        gan = fish_jax.make_gan(fish_jax.load_config(str(path)))
        assert gan.loss.name == "scaled" and known["scaled"].summary == "twice the hinge loss"
        real, fake = np.float32([0.5, 2.0]), np.float32([-0.5, 0.0])
        found = gan.objective.apply(real, fake, {}, fish_jax.losses.Targets())[0]
        np.testing.assert_array_equal(
            found.discriminator, 2 * fish_jax.losses.hinge(real, fake).discriminator
        )
        assert fish_jax.make_gan(fish_jax.load_config(str(path))).loss.name == "scaled"
    finally:
        known.pop("scaled", None)
    path.write_text(REGISTERS.format(name="hinge"))
    with pytest.raises(UserError, match="hinge is already a loss of fish_jax"):
        fish_jax.load_config(str(path))
