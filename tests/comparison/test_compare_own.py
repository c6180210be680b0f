"""Losses, networks and optimisers of a caller, compared with those of the package."""

import json

import pytest
from helpers import own

import fish_jax
from fish_jax.comparison import plan, runner
from fish_jax.comparison.report import curves, page
from fish_jax.comparison.results import Mark, Outcome
from fish_jax.errors import UserError
from fish_jax.losses import Loss, stateless
from fish_jax.runs import layout


@pytest.fixture
def trained(monkeypatch):
    """Runs leave marks of real images' scores; gives what each was trained with."""
    seen = {}

    def train(config, folder, devices, callbacks, images, **parts):
        seen[config.name] = config, parts
        for epoch in callbacks.epochs:
            callbacks.on_epoch(epoch, None, None)

    def judge(member, gan, state, epoch, references, shown):
        mark = Mark(epoch, 96 * epoch, 6 * epoch, dict(references.floors), [0.1], [0.2])
        member.folder.mkdir(parents=True, exist_ok=True)
        mark.write(runner._mark_path(member, epoch))

    monkeypatch.setattr(runner, "train", train)
    monkeypatch.setattr(runner, "_judge", judge)
    return seen


LOSSES = {"mine": own.soft_gap, "plain": "hinge", "wgan_gp": "wgan_gp"}


def test_losses_by_name_are_ours_and_a_callers(config, tmp_path, trained):
    """Labels are the config's only where a loss takes them; networks are the same in all."""
    found = fish_jax.compare(LOSSES, config, [3], tmp_path / "a", 1, generator=own.Generator())
    assert found.losses == ("mine", "plain", "wgan_gp")
    assert {name: c.loss.name for name, (c, _) in trained.items()} == {
        "mine-3": "lsgan",  # as in the config; it is not read
        "plain-3": "hinge",
        "wgan_gp-3": "wgan",
    }
    assert all(c.loss.real_label == (1.0, 1.0) for c, _ in trained.values())
    assert all(parts["generator"] == own.Generator() for _, parts in trained.values())
    assert [("loss" in parts) for _, parts in trained.values()] == [True, False, False]
    mine = found.outcomes[0].settings
    assert mine["loss"]["name"] == mine["own"]["loss"]["name"] == "mine"
    assert found.outcomes[1].settings["own"].keys() == {"generator", "traced_with"}
    shared = json.loads((tmp_path / "a" / layout.COMPARISON).read_text())["config"]
    assert shared["own"].keys() == {"generator", "traced_with"}
    assert "mine" in page.render(found)


def test_losses_may_change_places_and_come_and_go(config, tmp_path, trained):
    """What all runs share does not depend on which loss is the first."""
    share = lambda losses: fish_jax.compare(
        losses, config, [3], tmp_path / "a", 1, generator=own.Generator()
    )
    share({"mine": own.soft_gap, "plain": "hinge"})
    share({"plain": "hinge", "mine": own.soft_gap})
    share({"plain": "hinge"})
    share({"other": own.sharp_gap, "plain": "hinge"})


def test_what_all_runs_share_may_not_change(config, tmp_path, trained):
    fish_jax.compare(LOSSES, config, [3], tmp_path / "a", 1, generator=own.Generator())
    with pytest.raises(UserError, match="holds another comparison; .*\n  own.generator.program: "):
        fish_jax.compare(["hinge"], config, [3], tmp_path / "a", 1, generator=own.Generator(6))
    with pytest.raises(UserError, match="holds another comparison"):
        fish_jax.compare(["hinge"], config, [3], tmp_path / "a", 1)


