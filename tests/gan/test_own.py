"""Losses, networks, optimisers and terms of a caller in a whole step, and in what a run keeps."""

import dataclasses
import functools
import subprocess
import sys

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from helpers import own
from helpers.tiny import tiny_config, tiny_images, tiny_state

from fish_jax import losses
from fish_jax.errors import UserError
from fish_jax.gan import programs, summary
from fish_jax.gan.gradients import compute_gradients
from fish_jax.gan.inference import generate
from fish_jax.gan.model import features_of, make_gan, plan_discriminator, plan_generator
from fish_jax.gan.own import STATE_FIELDS, absent_fields
from fish_jax.gan.randomness import draw
from fish_jax.gan.state import create_state
from fish_jax.gan.step import train_step
from fish_jax.losses import LOSSES, Losses, Penalty
from fish_jax.runs import config_file
from fish_jax.training.keras_import import from_keras

NETWORKS = {"generator": own.Generator(), "discriminator": own.Critic()}


def config_of(**loss):
    config = tiny_config("lsgan_dense")
    config.loss.update({"name": "hinge", "real_label": (1.0, 1.0)} | loss)
    return config


def gradients(gan, images):
    state = tiny_state(gan)
    draws = draw(gan, state.key, 0, len(images))
    return jax.jit(lambda s: compute_gradients(s, images, draws, gan))(state)


def assert_same(left, right):
    for a, b in zip(jax.tree.leaves(left), jax.tree.leaves(right), strict=True):
        np.testing.assert_array_equal(a, b)


def test_a_loss_of_the_package_handed_over_is_that_loss():
    """Bit for bit; with its labels too, as an entry."""
    config = config_of()
    images = tiny_images(config, 4)
    ours = gradients(make_gan(config), images)
    assert_same(gradients(make_gan(config_of(name="bce"), loss=losses.hinge), images), ours)
    smooth = {"real_label": (0.9, 0.9)}
    ours = gradients(make_gan(config_of(name="lsgan", **smooth)), images)
    handed = make_gan(config_of(name="bce", **smooth), loss=LOSSES["lsgan"])
    assert_same(gradients(handed, images), ours)


def test_a_state_of_a_loss_moves_with_the_steps():
    config = config_of()
    gan = make_gan(config, loss=own.DRIFTING)
    state, advance = tiny_state(gan), jax.jit(functools.partial(train_step, gan=gan))
    assert state.loss_state == {"mean": 0.5}
    for _ in range(2):
        before = state.loss_state["mean"]
        state, metrics = advance(state, tiny_images(config, 4))
        expected = 0.9 * before + 0.1 * metrics["real_score"]
        np.testing.assert_allclose(state.loss_state["mean"], expected, rtol=1e-6)
        assert metrics["drift"] == state.loss_state["mean"]


def test_networks_of_a_caller_train():
    """Statistics and parameters of both move, and images are those of the module itself."""
    config = config_of(feature_matching="mean", pulling_away=0.1, r1=0.5, gradient_penalty=1.0)
    gan = make_gan(config, **NETWORKS)
    state, images = tiny_state(gan), tiny_images(config, 4)
    after, metrics = jax.jit(functools.partial(train_step, gan=gan))(state, images)
    assert metrics["finite"] and metrics["r1"] > 0
    fields = [f"{n}_{p}" for n in ("generator", "discriminator") for p in ("params", "stats")]
    for field in fields:
        before, now = (jax.tree.leaves(getattr(each, field)) for each in (state, after))
        assert before and any((a != b).any() for a, b in zip(before, now)), field
    latents = jnp.ones((2, config.latents.size))
    pixels = generate(after, latents, gan)
    made = own.Generator().apply(after.generator_variables, latents, train=False)
    np.testing.assert_array_equal(pixels, np.round((np.asarray(made) + 1) * 127.5))


def test_one_network_of_a_caller_goes_with_a_table():
    config = config_of()
    images = tiny_images(config, 4)
    for name, network in NETWORKS.items():
        gan = make_gan(config, **{name: network})
        state = jax.eval_shape(lambda gan=gan: create_state(gan, 0))
        _, metrics = jax.eval_shape(functools.partial(train_step, gan=gan), state, images)
        assert metrics["d_loss"].shape == ()


def test_an_optimiser_of_a_caller_moves_the_parameters():
    """As plain SGD does, whose step is known."""
    config = config_of()
    gan = make_gan(
        config, generator_optimizer=optax.sgd(0.5), discriminator_optimizer=own.optimistic()
    )
    images, state = tiny_images(config, 4), tiny_state(gan)
    draws = draw(gan, state.key, 0, 4)
    gradient = jax.jit(lambda s: compute_gradients(s, images, draws, gan))(state).generator
    after, _ = jax.jit(functools.partial(train_step, gan=gan))(state, images)
    expected = jax.tree.map(lambda p, g: p - 0.5 * g, state.generator_params, gradient)
    for a, b in zip(jax.tree.leaves(after.generator_params), jax.tree.leaves(expected)):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-7)


