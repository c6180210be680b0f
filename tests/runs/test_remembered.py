"""What a run keeps of a caller's parts: changed ones are refused, missing ones asked for."""

import functools
import json

import jax
import numpy as np
import pytest
from helpers import own
from helpers.tiny import tiny_config, tiny_state

import fish_jax
from fish_jax.cli import commands
from fish_jax.errors import UserError
from fish_jax.gan.model import make_gan
from fish_jax.gan.programs import remember
from fish_jax.runs import checkpoints, config_file, directory, layout, sampling
from fish_jax.serving import export, generator
from fish_jax.serving.live_runs import make_live_runs, refresh

PARTS = {
    "loss": own.DRIFTING,
    "generator": own.Generator(),
    "discriminator": own.Critic(),
    "generator_optimizer": own.optimistic(),
}


@pytest.fixture(scope="module")
def config():
    config = tiny_config("lsgan_dense")
    config.loss.update(name="hinge", real_label=(1.0, 1.0))
    return config


@pytest.fixture(scope="module")
def begun(config, tmp_path_factory):
    """Makes the folder of a run with some parts and a checkpoint at step 0, each once."""

    @functools.cache
    def begin(*names):
        folder = tmp_path_factory.mktemp("run")
        parts = {name: PARTS[name] for name in names}
        gan = make_gan(config, **parts)
        plain = remember(config_file.plain(config), gan, parts)
        config_file.write_config(folder, plain)
        progress = {"data": "", "images": 10, "config": plain}
        with checkpoints.open_checkpoints(folder / layout.CHECKPOINTS) as manager:
            checkpoints.save(manager, tiny_state(gan), progress)
        return folder

    return begin


def parts_of(*names):
    return {name: PARTS[name] for name in names}


def check(folder, config, **parts):
    """The check before a start with these parts."""
    plain = config_file.plain(config)
    directory.check(folder, remember(plain, make_gan(config, **parts), parts))


def test_the_same_parts_resume(begun, config):
    check(begun("loss"), config, loss=own.DRIFTING)
    check(begun(*PARTS), config, **PARTS)


@pytest.mark.parametrize("name", PARTS)
def test_a_missing_part_is_asked_for_by_its_name(begun, config, name):
    kept = json.loads((begun(*PARTS) / layout.CONFIG).read_text())["own"][name]["name"]
    others = {other: part for other, part in PARTS.items() if other != name}
    with pytest.raises(
        UserError, match=rf"passed from Python, {kept}; pass it again as {name}=\.\.\."
    ):
        check(begun(*PARTS), config, **others)


def test_a_changed_part_is_refused_as_a_changed_field_is(begun, config):
    with pytest.raises(UserError) as caught:
        check(begun("loss"), config, loss=own.soft_gap)
    lines = str(caught.value).splitlines()
    assert lines[0].endswith("They differ in:")
    assert "  loss.name: 'drifting' there, 'soft_gap' now" in lines
    assert any(line.startswith("  own.loss.program: ") for line in lines)
    with pytest.raises(UserError, match="own.generator.name: '.absent.' there, 'Generator' now"):
        check(begun("loss"), config, **parts_of("loss", "generator"))
    wider = {**PARTS, "generator": own.Generator(6)}
    with pytest.raises(UserError, match="They differ in:\n  own.generator.program: "):
        check(begun(*PARTS), config, **wider)


def test_under_other_versions_only_names_count(config):
    plain = config_file.plain(config)
    now = remember(plain, make_gan(config, loss=own.soft_gap), {"loss": own.soft_gap})
    before = json.loads(json.dumps(now))
    before["own"]["traced_with"] = "jax 0.10.1, flax 0.12.0, optax 0.2.5"
    before["own"]["loss"]["program"] = "0" * 16
    assert config_file.differences(before, now) == []
    before["own"]["loss"]["name"] = before["loss"]["name"] = "other"
    assert [line.split(":")[0] for line in config_file.differences(before, now)] == [
        "loss.name",
        "own.loss.name",
    ]


