"""What a run will cost, of networks that grow too."""

from helpers.growing import growing_config

from fish_jax.gan.model import make_gan
from fish_jax.gan.summary import Level, describe, plan_levels
from fish_jax.training import estimate, input_pipeline

LEVELS = (Level(0, (9, 13), 10), Level(100, (18, 26), 30), Level(160, (35, 51), 50))


def test_operations_that_are_left():
    total = 100 * 10 + 60 * 30 + 40 * 50
    assert estimate.remaining_flops(LEVELS, 0, 200) == total
    assert estimate.remaining_flops(LEVELS, 130, 200) == 30 * 30 + 40 * 50
    assert estimate.remaining_flops(LEVELS, 0, 90) == 900
    assert estimate.remaining_flops(LEVELS, 200, 200) == 0
    assert estimate.remaining_flops(LEVELS[:1], 5, 20) == 150


def test_the_note_and_the_table_name_the_levels_that_are_reached():
    config = growing_config()
    gan, plan = make_gan(config), input_pipeline.Plan(2, 12, streams=False)
    note = estimate.starting_note(config, plan_levels(gan), 12, plan, 1)
    assert note.startswith("2 epochs of 12 images, 6 steps of 4, of 18 x 26 pixels from image 8 on")
    assert "of 35 x 51 pixels from image 16 on" in note
    config.epochs = 1
    note = estimate.starting_note(config, plan_levels(gan), 12, plan, 1)
    assert note.startswith("1 epoch of 12 images, 3 steps of 4, of 18 x 26 pixels from image 8 on;")
    assert "level 2 of 3, 18 x 26 pixels, from image 8 on: 0.002 GFLOP" in describe(gan)
