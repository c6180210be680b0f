"""A config is checked once and read into typed values."""

from collections import Counter

import pytest
from helpers.tiny import CONFIGS, tiny_config

from fish_jax.gan.model import make_gan
from fish_jax.utils import validation


@pytest.mark.parametrize("name", CONFIGS)
def test_each_field_is_checked_once(name, monkeypatch):
    checked, check = Counter(), validation.check

    def counted(name, value, kind):
        checked[name] += 1
        check(name, value, kind)

    monkeypatch.setattr(validation, "check", counted)
    config = tiny_config(name)
    make_gan(config)
    # A row's `op` comes first: it decides which fields the row may have.
    assert not {name for name, count in checked.items() if count > 1 and not name.endswith(".op")}
    assert {"batch_size", "loss.name", "optimizer.b2", "generator.layers[0].filters"} <= set(
        checked
    )
