"""A small comparison, for the tests of this folder."""

import pytest
from helpers.tiny import tiny_config


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    """What images are judged against is computed once."""
    return tmp_path_factory.mktemp("cache")


@pytest.fixture
def config(cache):
    config = tiny_config("lsgan_dense")
    config.data.cache = str(cache)
    config.data.count, config.data.holdout = 160, 0.4
    config.batch_size, config.epochs = 16, 2
    return config
