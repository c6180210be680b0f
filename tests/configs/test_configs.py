"""The settings of each experiment, written out from the report, and its demo."""

import importlib
import itertools

import numpy as np
import pytest
from helpers.tiny import CONFIGS

from fish_jax.gan.model import make_gan, plan_discriminator, plan_generator
from fish_jax.gan.summary import plan_levels
from fish_jax.networks.spec import total_upsampling
from fish_jax.runs.config_file import plain

NOISY = ((0.9, 1.0), (0.0, 0.1), (0.9, 1.0))
CLEAN = ((1.0, 1.0), (0.0, 0.0), (1.0, 1.0))
DCGAN = ("bce", 0.5, 1.0, NOISY, "keras_adam", 1e-4, 2e-4, 0.5, 1e-7, 405, 32, 0.3)
LSGAN = (
    *("lsgan", 1.0, 2.0, ((0.9, 0.9), (0.0, 0.0), (1.0, 1.0))),
    "keras_adam",
    1e-3,
    1e-3,
    0.9,
    1e-3,
    400,
    32,
    0.2,
)
# loss, factors of D and G, labels, optimiser, learning rates of G and D, b1, eps, epochs, batch,
# slope of LeakyReLU
FACTS = {
    "dcgan_shallow": DCGAN,
    "dcgan_deep": DCGAN,
    "dcgan_feature_matching": DCGAN,
    "lsgan": LSGAN,
    "lsgan_dense": LSGAN,
    "ralsgan": ("ralsgan", 1.0, 1.0, CLEAN, "keras_adam", 2e-4, 2e-4, 0.5, 1e-7, 400, 32, 0.3),
    "ralsgan_high_lr": (
        ("ralsgan", 1.0, 1.0, CLEAN, "keras_adam", 2e-3, 2e-3, 0.5, 1e-7, 50, 32, 0.3)
    ),
    "ragan_sgd": ("rabce", 1.0, 1.0, CLEAN, "sgd", 0.01, 0.01, 0.5, 1e-7, 100, 32, 0.3),
    "began": ("began", 1.0, 1.0, CLEAN, "keras_adam", 1e-4, 1e-4, 0.9, 1e-7, 260, 16, 0.3),
}


# Not of the report.
OTHERS = {"best", "ebgan", "hinge", "r3gan", "rpgan_r1r2", "sngan", "wgan_gp"}


def load(name, variant=""):
    return importlib.import_module(f"fish_jax.configs.{name}").get_config(variant)


def test_every_experiment_is_of_the_report_or_not():
    assert set(CONFIGS) == FACTS.keys() | OTHERS


@pytest.mark.parametrize("name", FACTS)
def test_settings_of_the_report(name):
    config = load(name)
    loss, optimizer = config.loss, config.optimizer
    labels = (loss.real_label, loss.fake_label, loss.generator_label)
    settings = (loss.name, loss.d_factor, loss.g_factor, labels, optimizer.name)
    settings += (optimizer.generator_lr, optimizer.discriminator_lr, optimizer.b1, optimizer.eps)
    settings += (config.epochs, config.batch_size, config.generator.slope)
    assert settings == FACTS[name]
    assert (config.height, config.width, optimizer.b2) == (140, 320, 0.999)
    assert config.generator.slope == config.discriminator.slope
    assert (config.generator.norm_momentum, config.generator.norm_epsilon) == (0.99, 1e-3)
    matching = "scalar" if name == "dcgan_feature_matching" else "none"
    assert loss.feature_matching == matching and loss.feature_matching_weight == 1


def test_settings_beyond_the_report():
    """Weights and rates of the papers that the configs cite."""
    loss, optimizer = load("wgan_gp").loss, load("wgan_gp").optimizer
    assert (loss.name, loss.gradient_penalty, loss.discriminator_steps) == ("wgan", 10, 5)
    assert (optimizer.generator_lr, optimizer.b1, optimizer.b2) == (1e-4, 0, 0.9)
    loss, optimizer = load("rpgan_r1r2").loss, load("rpgan_r1r2").optimizer
    assert (loss.name, loss.r1, loss.r2, optimizer.b1) == ("rpgan", 2, 2, 0)
    loss = load("ebgan").loss
    assert (loss.name, loss.pulling_away, loss.separate_latents) == ("ebgan", 0.1, False)
    assert load("hinge").loss.name == "hinge"
    for name in ("hinge", "rpgan_r1r2", "wgan_gp"):
        rows = make_gan(load(name)).discriminator.encoder
        assert {row.norm for row in rows} == {"none"}


