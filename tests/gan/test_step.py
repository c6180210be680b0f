"""The training step: every experiment, chunks of any length, the simultaneous update."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers.marks import slow
from helpers.tiny import CONFIGS, tiny_config, tiny_images, tiny_state

from fish_jax import losses
from fish_jax.gan.gradients import compute_gradients
from fish_jax.gan.inference import generate, scale_images, to_pixels
from fish_jax.gan.model import make_gan
from fish_jax.gan.randomness import Stream, draw, draw_latents, draw_targets, image_keys
from fish_jax.gan.state import create_state
from fish_jax.gan.step import train_step, train_steps
from fish_jax.losses import LOSSES
from fish_jax.networks.spec import PRECISIONS


def run(advance, state, images, cuts):
    """Runs 6 steps in calls of the given lengths."""
    batches = np.random.default_rng(1).integers(0, len(images), (6, 4)).astype(np.int32)
    first = 0
    for count in cuts:
        padded = np.zeros((6, 4), np.int32)
        padded[:count] = batches[first : first + count]
        state, history = advance(state, images, padded, np.int32(count))
        first += count
    return state, history


def plain_leaves(state):
    return [np.asarray(leaf) for leaf in jax.tree.leaves(state.replace(key=None))]


# One of each kind of network but r3gan's; the other experiments are these with other losses.
KINDS = ("dcgan_shallow", "lsgan", "lsgan_dense", "began", "best")


@pytest.mark.parametrize("name", [n if n in KINDS else slow(n) for n in CONFIGS])
def test_steps_in_any_chunks_agree_bit_for_bit(name):
    config = tiny_config(name)
    gan = make_gan(config)
    images, state = tiny_images(config), tiny_state(gan)
    advance = jax.jit(functools.partial(train_steps, gan=gan))
    whole, history = run(advance, state, images, [6])
    cut, _ = run(advance, state, images, [1, 3, 2])
    assert int(whole.step) == 6 and history["finite"].all()
    for left, right in zip(plain_leaves(whole), plain_leaves(cut)):
        np.testing.assert_array_equal(left, right)
    changed = [(a != b).any() for a, b in zip(plain_leaves(whole), plain_leaves(state))]
    assert np.mean(changed) > 0.8


def products(jaxpr):
    """Every convolution and matrix product of a jaxpr, and of those within."""
    for equation in jaxpr.eqns:
        if equation.primitive.name in ("conv_general_dilated", "dot_general"):
            yield equation
        for inner in jax.tree.leaves(equation.params):
            if hasattr(inner, "eqns"):
                yield from products(inner)


def is_exact(equation):
    """A sum of channels (a product for each row of pixels) or parameters (one with ones), or pairs.

    Pulling-away has the product of each of the four codes with each other, in the loss.
    """
    if equation.primitive.name != "dot_general":
        return False
    if (4, 4) in {variable.aval.shape for variable in (*equation.invars, *equation.outvars)}:
        return True
    return equation.params["dimension_numbers"][1][0] or equation.invars[1].aval.ndim == 1


@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize("name", [n if n in KINDS else slow(n) for n in CONFIGS])
def test_types_of_a_step(name, precision, strict_dtypes):
    """All but optax's own Adam, which no experiment of the report uses."""
    config = tiny_config(name)
    config.precision = precision
    gan = make_gan(config)
    state = jax.eval_shape(lambda: create_state(gan, 0))
    step = jax.make_jaxpr(lambda s, x: train_step(s, x, gan), return_shape=True)
    jaxpr, (after, metrics) = step(state, tiny_images(config, 4))
    same = jax.tree.map(lambda a, b: a.dtype == b.dtype and a.shape == b.shape, state, after)
    assert all(jax.tree.leaves(same))
    dtypes = {leaf.dtype for leaf in jax.tree.leaves((state, metrics))}
    assert {d for d in dtypes if jnp.issubdtype(d, jnp.floating)} == {jnp.dtype("float32")}
    computed = jnp.bfloat16 if precision == "bfloat16" else jnp.float32
    seen = 0
    for equation in products(jaxpr):
        exact = is_exact(equation)
        level = jax.lax.Precision.HIGHEST if exact else PRECISIONS[precision]
        assert equation.params["precision"] == (level, level)
        dtypes = {variable.aval.dtype for variable in (*equation.invars, *equation.outvars)}
        # Singular values are computed of the parameters, in their type.
        right = {jnp.float32} if exact else {computed}
        if name == "sngan":
            right |= {jnp.float32}
        assert dtypes in [{jnp.dtype(each)} for each in right]
        seen += not exact
    assert seen > 15  # G, D of both batches, and two products backwards for each


def flat(tree):
    return np.concatenate([np.ravel(leaf) for leaf in jax.tree.leaves(tree)])


