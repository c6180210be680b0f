"""Five updates against Keras, small and in double precision; planted faults must be caught."""

import dataclasses
from typing import Any

import jax
import numpy as np
import pytest
from compare import (
    Differences,
    Pair,
    Quantity,
    apply_gradients,
    assert_below,
    compute_gradients,
    difference,
    draw,
    given,
    keras_backward,
    learning_rate,
    make_images,
    make_pair,
    moments,
    scaled,
    state_tensors,
    tensor_difference,
    tensor_quantity,
)
from keras_gans import NETWORKS, equilibrium, update, update_began_in_turn

import fish_jax
from fish_jax.losses import stateless
from fish_jax.networks.ops import convolution

SIZE, BATCH, STEPS = (20, 40), 6, 5
LIMIT, NOISE = 1e-9, 1e-6


def small_pair(experiment: str, **changes: Any) -> Pair:
    narrow = lambda filters: max(4, filters // 16)
    return make_pair(experiment, SIZE, narrow, np.float64, **changes)


def keras_update(pair: Pair, images: np.ndarray, given: Any, k: float, order: str):
    if order == "in turn":
        real = scaled(images, np.float64)
        return update_began_in_turn(pair.networks, pair.optimizers, real, given, k)
    outcome = keras_backward(pair, images, given, k, order)
    update(pair.networks, pair.optimizers, outcome)
    return outcome


def some_updates(pair: Pair, steps: int = STEPS, order: str = "real, fake") -> Differences:
    """Both sides step by step; the losses of each step, and everything after the last."""
    state, differences = pair.state, {}
    k, m_global = float(state.loss_state.get("k", 0)), 0.0
    for step, images in enumerate(np.split(make_images(SIZE, steps * BATCH), steps)):
        draws = draw(pair.gan, state.key, state.step, BATCH)
        outcome = keras_update(pair, images, given(pair.gan, draws), k, order)
        k, m_global = equilibrium(k, outcome)
        gradients = compute_gradients(pair.gan, state, images, draws)
        state = apply_gradients(pair.gan, state, gradients)
        for ours, theirs, name in zip(gradients.losses, outcome, "DG"):
            differences[Quantity("losses", f"{name}, step {step}")] = difference(ours, theirs)
    for name, variable, ours in state_tensors(pair.networks, state):
        quantity, theirs = tensor_quantity(pair.experiment, name), variable.numpy()
        differences[quantity] = tensor_difference(pair.experiment, quantity, ours, theirs, steps)
    for name, variable, ours in moments(pair, state):
        floor = learning_rate(pair.experiment, name)
        value = difference(ours, variable.numpy(), floor)
        differences[Quantity("Adam's moments", name)] = value
    if pair.experiment == "began":
        for name, theirs in (("k", k), ("m_global", m_global)):
            value = difference(state.loss_state[name], theirs)
            differences[Quantity("k and M_global", name)] = value
    return differences


@pytest.mark.parametrize("experiment", NETWORKS)
def test_five_updates_in_double_precision(experiment, float64, record):
    differences = some_updates(small_pair(experiment))
    for quantity, value in differences.items():
        record(f"{experiment}, 20 x 40, float64, five steps", quantity.kind, value)
    assert_below(differences, LIMIT, NOISE)


# Planted faults: the comparison above must fail, in the quantities that see them.


def caught(pair: Pair, record, fault: str, **options: Any) -> set[str]:
    """What differs after some updates, which must be something."""
    differences = some_updates(pair, **options)
    for quantity, value in differences.items():
        record(f"planted, {pair.experiment}: {fault}", quantity.kind, value)
    with pytest.raises(AssertionError, match="differ"):
        assert_below(differences, LIMIT, NOISE)
    return {quantity.kind for quantity, value in differences.items() if value > 1e3 * LIMIT}


@pytest.mark.parametrize("experiment", ["lsgan", "lsgan_dense"])
def test_the_usual_adam_is_caught(experiment, float64, record):
    pair = small_pair(experiment, **{"optimizer.name": "adam"})
    assert "updated parameters" in caught(pair, record, "optax's Adam")


def _detached_ralsgan(real, fake):
    stop = jax.lax.stop_gradient
    r, f, square = real - stop(fake.mean()), fake - stop(real.mean()), jax.numpy.square
    d_loss = (square(r - 1).mean() + square(f + 1).mean()) / 2
    return fish_jax.losses.Losses(d_loss, (square(r + 1).mean() + square(f - 1).mean()) / 2)


def _detached_rabce(real, fake):
    stop, softplus = jax.lax.stop_gradient, jax.nn.softplus
    r, f = real - stop(fake.mean()), fake - stop(real.mean())
    d_loss = (softplus(-r).mean() + softplus(f).mean()) / 2
    return fish_jax.losses.Losses(d_loss, (softplus(r).mean() + softplus(-f).mean()) / 2)


DETACHED = {"ralsgan": _detached_ralsgan, "rabce": _detached_rabce}


@pytest.fixture
def fresh_compilations():
    """Nothing compiled before or with a planted fault is used without it."""
    jax.clear_caches()
    yield
    jax.clear_caches()


@pytest.mark.parametrize("experiment", ["ralsgan", "ralsgan_high_lr", "ragan_sgd"])
def test_detached_means_are_caught(experiment, float64, record):
    pair = small_pair(experiment)
    detached = stateless(DETACHED[pair.gan.loss.name])
    pair = pair._replace(gan=dataclasses.replace(pair.gan, objective=detached))
    assert "updated parameters" in caught(pair, record, "means detached")


@pytest.mark.parametrize("order", ["fake, real", "merged"])
@pytest.mark.parametrize("experiment", ["dcgan_shallow", "ralsgan"])
def test_swapped_and_merged_passes_are_caught(experiment, order, float64, record):
    kinds = caught(small_pair(experiment), record, f"D's passes {order}", order=order)
    assert "running statistics" in kinds


def test_updates_in_turn_are_caught(float64, record):
    kinds = caught(small_pair("began"), record, "G through the updated D", steps=1, order="in turn")
    assert "updated parameters" in kinds


@pytest.mark.parametrize(
    "experiment, field, value",
    [
        ("lsgan", "discriminator.slope", 0.3),
        ("lsgan", "generator.norm_epsilon", 1e-5),
        ("lsgan", "discriminator.norm_momentum", 0.9),
        ("lsgan", "loss.g_factor", 1.0),
        ("lsgan", "loss.real_label", (1.0, 1.0)),
        ("ragan_sgd", "loss.d_factor", 2.0),
    ],
)
def test_a_changed_setting_is_caught(experiment, field, value, float64, record):
    caught(small_pair(experiment, **{field: value}), record, f"{field} = {value}", steps=1)


def test_other_padding_is_caught(float64, record, monkeypatch, fresh_compilations):
    """PyTorch's, the same on both sides, in place of TensorFlow's, which has more at the end."""
    plain = convolution.geometry

    def symmetric(image, kernel, stride, padding, precision):
        sizes = plain(image, kernel, stride, padding, precision)
        return sizes._replace(before=tuple(k // 2 for k in kernel)) if padding == "same" else sizes

    monkeypatch.setattr(convolution, "geometry", symmetric)
    assert "losses" in caught(small_pair("ralsgan"), record, "symmetric padding", steps=1)


def test_flipped_kernels_are_caught(float64, record):
    pair = small_pair("dcgan_deep")
    for tensor in state_tensors(pair.networks, pair.state):
        if "transpose" in tensor.name and tensor.name.endswith("kernel"):
            tensor.variable.assign(np.asarray(tensor.ours)[::-1, ::-1])
    assert "losses" in caught(pair, record, "kernels of G turned by half a circle", steps=1)
