"""Networks that grow: nothing changes where a level is added, and each level begins in its time."""

import functools
import itertools

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from helpers.growing import growing_config
from helpers.tiny import scalar_updates, tiny_images, tiny_state
from hypothesis import given, settings
from hypothesis import strategies as st

from fish_jax.configs import best
from fish_jax.configs.default import conv, double, to_image
from fish_jax.errors import UserError
from fish_jax.gan import levels
from fish_jax.gan.gradients import compute_gradients
from fish_jax.gan.inference import generate, scale_images
from fish_jax.gan.model import make_gan
from fish_jax.gan.optimizers import OptimizerSettings, build_optimizer
from fish_jax.gan.randomness import draw
from fish_jax.gan.schedules import Ramp
from fish_jax.gan.step import train_step
from fish_jax.gan.summary import describe, plan_levels
from fish_jax.networks.ops import pyramid


@pytest.fixture(scope="module")
def gan():
    return make_gan(growing_config())


@pytest.fixture(scope="module")
def states(gan):
    """The states before and after each of six steps, two of each level."""
    step = jax.jit(functools.partial(train_step, gan=gan))
    images, found = tiny_images(growing_config(), 4), [tiny_state(gan)]
    for _ in range(6):
        state, metrics = step(found[-1], images)
        assert metrics["finite"]
        found.append(state)
    return found


def test_levels_begin_with_their_images(gan):
    seen = jnp.array([0, 7, 8, 15, 16, 1000])
    found = [int(levels.current_level(gan, each)) for each in seen]
    assert found == [0, 0, 1, 1, 2, 2] and gan.level_starts == (0, 8, 16)
    sizes = [level.image_size for level in plan_levels(gan)]
    assert sizes == [(9, 13), (18, 26), (35, 51)]


@pytest.mark.parametrize("level", [0, 1])
def test_networks_compute_the_same_before_and_after_a_level_is_added(gan, states, level):
    state = states[2 * (level + 1)]
    below, above = levels.at_level(gan, level), levels.at_level(gan, level + 1)
    latents = jax.random.normal(jax.random.key(0), (3, gan.latent_size))
    variables = state.generator_variables
    before, _ = below.generator.apply(variables, latents)
    after, _ = above.generator.apply(variables, latents)
    np.testing.assert_allclose(after, pyramid.double(before, above.image_size), atol=1e-6)
    np.testing.assert_allclose(pyramid.halve(after), before, atol=1e-6)
    score = lambda each, x: each.discriminator.apply(state.discriminator_variables, x)[0]
    np.testing.assert_allclose(score(above, after), score(below, before), rtol=1e-4, atol=1e-5)


def test_the_whole_generator_draws_images_of_any_level(gan, states):
    latents = jax.random.normal(jax.random.key(0), (2, gan.latent_size))
    state = states[2].replace(generator_average={})
    images, _ = levels.at_level(gan, 0).generator.apply(state.generator_variables, latents)
    for size in ((18, 26), (35, 51)):
        images = pyramid.double(images, size)
    drawn = scale_images(generate(state, latents, gan))
    np.testing.assert_allclose(drawn, jnp.clip(images, -1, 1), atol=1 / 127)


def changed(before, after, rows):
    """Which rows of a network's parameters differ."""
    return [
        any(
            (a != b).any()
            for a, b in zip(jax.tree.leaves(before[row]), jax.tree.leaves(after[row]))
        )
        for row in rows
    ]


def test_only_rows_of_levels_that_have_begun_are_trained(states):
    generator = ["02_conv", "03_to_image", "06_to_image", "08_to_image"]
    discriminator = ["04_from_image", "03_conv", "01_conv"]
    trained = [(True, True, False, False), (True, True, True, False), (True,) * 4]
    for step, expected in enumerate(np.repeat(trained, 2, axis=0)):
        before, after = states[step], states[step + 1]
        found = changed(before.generator_params, after.generator_params, generator)
        assert found == list(expected), step
        of = [state.discriminator_params["encode"] for state in (before, after)]
        assert changed(*of, discriminator) == list(expected[1:]), step


def test_generators_that_are_trained_every_few_steps_begin_in_time():
    """With two updates of D for one of G, the second level begins in step 2, G's second update."""
    config = growing_config()
    config.loss.discriminator_steps = 2
    gan, images = make_gan(config), tiny_images(config, 4)
    step, found = jax.jit(functools.partial(train_step, gan=gan)), [tiny_state(gan)]
    for _ in range(6):
        found.append(step(found[-1], images)[0])
    params = [state.generator_params for state in found]
    rows = ["02_conv", "06_to_image", "08_to_image"]
    steps = [changed(*pair, rows) for pair in itertools.pairwise(params)]
    every = [[True, False, False], [True, True, False], [True, True, True]]
    assert steps[1::2] == every and not any(map(any, steps[::2]))


