"""Layer tables: counts, shapes, sizes, and what is refused."""

import importlib

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers.tiny import CONFIGS, tiny_config
from hypothesis import given, settings
from hypothesis import strategies as st

from fish_jax.configs.default import (
    conv,
    conv_transpose,
    downsample,
    image_output,
    logit,
    project,
    residual,
    to_image,
    upsample,
)
from fish_jax.errors import UserError
from fish_jax.gan.model import make_gan, plan_discriminator, plan_generator
from fish_jax.gan.state import create_state
from fish_jax.networks import layers, modules, spec, summary
from fish_jax.networks.spec import PRECISIONS


def read_rows(*rows, **defaults):
    return spec.read_rows(rows, defaults, "table.layers")


# Trained parameters and running statistics, as Keras counts the same layers at 140 x 320; all
# but BEGAN's were worked out by hand from the report's rows.
COUNTS = {
    "dcgan_shallow": ((36_784_200, 717_040), (211_137, 240)),
    "dcgan_deep": ((74_214_024, 1_434_608), (717_953, 1_008)),
    "dcgan_feature_matching": ((74_214_024, 1_434_608), (717_953, 1_008)),
    "lsgan_dense": ((138_446_336, 3_584), (68_944_897, 0)),
    "lsgan": ((10_155_584, 115_584), (568_577, 384)),
    "ralsgan": ((73_285_704, 1_433_840), (550_089, 896)),
    "ralsgan_high_lr": ((73_285_704, 1_433_840), (550_089, 896)),
    "ragan_sgd": ((73_285_704, 1_433_840), (550_089, 896)),
    "began": ((17_434_323, 0), (42_960_163, 0)),
    "ebgan": ((17_434_323, 0), (42_960_163, 0)),
    "best": ((2_494_721, 46_528), (198_993, 0)),
    "r3gan": ((3_446_787, 0), (1_253_313, 0)),
    # Of hinge, with a vector and a number for each of six kernels: 6 + 32 + 64 + 128 + 256 + 1 + 6.
    "sngan": ((73_285_704, 1_433_840), (549_193, 493)),
} | dict.fromkeys(
    ("hinge", "rpgan_r1r2", "wgan_gp"),
    # ralsgan's less the batch norm of 64 + 128 + 256 filters in D
    ((73_285_704, 1_433_840), (549_193, 0)),
)


def full_gan(name):
    return make_gan(importlib.import_module(f"fish_jax.configs.{name}").get_config())


def test_every_config_is_counted():
    assert set(COUNTS) == set(CONFIGS)


@pytest.mark.parametrize("name", CONFIGS)
def test_parameters_at_full_size(name):
    gan = full_gan(name)
    state = jax.eval_shape(lambda: create_state(gan, 0))
    size = lambda tree: sum(leaf.size for leaf in jax.tree.leaves(tree))
    generator = size(state.generator_params), size(state.generator_stats)
    discriminator = size(state.discriminator_params), size(state.discriminator_stats)
    assert (generator, discriminator) == COUNTS[name]


@pytest.mark.parametrize("name", CONFIGS)
def test_the_plan_counts_what_is_made(name):
    gan = full_gan(name)
    rows = plan_generator(gan)
    assert (sum(r.parameters for r in rows), sum(r.statistics for r in rows)) == COUNTS[name][0]
    rows = sum(plan_discriminator(gan), ())
    assert (sum(r.parameters for r in rows), sum(r.statistics for r in rows)) == COUNTS[name][1]


def test_began_encoder_and_decoder_of_the_report():
    encoder, decoder = plan_discriminator(full_gan("began"))
    assert sum(row.parameters for row in encoder) == 25_525_840
    assert sum(row.parameters for row in decoder) == 17_434_323


def test_shapes_of_the_report():
    gan = full_gan("ralsgan")
    assert [row.shape[:2] for row in plan_discriminator(gan)[0][2:5]] == [
        (69, 159),
        (34, 79),
        (16, 39),
    ]
    features = plan_discriminator(full_gan("dcgan_feature_matching"))[0][-3]
    assert features.shape == (18, 40, 256)


def test_flops_of_a_convolution_and_its_transpose():
    """3 x 3 kernels, 2 to 5 channels, 4 x 6 pixels on the small side: 2 * 9 * 2 * 5 * 24."""
    down = read_rows(conv(5, 3, 2))
    assert summary.plan(down, (8, 12, 2))[0].flops == 4320
    up = read_rows(conv_transpose(5, 3, 2))
    assert summary.plan(up, (4, 6, 2))[0].flops == 4320