# r3gan is left out: before tanh its first images are large numbers, of which 8 bits leave little.
@pytest.mark.parametrize(
    "name", [slow("dcgan_shallow"), slow("lsgan"), "lsgan_dense", slow("began"), slow("best")]
)
def test_a_step_in_bfloat16_is_near_one_in_float32(name):
    """To what 8 bits leave of it: rounding the weights alone turns a gradient by as much."""
    config, gans = tiny_config(name), []
    if config.images:  # at 20 x 40 its D normalises two pixels of an image
        config.height, config.width = 80, 160
    for config.precision in ("float32", "bfloat16"):
        gans.append(make_gan(config))

    def both(images):
        state = create_state(gans[0], 0)
        draws = draw(gans[0], state.key, state.step, len(images))
        gradients = [compute_gradients(state, images, draws, gan) for gan in gans]
        return gradients, [generate(state, draws.latents, gan) for gan in gans]

    quickly_compiled = {"xla_backend_optimization_level": 0}
    both = jax.jit(both, compiler_options=quickly_compiled)
    (single, half), pixels = both(tiny_images(config, 4))
    np.testing.assert_allclose(half.losses, single.losses, rtol=0.05)
    for field in ("generator", "discriminator"):
        left, right = flat(getattr(single, field)), flat(getattr(half, field))
        assert left @ right > 0.95 * np.linalg.norm(left) * np.linalg.norm(right)
        np.testing.assert_allclose(np.linalg.norm(right), np.linalg.norm(left), rtol=0.1)
    stats = [(g.generator_stats, g.discriminator_stats) for g in (half, single)]
    for left, right in zip(*map(jax.tree.leaves, stats)):
        np.testing.assert_allclose(left, right, rtol=0.01, atol=0.01)
    rendered, expected = (np.asarray(image, np.float32) for image in pixels[::-1])
    assert np.abs(rendered - expected).max() <= 1 and expected.std() > 1


def forward_pass(gan, state, images, generator, discriminator):
    """Scores and features of the real, D's and G's images, by plain application."""
    keys = image_keys(state.key, state.step, len(images))
    stream = lambda s: jax.vmap(lambda k: jax.random.fold_in(k, s))(keys)

    def apply(network, params, stats, x, masks):
        variables = {"params": params, "batch_stats": stats}
        return network.apply(variables, x, stream(masks), train=True, mutable=["batch_stats"])[0]

    def make(latents, masks):
        latents = draw_latents(gan, stream(latents))
        return apply(gan.generator, generator, state.generator_stats, latents, masks)[0]

    def score(x, masks):
        return apply(gan.discriminator, discriminator, state.discriminator_stats, x, masks)

    generated = fake = make(Stream.LATENTS, Stream.GENERATOR)
    masks = Stream.SCORE_FAKE
    if gan.loss.separate_latents:
        fake = make(Stream.DISCRIMINATOR_LATENTS, Stream.GENERATOR_FOR_DISCRIMINATOR)
        masks = Stream.SCORE_GENERATED
    real = score(scale_images(images, gan.dtype), Stream.SCORE_REAL)
    return real, score(jax.lax.stop_gradient(fake), Stream.SCORE_FAKE), score(generated, masks)


def direct_losses(gan, state, images, params, network):
    """D's or G's loss written as the report states it, a function of that network's parameters."""
    networks = {"g": state.generator_params, "d": state.discriminator_params, network: params}
    real, fake, generated = forward_pass(gan, state, images, networks["g"], networks["d"])
    options = {}
    if gan.loss.name == "began":
        options = {"k": state.loss_state["k"]}
    if LOSSES[gan.loss.name].labels:
        keys = image_keys(state.key, state.step, len(images))
        options = {"targets": draw_targets(gan, keys)}
    loss = getattr(losses, gan.loss.name)
    if network == "d":
        return gan.loss.d_factor * loss(real[0], fake[0], **options).discriminator
    value = gan.loss.g_factor * loss(real[0], generated[0], **options).generator
    if gan.loss.feature_matching == "scalar":
        value += jnp.abs(jnp.mean(generated[1]) - jnp.mean(real[1]))
    return value


@pytest.mark.parametrize(
    "name", ["ralsgan", slow("began"), slow("dcgan_feature_matching"), slow("lsgan")]
)
def test_gradients_equal_plain_differentiation(name, float64):
    """The shared forward pass and its pull-backs, read off as SGD's steps of length one."""
    config = tiny_config(name)
    config.optimizer.name = "sgd"
    config.optimizer.generator_lr = config.optimizer.discriminator_lr = 1.0
    gan = make_gan(config, jnp.float64)
    state, images = tiny_state(gan), tiny_images(config, 4)
    if "k" in state.loss_state:
        state = state.replace(loss_state=state.loss_state | {"k": jnp.float64(0.3)})
    after, metrics = jax.jit(lambda s: train_step(s, images, gan))(state)
    for network, field in (("d", "discriminator_params"), ("g", "generator_params")):
        before = getattr(state, field)
        value, gradient = jax.jit(
            jax.value_and_grad(lambda p, n=network: direct_losses(gan, state, images, p, n))
        )(before)
        np.testing.assert_allclose(metrics[f"{network}_loss"], value, rtol=1e-12)
        expected = jax.tree.map(lambda p, g: p - g, before, gradient)
        for ours, theirs in zip(
            jax.tree.leaves(getattr(after, field)), jax.tree.leaves(expected), strict=True
        ):
            np.testing.assert_allclose(ours, theirs, atol=1e-11)


