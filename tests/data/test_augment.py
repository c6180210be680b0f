"""Augmentation of what D sees: its arithmetic, its gradients, and who sees it."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers.tiny import tiny_config, tiny_images, tiny_state
from hypothesis import given, settings
from hypothesis import strategies as st
from jax.test_util import check_grads

from fish_jax.data import augment
from fish_jax.data.augment import AUGMENTATIONS
from fish_jax.errors import UserError
from fish_jax.gan.gradients import compute_gradients
from fish_jax.gan.inference import scale_images
from fish_jax.gan.model import make_gan
from fish_jax.gan.randomness import Stream, draw
from fish_jax.gan.step import train_step
from fish_jax.losses import wgan

pytestmark = pytest.mark.usefixtures("strict_dtypes")
ALL = tuple(AUGMENTATIONS)


def images_of(count=4, height=6, width=10, dtype=jnp.float32):
    values = np.random.default_rng(0).uniform(-1, 1, (count, height, width, 3))
    return jnp.asarray(values, dtype)


def keys_of(count, seed=0):
    return jax.random.split(jax.random.key(seed), count)


def uniforms(key, count):
    return [float(jax.random.uniform(each, (), jnp.float32)) for each in jax.random.split(key, 3)]


def test_color_is_brightness_then_saturation_then_contrast():
    """Against the paper's code, written again for one image."""
    images, keys = images_of(), keys_of(4)
    made = augment.color(images, keys)
    for image, key, result in zip(np.asarray(images), keys, made):
        moved, saturated, contrasted = uniforms(key, 3)
        image = image + (moved - 0.5)
        grey = image.mean(2, keepdims=True)
        image = (image - grey) * (saturated * 2) + grey
        image = (image - image.mean()) * (contrasted + 0.5) + image.mean()
        np.testing.assert_allclose(result, image, atol=1e-5)


@pytest.mark.parametrize("channels", [1, 4])
def test_color_is_of_colours_and_leaves_alpha(channels):
    images, keys = images_of(), keys_of(4)
    made = augment.color(images, keys)
    if channels == 4:
        alpha = jnp.flip(images[..., :1], 1)
        found = augment.color(jnp.concatenate([images, alpha], axis=3), keys)
        np.testing.assert_array_equal(found, np.concatenate([made, alpha], axis=3))
    else:
        greys = images[..., :1]
        rgb = augment.color(jnp.repeat(greys, 3, axis=3), keys)
        np.testing.assert_allclose(augment.color(greys, keys), rgb[..., :1], atol=1e-6)


def test_shift_golden_numbers():
    image = jnp.arange(1.0, 7.0).reshape(1, 2, 3, 1)
    moved = lambda down, right: augment.shift(image, jnp.array([down]), jnp.array([right]))
    np.testing.assert_array_equal(moved(0, 1)[0, :, :, 0], [[0, 1, 2], [0, 4, 5]])
    np.testing.assert_array_equal(moved(-1, 0)[0, :, :, 0], [[4, 5, 6], [0, 0, 0]])
    np.testing.assert_array_equal(moved(1, -2)[0, :, :, 0], [[0, 0, 0], [3, 0, 0]])


def test_translations_are_up_to_an_eighth_each_way():
    """Of 16 x 40 pixels that is 2 and 5: every shift comes about, and none beyond."""
    images = jnp.ones((2000, 16, 40, 1))
    made = np.asarray(augment.translation(images, keys_of(2000)))[..., 0]
    tops = made.any(2).argmax(1)
    lefts = made.any(1).argmax(1)
    assert set(tops) == {0, 1, 2} and set(lefts) == {0, 1, 2, 3, 4, 5}
    sizes = made.any(2).sum(1), made.any(1).sum(1)
    assert set(sizes[0]) == {14, 15, 16} and set(sizes[1]) == set(range(35, 41))
    # Of five shifts up or down as likely each, one moves nothing.
    assert abs((sizes[0] == 16).mean() - 1 / 5) < 0.03
    assert (made.sum((1, 2)) == sizes[0] * sizes[1]).all()


def test_a_cut_is_a_box_of_half_of_each_side():
    images = jnp.ones((3000, 8, 12, 1))
    cut = np.asarray(augment.cutout(images, keys_of(3000)))[..., 0] == 0
    rows, columns = cut.any(2), cut.any(1)
    assert (cut == rows[:, :, None] & columns[:, None, :]).all()
    assert rows.sum(1).max() == 4 and columns.sum(1).max() == 6
    assert rows.sum(1).min() >= 2 and columns.sum(1).min() >= 3  # its centre is in the image
    # Its first row is one of 9, so that each place is as likely: 5 of 9 boxes are whole.
    assert abs((rows.sum(1) == 4).mean() - 5 / 9) < 0.04


@given(st.integers(2, 20), st.integers(2, 20), st.sets(st.sampled_from(ALL)))
@settings(deadline=None, max_examples=5)
def test_an_image_does_not_depend_on_its_batch(height, width, policy):
    images, keys = images_of(4, height, width), keys_of(4)
    whole = augment.augment(images, keys, tuple(policy))
    assert whole.shape == images.shape and whole.dtype == images.dtype
    parts = [augment.augment(images[i : i + 2], keys[i : i + 2], tuple(policy)) for i in (0, 2)]
    np.testing.assert_allclose(whole, jnp.concatenate(parts), atol=1e-6)
    if not policy:
        np.testing.assert_array_equal(whole, images)