@pytest.mark.parametrize("name", CONFIGS)
def test_shapes_and_dtypes(name, strict_dtypes):
    """Whatever networks compute in, they give float32, of the shape that the plan says."""
    config = tiny_config(name)
    for config.precision in PRECISIONS:
        gan = make_gan(config)
        state = jax.eval_shape(lambda gan=gan: create_state(gan, 0))
        variables = {"params": state.generator_params, "batch_stats": state.generator_stats}
        images, _ = jax.eval_shape(gan.generator.apply, variables, jnp.zeros((2, 8)))
        assert images.shape == (2, 20, 40, 3) and images.dtype == jnp.float32
        variables = {
            "params": state.discriminator_params,
            "batch_stats": state.discriminator_stats,
        }
        scored = jax.eval_shape(gan.discriminator.apply, variables, images)
        assert scored[0].shape == (2,) and {part.dtype for part in scored} == {jnp.dtype("float32")}


def test_an_unknown_precision_is_refused():
    config = tiny_config("ralsgan")
    config.precision = "float16"
    message = "precision must be one of float32, tf32, bfloat16, not 'float16'"
    with pytest.raises(UserError, match=message):
        make_gan(config)


@pytest.mark.slow
@given(height=st.integers(1, 8), width=st.integers(1, 8), index=st.integers(0, len(CONFIGS) - 1))
@settings(max_examples=40, deadline=None)
def test_any_multiple_of_the_upsampling_works_or_is_too_small(height, width, index):
    config = tiny_config(CONFIGS[index])
    factors = spec.total_upsampling(make_gan(config).generator.rows)
    config.height, config.width = height * factors[0], width * factors[1]
    try:
        gan = make_gan(config)
    except UserError as error:
        assert "too small" in str(error) and min(config.height, config.width) < 16
        return
    shapes = jax.eval_shape(lambda: create_state(gan, 0))
    latents = jax.ShapeDtypeStruct((2, config.latents.size), jnp.float32)
    variables = {"params": shapes.generator_params, "batch_stats": shapes.generator_stats}
    images, _ = jax.eval_shape(gan.generator.apply, variables, latents)
    assert images.shape == (2, config.height, config.width, 3)


def test_upsampling_of_the_experiments():
    factors = lambda name: spec.total_upsampling(full_gan(name).generator.rows)
    assert factors("dcgan_shallow") == factors("dcgan_deep") == factors("ralsgan") == (4, 4)
    assert factors("lsgan") == factors("r3gan") == (20, 20)
    assert factors("began") == (4, 8)


def test_a_size_that_cannot_be_made_names_the_nearest():
    config = importlib.import_module("configs.lsgan").get_config()
    config.height, config.width = 130, 321
    with pytest.raises(UserError, match="the nearest are 120 x 320 or 140 x 320"):
        make_gan(config)


def test_rows_override_the_defaults_of_their_table():
    layers = (conv(4, 3), conv(4, 3, dropout=0.1), *logit())
    rows = read_rows(*layers, dropout=0.3, norm="batch")
    assert [row.dropout for row in rows] == [0.3, 0.1, 0.0, 0.0]
    assert [row.norm for row in rows] == ["batch", "batch", "none", "none"]


@pytest.mark.parametrize(
    ("row", "message"),
    [
        (dict(op="convolution"), r"layers\[0\].op must be one of conv, .*, not 'convolution'"),
        (dict(op="conv", filtres=3), "no field 'filtres'; did you mean filters"),
        (conv(0, 3), "filters must be a whole number from 1"),
        (conv(4, 0), "kernel must be a whole number from 1"),
        (conv(4.0, 3), "filters must be a whole number from 1 to 2147483647, not 4.0"),
        (dict(op="conv", filters=4), r"layers\[0\] is missing the field kernel"),
        (
            dict(op="dense", filters=4, kernel=3),
            "kernel applies to conv, .*, from_image, not",
        ),
        (
            conv_transpose(4, 3, padding="valid"),
            "padding applies to conv, not to conv_transpose",
        ),
        (conv(4, 3, padding="full"), "must be one of same, valid, not 'full'"),
        (conv(4, 3, activation="gelu"), "activation must be one of none, .*, not 'gelu'"),
        (conv(4, 3, dropout=1.0), r"dropout must be a number in \[0, 1\), not 1.0"),
        (conv(4, 3, norm_epsilon=1e-50), "above 0, not 1e-50, which is 0 in float32"),
        (conv(4, 3, kernel_init="glorot"), "kernel_init must be one of .*, not 'glorot'"),
        (conv(4, 3, kernel_init="normal_0"), "normal_0.02"),
        (dict(op="upsample", size=(2, 0)), "size must be a pair, each a whole number from 1"),
        (["conv"], r"layers\[0\] is \['conv'\]; a row must be fields and their values"),
    ],
)
def test_mistakes_in_a_row(row, message):
    with pytest.raises(UserError, match=message):
        read_rows(row)