def test_running_statistics_see_real_then_fake():
    config = tiny_config("ralsgan")
    gan = make_gan(config)
    state, images = tiny_state(gan), tiny_images(config, 4)
    after, _ = jax.jit(lambda s: train_step(s, images, gan))(state)
    keys = image_keys(state.key, state.step, 4)
    latents = jax.vmap(lambda k: jax.random.fold_in(k, Stream.LATENTS))(keys)
    variables = {"params": state.generator_params, "batch_stats": state.generator_stats}
    (fake, _), _ = gan.generator.apply(
        variables, draw_latents(gan, latents), train=True, mutable=["batch_stats"]
    )
    stats = state.discriminator_stats
    for batch in (scale_images(images), fake):
        variables = {"params": state.discriminator_params, "batch_stats": stats}
        _, updated = gan.discriminator.apply(variables, batch, train=True, mutable=["batch_stats"])
        stats = updated["batch_stats"]
    for ours, theirs in zip(
        jax.tree.leaves(after.discriminator_stats), jax.tree.leaves(stats), strict=True
    ):
        np.testing.assert_allclose(ours, theirs, rtol=2e-5, atol=1e-6)


def test_began_state_follows_its_rule():
    config = tiny_config("began")
    gan = make_gan(config)
    state = tiny_state(gan)
    step = jax.jit(lambda s, x: train_step(s, x, gan))
    after, metrics = step(state, tiny_images(config, 4))
    real, fake = metrics["real_energy"], metrics["fake_energy"]
    expected = np.clip(0.003 * (0.7 * real - fake), 0, 1)
    np.testing.assert_allclose(after.loss_state["k"], expected, rtol=1e-5)
    np.testing.assert_allclose(metrics["m_global"], real + abs(0.7 * real - fake), rtol=1e-5)
    np.testing.assert_allclose(metrics["energy_ratio"], fake / real, rtol=1e-5)
    # With k = 0 D's loss is L(x) alone, and G's comes from a draw of its own.
    np.testing.assert_allclose(metrics["d_loss"], real, rtol=1e-6)
    np.testing.assert_allclose(metrics["g_loss"], fake, rtol=1e-6)


def test_labels_are_drawn_per_image_and_step():
    gan = make_gan(tiny_config("dcgan_shallow"))
    key = jax.random.key(0)
    targets = draw_targets(gan, image_keys(key, 0, 500))
    bounds = ((targets.real, 0.9, 1.0), (targets.fake, 0.0, 0.1), (targets.generator, 0.9, 1.0))
    for values, low, high in bounds:
        assert low <= values.min() < low + 0.01 and high - 0.01 < values.max() <= high
    assert (targets.real != targets.generator).all()
    assert (targets.real != draw_targets(gan, image_keys(key, 1, 500)).real).all()


def test_pixels_survive_the_round_trip():
    pixels = np.arange(256, dtype=np.uint8).reshape(1, 16, 16, 1).repeat(3, -1)
    assert scale_images(pixels).min() == -1 and scale_images(pixels).max() == 1
    np.testing.assert_array_equal(to_pixels(scale_images(pixels)), pixels)


def test_samples_use_the_running_statistics():
    config = tiny_config("ralsgan")
    gan = make_gan(config)
    state, _ = jax.jit(lambda s, x: train_step(s, x, gan))(tiny_state(gan), tiny_images(config, 4))
    latents = jax.random.normal(jax.random.key(5), (3, 8))
    render = jax.jit(lambda s, z: generate(s, z, gan))
    together = render(state, latents)
    assert (together[0] != together[1]).any()
    for index in range(3):  # an image does not depend on the others of its batch
        np.testing.assert_array_equal(render(state, latents[index : index + 1])[0], together[index])
    doubled = state.replace(generator_stats=jax.tree.map(lambda x: 4 * x, state.generator_stats))
    assert (render(doubled, latents) != together).any()


def test_a_planted_nan_is_seen():
    config = tiny_config("ralsgan")
    gan = make_gan(config)
    state = tiny_state(gan)
    params = jax.tree.map(lambda x: x.at[(0,) * x.ndim].set(jnp.nan), state.generator_params)
    state = state.replace(generator_params=params)
    _, metrics = jax.jit(lambda s, x: train_step(s, x, gan))(state, tiny_images(config, 4))
    assert not metrics["finite"]
