"""The number of devices does not change what is computed, nor do two halves of a run on others.

`make devices` compares all experiments and losses, on 2, 4 and 8.
"""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers.marks import slow
from helpers.several import BATCH, largest_difference, run, small_config

import fish_jax
from fish_jax.errors import UserError
from fish_jax.runs import metrics
from fish_jax.training import data_parallel, input_pipeline


@pytest.mark.parametrize(
    "name", [slow("began"), slow("dcgan_feature_matching"), "lsgan_dense", slow("ralsgan")]
)
def test_eight_devices_in_double_precision(name, float64):
    """One for each of what is shared: k and M, features, batch norm alone, means of scores."""
    config = small_config(name)
    _, one, metrics, _ = run(config, jnp.float64, 1)
    _, eight, others, _ = run(config, jnp.float64, 8)
    assert largest_difference(one, eight) < 1e-9
    for key in metrics:
        np.testing.assert_allclose(others[key], metrics[key], rtol=1e-9)


@pytest.mark.slow
def test_devices_that_are_given_their_own_images():
    """Streamed, two steps at a time, each device gets the images of its parts of the batches."""
    config = small_config("lsgan_dense")
    _, resident, metrics, _ = run(config, jnp.float32, 4)
    image = config.height * config.width * 3
    config.data.device_gigabytes = (
        2 * input_pipeline.IN_FLIGHT * BATCH // 4 * image / input_pipeline.GIGABYTE
    )
    _, streamed, others, _ = run(config, jnp.float32, 4)
    assert largest_difference(resident, streamed) == 0
    for key in metrics:
        np.testing.assert_array_equal(others[key], metrics[key])


@pytest.mark.slow
def test_bytes_that_devices_exchange():
    """Gradients once, and the scores; the dense network has batch norm in G alone."""
    config = small_config("lsgan_dense")
    before, _, _, exchanged = run(config, jnp.float32, 8)
    params = before.generator_params, before.discriminator_params
    gradients = 4 * sum(leaf.size for leaf in jax.tree.leaves(params))
    statistics = 4 * sum(leaf.size for leaf in jax.tree.leaves(before.generator_stats))
    requests = 4 * len(data_parallel.Requests())
    assert exchanged["all-reduce"] == gradients + 2 * statistics + requests
    assert 2 * 4 * BATCH <= exchanged["all-gather"] <= 3 * 4 * BATCH  # real, fake, and fake again
    assert set(exchanged) == {"all-reduce", "all-gather"}
    assert run(config, jnp.float32, 1)[-1] == {}


PROGRAM = """
  %a = f32[3,5]{1,0} all-reduce(%p), channel_id=1
  %b = (f32[2]{0}, bf16[4]{0}) all-reduce-start(%p, %q), channel_id=2
  %c = (f32[2]{0}, f32[16]{0}) all-gather-start(%p), dimensions={0}
  %d = f32[16]{0} all-gather-done(%c)
  %e = f32[] all-reduce(%s), channel_id=3
"""


def test_bytes_are_read_from_a_program():
    assert data_parallel.exchanged_bytes(PROGRAM) == {
        "all-reduce": 60 + 8 + 8 + 4,
        "all-gather": 64,
    }


def test_a_batch_that_does_not_divide():
    with pytest.raises(UserError, match="among 8 devices; set batch_size to 24 or"):
        data_parallel.choose_devices(0, 30)
    with pytest.raises(UserError, match="cannot be divided .* set batch_size to 8,"):
        data_parallel.choose_devices(0, 3)
    assert data_parallel.choose_devices(9, 16) == tuple(jax.devices())  # as many as there are
    assert len(data_parallel.choose_devices(3, 30)) == 3
    assert data_parallel.choose_devices(0, 16) == tuple(jax.devices())


@pytest.mark.slow
def test_a_run_goes_on_with_any_number_of_devices(tmp_path):
    config = small_config("lsgan_dense")
    config.data.cache = str(tmp_path / "cache")
    config.epochs = 4
    config.devices = 1
    whole = fish_jax.train(config, tmp_path / "whole")
    for counts in ((8, 1), (1, 8)):
        folder = tmp_path / f"{counts}"
        for config.devices, config.epochs in zip(counts, (2, 4)):
            state = fish_jax.train(config, folder)
        assert all(len(leaf.devices()) == 1 for leaf in jax.tree.leaves(state))
        assert largest_difference(state, whole) < 1e-4
        lines, expected = (metrics.read_lines(place) for place in (folder, tmp_path / "whole"))
        assert [line["step"] for line in lines] == [line["step"] for line in expected]
        np.testing.assert_allclose(
            [line["d_loss"] for line in lines], [line["d_loss"] for line in expected], rtol=1e-3
        )
        assert {path.name for path in (folder / "samples").iterdir()} == {
            f"{epoch:06d}.png" for epoch in range(1, 5)
        }