def test_a_changed_loss_is_refused_where_its_run_was_begun(config, tmp_path, trained):
    members = plan.plan_runs(LOSSES, config, [3], tmp_path, False)
    plain = runner.remembered(members[0])
    (members[0].folder / layout.CHECKPOINTS / "7").mkdir(parents=True)
    (members[0].folder / layout.CONFIG).write_text(json.dumps(plain))
    runner.check(members[0])
    (changed,) = plan.plan_runs({"mine": own.sharp_gap}, config, [3], tmp_path, False)
    with pytest.raises(
        UserError, match="(?s)mine, seed 3, was started with other.*own.loss.program"
    ):
        runner.check(changed)
    (ours,) = plan.plan_runs({"mine": "hinge"}, config, [3], tmp_path, False)
    with pytest.raises(
        UserError, match="this run was trained with a loss passed from Python, mine; pass it again"
    ):
        runner.check(ours)


def test_configs_with_parts_of_their_own(config, tmp_path, trained):
    parts = {"discriminator": own.Critic(), "discriminator_optimizer": own.optimistic()}
    configs = {"tables": config, "mine": (config, parts)}
    found = fish_jax.compare_configs(configs, [0], tmp_path / "a", 1)
    assert {name: of for name, (_, of) in trained.items()} == {"tables-0": {}, "mine-0": parts}
    assert found.outcomes[1].settings["own"]["discriminator"]["name"] == "Critic"
    assert "own" not in found.outcomes[0].settings
    assert "Critic" in page.render(found)


@pytest.mark.parametrize(
    "losses, parts, message",
    [
        ({"mine": 3}, {}, "a loss must be a function"),
        ({"mine": "hings"}, {}, "there is no loss 'hings'"),
        ({"a/b": own.soft_gap}, {}, "a loss's name must be a plain folder name"),
        ({}, {}, "at least one loss"),
        (["hinge"], {"loss": own.soft_gap}, "takes losses by name"),
        (["hinge"], {"generator": 3}, "loss hinge does not fit these networks: generator must"),
        (["hinge"], {"genrator": 3}, "did you mean generator"),
    ],
)
def test_what_cannot_be_compared_is_told(config, tmp_path, losses, parts, message):
    with pytest.raises(UserError, match=message):
        fish_jax.compare(losses, config, [0], tmp_path / "a", **parts)
    assert not (tmp_path / "a").exists()


@pytest.mark.parametrize(
    "value, message",
    [
        (lambda config: (config, own.Critic()), "config 'a' comes with Critic"),
        (
            lambda config: (config, {"critic": 1}),
            "config 'a' cannot be trained: there is no part 'cri",
        ),
        (
            lambda config: (config,),
            "config 'a' cannot be trained: the config must map names of fields",
        ),
    ],
)
def test_pairs_that_are_none(config, tmp_path, value, message):
    with pytest.raises(UserError, match=message):
        fish_jax.compare_configs({"a": value(config)}, [0], tmp_path / "a")


def test_energies_of_a_callers_loss_are_read_as_such(config):
    energies = Loss(lambda settings: stateless(own.soft_gap), energy=True)
    losses = {"low": energies, "high": own.soft_gap}
    drawn = []
    for member in plan.plan_runs(
        losses, config, [0], plan.Path(), False, discriminator=own.Critic()
    ):
        marks = (Mark(1, 10, 1, {"frechet": 2.0}, [0.1], [0.8]),)
        settings = runner.remembered(member)
        drawn.append(curves.verdicts(Outcome("x", 0, None, marks, 1.0, settings=settings)))
    assert ">100 %<" in drawn[0] and ">energy<" in drawn[0]
    assert ">0 %<" in drawn[1] and ">score<" in drawn[1]


@pytest.mark.slow
def test_a_comparison_with_a_loss_and_networks_of_a_caller(config, tmp_path):
    """Trained and judged for real, and cut off between two calls."""
    parts = {"generator": own.Generator(), "discriminator": own.Critic()}
    losses = {"mine": own.DRIFTING, "hinge": "hinge"}
    arguments = (config, [3], tmp_path / "a", 1)
    first = fish_jax.compare({"mine": own.DRIFTING}, *arguments, **parts)
    found = fish_jax.compare(losses, *arguments, **parts)
    assert found.outcomes[0] == first.outcomes[0]
    assert "drift" in found.outcomes[0].curves and "drift" not in found.outcomes[1].curves
    assert found.save(tmp_path / "page").exists()