@pytest.mark.parametrize(
    ("name", "low", "high"),
    [("glorot_uniform", 0.126, 0.136), ("he_normal", 0.2, 0.22), ("normal_0.02", 0.019, 0.021)],
)
def test_deviation_of_initial_kernels(name, low, high):
    """Fan in 9 * 5 = 45, fan out 9 * 8 = 72: glorot sqrt(2/117) = 0.131, he sqrt(2/45) = 0.211."""
    for transposed, shape in ((False, (3, 3, 5, 8)), (True, (3, 3, 8, 5))):
        initialize = spec.kernel_initializer(name, transposed=transposed)
        draws = [initialize(jax.random.key(i), shape) for i in range(30)]
        assert low < np.std(draws) < high


def test_dropout_and_noise_act_in_training_alone():
    for field in (dict(dropout=0.5), dict(noise=1.0)):
        rows = read_rows(conv(4, 3, **field), image_output(conv(3, 3)))
        stack = modules.Stack(rows)
        images = jnp.ones((2, 4, 4, 3))
        params = stack.init(jax.random.key(0), images)
        keys = jax.random.split(jax.random.key(1), 2)
        quiet, _ = stack.apply(params, images, keys)
        first, _ = stack.apply(params, images, keys, train=True)
        again, _ = stack.apply(params, images, keys, train=True)
        other, _ = stack.apply(params, images, keys[::-1], train=True)
        assert (first == again).all() and (first != quiet).any()
        np.testing.assert_allclose(first, other[::-1], atol=1e-6)  # a mask belongs to its image
        assert (first[0] != first[1]).any()


def test_projection_is_normalised_per_unit():
    rows = read_rows(project(2), norm="batch")
    params = modules.Stack(rows, (3, 4)).init(jax.random.key(0), jnp.zeros((1, 5)))
    assert params["batch_stats"]["00_norm"]["mean"].shape == (3 * 4 * 2,)


def test_a_key_gives_the_same_dropout_in_any_precision():
    keys = jax.random.split(jax.random.key(0), 3)
    single = layers.image_dropout(jnp.ones((3, 50)), keys, 0.3)
    half = layers.image_dropout(jnp.ones((3, 50), jnp.bfloat16), keys, 0.3)
    np.testing.assert_array_equal(single > 0, half > 0)
    with jax.enable_x64(True):
        double = np.asarray(layers.image_dropout(jnp.ones((3, 50), jnp.float64), keys, 0.3))
    np.testing.assert_array_equal(single > 0, double > 0)
    assert 0.5 < (single > 0).mean() < 0.9


@pytest.mark.parametrize("rate", [0.0, 0.25, 0.9])
def test_dropout_drops_its_share(rate):
    """Of an odd number of values, and of those decided by either half of a random word."""
    dropped = layers.image_dropout(
        jnp.ones((4, 101, 33)), jax.random.split(jax.random.key(0), 4), rate
    )
    kept = np.asarray(dropped).reshape(4, -1) > 0
    halves = kept[:, :1666], kept[:, 1667:]
    for half in halves:
        assert abs(half.mean() - (1 - rate)) < 4 * np.sqrt(rate * (1 - rate) / half.size) + 1e-9
    together = (halves[0] & halves[1]).mean()
    assert abs(together - (1 - rate) ** 2) < 0.02  # one half says nothing of the other
    np.testing.assert_allclose(np.unique(dropped)[-1], 1 / (1 - rate), rtol=1e-6)


def test_noise_in_bfloat16_is_that_of_float32_rounded():
    keys = jax.random.split(jax.random.key(0), 3)
    single = layers.image_noise(jnp.zeros((3, 50)), keys, 0.3)
    half = layers.image_noise(jnp.zeros((3, 50), jnp.bfloat16), keys, 0.3)
    np.testing.assert_array_equal(half, single.astype(jnp.bfloat16))


def test_a_dense_layer_refuses_other_ranks():
    layer = layers.Dense(2, kernel_init=jax.nn.initializers.ones)
    with pytest.raises(ValueError, match=r"takes \[N, C\], not an array of shape \(1, 3, 4\)"):
        layer.init(jax.random.key(0), jnp.zeros((1, 3, 4)))


RESIDUAL = dict(norm="none", kernel_init="he_normal", slope=0.2, activation="leaky_relu")


def residual_stack(*rows, **defaults):
    rows = read_rows(*rows, **RESIDUAL | defaults)
    return modules.Stack(rows, param_dtype=jnp.float64, dtype=jnp.float64)