def test_a_penalty_of_a_caller_is_one_of_ours():
    """R1, R2 and WGAN-GP's handed over are those of the config."""
    config = config_of()
    images = tiny_images(config, 4)
    for name, at in (("r1", "real"), ("r2", "fake"), ("gradient_penalty", "between")):
        ours = gradients(make_gan(config_of(**{name: 3.0})), images)
        function, weight = losses.penalties.PENALTIES[name].function, 3.0
        weight *= 1 if name == "gradient_penalty" else 0.5
        made = gradients(make_gan(config, penalty=Penalty(function, at, weight)), images)
        assert_same(made.discriminator, ours.discriminator)
        np.testing.assert_array_equal(made.metrics["penalty"], ours.metrics[name])
        np.testing.assert_array_equal(made.losses, ours.losses)


def test_a_penalty_is_added_to_those_of_the_config():
    config = config_of(r1=1.0)
    gan = make_gan(config, penalty=own.far)
    assert [each.name for each in gan.penalties] == ["r1", "penalty"]
    made = gradients(gan, tiny_images(config, 4))
    assert made.metrics["penalty"] > 0 and made.metrics["r1"] > 0


def test_feature_matching_of_a_caller_is_one_of_ours():
    config = config_of(feature_matching="mean", feature_matching_weight=0.3)
    images = tiny_images(config, 4)
    ours = gradients(make_gan(config), images)
    config.loss.feature_matching = "none"
    match = losses.penalties.feature_matching_mean
    assert_same(gradients(make_gan(config, feature_matching=match), images), ours)


def test_feature_matching_gets_the_features_that_d_has():
    """Of a discriminator of tables and of a caller's, and maps as well as vectors."""

    class Maps(own.Critic):
        @nn.compact
        def __call__(self, x, train):
            maps = nn.Conv(3, (3, 3))(x)
            return nn.Dense(1)(maps.reshape(x.shape[0], -1)), maps

    mean = lambda real, fake: jnp.sum((real - fake).mean((0, 1, 2)) ** 2)
    gan = make_gan(config_of(), discriminator=Maps(), feature_matching=mean)
    assert features_of(gan, 4).shape == (4, *own.SIZE, 3)
    features = features_of(make_gan(config_of()), 4)
    assert features.ndim == 2 and len(features) == 4
    with pytest.raises(UserError, match="feature_matching cannot be computed"):
        make_gan(config_of(), feature_matching=mean)


def test_a_loss_may_give_a_plain_number():
    config = config_of()
    still = lambda real, fake: Losses(losses.hinge(real, fake).discriminator, 0.0)
    made = gradients(make_gan(config, loss=still), tiny_images(config, 4))
    assert all((leaf == 0).all() for leaf in jax.tree.leaves(made.generator))


def test_equal_parts_make_equal_gans():
    """Programs are compiled for a `Gan`: the second run of a comparison takes the first one's."""
    parts = {"loss": own.DRIFTING, "penalty": own.far, "feature_matching": own.matched}
    assert make_gan(config_of(), **parts) == make_gan(config_of(), **parts)
    assert make_gan(config_of(), **NETWORKS) == make_gan(
        config_of(), generator=own.Generator(), discriminator=own.Critic()
    )
    assert hash(make_gan(config_of(), **NETWORKS)) is not None
    for name in LOSSES:
        config = tiny_config("began")
        config = losses.presets.apply_preset(config, name)
        assert make_gan(config) == make_gan(config)


@dataclasses.dataclass
class Unhashable:
    def __call__(self, real, fake):
        return losses.hinge(real, fake)


