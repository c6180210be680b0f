"""A run that starts from the weights of another, with the first rows of D held still."""

import shutil

import jax
import numpy as np
import pytest
from helpers.tiny import tiny_config

import fish_jax
from fish_jax.errors import UserError


def kernels(state):
    encoder = state.discriminator_params["encode"]
    return [np.asarray(encoder[f"{row:02d}_dense"]["kernel"]) for row in (1, 2, 3)]


@pytest.mark.slow
def test_weights_come_from_another_run_and_held_rows_keep_them(tmp_path, capsys):
    config = tiny_config("lsgan_dense")
    config.data.cache, config.epochs = str(tmp_path / "cache"), 1
    fish_jax.train(config, tmp_path / "first")
    first = fish_jax.load(tmp_path / "first")[1]
    config.data.seed, config.seed, config.freeze = 1, 5, 2  # other fish; row 0 has no weights
    second = lambda: fish_jax.train(config, tmp_path / "second", initial=tmp_path / "first")
    state = second()
    assert f"starting from the weights of {tmp_path}/first, step 3" in capsys.readouterr().err
    assert first.step == state.step == 3
    held, *moved = zip(kernels(first), kernels(state))
    np.testing.assert_array_equal(*held)
    assert all(np.any(before != after) for before, after in moved)

    shutil.rmtree(tmp_path / "first")  # a run that has begun does not need it
    config.epochs = 2
    assert second().step == 5
    assert "the given initial weights are not used: the run already has" in capsys.readouterr().err
    np.testing.assert_array_equal(
        kernels(first)[0], kernels(fish_jax.load(tmp_path / "second")[1])[0]
    )

    config.freeze = 1
    with pytest.raises(UserError, match="freeze: 2 there, 1 now"):
        second()


@pytest.mark.parametrize("callbacks", [None, print, {"on_log": print}])
def test_callbacks_of_another_kind_are_refused_before_anything_is_made(tmp_path, callbacks):
    with pytest.raises(UserError, match=r"callbacks must be fish_jax.Callbacks\(on_log=...\), not"):
        fish_jax.train(tiny_config("lsgan_dense"), tmp_path / "run", callbacks=callbacks)
    assert not (tmp_path / "run").exists()


@pytest.mark.slow
def test_the_first_state_is_saved_and_the_given_one_is_left(tmp_path):
    """Killed before its first checkpoint, a run begins at the same weights again."""
    config = tiny_config("lsgan_dense")
    config.data.cache, config.epochs = str(tmp_path / "cache"), 1
    state = fish_jax.create_state(fish_jax.make_gan(config), 7).replace(step=np.int32(40))
    fish_jax.train(config, tmp_path / "run", initial=state)
    assert (tmp_path / "run" / "checkpoints" / "0").is_dir()
    assert not any(
        leaf.is_deleted() for leaf in jax.tree.leaves(state) if hasattr(leaf, "is_deleted")
    )
