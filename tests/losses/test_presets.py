"""A recipe changes the loss, and where asked its paper's optimiser, and nothing else."""

import pytest

from fish_jax.configs import lsgan, ralsgan
from fish_jax.errors import UserError
from fish_jax.losses import LOSSES
from fish_jax.losses.presets import PRESETS, apply_preset
from fish_jax.runs.config_file import differences, plain


def changed(before, after):
    return {line.split(":")[0] for line in differences(plain(before), plain(after))}


@pytest.mark.parametrize("name", sorted({**LOSSES, **PRESETS}))
def test_only_the_loss_changes(name):
    config = ralsgan.get_config()
    before = plain(config)
    after = apply_preset(config, name)
    assert plain(config) == before
    assert all(field.startswith("loss.") for field in changed(config, after))
    assert after.loss.name in LOSSES and after.loss.discriminator_steps == 1
    assert after.loss.separate_latents == (name == "began")
    assert after.is_locked


def test_advice_is_the_papers_optimiser():
    after = apply_preset(ralsgan.get_config(), "wgan_clip", advised=True)
    assert (after.loss.clip, after.loss.discriminator_steps) == (0.01, 5)
    assert (after.optimizer.name, after.optimizer.generator_lr) == ("rmsprop", 5e-5)
    plainly = apply_preset(ralsgan.get_config(), "bce", advised=True)
    assert changed(ralsgan.get_config(), plainly) == {"loss.name"}


def test_labels_are_left_where_a_loss_takes_them():
    assert apply_preset(lsgan.get_config(), "bce").loss.real_label == (0.9, 0.9)
    assert apply_preset(lsgan.get_config(), "hinge").loss.real_label == (1.0, 1.0)


def test_an_unknown_loss_is_told():
    with pytest.raises(UserError, match="no loss 'ralgan'; did you mean ralsgan"):
        apply_preset(ralsgan.get_config(), "ralgan")
