"""The number of devices does not change what is computed, nor do two halves of a run on others."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from tiny import CONFIGS, tiny_config, tiny_images, tiny_state

import fish_jax
from fish_jax import feed, parallel, workdir
from fish_jax.errors import UserError
from fish_jax.state import make_gan

STEPS, BATCH, SIZE = 5, 8, 20
# The losses that no experiment has, on the networks of one.
CASES = [(name, None) for name in CONFIGS] + [("ralsgan", "minimax")]


COUNTS = (2, 4, 8)


def small_config(name, loss=None):
    config = tiny_config(name)
    config.batch_size = BATCH
    config.loss.name = loss or config.loss.name
    config.data.count = SIZE
    return config


def run(config, dtype, count):
    """The state before and after `STEPS` steps on some of the devices, and the metrics."""
    gan, images = make_gan(config, dtype), tiny_images(config, SIZE)
    devices = parallel.choose_devices(count, BATCH)
    plan = feed.plan(config, images, count)
    give = feed.make_feed(config, images, plan, devices)
    before = tiny_state(gan)
    state = parallel.replicate(jax.tree.map(jnp.copy, before), devices)
    advance, exchanged = parallel.compile_steps(gan, state, *give(0, 1), plan.streams, devices)
    metrics = []
    for step in range(0, STEPS, plan.steps):
        done = min(plan.steps, STEPS - step)
        state, history, heard = advance(state, *give(step, done), np.int32(done), parallel.Wishes())
        assert heard is None  # one process needs no agreement
        metrics.append({name: np.asarray(values)[:done] for name, values in history.items()})
    joined = {name: np.concatenate([part[name] for part in metrics]) for name in metrics[0]}
    return before, parallel.first_copy(state), joined, exchanged


def leaves(state):
    return [np.asarray(leaf, np.float64) for leaf in jax.tree.leaves(state.replace(key=None))]


def largest_difference(state, other):
    return max(np.abs(a - b).max() for a, b in zip(leaves(state), leaves(other), strict=True))


@pytest.mark.parametrize("name, loss", CASES)
def test_devices_in_double_precision(name, loss, float64):
    config = small_config(name, loss)
    _, one, metrics, _ = run(config, jnp.float64, 1)
    for count in COUNTS:
        _, several, others, _ = run(config, jnp.float64, count)
        assert largest_difference(one, several) < 1e-9
        for key in metrics:
            np.testing.assert_allclose(others[key], metrics[key], rtol=1e-9)


def is_noise(path, gan):
    """Whether a bias has no effect: ahead of batch norm, or the last of a relativistic D."""
    *_, network, row, role = ("", *(getattr(k, "key", getattr(k, "name", "")) for k in path))
    if role != "bias" or "norm" in row:
        return False
    rows = {"encode": gan.discriminator.encoder, "decode": gan.discriminator.decoder}
    rows = rows.get(network, gan.generator.rows)
    index = int(row.split("_")[0])
    relativistic = gan.loss.name in ("ralsgan", "rabce") and network == "encode"
    return rows[index].norm == "batch" or (relativistic and index == len(rows) - 1)


@pytest.mark.parametrize("name, loss", CASES)
def test_devices_in_single_precision(name, loss):
    """To what rounding does in five steps: it may move an activation across LeakyReLU's kink."""
    config = small_config(name, loss)
    gan = make_gan(config)
    before, one, metrics, _ = run(config, jnp.float32, 1)
    rate = max(config.optimizer.generator_lr, config.optimizer.discriminator_lr)
    for count in (8,):
        _, several, others, _ = run(config, jnp.float32, count)
        for key in metrics:
            np.testing.assert_allclose(others[key], metrics[key], rtol=5e-3, atol=1e-4)
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


def test_devices_that_are_given_their_own_images():
    """Streamed, two steps at a time, each device gets the images of its parts of the batches."""
    config = small_config("lsgan_dense")
    _, resident, metrics, _ = run(config, jnp.float32, 4)
    image = config.height * config.width * 3
    config.data.device_gigabytes = 2 * feed.IN_FLIGHT * BATCH // 4 * image / feed.GIGABYTE
    _, streamed, others, _ = run(config, jnp.float32, 4)
    assert largest_difference(resident, streamed) == 0
    for key in metrics:
        np.testing.assert_array_equal(others[key], metrics[key])


def test_bytes_that_devices_exchange():
    """Gradients once, and the scores; the dense network has batch norm in G alone."""
    config = small_config("lsgan_dense")
    before, _, _, exchanged = run(config, jnp.float32, 8)
    params = before.generator_params, before.discriminator_params
    gradients = 4 * sum(leaf.size for leaf in jax.tree.leaves(params))
    statistics = 4 * sum(leaf.size for leaf in jax.tree.leaves(before.generator_stats))
    wishes = 4 * len(parallel.Wishes())
    assert exchanged["all-reduce"] == gradients + 2 * statistics + wishes
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
    assert parallel.exchanged_bytes(PROGRAM) == {"all-reduce": 60 + 8 + 8 + 4, "all-gather": 64}


def test_a_batch_that_does_not_divide():
    with pytest.raises(UserError, match="among 8 devices; the nearest batch_size that does: 24 an"):
        parallel.choose_devices(0, 30)
    with pytest.raises(UserError, match="does not divide .* the nearest batch_size that does: 8;"):
        parallel.choose_devices(0, 3)
    assert parallel.choose_devices(9, 16) == tuple(jax.devices())  # as many as there are
    assert len(parallel.choose_devices(3, 30)) == 3
    assert parallel.choose_devices(0, 16) == tuple(jax.devices())


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
        lines, expected = (workdir.read_metrics(place) for place in (folder, tmp_path / "whole"))
        assert [line["step"] for line in lines] == [line["step"] for line in expected]
        np.testing.assert_allclose(
            [line["d_loss"] for line in lines], [line["d_loss"] for line in expected], rtol=1e-3
        )
        assert {path.name for path in (folder / "samples").iterdir()} == {
            f"{epoch:06d}.png" for epoch in range(1, 5)
        }
