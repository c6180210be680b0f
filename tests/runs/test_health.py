"""What is said of a run's health: values at chance, and findings of logs as they were seen."""

import math

import jax
import numpy as np
import pytest
from helpers.tiny import tiny_config

from fish_jax import losses
from fish_jax.cli import commands
from fish_jax.evaluation import scores as scores_module
from fish_jax.evaluation import scores_file
from fish_jax.gan.model import make_gan
from fish_jax.losses import LOSSES
from fish_jax.losses.presets import apply_preset
from fish_jax.runs import config_file, health


def test_diversity_is_the_deviation_among_images():
    images = np.zeros((2, 1, 2, 3), np.uint8)
    images[1, 0, 0] = 10  # of two pixels one deviates, by 10 / sqrt(2)
    assert health.diversity(images) == pytest.approx(5.0)
    assert health.diversity(images[:1]) == 0


@pytest.mark.parametrize(
    "name, value",
    [
        *(("bce", 2 * math.log(2)), ("minimax", 2 * math.log(2)), ("lsgan", 0.25), ("hinge", 2.0)),
        *(("rpgan", math.log(2)), ("rplsgan", 1.0), ("rphinge", 1.0), ("ralsgan", 1.0)),
        *(("rabce", math.log(2)), ("rahinge", 1.0), ("ebgan", 1.0)),
        *(("wgan", math.nan), ("began", math.nan)),
    ],
)
def test_loss_of_a_discriminator_that_tells_nothing_apart(name, value):
    gan = make_gan(apply_preset(tiny_config("began"), name))
    np.testing.assert_allclose(health.chance(gan, 4), value * gan.loss.d_factor, rtol=1e-6)


def test_every_loss_has_a_value_at_chance_or_none():
    for name in LOSSES:
        health.chance(make_gan(apply_preset(tiny_config("began"), name)), 4)


def log(last, **values):
    line = {"steps": 50, "d_loss": 0.6, "g_loss": 3.0, "fooled": 0.2} | values
    return [line | {"step": s, "images": 32 * s} for s in range(50, last + 1, 50)]


def found(lines, by_chance=1.0):
    return [finding.name for finding in health.diagnose(health.recent(lines), by_chance)]


def test_findings_of_a_log():
    """Losses as ralsgan and ralsgan_high_lr had them at 140 x 320 from step 1,250 on."""
    assert found(log(2100)) == []
    high = log(2100)
    for line, loss in zip(high[-20:], 4 * (2.243, 21.268, 0.907, 12.664, 0.805)):
        line["d_loss"] = loss
    assert found(high) == ["divergence"]
    assert found(high[:39]) == []  # 1,950 steps are too few to tell
    assert found(log(2100, d_loss=1.4)) == []
    assert found(log(2100, d_loss=50.0), math.nan) == []
    assert found(log(2100, d_loss=0.005, fooled=0.0)) == ["saturation"]
    assert found(log(2100, d_loss=0.005, fooled=0.1)) == []
    assert found(log(2100, d_loss=0.3, r1=0.29, fooled=0.0)) == ["saturation"]
    assert found(log(2100, diversity=0.1)) == ["collapse"]
    assert found(log(2100, diversity=0.1)[:-1] + log(2100, diversity=0.9)[-1:]) == []
    text = health.diagnose(health.recent(high), 1.0)[0].text
    assert (
        "the mean loss of D is 7.58, while a D that cannot tell real from generated images has 1;"
        in text
    )


def test_a_finding_looks_back_a_thousand_steps():
    lines = log(4000)
    assert [line["step"] for line in health.recent(lines)] == list(range(3050, 4001, 50))
    assert found(log(3000, d_loss=90.0) + lines[60:]) == []


FLOORS = {"similarity": 0.1, "coverage": 0.95, "precision": 0.8, "memorisation": 1.0}


@pytest.mark.parametrize(
    "changed, names",
    [
        ({}, []),
        ({"similarity": 0.4}, ["collapse"]),
        ({"similarity": 0.35}, []),
        ({"coverage": 0.13}, ["collapse"]),  # ten photographs forty times each
        ({"coverage": 0.25}, []),
        ({"coverage": 0.05, "precision": 0.1}, []),  # poor, not alike
        ({"memorisation": 0.5}, ["memorisation"]),
        ({"memorisation": 1.8}, []),
        ({"copies": 0.04}, []),
        ({"copies": 0.1}, ["memorisation"]),
        ({"similarity": 0.9, "memorisation": 0.1}, ["collapse", "memorisation"]),
    ],
)
def test_findings_of_scores(changed, names):
    found = health.judged(FLOORS | changed, FLOORS, 640, 2000)
    assert [finding.name for finding in found] == names
    assert all(finding.images == 640 for finding in found)
    begun = health.judged(FLOORS | changed, FLOORS, 640, 1999)
    assert [finding.name for finding in begun] == [name for name in names if name != "collapse"]


def test_the_mode_that_evaluates_says_what_is_wrong(tmp_path, monkeypatch, capsys):
    config_file.write_config(tmp_path, config_file.plain(tiny_config("ralsgan")))
    values = FLOORS | {"similarity": 0.9}
    scores = tuple(scores_module.Score(name, values[name], FLOORS[name]) for name in FLOORS)
    judgement = scores_module.Judgement(scores, "a protocol", 64000, 2000)
    monkeypatch.setattr(commands, "evaluate_run", lambda *_, **__: judgement)
    commands.evaluate(str(tmp_path), "", "", None, True, "newest")
    out = capsys.readouterr().out.splitlines()
    assert out[-2] == "a protocol"
    kept = scores_file.read_scores(tmp_path, 2000, averaged=False)  # the run has no average
    assert [score["name"] for score in kept["scores"]] == list(FLOORS)
    assert out[-1].startswith(
        "collapse: little diversity: the similarity of generated pairs is 0.9 (real"
    )


def evaluations(*values, every=10):
    """Lines of a run that was evaluated after every 10 epochs of 100 images."""
    places = range(every, every * len(values) + 1, every)
    return [{"step": e, "epoch": e, "images": 100 * e, "s": v} for e, v in zip(places, values)]


@pytest.mark.parametrize(
    "values, better, since",
    [
        ([], "low", 0),
        ([9, 8, 7, 6, 5, 4, 3, 2], "low", 0),
        ([9, 3, 7, 6, 5, 4, 4], "low", 20),
        ([9, 3, 7, 6, 5, 4], "low", 0),  # four later ones are too few
        ([9, 3, 7, 6, 5, 4, 3], "low", 0),  # as good again
        ([9] * 20 + [3, 4, 4, 4, 4, 4], "low", 0),  # a fifth of the run
        ([0.1, 0.5, 0.2, 0.2, 0.2, 0.2, 0.2], "high", 20),
    ],
)
def test_a_score_that_does_not_improve(values, better, since):
    found = health.stagnation(evaluations(*values), "s", better, "Frechet distance")
    assert [finding.name for finding in found] == ["stagnation"] * bool(since)
    if since:
        assert found[0].images == 100 * 10 * len(values)
        assert found[0].text.startswith(
            f"the Frechet distance has not improved since epoch {since} "
            f"({values[since // 10 - 1]:.4g}): {len(values) - since // 10} later evaluations"
        )


def test_chance_of_a_loss_that_looks_at_a_part_of_the_batch():
    """The largest 3 of 4 scores; with equal scores, the hinge loss of one."""

    def top(real, fake):
        return losses.hinge(real, jax.lax.top_k(fake, 3)[0])

    config = apply_preset(tiny_config("lsgan_dense"), "hinge")
    assert health.chance(make_gan(config, loss=top), 4) == 2
