"""Losses compared: tables over seeds, and a comparison that is cut off and goes on."""

import json
import math

import jax.numpy as jnp
import numpy as np
import pytest
from tiny import tiny_config, tiny_state

import fish_jax
from fish_jax import comparison, judge
from fish_jax.errors import Diverged, Stopped, UserError
from fish_jax.standings import Comparison, Mark, Outcome, spread
from fish_jax.state import make_gan

FLOORS = {"frechet": 1.0, "recall": 0.9, "similarity": 0.2}


def outcome(loss, seed, frechet, recall=0.5, similarity=0.3, diverged=None):
    scores = {"frechet": frechet, "recall": recall, "similarity": similarity}
    marks = () if diverged else (Mark(2, 64, 8, scores, [0.1], [0.2]),)
    return Outcome(loss, seed, diverged, marks, 60.0)


def test_spread_over_seeds():
    made = spread([1.0, 2.0, 6.0])
    assert made.mean == 3
    np.testing.assert_allclose(made.half_width, 4.302653 * math.sqrt(7) / math.sqrt(3), rtol=1e-6)
    assert str(spread([1.5])) == "1.5" and math.isnan(spread([]).mean)


def test_ranks_are_paired_and_a_diverged_run_is_last():
    """By pairs a wins twice, though its mean is the worse."""
    found = Comparison(
        (
            *(outcome("a", 0, 1.0), outcome("b", 0, 2.0), outcome("c", 0, 9.0, diverged=3)),
            *(outcome("a", 1, 30.0), outcome("b", 1, 31.0), outcome("c", 1, 20.0)),
            *(outcome("a", 2, 60.0), outcome("b", 2, 5.0), outcome("c", 2, 9.0, diverged=7)),
        ),
        ("a", "b", "c"),
        (0, 1, 2),
        FLOORS,
        "a protocol",
    )
    assert [found.rank(loss) for loss in "abc"] == [(1 + 2 + 2) / 3, 2.0, (3 + 1 + 3) / 3]
    assert found.rank("a", "recall") == (1.5 + 2 + 1.5) / 3
    rows = found.rows()
    assert [row["loss"] for row in rows] == ["a", "b", "c", "real images"]
    assert rows[2]["diverged"] == "2 of 3" and rows[2]["Frechet distance"] == "20"
    table = found.table()
    assert "3 seeds" in table and "a protocol" in table and "±" in table
    few = found._replace(seeds=(0,), outcomes=found.outcomes[:3])
    assert "an anecdote" in few.table()
    assert json.loads(found.to_json())["outcomes"][2]["diverged"] == 3
    assert len(found.to_csv().splitlines()) == 1 + 7


def test_a_score_that_is_not_a_number_ranks_last():
    outcomes = (outcome("a", 0, math.nan), outcome("b", 0, 2.0), outcome("c", 0, 1.0, diverged=3))
    found = Comparison(outcomes, ("a", "b", "c"), (0,), FLOORS, "a protocol")
    assert [found.rank(loss) for loss in "abc"] == [2.5, 1.0, 2.5]


@pytest.fixture
def config(tmp_path):
    config = tiny_config("lsgan_dense")
    config.data.cache = str(tmp_path / "cache")
    config.data.count, config.data.holdout = 160, 0.4
    config.batch_size, config.epochs = 16, 2
    return config


def test_a_comparison_goes_on_and_a_diverged_run_is_an_outcome(config, tmp_path, monkeypatch):
    """Stopped in the second run; then the third one diverges. Only the first is really trained."""
    calls, train = [], comparison.train

    def disturbed(own, folder):
        calls.append((own.loss.name, own.epochs))
        if len(calls) == 4:
            raise Stopped("stopped", 15)
        if own.loss.name == "wgan" and own.epochs == 2:
            raise Diverged("nan", 9)
        if own.loss.name == "lsgan":
            return train(own, folder)
        return tiny_state(make_gan(own)).replace(step=jnp.int32(6 * own.epochs))

    monkeypatch.setattr(comparison, "train", disturbed)
    arguments = (["lsgan", "hinge", "wgan"], config, [3], tmp_path / "comparison", 2)
    with pytest.raises(Stopped):
        fish_jax.compare(*arguments)
    found = fish_jax.compare(*arguments)
    expected = [(loss, epochs) for loss in ("lsgan", "hinge") for epochs in (1, 2)]
    assert calls == [*expected, ("hinge", 2), ("wgan", 1), ("wgan", 2)]
    assert [o.diverged for o in found.outcomes] == [None, None, 9]
    assert found.floors.keys() >= judge.SCORES.keys()
    before = len(calls)
    again = fish_jax.compare(*arguments)
    assert len(calls) == before and again.table() == found.table()
    for o in found.outcomes[:2]:
        assert [(mark.epoch, mark.images, mark.updates) for mark in o.marks] == [
            (1, o.marks[0].images, o.marks[0].images // 16),
            (2, o.marks[1].images, o.marks[1].images // 16),
        ]
    config.epochs = 4
    with pytest.raises(
        UserError, match="holds another comparison. They differ in:\n  config.epochs"
    ):
        fish_jax.compare(*arguments)


def test_what_cannot_be_compared_is_told_before_anything_runs(config, tmp_path):
    config.discriminator.norm = "batch"
    with pytest.raises(UserError, match="loss.gradient_penalty is 10.0, but the discriminator has"):
        fish_jax.compare(["lsgan", "wgan_gp"], config, [0], tmp_path / "comparison")
    with pytest.raises(UserError, match="at least one loss and one seed"):
        fish_jax.compare([], config, [0], tmp_path / "comparison")
    assert not (tmp_path / "comparison").exists()


def test_a_run_is_evaluated(config, tmp_path):
    config.epochs = 1
    fish_jax.train(config, tmp_path / "run")
    judgement = fish_jax.evaluate(tmp_path / "run", intervals=False)
    assert [s.name for s in judgement.scores if s.name in judge.SCORES] == list(judge.SCORES)
    with pytest.raises(UserError, match="500 are needed to judge a run"):
        fish_jax.evaluate(tmp_path / "run", count=500)
