"""What the README says is there."""

import re
from pathlib import Path

import fish_jax

README = Path(__file__).resolve().parents[1] / "README.md"


def test_every_name_of_the_readme_exists():
    names = set(re.findall(r"fish_jax\.(\w+)", README.read_text()))
    assert len(names) > 8
    assert names <= set(dir(fish_jax))


def test_every_public_name_can_be_imported():
    for name in dir(fish_jax):
        getattr(fish_jax, name)