@pytest.mark.parametrize("filters", [3, 5])
def test_a_residual_row_adds_two_convolutions_to_its_input(filters, float64):
    """Against Flax' own convolutions, at drawn weights of all three kernels."""
    stack = residual_stack(residual(filters))
    images = jnp.asarray(np.random.default_rng(0).standard_normal((2, 5, 7, 3)))
    shapes = stack.init(jax.random.key(0), images)["params"]
    draw = np.random.default_rng(1).standard_normal
    params = jax.tree.map(lambda leaf: jnp.asarray(draw(leaf.shape)), shapes)
    block = params["00_residual"]
    assert set(block) == {"first", "second"} | ({"skip"} if filters != 3 else set())

    def conv(x, name, kernel, bias=True):
        plain = nn.Conv(filters, (kernel, kernel), use_bias=bias, param_dtype=jnp.float64)
        return plain.apply({"params": block[name]}, x)

    leaky = lambda x: jnp.where(x > 0, x, 0.2 * x)
    expected = conv(leaky(conv(leaky(images), "first", 3)), "second", 3)
    expected += images if filters == 3 else conv(images, "skip", 1, False)
    np.testing.assert_allclose(stack.apply({"params": params}, images)[0], expected, rtol=1e-9)


def test_new_residual_rows_pass_their_input_on():
    images = jnp.asarray(np.random.default_rng(0).standard_normal((2, 5, 7, 3)), jnp.float32)
    stack = modules.Stack(read_rows(*(residual(3),) * 20, **RESIDUAL))
    variables = stack.init(jax.random.key(0), images)
    np.testing.assert_array_equal(stack.apply(variables, images)[0], images)


@given(st.integers(1, 9), st.integers(1, 9), st.integers(1, 3), st.integers(1, 3))
@settings(deadline=None, max_examples=10)
def test_the_plan_of_residual_networks(height, width, down, right):
    """Shapes and parameters, whatever the size of the images."""
    layers = (
        conv(2, 1, activation="none"),
        residual(4),
        downsample((down, right)),
        residual(4, use_bias=False),
        upsample((down, right)),
    )
    rows = read_rows(*layers, **RESIDUAL)
    if height < down or width < right:
        with pytest.raises(UserError, match="too small for this network"):
            summary.plan(rows, (height, width, 3))
        return
    plan = summary.plan(rows, (height, width, 3))
    stack = modules.Stack(rows)
    images = jnp.zeros((1, height, width, 3))
    made, variables = jax.eval_shape(lambda: stack.init_with_output(jax.random.key(0), images))
    assert made[0].shape[1:] == plan[-1].shape == (height // down * down, width // right * right, 4)
    size = sum(leaf.size for leaf in jax.tree.leaves(variables["params"]))
    assert sum(row.parameters for row in plan) == size
    block, pixels = 9 * (2 * 4 + 4 * 4) + 2 * 4, height * width
    assert plan[1].flops == 2 * pixels * block and plan[1].parameters == block + 8


def test_box_resampling_repeats_and_takes_means():
    images = jnp.arange(8.0).reshape(1, 2, 4, 1)
    down = modules.RESAMPLE["downsample", "box"](images, (2, 2))
    np.testing.assert_array_equal(down[0, :, :, 0], [[2.5, 4.5]])
    up = modules.RESAMPLE["upsample", "box"](down, (1, 2))
    np.testing.assert_array_equal(up[0, :, :, 0], [[2.5, 2.5, 4.5, 4.5]])


def test_a_table_for_rgb_makes_other_channels():
    """Its last row of three filters does; others keep theirs, and so does a last row of others."""
    filters = lambda rows, channels: [row.filters for row in spec.with_channels(rows, channels)]
    rows = read_rows(project(3), conv(3, 3), image_output(conv(3, 3)))
    assert filters(rows, 1) == [3, 3, 1] and filters(rows, 4) == [3, 3, 4]
    assert spec.with_channels(rows, 3) == rows
    assert filters(read_rows(project(8), conv(5, 3)), 4) == [8, 5]
    rows = read_rows(project(8), to_image(), to_image(3))
    assert filters(rows, 1) == [8, 1, 1] and filters(rows, 4) == [8, 4, 4]


def test_a_field_of_other_rows_is_refused():
    with pytest.raises(UserError, match="filter applies to upsample, downsample, not to conv"):
        read_rows(dict(op="conv", filters=1, kernel=1, filter="linear"))
    with pytest.raises(UserError, match="filter must be one of box, linear, not 'cubic'"):
        read_rows(dict(op="upsample", size=(2, 2), filter="cubic"))
