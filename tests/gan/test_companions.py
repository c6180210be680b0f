"""What losses combine with, in whole steps: penalties, clipping, noise, several updates of D."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers.tiny import tiny_config, tiny_images, tiny_state
from helpers.xla_flags import fusion_emitters

from fish_jax.configs.default import conv, conv_transpose, image_output, project
from fish_jax.errors import UserError
from fish_jax.gan.gradients import compute_gradients
from fish_jax.gan.inference import scale_images
from fish_jax.gan.model import make_gan
from fish_jax.gan.randomness import Stream, draw
from fish_jax.gan.state import create_state
from fish_jax.gan.step import train_step
from fish_jax.losses import LOSSES, penalties, wgan


def make(experiment="ralsgan", norm="none", dtype=jnp.float32, **loss):
    config = tiny_config(experiment)
    config.discriminator.norm = norm
    config.loss.update(loss)
    if experiment == "began":  # its rows are many, and so is the time to trace them
        decoder = (project(2, activation="none"), image_output(conv_transpose(3, 3, 2)))
        config.generator.layers = config.discriminator.decoder = decoder
        config.discriminator.layers = (
            conv(4, 3, 2),
            dict(op="flatten"),
            dict(op="dense", filters=6),
        )
    return make_gan(config, dtype), tiny_images(config, 4)


def gradients(gan, images, **options):
    state = tiny_state(gan)
    draws = draw(gan, state.key, 0, len(images))
    compute = jax.jit(lambda s: compute_gradients(s, images, draws, gan), compiler_options=options)
    return state, draws, compute(state)


def assert_close(left, right, **tolerance):
    for a, b in zip(jax.tree.leaves(left), jax.tree.leaves(right), strict=True):
        np.testing.assert_allclose(a, b, **tolerance)


@pytest.mark.slow
def test_penalties_add_their_gradient(float64):
    """Against their definitions, with each image's gradient taken alone."""
    loss = {"name": "rpgan"}
    plain, images = make(dtype=jnp.float64, **loss)
    weights = {"gradient_penalty": 3.0, "r1": 0.5, "r2": 0.25}
    alike = fusion_emitters(True)  # or sums of G's are in another order
    state, draws, bare = gradients(plain, images, **alike)
    _, _, made = gradients(make(dtype=jnp.float64, **loss, **weights)[0], images, **alike)
    real = scale_images(images, jnp.float64)
    variables = {"params": state.generator_params, "batch_stats": state.generator_stats}
    generate = jax.jit(
        lambda z: plain.generator.apply(variables, z, train=True, mutable="batch_stats")
    )
    (fake, _), _ = generate(draws.latents)
    share = jax.vmap(lambda k: jax.random.uniform(k, (), float))(draws.keys[Stream.INTERPOLATION])
    between = jnp.stack([x + e * (y - x) for x, y, e in zip(real, fake, share)])

    def penalty(params):
        score = lambda x: plain.discriminator.apply({"params": params}, x[None])[0][0]
        lengths = lambda x: jnp.sqrt(jnp.sum(jax.vmap(jax.grad(score))(x) ** 2, (1, 2, 3)))
        made = {
            "gradient_penalty": 3 * jnp.mean((lengths(between) - 1) ** 2),
            "r1": 0.25 * jnp.mean(lengths(real) ** 2),
            "r2": 0.125 * jnp.mean(lengths(fake) ** 2),
        }
        return sum(made.values()), made

    expected, values = jax.jit(jax.grad(penalty, has_aux=True))(state.discriminator_params)
    added = jax.tree.map(lambda a, b: a - b, made.discriminator, bare.discriminator)
    assert_close(added, expected, rtol=1e-6, atol=1e-10)
    assert_close(made.generator, bare.generator, rtol=1e-12)
    for name, value in values.items():
        np.testing.assert_allclose(made.metrics[name], value, rtol=1e-9)
    total = bare.losses.discriminator + sum(values.values())
    np.testing.assert_allclose(made.losses.discriminator, total, rtol=1e-9)


@pytest.mark.parametrize("loss", [name for name, entry in LOSSES.items() if not entry.energy])
def test_every_companion_goes_with_every_loss(loss):
    """On an autoencoder: all but batch normalisation is allowed there."""
    companions = {"feature_matching": "mean", "pulling_away": 0.1, "instance_noise": 0.1}
    companions |= {"gradient_penalty": 1.0, "r1": 1.0, "r2": 1.0, "clip": 0.5}
    gan, images = make("began", separate_latents=False, name=loss, energy="mse", **companions)
    state = jax.eval_shape(lambda: create_state(gan, 0))
    _, metrics = jax.eval_shape(lambda s: train_step(s, images, gan), state)
    assert {"gradient_penalty", "r1", "r2"} < metrics.keys()


def test_a_score_on_an_autoencoder_is_minus_the_energy():
    scores = {}
    for loss in ("began", "lsgan"):
        for energy in ("mae", "mse"):
            gan, images = make("began", name=loss, energy=energy)
            variables = {"params": tiny_state(gan).discriminator_params}
            scaled = scale_images(images)
            scores[loss, energy] = gan.discriminator.apply(variables, scaled)[0]
            rebuilt = gan.discriminator.apply(variables, scaled, method="reconstruct")
            error = np.abs(rebuilt - scaled) ** (1 if energy == "mae" else 2)
            sign = 1 if loss == "began" else -1
            expected = sign * error.mean((1, 2, 3))
            np.testing.assert_allclose(scores[loss, energy], expected, rtol=1e-5)


