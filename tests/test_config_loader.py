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


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("import nomod", "ModuleNotFoundError: No module named 'nomod'"),
        ("{}['a b']", "KeyError: a b"),
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
    with pytest.raises(UserError, match="give the path of a .py file, or one of the presets began"):
        fish_jax.load_config(name)
