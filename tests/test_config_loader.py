"""Configurations by name and by path."""

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


@pytest.mark.parametrize("name", ["raslgan", "raslgan.py", "", "README.md", "default"])
def test_neither(name):
    with pytest.raises(UserError, match="give the path of a .py file, or one of the presets began"):
        fish_jax.load_config(name)
