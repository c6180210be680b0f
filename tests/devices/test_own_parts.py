"""Networks, losses and optimisers of a caller on 1, 2 and 4 devices: the same numbers."""

import jax.numpy as jnp
import numpy as np
import pytest
from helpers import own, several

from fish_jax.gan.model import make_gan


@pytest.mark.parametrize("names", [tuple(own.PARTS), ("loss",), ("generator",), ("discriminator",)])
def test_devices_in_double_precision(names, float64, monkeypatch):
    """Batch normalisation with the devices' axis, spectral normalisation, penalties."""
    parts = {name: own.PARTS[name] for name in names}
    monkeypatch.setattr(several, "make_gan", lambda *given: make_gan(*given, **parts))
    config = several.small_config("lsgan_dense", "hinge")
    config.loss.r1 = 1.0
    _, one, metrics, _ = several.run(config, jnp.float64, 1)
    for count in (2, 4):
        _, others, logged, _ = several.run(config, jnp.float64, count)
        assert several.largest_difference(one, others) < 1e-9
        for key in metrics:
            np.testing.assert_allclose(logged[key], metrics[key], rtol=1e-9)
