"""Losses of a caller: what is taken for one, under which name, and what a step cannot use."""

import functools

import jax.numpy as jnp
import pytest

from fish_jax import losses
from fish_jax.configs import hinge as hinge_config
from fish_jax.errors import UserError
from fish_jax.gan.model import make_gan
from fish_jax.losses import LOSSES, Loss, Losses, Targets
from fish_jax.losses.base import check_objective, check_term
from fish_jax.losses.presets import apply_preset
from fish_jax.losses.registry import as_loss, objective_of

REAL, FAKE = jnp.array([1.0, 3.0]), jnp.array([-1.0, 0.5])


def mean_gap(real, fake):
    gap = jnp.mean(fake) - jnp.mean(real)
    return Losses(gap, -jnp.mean(fake))


def counted(real, fake, state):
    count = state["count"] + 1
    return mean_gap(real, fake), {"count": count}, {"count": count}


@pytest.fixture
def registry():
    """Names that a test registers are gone after it."""
    before = dict(LOSSES)
    yield
    LOSSES.clear()
    LOSSES.update(before)


@pytest.mark.parametrize(
    "loss, name",
    [
        (mean_gap, "mean_gap"),
        (functools.partial(mean_gap), "partial"),
        (losses.stateless(mean_gap), "mean_gap"),
        (losses.stateful(lambda: {"count": 0.0}, counted), "counted"),
        (Loss(lambda settings: losses.stateless(mean_gap), name="gap"), "gap"),
    ],
)
def test_functions_objectives_and_entries_are_losses(loss, name):
    entry = as_loss(loss)
    assert entry.name == name and as_loss(loss, "mine").name == "mine"
    objective = objective_of(entry, None)
    state = objective.init()
    assert objective.apply(REAL, FAKE, state, Targets())[0] == mean_gap(REAL, FAKE)
    assert objective_of(as_loss(loss), None) is objective  # runs of one loss share programs


@pytest.mark.parametrize("loss", ["hinge", 3, [mean_gap]])
def test_what_is_no_loss_is_refused(loss):
    with pytest.raises(UserError, match="a loss must be a function"):
        as_loss(loss)


def test_a_registered_loss_is_a_name(registry):
    losses.register("mine", mean_gap, summary="the gap of means")
    assert LOSSES["mine"].summary == "the gap of means"
    losses.register("mine", counted_objective(), summary="another")  # as a notebook does
    assert LOSSES["mine"].summary == "another"
    config = apply_preset(hinge_config.get_config("demo"), "mine")
    gan = make_gan(config)
    assert config.loss.name == gan.loss.name == "mine"
    assert gan.objective.init() == {"count": 0.0}


def counted_objective():
    return losses.stateful(lambda: {"count": 0.0}, counted)


@pytest.mark.parametrize(
    "name, message",
    [
        ("hinge", "hinge is already a loss of fish_jax"),
        ("my loss", "must be a name of letters"),
        ("a,b", "must be a name of letters"),
        ("", "must be a name of letters"),
        (None, "must be a name of letters"),
    ],
)
def test_names_that_cannot_be_registered(name, message, registry):
    before = dict(LOSSES)
    with pytest.raises(UserError, match=message):
        losses.register(name, mean_gap)
    assert before == LOSSES


def changing(real, fake, state):
    return mean_gap(real, fake), {"count": jnp.stack([state["count"]] * 2)}, {}


@pytest.mark.parametrize(
    "objective, message",
    [
        (losses.stateless(lambda real, fake: jnp.mean(real)), "Losses.*not float32"),
        (losses.stateless(lambda real, fake: (jnp.mean(real), jnp.mean(fake))), "Losses"),
        (losses.stateless(lambda real, fake: Losses(real, jnp.mean(fake))), r"float32\[4\].*discr"),
        (losses.stateless(lambda real, fake: Losses(jnp.sum(fake), 1)), "int32.*generator"),
        (losses.stateful(lambda: {"count": 0.0}, changing), r"count: float32\[\].*float32\[2\]"),
        (losses.stateful(dict, lambda *_: mean_gap(REAL, FAKE)), r"\(Losses, state, metrics\)"),
        (losses.stateful(dict, lambda r, f, s: (mean_gap(r, f), s, {"d_loss": r[0]})), "d_loss"),
        (losses.stateful(dict, lambda r, f, s: (mean_gap(r, f), s, {"far": r})), "logs far"),
    ],
)
def test_results_that_a_step_cannot_use(objective, message):
    with pytest.raises(UserError, match=f"the loss odd .*{message}"):
        check_objective("odd", objective, 4, jnp.float32)


def test_results_of_every_loss_can_be_used():
    settings = make_gan(hinge_config.get_config("demo")).loss
    for name, entry in LOSSES.items():
        check_objective(name, objective_of(entry, settings), 4, jnp.float32)
    check_objective("counted", counted_objective(), 4, jnp.float32)


def test_terms_have_the_right_shapes():
    check_term("penalty", jnp.abs, (2,), REAL)
    for function, shape, message in (
        (jnp.mean, (2,), r"penalty must give a number for each image, \[2\], not float32\[\]"),
        (jnp.abs, (), r"penalty must give one number, not float32\[2\]"),
        (jnp.argmax, (), "one number, not int32"),
    ):
        with pytest.raises(UserError, match=message):
            check_term("penalty", function, shape, REAL)