@pytest.mark.parametrize("ramp", [Ramp(), Ramp(100, 0.5, 1.0, 1.0), Ramp(100, 0.5, 0.5, 1.0)])
def test_parameters_of_a_level_have_an_optimiser_that_begins_with_it(ramp):
    adam = OptimizerSettings("adam", 0.5, 0.99, 1e-8, 0.0, 0.1, 0.1)
    alone = build_optimizer(adam, 0.1, ramp, 4)
    both = build_optimizer(adam, 0.1, ramp, 4, (0, 2), (0, 1))
    params = {"00_conv": jnp.zeros(()), "01_conv": {"kernel": jnp.zeros(())}}
    state, found = both.init(params), []
    for old, new in ((3.0, 0.0), (-1.0, 0.0), (2.0, 5.0), (1.0, -2.0)):
        gradients = {"00_conv": jnp.float32(old), "01_conv": {"kernel": jnp.float32(new)}}
        updates, state = both.update(gradients, state, params)
        found.append((float(updates["00_conv"]), float(updates["01_conv"]["kernel"])))
    old, new = np.transpose(found)
    np.testing.assert_allclose(old, scalar_updates(alone, [3.0, -1.0, 2.0, 1.0]), rtol=1e-6)
    assert list(new[:2]) == [0, 0]
    if not ramp.images:
        np.testing.assert_allclose(new[2:], scalar_updates(alone, [5.0, -2.0]), rtol=1e-6)
    else:  # the rate of all levels is that of the images seen
        rate = 0.1 * optax.cosine_decay_schedule(1.0, 25, 0.5)(2)
        np.testing.assert_allclose(new[2], -rate, rtol=1e-4)


@pytest.mark.parametrize("penalty", ["r1", "r2", "gradient_penalty"])
def test_a_penalty_is_the_same_before_and_after_a_level_is_added(penalty):
    config = growing_config()
    config.height, config.width = 32, 48  # with an odd side, the last pixels count for more
    config.discriminator.norm = "none"
    config.loss[penalty] = 1.0
    gan, images = make_gan(config), tiny_images(config, 4)
    state = tiny_state(gan)
    draws = draw(gan, state.key, state.step, len(images))
    found = [
        compute_gradients(state, images, draws, levels.at_level(gan, level)).metrics[penalty]
        for level in range(3)
    ]
    assert found[0] > 0
    np.testing.assert_allclose(found[1:], [found[0]] * 2, rtol=1e-4)


@settings(max_examples=15, deadline=None)
@given(height=st.integers(32, 300), width=st.integers(32, 300))
def test_the_recipe_makes_any_size(height, width):
    config = best.get_config()
    config.height, config.width = height, width
    gan = make_gan(config)
    images = jax.eval_shape(
        lambda key: gan.generator.init_with_output(key, jnp.zeros((1, 100)))[0][0],
        jax.random.key(0),
    )
    assert images.shape == (1, height, width, 3)
    assert [level.image_size for level in plan_levels(gan)] == [
        (-(-height // part), -(-width // part)) for part in (4, 2, 1)
    ]


def test_describe_tells_kernels_of_one_pixel():
    config = growing_config()
    rows(config.generator, _8=to_image(1, kernel_init="zeros"))
    assert "08 to_image 1x1 from zero" in describe(make_gan(config))


def broken(change):
    config = growing_config()
    change(config)
    return config


def rows(table, **at):
    """Replaces or, by None, deletes rows of a table by their index, as in _3=None."""
    new = {int(index[1:]): row for index, row in at.items()}
    kept = (new.get(index, row) for index, row in enumerate(table.layers))
    table.layers = tuple(row for row in kept if row is not None)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda c: c.update(images=()), r"epochs is 0 and images is \(\), so there is nothing"),
        (
            lambda c: c.update(images=(8, 8)),
            "images is \\(8, 8\\), but the generator has 3 to_image",
        ),
        (lambda c: c.update(images=(24,)), "images is \\(24,\\), but the generator has 3 to_image"),
        (lambda c: rows(c.generator, _6=to_image()), r"generator.layers\[6\] \(to_image\) joins"),
        (lambda c: rows(c.discriminator, _3=conv(8, 4, 2)), r"discriminator.layers\[3\] \(conv\)"),
        (lambda c: rows(c.discriminator, _5=double()), r"double\) belongs in a generator"),
        (lambda c: rows(c.generator, _3=to_image(norm="batch")), "not to to_image"),
        (lambda c: c.update(images=(8, 0, 8)), "images must be a tuple of whole numbers above 0"),
        (lambda c: rows(c.discriminator, _0=None), r"layers\[1\] is the first from_image"),
        (lambda c: rows(c.generator, _8=conv(3, 3)), r"layers\[6\] is the last to_image"),
        (lambda c: rows(c.generator, _4=None), "of 9 x 13 pixels from features of 18 x 26"),
        (
            lambda c: rows(c.discriminator, _1=conv(5, 4, 2, kernel_init="zeros", norm="none")),
            r"makes \(9, 13, 8\), which cannot be added to \(9, 13, 5\)",
        ),
    ],
)
def test_mistakes_are_told(change, message):
    with pytest.raises(UserError, match=message):
        make_gan(broken(change))
