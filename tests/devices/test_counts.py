"""Every experiment and loss on 1, 2, 4 and 8 devices: the same numbers after five steps."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers.several import STEPS, largest_difference, run, small_config
from helpers.tiny import CONFIGS

from fish_jax.gan.model import make_gan

# The losses that no experiment has, on the networks of one; the dense ones compile fastest.
OTHERS = ("minimax", "rplsgan", "rphinge", "rahinge", "rabce", "wgan_clip")
CASES = [(name, None) for name in CONFIGS] + [("lsgan_dense", loss) for loss in OTHERS]
COUNTS = (2, 4, 8)


@pytest.mark.parametrize("name, loss", CASES)
def test_devices_in_double_precision(name, loss, float64, record_property):
    config = small_config(name, loss)
    _, one, metrics, _ = run(config, jnp.float64, 1)
    for count in COUNTS:
        _, several, others, _ = run(config, jnp.float64, count)
        apart = largest_difference(one, several)
        record_property("apart", [name, loss or "its own", count, float(apart)])
        assert apart < 1e-9
        for key in metrics:
            np.testing.assert_allclose(others[key], metrics[key], rtol=1e-9)


def is_noise(path, gan):
    """Whether a bias has no effect: ahead of batch norm, or D's last, of scores' differences."""
    *_, network, row, role = ("", *(getattr(k, "key", getattr(k, "name", "")) for k in path))
    if role != "bias" or "norm" in row or row in ("first", "second"):  # of residual rows
        return False
    rows = {"encode": gan.discriminator.encoder, "decode": gan.discriminator.decoder}
    rows = rows.get(network, gan.generator.rows)
    index = int(row.split("_")[0])
    relative = gan.loss.name.startswith(("ra", "rp", "wgan"))
    of_differences = relative and network == "encode"
    return rows[index].norm == "batch" or (of_differences and index == len(rows) - 1)


@pytest.mark.parametrize("name, loss", CASES)
def test_devices_in_single_precision(name, loss):
    """To what rounding does in five steps: it may move an activation across LeakyReLU's kink."""
    config = small_config(name, loss)
    gan = make_gan(config)
    before, one, metrics, _ = run(config, jnp.float32, 1)
    rate = max(config.optimizer.generator_lr, config.optimizer.discriminator_lr)
    _, several, others, _ = run(config, jnp.float32, 8)
    for key in metrics.keys() - {"fooled"}:  # a share of few images: rounding may move one
        values, scale = metrics[key], np.abs(metrics[key]).max()
        np.testing.assert_allclose(others[key][0], values[0], rtol=1e-4, atol=1e-5 * scale + 1e-6)
        # Scores cross zero; measured: 0.01 of their scale with SGD; the losses differ by 1e-3.
        atol = 0.03 * scale if key.endswith("_score") else 1e-4
        np.testing.assert_allclose(others[key], values, rtol=5e-3, atol=atol)
    for field in ("generator_params", "discriminator_params"):
        apart = moved = 0.0
        start = jax.tree.leaves(getattr(before, field))
        ends = jax.tree_util.tree_leaves_with_path(getattr(one, field))
        for (path, a), b, c in zip(ends, jax.tree.leaves(getattr(several, field)), start):
            a, b, c = (np.asarray(x, np.float64) for x in (a, b, c))
            if is_noise(path, gan):  # Adam makes steps of any sign of rounding noise
                assert np.abs(a - b).max() <= 2 * rate * STEPS
                continue
            apart, moved = apart + np.square(a - b).sum(), moved + np.square(a - c).sum()
        assert np.sqrt(apart) < 0.1 * np.sqrt(moved)  # measured: 0.05 with SGD, else 0.01