def test_images_are_drawn_without_the_loss(begun):
    """And the rest of the state is there, which a full restore gives as well."""
    folder = begun("loss")
    gan, state = sampling.load(folder)
    whole_gan, whole = sampling.load(folder, loss=own.DRIFTING)
    assert state.loss_state == {} and whole.loss_state["mean"] == np.float32(0.5)
    for a, b in zip(*(jax.tree.leaves(s.replace(loss_state={}, key=None)) for s in (state, whole))):
        np.testing.assert_array_equal(a, b)
    images = fish_jax.sample(folder, [1, 2])
    assert images.shape == (2, 20, 40, 3)
    np.testing.assert_array_equal(images, fish_jax.sample(folder, [1, 2], loss=own.DRIFTING))
    assert gan == sampling.load(folder)[0] and whole_gan.objective is own.DRIFTING


def test_images_need_the_generator_alone(begun):
    folder = begun(*PARTS)
    with pytest.raises(
        UserError, match=r"config.json: this run was trained with a generator passed"
    ):
        fish_jax.sample(folder, [1])
    _, state = fish_jax.load(folder, generator=own.Generator())
    assert state.discriminator_params == {} and state.generator_optimizer == {}
    alone = fish_jax.sample(folder, [1, 2], generator=own.Generator())
    np.testing.assert_array_equal(alone, fish_jax.sample(folder, [1, 2], **PARTS))
    walked = fish_jax.walk(folder, [1, 2], frames=2, generator=own.Generator())
    assert walked.shape == (4, 20, 40, 3)
    with pytest.raises(UserError, match="(?s)other parts than those passed.*own.generator"):
        fish_jax.load(folder, generator=own.Generator(6))


def test_parts_that_a_run_never_had_are_refused(begun):
    with pytest.raises(UserError, match="own.generator.name: '.absent.' there"):
        fish_jax.load(begun("loss"), generator=own.Generator())


def test_the_command_line_samples_exports_and_serves_a_run_of_an_own_loss(begun, tmp_path):
    folder = begun("loss")
    commands.sample(str(folder), "1-4", str(tmp_path / "grid.png"), True, "newest")
    assert (tmp_path / "grid.png").exists()
    served = generator.load(folder)
    assert served.facts["loss"] == "drifting" and served.gan == generator.load(folder).gan
    with pytest.raises(UserError, match="this run was trained with a generator passed from Python"):
        commands.sample(str(begun(*PARTS)), "1-4", str(tmp_path / "other.png"), True, "newest")


def test_exports_of_own_parts(begun):
    files = export.contents(begun(*PARTS), generator=own.Generator())
    card = json.loads(files[export.CARD])
    assert card["config"]["own"]["generator"]["name"] == "Generator"
    assert len(files[export.GENERATOR]) > 1000


def test_a_run_of_own_parts_is_served(begun):
    (run,) = make_live_runs([begun(*PARTS)], generator=own.Generator())
    refresh(run)
    assert run.fault == "" and run.generator.facts["loss"] == "drifting"


def train_config(config, tmp_path):
    config = config.copy_and_resolve_references()
    config.data.cache = str(tmp_path / "cache")
    config.epochs = 1
    return config


@pytest.mark.slow
def test_a_run_of_own_parts_resumes_to_the_same_numbers(config, tmp_path):
    config = train_config(config, tmp_path)
    config.epochs = 2
    whole = fish_jax.train(config, tmp_path / "whole", **PARTS)
    config.epochs = 1
    fish_jax.train(config, tmp_path / "cut", **PARTS)
    config.epochs = 2
    cut = fish_jax.train(config, tmp_path / "cut", **PARTS)
    for a, b in zip(*(jax.tree.leaves(s.replace(key=None)) for s in (whole, cut))):
        np.testing.assert_array_equal(a, b)
    with pytest.raises(UserError, match="a loss passed from Python, drifting; pass it again"):
        fish_jax.train(config, tmp_path / "cut", **{**PARTS, "loss": None})


@pytest.mark.slow
def test_a_registered_loss_trains_and_its_run_is_sampled_without_it(config, tmp_path):
    config = train_config(config, tmp_path)
    fish_jax.losses.register("mine", own.soft_gap)
    try:
        config.loss.name = "mine"
        fish_jax.train(config, tmp_path / "run")
    finally:
        del fish_jax.losses.LOSSES["mine"]
    assert json.loads((tmp_path / "run" / "config.json").read_text())["own"]["loss"]["program"]
    assert fish_jax.sample(tmp_path / "run", [1]).shape == (1, 20, 40, 3)
    config.loss.name = "hinge"
    with pytest.raises(UserError, match="a loss passed from Python, mine; .*file that registers"):
        fish_jax.train(config, tmp_path / "run")
