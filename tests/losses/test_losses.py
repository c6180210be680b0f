"""Golden numbers, gradients, saturation and identities of every loss."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jax.test_util import check_grads

from fish_jax import losses
from fish_jax.losses import LOSSES, Targets

pytestmark = pytest.mark.usefixtures("strict_dtypes")

REAL = np.array([1.3, 2.9, 8.4, 6.3])
FAKE = np.array([4.8, 1.2, -3.5, 5.9])
GOLDEN = {
    "bce": (3.125149, 0.950991),
    "minimax": (3.125149, -3.050991),
    "lsgan": (19.761250, 7.342500),
    "hinge": (3.725, -2.1),
    "wgan": (-2.625, -2.1),
    "rpgan": (1.052640, 3.677640),
    "rplsgan": (34.9775, 45.4775),
    "rphinge": (1.275, 4.25),
    "rabce": (0.470461, 3.095461),
    "ralsgan": (13.259063, 23.759063),
    "rahinge": (0.65625, 3.646875),
}
OF_ENERGIES = {
    "ebgan": lambda real, fake: losses.ebgan(real, fake, margin=0.5),
    "began": lambda real, fake: losses.began(real, fake, k=0.1),
}
PLAIN = {name: getattr(losses, name) for name in GOLDEN} | OF_ENERGIES


@pytest.mark.parametrize("name", GOLDEN)
def test_golden_numbers(name):
    result = PLAIN[name](jnp.asarray(REAL, jnp.float32), jnp.asarray(FAKE, jnp.float32))
    np.testing.assert_allclose(result, GOLDEN[name], rtol=2e-6)
    assert result.discriminator.dtype == result.generator.dtype == jnp.float32


def test_every_loss_has_golden_numbers():
    assert set(PLAIN) == set(LOSSES)
    assert {name for name, entry in LOSSES.items() if entry.energy} == set(OF_ENERGIES)
    for name, entry in LOSSES.items():  # each cites its source
        assert "References:" in getattr(losses, name).__doc__ and "(" in entry.summary


def test_ebgan_golden_numbers(float64):
    """The hinge is of each image: of the batch's mean, 0.5, nothing would be left."""
    result = losses.ebgan(jnp.array([0.3, 0.5]), jnp.array([0.2, 0.4, 0.9]), margin=0.5)
    np.testing.assert_allclose(result, (0.4 + 0.4 / 3, 0.5), rtol=1e-12)


def test_began_golden_numbers(float64):
    real, fake = jnp.array([0.3, 0.5]), jnp.array([0.2, 0.4])
    result = losses.began(real, fake, k=0.1)
    np.testing.assert_allclose(result, (0.37, 0.30), rtol=1e-12)
    equilibrium = losses.began_update(0.1, jnp.mean(real), jnp.mean(fake), 0.5, 1e-3)
    np.testing.assert_allclose(equilibrium, (0.0999, 0.5), rtol=1e-12)


@pytest.mark.parametrize(
    ("k", "real", "fake", "expected"), [(0.0, 0.1, 2.0, 0.0), (1.0, 2.0, 0.1, 1.0)]
)
def test_began_keeps_k_in_its_bounds(k, real, fake, expected):
    values = jnp.float32(k), jnp.float32(real), jnp.float32(fake)
    assert losses.began_update(*values, 0.5, 0.9).k == expected


def test_pearson_least_squares(float64):
    targets = Targets(real=1.0, fake=-1.0, generator=0.0)
    result = losses.lsgan(jnp.array([0.5]), jnp.array([2.0]), targets)
    np.testing.assert_allclose(result, (0.5 * 0.25 + 0.5 * 9.0, 2.0))


def test_report_least_squares(float64):
    """A = 0, b = 0.9, c = 1: the settings of configs/lsgan.py, with G's factor 2."""
    result = losses.lsgan(jnp.array([0.7]), jnp.array([-0.03]), Targets(0.9, 0.0, 1.0))
    np.testing.assert_allclose(result.discriminator, 0.5 * 0.04 + 0.5 * 0.0009)
    np.testing.assert_allclose(2 * result.generator, 1.0609)


def test_noisy_labels_leave_a_floor(float64):
    """BCE is linear in the label: with labels of mean 0.95 no logit gets below H(0.95)."""
    logit = np.log(0.95 / 0.05)
    scores = jnp.full(2, logit)
    result = losses.bce(
        scores, -scores, Targets(jnp.array([0.9, 1.0]), jnp.array([0.0, 0.1]), 0.95)
    )
    np.testing.assert_allclose(result.discriminator / 2, 0.198515, rtol=1e-5)


