"""What a wheel holds, and its metadata, as far as pyproject.toml says it."""

import tomllib
from pathlib import Path

import fish_jax

ROOT = Path(__file__).resolve().parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())


def test_every_package_is_listed():
    found = {path.parent.relative_to(ROOT) for path in (ROOT / "fish_jax").rglob("__init__.py")}
    listed = PROJECT["tool"]["setuptools"]["packages"]
    assert listed == sorted(".".join(path.parts) for path in found)


def test_version():
    assert fish_jax.__version__ == PROJECT["project"]["version"]


def test_no_dependency_is_pinned():
    extras = PROJECT["project"]["optional-dependencies"].values()
    assert not [each for each in sum(extras, PROJECT["project"]["dependencies"]) if "==" in each]
