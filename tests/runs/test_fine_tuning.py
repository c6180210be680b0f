"""Runs that start from another: what `initial` may be."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers import own
from helpers.tiny import tiny_config, tiny_state, write_run

import fish_jax
from fish_jax.errors import UserError
from fish_jax.gan.model import make_gan
from fish_jax.gan.programs import remember
from fish_jax.gan.state import create_state
from fish_jax.runs import checkpoints, config_file, layout
from fish_jax.runs.fine_tuning import start_from


@pytest.fixture(scope="module")
def config():
    return tiny_config("lsgan_dense")


@pytest.fixture(scope="module")
def gan(config):
    return make_gan(config)


@pytest.fixture(scope="module")
def folder(config, gan, tmp_path_factory):
    """A run at step 12."""
    state = tiny_state(gan).replace(step=jnp.int32(12))
    return write_run(tmp_path_factory.mktemp("other"), config, state)


def test_a_folder_and_what_load_gives_of_it_are_taken(gan, folder, capsys):
    state = fish_jax.load(folder)[1]
    for initial in (folder, str(folder), state):
        begun = start_from(initial, gan, 5, {})
        assert begun.step == 0 and state.step == 12
        kernel = begun.discriminator_params["encode"]["01_dense"]["kernel"]
        np.testing.assert_array_equal(
            kernel, state.discriminator_params["encode"]["01_dense"]["kernel"]
        )
    told = f"starting from the weights of {folder}, step 12\n"
    assert capsys.readouterr().err == 2 * told


def test_another_network_is_named_with_the_folder(config, folder):
    wider = config.copy_and_resolve_references()
    wider.latents.size = 9
    with pytest.raises(
        UserError, match=f"{folder} does not fit this config: 00_dense.kernel of the"
    ):
        start_from(folder, make_gan(wider), 0, {})


@pytest.mark.parametrize("initial", [("gan", "state"), 3, {"params": 1}])
def test_what_is_neither_a_folder_nor_a_state(config, tmp_path, initial):
    with pytest.raises(UserError, match=r"initial is .*; pass the folder of a run, or a state"):
        fish_jax.train(config, tmp_path / "run", initial=initial)


def test_no_run_and_no_checkpoint(config, tmp_path):
    with pytest.raises(UserError, match="nowhere is not the folder of a run"):
        fish_jax.train(config, tmp_path / "run", initial=tmp_path / "nowhere")
    config_file.write_config(tmp_path, config_file.plain(config))
    with pytest.raises(UserError, match="has no checkpoint yet; train it first"):
        fish_jax.train(config, tmp_path / "run", initial=tmp_path)


def test_networks_of_a_caller_are_those_of_the_new_run(config, tmp_path):
    """They are not asked for twice, and one that is not handed over is asked for by its name."""
    config = config.copy_and_resolve_references()
    config.height, config.width = own.SIZE
    parts = {"generator": own.Generator(), "discriminator": own.Critic()}
    gan, folder = make_gan(config, **parts), tmp_path / "other"
    plain = remember(config_file.plain(config), gan, parts)
    folder.mkdir()
    config_file.write_config(folder, plain)
    state = create_state(gan, 0)
    with checkpoints.open_checkpoints(folder / layout.CHECKPOINTS) as manager:
        checkpoints.save(manager, state, {})
    begun = start_from(folder, gan, 5, parts | {"loss": own.soft_gap})
    for a, b in zip(
        *map(jax.tree.leaves, (begun.discriminator_params, state.discriminator_params))
    ):
        np.testing.assert_array_equal(a, b)
    without = {"generator": own.Generator()}
    with pytest.raises(
        UserError, match="trained with a discriminator passed from Python, Critic; pass it"
    ):
        start_from(folder, make_gan(config, **without), 5, without)