@pytest.mark.parametrize(
    "parts, message",
    [
        ({"genrator": own.Generator()}, "there is no part 'genrator'; did you mean generator"),
        ({"loss": "hinge"}, "a loss must be a function .*; names of losses go into config.loss"),
        ({"loss": lambda real, fake: jnp.mean(real)}, "the loss <lambda> must return Losses"),
        ({"penalty": 3.0}, "penalty must be a function"),
        ({"penalty": lambda critic, x: jnp.mean(critic(x))}, "penalty must give a number for each"),
        ({"penalty": Penalty(own.far, "reel")}, "the images of a penalty must be one of real"),
        ({"penalty": Penalty(own.far, weight=-1.0)}, "the weight of a penalty"),
        ({"penalty": Penalty(own.far, name="r1")}, "the name of a penalty"),
        ({"feature_matching": "mean"}, "config.loss.feature_matching"),
        ({"feature_matching": lambda real, fake: real - fake}, "feature_matching must give one"),
        ({"generator": own.Generator}, "generator must be a module of flax.linen"),
        ({"generator_optimizer": 1e-3}, "generator_optimizer must be an optax transformation"),
        ({"generator_optimizer": optax.lbfgs()}, "its update must need only gradients, state"),
        ({"loss": lambda real: real}, "the loss <lambda> cannot be computed from two vectors of 4"),
        ({"loss": lambda real, fake: real[:, 0]}, "cannot be computed from .*: Too many indices"),
        ({"loss": lambda real, fake: real if real[0] > 0 else fake}, r"boolean .* bool\[\]\.?$"),
        ({"loss": lambda real, fake: Losses(jnp.sum(real > 0), fake[0])}, "gives int32.* a gradie"),
        ({"loss": own.stateful_metric("r1")}, "logs r1, .*; log only numbers, under names other"),
        ({"loss": own.stateful_metric("scores/a")}, "logs scores/a"),
        ({"loss": Unhashable()}, "a loss of the type Unhashable cannot be hashed"),
    ],
)
def test_parts_that_cannot_be_used(parts, message):
    with pytest.raises(UserError, match=message):
        make_gan(config_of(), **parts)


class Normalised(own.Critic):
    @nn.compact
    def __call__(self, x, train):
        return nn.Dense(1)(nn.BatchNorm(not train)(x.reshape(len(x), -1)))


def test_a_gradient_penalty_needs_scores_of_single_images():
    make_gan(config_of(), discriminator=Normalised(), penalty=own.far)
    with pytest.raises(
        UserError, match="loss.r1 is not 0, but the discriminator Normalised has ba"
    ):
        make_gan(config_of(r1=1.0), discriminator=Normalised())


def test_images_of_another_size_are_refused():
    config = config_of()
    config.height = 40
    with pytest.raises(UserError, match=r"shape \(20, 40, 3\), but images need \(40, 40, 3\)"):
        make_gan(config, generator=own.Generator())


class Scores(own.Critic):
    def __call__(self, x, train):
        return super().__call__(x, train)[0]


@pytest.mark.parametrize(
    "loss, message",
    [
        ({"feature_matching": "mean"}, "feature matching needs a discriminator that returns"),
        ({"pulling_away": 0.1}, "loss.pulling_away needs a discriminator that returns"),
    ],
)
def test_terms_that_a_discriminator_has_nothing_for(loss, message):
    with pytest.raises(UserError, match=message):
        make_gan(config_of(**loss), discriminator=Scores())


def test_fields_that_an_own_part_would_not_heed():
    config = config_of()
    config.schedule.update(images=100, learning_rate=0.5)
    with pytest.raises(
        UserError, match="generator_optimizer was passed from Python; set both to 1"
    ):
        make_gan(config, generator_optimizer=own.optimistic())
    config = tiny_config("best")
    with pytest.raises(UserError, match="the generator has 0 to_image rows"):
        make_gan(config, generator=own.Generator())


def test_what_is_known_of_networks():
    gan = make_gan(config_of(), **NETWORKS)
    (generator,), (critic,), decoder = plan_generator(gan), plan_discriminator(gan)[0], ()
    assert generator.shape == (20, 40, 3) and decoder == plan_discriminator(gan)[1]
    text = summary.describe(gan)
    assert "ConvTranspose_0" in text and "SpectralNorm_0" in text
    assert f"generator: {generator.parameters:,} parameters" in text
    assert summary.step_flops(gan) == 3 * generator.flops + 7 * critic.flops > 0
    with pytest.raises(
        UserError, match="G is Generator, but Keras files can only be read into layer"
    ):
        from_keras(gan, generator="any.h5")
    with pytest.raises(UserError, match="D is Critic"):
        from_keras(gan, discriminator="any.h5")


@pytest.mark.parametrize("channels", [1, 4])
def test_the_table_of_a_discriminator_is_of_the_images_of_the_config(channels):
    config = config_of()
    config.data.channels = channels
    text = summary.describe(make_gan(config, discriminator=own.Critic()))
    assert f"[3,3,{channels},4]" in text  # the kernel of its first layer


def remembered(**parts):
    """What a run keeps of parts."""
    config = config_of()
    plain = config_file.plain(config)
    return programs.remember(plain, make_gan(config, **parts), parts)


def test_a_run_of_the_packages_parts_remembers_nothing():
    assert remembered() == config_file.plain(config_of())


def test_names_are_kept():
    kept = remembered(loss=own.soft_gap, penalty=own.far, generator_optimizer=own.optimistic())
    assert kept["loss"]["name"] == "soft_gap"
    names = {name: part["name"] for name, part in kept["own"].items() if name != "traced_with"}
    assert names["loss"] == "soft_gap" and names["penalty"] == "far"
    assert names["generator_optimizer"].startswith("GradientTransformation")
    assert kept["own"]["traced_with"].startswith(f"jax {jax.__version__}, flax ")
    assert config_file.plain(kept) == kept  # of JSON's types