def test_settings_of_the_recipe():
    """Those that docs/recipe.md measured."""
    config = load("best", "demo")
    assert (config.loss.name, config.loss.augment, config.batch_size) == ("ralsgan", "", 8)
    assert (config.loss.r1, config.loss.r2, config.loss.penalty_every) == (1.0, 0.0, 4)
    assert (config.average.half_life, config.average.ramp_up) == (10_000, 0.02)
    optimizer = config.optimizer
    assert (optimizer.name, optimizer.b1, optimizer.b2) == ("keras_adam", 0.0, 0.99)
    assert (optimizer.generator_lr, optimizer.discriminator_lr) == (1e-3, 5e-4)
    lowest = ["project", "conv", "double", "conv", "double", "conv", "to_image"]
    assert [row.op for row in make_gan(config).generator.rows[:7]] == lowest


def test_levels_of_the_recipe():
    """Its demo is the lower two; each begins at zero, but for the lowest."""
    gan, demo = make_gan(load("best")), make_gan(load("best", "demo"))
    sizes = [[level.image_size for level in plan_levels(each)] for each in (gan, demo)]
    assert sizes == [[(35, 80), (70, 160), (140, 320)], [(28, 64), (56, 128)]]
    assert demo.generator.rows == gan.generator.rows[:-4]
    assert demo.discriminator.encoder == gan.discriminator.encoder[2:]
    assert {row.norm for row in gan.discriminator.encoder} == {"none"}
    added = [row for row in gan.generator.rows if row.op == "to_image"]
    assert [row.kernel_init == "zeros" for row in added] == [False, True, True]
    encoder = gan.discriminator.encoder
    joins = [above for above, row in itertools.pairwise(encoder) if row.op == "from_image"]
    assert all(row.kernel_init == "zeros" and row.norm == "none" for row in joins)
    assert {row.activation for row in joins} == {"none"} and len(joins) == 2


def test_settings_of_r3gan():
    """Those that docs/design/flat.md measured."""
    config = load("r3gan", "demo")
    loss, optimizer = config.loss, config.optimizer
    assert (loss.name, loss.r1, loss.r2, loss.augment) == ("rpgan", 1.0, 1.0, "")
    assert (optimizer.name, optimizer.b1, optimizer.b2) == ("keras_adam", 0.0, 0.99)
    assert (optimizer.generator_lr, optimizer.discriminator_lr) == (5e-4, 5e-4)
    gan = make_gan(config)
    tables = (gan.generator.rows, gan.discriminator.encoder)
    assert {row.norm for rows in tables for row in rows} == {"none"}
    resampling = [row for rows in tables for row in rows if row.op in ("upsample", "downsample")]
    assert len(resampling) == 4 and {row.filter for row in resampling} == {"linear"}


def test_began_settings():
    config = load("began")
    assert (config.loss.gamma, config.loss.lambda_k) == (0.7, 0.003)
    assert config.loss.separate_latents
    assert (config.latents.size, config.latents.distribution) == (256, "uniform")
    for name in FACTS.keys() - {"began"}:
        assert load(name).latents.to_dict() == {"size": 100, "distribution": "normal"}


@pytest.mark.parametrize("name", sorted({*CONFIGS} - {"best"}))
def test_demos_are_small_versions_of_the_same_rows(name):
    config, demo = load(name), load(name, "demo")
    assert demo.name == f"{name}-demo" and demo.height * demo.width <= 40 * 80
    full, small = make_gan(config), make_gan(demo)
    rows = full.generator.rows
    first = {  # their demos begin a level later: 28 x 64 is no multiple of 20
        "r3gan": ["project", "residual", "conv", "upsample"],
    }
    if name in first:
        own = first[name]
        assert [row.op for row in rows[: len(own)]] == own
        rows = (rows[0], *rows[len(own) :])
    factors = [total_upsampling(table) for table in (rows, small.generator.rows)]
    assert factors[0] == factors[1]
    assert [row.op for row in rows] == [row.op for row in small.generator.rows]
    for ours, theirs in zip(small.generator.rows, rows):
        assert ours.filters <= theirs.filters and ours.activation == theirs.activation
    assert sum(row.flops for row in plan_generator(small)) < 1e8
    assert sum(row.flops for rows in plan_discriminator(small) for row in rows) < 1e8
    changed = {"name", "height", "width", "batch_size", "epochs"}
    before, after = plain(config), plain(demo)
    assert {key for key in before if before[key] != after[key]} <= changed | {
        "generator",
        "discriminator",
        "optimizer",
    }


@pytest.mark.parametrize("name", CONFIGS)
def test_an_unknown_variant_is_refused(name):
    with pytest.raises(ValueError, match="no variant 'dmo'; the only one is demo"):
        load(name, "dmo")


def test_a_misspelt_field_is_refused_in_python():
    config = load("ralsgan")
    for section, field in ((config, "epoch"), (config.optimizer, "lr"), (config.generator, "drop")):
        with pytest.raises(AttributeError, match=field):
            setattr(section, field, 3)


def test_slopes_reach_every_row():
    slopes = {row.slope for row in make_gan(load("lsgan")).generator.rows}
    np.testing.assert_allclose(sorted(slopes), [0.2])