EQUAL = {"rabce": np.log(2), "rpgan": np.log(2)} | dict.fromkeys(
    ("ralsgan", "rahinge", "rplsgan", "rphinge"), 1.0
)


@pytest.mark.parametrize(("name", "value"), EQUAL.items())
def test_equal_scores_give_the_identity(name, value, float64):
    scores = jnp.full(5, 3.7)
    np.testing.assert_allclose(PLAIN[name](scores, scores), (value, value), rtol=1e-12)


@pytest.mark.parametrize("name", PLAIN)
def test_gradients_agree_with_finite_differences(name, float64):
    real, fake = jnp.asarray(REAL) / 4, jnp.asarray(FAKE) / 4
    check_grads(lambda r, f: tuple(PLAIN[name](r, f)), (real, fake), order=2, modes=("rev",))


@pytest.mark.parametrize("name", EQUAL)
def test_gradients_flow_through_the_relativistic_means(name, float64):
    """G's loss depends on real scores; D's and G's gradients sum to zero over all scores."""
    gradient = jax.grad(lambda r, f: PLAIN[name](r, f).generator, argnums=(0, 1))
    real, fake = gradient(jnp.asarray(REAL), jnp.asarray(FAKE))
    assert abs(jnp.sum(real)) > 0.01
    np.testing.assert_allclose(jnp.sum(real) + jnp.sum(fake), 0, atol=1e-12)


@pytest.mark.parametrize("name", PLAIN)
@pytest.mark.parametrize("sign", [-1, 1])
def test_saturated_scores_stay_finite(name, sign):
    real, fake = jnp.full(3, sign * 100.0), jnp.full(3, -sign * 100.0)
    for index in range(2):
        value, gradients = jax.value_and_grad(
            lambda r, f, index=index: PLAIN[name](r, f)[index], argnums=(0, 1)
        )(real, fake)
        assert np.isfinite(value) and all(np.isfinite(g).all() for g in gradients)


def test_a_fooled_network_still_has_a_gradient():
    """Where a player loses badly, the non-saturating losses must push it; minimax's G is not."""
    low, high = jnp.full(2, -100.0), jnp.full(2, 100.0)
    for name in ("bce", "lsgan", "hinge", "wgan", *EQUAL):
        to_generator = jax.grad(lambda f, name=name: PLAIN[name](high, f).generator)(low)
        to_discriminator = jax.grad(lambda r, name=name: PLAIN[name](r, high).discriminator)(low)
        assert (to_generator < 0).all() and (to_discriminator < 0).all(), name
    assert (jax.grad(lambda f: PLAIN["minimax"](high, f).generator)(low) == 0).all()


@given(st.integers(1, 40), st.integers(0, 2**31), st.floats(0.01, 30))
@settings(max_examples=40, deadline=None)
def test_a_permutation_of_the_batch_changes_nothing(count, seed, scale):
    generator = np.random.default_rng(seed)
    real, fake = np.float32(scale * generator.normal(size=(2, count)))
    order = generator.permutation(count)
    for name, function in PLAIN.items():
        before, after = function(real, fake), function(real[order], fake[order])
        np.testing.assert_allclose(before, after, rtol=1e-4, atol=1e-5, err_msg=name)


@pytest.mark.parametrize("name", PLAIN)
@pytest.mark.parametrize("scores", [np.ones((2, 1), np.float32), np.ones(2, np.int32)])
def test_wrong_scores_are_refused(name, scores):
    right = jnp.ones(2)
    with pytest.raises(ValueError, match="vector of floats"):
        PLAIN[name](right, scores)


def test_targets_of_another_shape_are_refused():
    with pytest.raises(ValueError, match="one per image"):
        losses.bce(jnp.ones(3), jnp.ones(3), Targets(real=jnp.ones(2)))


def test_unpaired_scores_are_refused():
    with pytest.raises(ValueError, match="differ in length: 2 and 3"):
        losses.rgan(jnp.ones(2), jnp.ones(3), jnp.abs, jnp.abs, jnp.abs, jnp.abs)


def test_general_relativistic_forms(float64):
    """All four functions count: against sums written out."""
    real, fake = jnp.asarray(REAL), jnp.asarray(FAKE)
    functions = (jnp.square, jnp.abs, jnp.sin, jnp.cos)
    for form, towards, away in (
        (losses.rgan, REAL - FAKE, FAKE - REAL),
        (losses.ragan, REAL - FAKE.mean(), FAKE - REAL.mean()),
    ):
        expected = (
            np.mean(towards**2) + np.mean(abs(away)),
            np.mean(np.sin(towards)) + np.mean(np.cos(away)),
        )
        np.testing.assert_allclose(form(real, fake, *functions), expected, rtol=1e-12)
