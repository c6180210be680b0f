"""NaN, wherever it is planted: the step that gave it is named, and what was saved before stays."""

import functools
import hashlib

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers.marks import slow
from helpers.tiny import tiny_config, tiny_images, tiny_state

import fish_jax
from fish_jax.errors import UserError
from fish_jax.gan import gradients, step
from fish_jax.runs import checkpoints, layout, metrics
from fish_jax.training import loop

BAD_STEP = 4  # of 5: the second of a line of the log
FIELDS = [f"{n}_{p}" for n in ("generator", "discriminator") for p in ("params", "stats")]
FIELDS += ["generator_optimizer", "discriminator_optimizer", "loss_state"]


def floats(tree):
    """The numbers of the leaves that are of floats."""
    leaves = jax.tree.leaves(tree)
    return [i for i, leaf in enumerate(leaves) if jnp.issubdtype(leaf.dtype, jnp.inexact)]


def spoil(tree, index, bad=True, value=jnp.nan):
    """The last number of a leaf replaced where `bad`."""
    leaves, structure = jax.tree.flatten(tree)
    leaf = leaves[index]
    spoiled = leaf.reshape(-1).at[-1].set(value).reshape(leaf.shape)
    leaves[index] = jnp.where(bad, spoiled, leaf)
    return structure.unflatten(leaves)


@pytest.mark.parametrize("name", [slow("ralsgan"), slow("began")])
def test_a_step_sees_every_number_of_a_state(name):
    config = tiny_config(name)
    gan = fish_jax.make_gan(config)
    state, images = tiny_state(gan), tiny_images(config, 4)
    advance = jax.jit(functools.partial(step.train_step, gan=gan))
    assert advance(state, images)[1]["finite"]
    for field in FIELDS:
        paths = jax.tree_util.tree_leaves_with_path(getattr(state, field))
        for index in floats(getattr(state, field)):
            where = field + jax.tree_util.keystr(paths[index][0])
            for value in watched(where):
                bad = state.replace(**{field: spoil(getattr(state, field), index, value=value)})
                assert not advance(bad, images)[1]["finite"], (where, value)


def watched(where):
    """M_global is logged and not read; an infinite second moment leaves its parameter as it is."""
    return () if "m_global" in where else (np.nan,) if ".nu" in where else (np.nan, np.inf)


def test_nothing_that_is_not_finite_is_saved(tmp_path):
    state = tiny_state(fish_jax.make_gan(tiny_config("began")))
    with checkpoints.open_checkpoints(tmp_path) as manager:
        for field in FIELDS:
            for index in floats(getattr(state, field))[:3]:
                for value in (np.nan, -np.inf):
                    bad = state.replace(**{field: spoil(getattr(state, field), index, value=value)})
                    with pytest.raises(UserError, match=rf"step 0 gave {field}\..* is not finite"):
                        checkpoints.save(manager, bad, {})
    assert not checkpoints.has_checkpoint(tmp_path)


@pytest.fixture
def config(tmp_path):
    """A run of 5 steps, 2 to a line of the log, saved after each call; its program is its own."""
    jax.clear_caches()
    config = tiny_config("lsgan_dense")
    config.data.cache = str(tmp_path / "cache")
    config.checkpoint_minutes = 0
    yield config
    jax.clear_caches()


def plant_in_gradient(network, monkeypatch):
    compute = gradients.compute_gradients

    def planted(state, *arguments, **options):
        gradients = compute(state, *arguments, **options)
        bad = spoil(getattr(gradients, network), 0, state.step == BAD_STEP - 1)
        return gradients._replace(**{network: bad})

    monkeypatch.setattr(step, "compute_gradients", planted)


def plant_in_state(field, monkeypatch):
    apply = step.apply_gradients

    def planted(state, *arguments):
        after = apply(state, *arguments)
        tree = getattr(after, field)
        return after.replace(**{field: spoil(tree, floats(tree)[0], after.step == BAD_STEP)})

    monkeypatch.setattr(step, "apply_gradients", planted)


def digests(folder):
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted((folder / layout.CHECKPOINTS).rglob("*"))
        if path.is_file()
    }


PLANTED = {
    "gradient": (plant_in_gradient, "generator", "step 4 gave a parameter or a running"),
    "parameters": (plant_in_state, "discriminator_params", "step 4 gave a parameter or a"),
    "statistics": (plant_in_state, "generator_stats", "step 4 gave a parameter or a running"),
    "moments": (plant_in_state, "generator_optimizer", "step 4 gave generator_optimizer.0.mu."),
}


@pytest.mark.parametrize(
    "place", [place if place == "gradient" else slow(place) for place in PLANTED]
)
def test_nan_stops_the_run_at_its_step(place, config, tmp_path, monkeypatch):
    plant, what, message = PLANTED[place]
    state = tiny_state(fish_jax.make_gan(config))
    plant(what, monkeypatch)
    finish, before = loop.Loop._finish_pending, [{}]

    def finished(self):
        self.run.manager.wait_until_finished()
        before.append(digests(self.run.folder))
        finish(self)

    monkeypatch.setattr(loop.Loop, "_finish_pending", finished)
    with pytest.raises(UserError) as caught:
        fish_jax.train(config, tmp_path / "run", initial=state)
    assert str(caught.value).startswith(message) and " kept" in str(caught.value)
    assert before[-1] and digests(tmp_path / "run") == before[-1]
    assert fish_jax.load(tmp_path / "run")[1].step == BAD_STEP - 1
    lines = [line["step"] for line in metrics.read_lines(tmp_path / "run")]
    assert lines == ([2, 3, 4] if what == "generator_optimizer" else [2, 3])


def test_a_run_does_not_begin_at_nan(config, tmp_path):
    state = tiny_state(fish_jax.make_gan(config))
    bad = state.replace(generator_stats=spoil(state.generator_stats, 0))
    with pytest.raises(UserError, match=r"step 0 gave generator_stats\..* is not finite"):
        fish_jax.train(config, tmp_path / "run", initial=bad)
    assert digests(tmp_path / "run") == {}


def test_pixels_are_never_nan(config, tmp_path):
    config.data.path = str(tmp_path / "images.npy")
    np.save(config.data.path, np.full((10, 20, 40, 3), np.nan, np.float32))
    with pytest.raises(UserError, match=r"a uint8 array .* not float32 \[10, 20, 40, 3\]"):
        fish_jax.train(config, tmp_path / "run")