def test_pulling_away_is_of_codes_of_generated_images(float64):
    """In G's loss alone."""
    plain, images = make("began", dtype=jnp.float64, separate_latents=False, name="ebgan")
    pulled, _ = make(
        "began", dtype=jnp.float64, separate_latents=False, name="ebgan", pulling_away=0.7
    )
    state, draws, bare = gradients(plain, images)
    _, _, made = gradients(pulled, images)
    (fake, _) = plain.generator.apply({"params": state.generator_params}, draws.latents)
    variables = {"params": state.discriminator_params}
    codes = plain.discriminator.apply(variables, fake)[2]
    assert codes.ndim == 2 and len(codes) == 4
    expected = bare.losses.generator + 0.7 * penalties.pulling_away(codes)
    np.testing.assert_allclose(made.losses.generator, expected, rtol=1e-12)
    assert_close(made.discriminator, bare.discriminator, rtol=1e-12)
    apart = [jnp.abs(a - b).max() for a, b in zip(*map(jax.tree.leaves, (made, bare)))]
    assert max(apart) > 1e-6


@pytest.mark.slow
def test_the_critic_is_never_seen_unclipped():
    gan, images = make(name="wgan", clip=0.01)
    state = tiny_state(gan)
    largest = lambda s: max(jnp.abs(x).max() for x in jax.tree.leaves(s.discriminator_params))
    assert largest(state) <= np.float32(0.01)  # by the first update of G either
    after, _ = jax.jit(lambda s: train_step(s, images, gan))(state)
    assert largest(after) <= np.float32(0.01)
    assert largest(tiny_state(make(name="wgan")[0])) > 0.01


@pytest.mark.slow
def test_the_generator_moves_in_each_nth_step():
    gan, images = make(name="wgan", discriminator_steps=3)
    every, _ = make(name="wgan")
    state, advance = tiny_state(gan), jax.jit(lambda s: train_step(s, images, gan))
    for step in range(1, 7):
        before, (state, metrics) = state, advance(state)
        still = [
            (a == b).all()
            for field in ("generator_params", "generator_optimizer")
            for a, b in zip(*(jax.tree.leaves(getattr(s, field)) for s in (before, state)))
        ]
        assert all(still) if step % 3 else not all(still)
        assert int(state.step) == step and metrics["finite"]
        moved = jax.tree.map(
            lambda a, b: (a != b).any(), before.discriminator_params, state.discriminator_params
        )
        assert any(jax.tree.leaves(moved))
        if step == 3:  # both move along gradients at the parameters before, as ever
            other, _ = jax.jit(lambda s: train_step(s, images, every))(before)
            assert_close(state.generator_params, other.generator_params, rtol=1e-6)
            assert_close(state.discriminator_params, other.discriminator_params, rtol=1e-6)


@pytest.mark.slow
def test_instance_noise_is_added_to_all_that_the_critic_sees(float64):
    gan, images = make(dtype=jnp.float64, name="wgan", instance_noise=0.3)
    state, draws, made = gradients(gan, images)
    (fake, _), _ = gan.generator.apply(
        {"params": state.generator_params, "batch_stats": state.generator_stats},
        draws.latents,
        train=True,
        mutable=["batch_stats"],
    )

    def score(images, stream):
        normal = jax.vmap(lambda key: jax.random.normal(key, images.shape[1:], images.dtype))
        noisy = images + 0.3 * normal(draws.keys[stream])
        return gan.discriminator.apply({"params": state.discriminator_params}, noisy)[0]

    real = score(scale_images(images, jnp.float64), Stream.NOISE_REAL)
    expected = wgan(real, score(fake, Stream.NOISE_FAKE))
    np.testing.assert_allclose(made.losses, expected, rtol=1e-9)


@pytest.mark.parametrize(
    "experiment, norm, loss, message",
    [
        ("ralsgan", "batch", {"r1": 1.0}, "loss.r1 is 1.0, but the discriminator has batch norm"),
        ("ralsgan", "batch", {"r2": 2.0}, "loss.r2 is 2.0"),
        ("ralsgan", "batch", {"gradient_penalty": 10.0}, "loss.gradient_penalty is 10.0"),
        ("ralsgan", "none", {"name": "ebgan"}, "ebgan needs an autoencoder"),
        ("ralsgan", "none", {"pulling_away": 0.1}, "loss.pulling_away compares the codes"),
        ("ralsgan", "none", {"name": "hinge", "real_label": (0.9, 0.9)}, "hinge uses no labels"),
        ("ralsgan", "none", {"energy": "mas"}, "loss.energy"),
        ("ralsgan", "none", {"discriminator_steps": 0}, "loss.discriminator_steps"),
    ],
)
def test_what_cannot_be_combined_is_refused(experiment, norm, loss, message):
    with pytest.raises(UserError, match=message):
        make(experiment, norm, **loss)
