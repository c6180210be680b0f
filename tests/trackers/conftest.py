"""Small runs for the examples of docs/examples/, each of which needs a package of others."""

import importlib.util
import os
from pathlib import Path

os.environ |= {"WANDB_MODE": "offline", "WANDB_SILENT": "true", "MLFLOW_DISABLE_TELEMETRY": "true"}

import pytest
from helpers.tiny import tiny_config

EXAMPLES = Path(__file__).resolve().parents[2] / "docs" / "examples"


@pytest.fixture(scope="session")
def images(tmp_path_factory):
    """The cache of the images of all runs, and of what they are compared with."""
    return tmp_path_factory.mktemp("cache")


@pytest.fixture
def config(images):
    """Four epochs, evaluated after the second and the fourth."""
    config = tiny_config("lsgan_dense")
    config.data.cache, config.data.count, config.data.holdout = str(images), 160, 0.4
    config.batch_size, config.epochs, config.evaluate_every_epochs = 16, 4, 2
    return config


@pytest.fixture
def example(tmp_path, monkeypatch):
    """Imports an example, in a folder that it may write to; skips where its package is missing."""
    monkeypatch.chdir(tmp_path)

    def load(name, package):
        pytest.importorskip(package, reason=f"pip install {package}")
        spec = importlib.util.spec_from_file_location(name, EXAMPLES / f"{name}.py")
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        return module

    return load