@pytest.mark.parametrize(
    "name, one, other",
    [
        ("loss", own.soft_gap, own.sharp_gap),
        ("loss", own.DRIFTING, losses.stateful(lambda: {"mean": 0.0}, own.drifting)),
        ("penalty", own.far, lambda critic, images: jnp.abs(critic(images))),
        ("feature_matching", own.matched, lambda real, fake: jnp.mean(real - fake) ** 2),
        ("generator", own.Generator(), own.Generator(5)),
        ("discriminator", own.Critic(), Scores()),
        ("generator_optimizer", own.optimistic(), own.optimistic(2e-3)),
        ("discriminator_optimizer", own.optimistic(), optax.adam(1e-3)),
    ],
)
def test_a_changed_part_has_another_program(name, one, other):
    program = lambda part: remembered(**{name: part})["own"][name]["program"]
    first = program(one)
    assert first == program(one) and len(first) == 16
    assert first != program(other)


def test_numbers_that_a_function_holds_are_of_its_program():
    """Also arrays, and those of a function that is compiled by itself; names are not."""
    table, other = np.arange(4.0, dtype=np.float32), np.array([0, 1, 2, 9], np.float32)
    one = programs.digest(lambda x: x + table, table)
    assert one == programs.digest(lambda y: y + table.copy(), table)
    assert one != programs.digest(lambda x: x + other, table)
    within = [jax.jit(lambda x, held=held: x * held) for held in (table, other)]
    apart = [programs.digest(lambda x, f=f: f(x) + 1, table) for f in within]
    assert apart[0] != apart[1]
    first, second = (jax.jit(lambda x: jnp.sin(x)) for _ in range(2))
    second.__wrapped__.__name__ = "named_otherwise"
    assert programs.digest(first, table) == programs.digest(second, table)
    key = jax.random.key(3)
    drawn = [
        programs.digest(lambda x, k=k: x + jax.random.normal(k, (4,)), table)
        for k in (key, jax.random.key(4))
    ]
    assert drawn[0] != drawn[1]


SCRIPT = """
from helpers import own
from test_own import remembered
print({n: p["program"] for n, p in remembered(loss=own.DRIFTING, discriminator=own.Critic()).get(
    "own").items() if n != "traced_with"})
"""


@pytest.mark.slow
def test_programs_are_the_same_in_another_process():
    command = [sys.executable, "-c", SCRIPT]
    paths = {"PYTHONPATH": "tests:tests/gan:.", "PATH": "", "JAX_PLATFORMS": "cpu"}
    run = subprocess.run(command, env=paths, capture_output=True, text=True, check=True)
    kept = remembered(loss=own.DRIFTING, discriminator=own.Critic())["own"]
    assert run.stdout.strip() == str({n: kept[n]["program"] for n in ("loss", "discriminator")})


def test_a_run_is_read_without_the_parts_that_drawing_does_not_need():
    """What does need one asks for it by its name."""
    parts = {"loss": own.DRIFTING, "penalty": own.far, "feature_matching": own.matched}
    parts |= NETWORKS | {"discriminator_optimizer": own.optimistic()}
    kept = remembered(**parts)
    with pytest.raises(UserError, match="a generator passed from Python, Generator; pass it again"):
        make_gan(kept)
    gan = make_gan(kept, generator=own.Generator())
    assert gan == make_gan(kept, generator=own.Generator())
    assert absent_fields(kept, {"generator": own.Generator()}) == {
        *STATE_FIELDS["loss"],
        *STATE_FIELDS["discriminator"],
    }
    state = jax.eval_shape(lambda: create_state(gan, 0))
    assert state.discriminator_params == {} and state.loss_state == {}
    images = tiny_images(config_of(), 4)
    with pytest.raises(
        UserError, match="a discriminator passed from Python, Critic; pass it again"
    ):
        jax.eval_shape(functools.partial(train_step, gan=gan), state, images)
    gan = make_gan(kept, **NETWORKS)
    state = jax.eval_shape(lambda: create_state(gan, 0))
    with pytest.raises(
        UserError, match="a loss passed from Python, drifting; .* loss=..., or use a config"
    ):
        jax.eval_shape(functools.partial(train_step, gan=gan), state, images)
    whole = make_gan(kept, **parts)
    assert whole == make_gan(config_of(), **parts)


def test_the_kind_of_scores_is_remembered():
    energies = losses.Loss(lambda settings: losses.stateless(own.soft_gap), energy=True)
    kept = remembered(loss=energies, discriminator=own.Critic())
    assert kept["own"]["loss"]["energy"] is True
    assert make_gan(kept).energy and not make_gan(remembered(loss=own.soft_gap)).energy