@pytest.mark.parametrize("name", ALL)
def test_gradients(name, float64):
    images, keys = images_of(2, 4, 9, jnp.float64), keys_of(2)
    check_grads(lambda x: AUGMENTATIONS[name](x, keys) ** 2, (images,), order=2, modes=("rev",))


@pytest.mark.parametrize("name", ALL)
def test_every_image_has_an_augmentation_of_its_own(name):
    images = jnp.broadcast_to(images_of(1), (6, 6, 10, 3))
    made = np.asarray(AUGMENTATIONS[name](images, keys_of(6)))
    assert len({image.tobytes() for image in made}) >= 4


def test_half_of_the_images_are_mirrored():
    images = np.arange(1000 * 2 * 3 * 1).reshape(1000, 2, 3, 1).astype(np.uint8)
    made = np.asarray(augment.flip(images, keys_of(1000)))
    mirrored = (made == images[:, :, ::-1]).all((1, 2, 3))
    assert ((made == images).all((1, 2, 3)) ^ mirrored).all()
    assert 440 < mirrored.sum() < 560


def test_policies():
    assert augment.read_policy("") == ()
    assert augment.read_policy("cutout, color") == ("color", "cutout")
    for text in ("colour", "color,color", "color;cutout"):
        with pytest.raises(ValueError):
            augment.read_policy(text)


def make(dtype=jnp.float32, experiment="ralsgan", **loss):
    config = tiny_config(experiment)
    config.discriminator.norm = "none"
    config.optimizer.name = "sgd"
    flips = loss.pop("flips", False)
    config.data.flips = flips
    config.loss.update(loss)
    return make_gan(config, dtype), tiny_images(config, 4)


@pytest.mark.parametrize("value", ["colour", "color,color", "color;cutout"])
def test_a_wrong_policy_is_refused(value):
    config = tiny_config("ralsgan")
    config.loss.augment = value
    with pytest.raises(UserError, match="loss.augment must be empty or some of color, translation"):
        make_gan(config)


def gradients(gan, images):
    state = tiny_state(gan)
    draws = draw(gan, state.key, 0, len(images))
    return state, draws, jax.jit(lambda s: compute_gradients(s, images, draws, gan))(state)


def generated(gan, state, draws):
    variables = {"params": state.generator_params, "batch_stats": state.generator_stats}
    return gan.generator.apply(variables, draws.latents, train=True, mutable=["batch_stats"])[0][0]


def test_d_sees_augmented_images_of_both_kinds_and_g_learns_through_them(float64):
    gan, images = make(jnp.float64, name="wgan", augment="color,translation,cutout")
    state, draws, made = gradients(gan, images)

    def seen(images, stream):
        images = augment.augment(images, draws.keys[stream], ALL)
        return gan.discriminator.apply({"params": state.discriminator_params}, images)[0]

    def losses(params):
        fake = generated(gan, state.replace(generator_params=params), draws)
        real = seen(scale_images(images, jnp.float64), Stream.AUGMENT_REAL)
        return wgan(real, seen(fake, Stream.AUGMENT_FAKE))

    def of_generator(params):
        both = losses(params)
        return both.generator, both

    of_g, expected = jax.jit(jax.grad(of_generator, has_aux=True))(state.generator_params)
    np.testing.assert_allclose(made.losses, expected, rtol=1e-9)
    for a, b in zip(jax.tree.leaves(made.generator), jax.tree.leaves(of_g), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-6, atol=1e-12)


@pytest.mark.slow
def test_penalties_see_images_as_they_are(float64):
    loss = {"name": "rpgan", "real_label": (1.0, 1.0)}
    loss |= {"r1": 2.0, "r2": 1.0, "gradient_penalty": 1.0}
    plain, augmented = (
        gradients(*make(jnp.float64, "lsgan_dense", augment=policy, **loss))[2].metrics
        for policy in ("", "color,cutout")
    )
    for name in ("r1", "r2", "gradient_penalty"):
        assert plain[name] > 0
        np.testing.assert_allclose(augmented[name], plain[name], rtol=1e-12)
    assert augmented["real_score"] != plain["real_score"]


@pytest.mark.slow
def test_mirrored_photographs_are_as_if_they_came_so():
    mirroring, images = make(flips=True)
    plain, _ = make()
    state = tiny_state(plain)
    keys = draw(plain, state.key, 0, len(images)).keys[Stream.FLIP]
    by_hand = np.asarray(augment.flip(images, keys))
    assert (by_hand != images).any() and (by_hand == images).all((1, 2, 3)).any()
    step = jax.jit(train_step, static_argnums=2)
    one, _ = step(state, images, mirroring)
    other, _ = step(state, by_hand, plain)
    for a, b in zip(*(jax.tree.leaves(s.discriminator_params) for s in (one, other)), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-6, atol=1e-8)
