"""Scores of images: what they must see, beside what they say of real images."""

import numpy as np
import pytest

from fish_jax import judge, synthetic

COUNT = 48


@pytest.fixture(scope="module")
def fish():
    return synthetic.draw_school(3 * COUNT, 28, 64, 0)


@pytest.fixture(scope="module")
def references(fish):
    return judge.prepare(fish[: 2 * COUNT], fish[2 * COUNT :], COUNT)


def scores(references, images):
    return {score.name: score for score in judge.judge(references, images).scores}


def test_other_real_images_have_the_scores_of_the_floor(fish, references):
    """The same as the held-out ones, as there are no others in these."""
    for score in scores(references, fish[2 * COUNT :]).values():
        np.testing.assert_allclose(score.value, score.floor, rtol=1e-6)
    assert references.floors["memorisation"] == 1


def test_damage_is_seen(fish, references):
    real = references.floors
    noise = np.random.default_rng(0).normal(0, 40, fish[2 * COUNT :].shape)
    noisy = np.uint8(np.clip(fish[2 * COUNT :] + noise, 0, 255))
    alike = np.repeat(fish[2 * COUNT : 2 * COUNT + 2], COUNT // 2, axis=0)
    for damaged in (noisy, alike):
        made = scores(references, damaged)
        for name in ("sliced_wasserstein", "frechet", "kernel"):
            assert made[name].value > 1.5 * max(real[name], 0), name
        for name in ("recall", "coverage"):
            assert made[name].value < 0.7 * real[name], name
    assert scores(references, alike)["similarity"].value > real["similarity"] + 0.2
    copies = scores(references, fish[:COUNT])
    assert copies["memorisation"].value == 0


def test_intervals_are_of_the_scores(fish, references):
    judgement = judge.judge(references, fish[COUNT : 2 * COUNT], intervals=True)
    for score in judgement.scores:
        if "sliced" in score.name or score.name.startswith("at_"):
            assert np.isnan([score.low, score.high]).all()
        else:
            assert score.low <= score.high
    table = judgement.table()
    assert f"{COUNT} generated images against {COUNT} of {2 * COUNT} real ones" in table
    assert "the covariance of 48 images has no full rank in 240" in table
    assert all(
        judge.SCORES[name].title in table for name in references.floors if name in judge.SCORES
    )


def test_counts_that_cannot_be(fish, references):
    with pytest.raises(ValueError, match="40 generated images, not 48"):
        judge.judge(references, fish[:40])
    with pytest.raises(ValueError, match="at least 32 are needed"):
        judge.prepare(fish[:100], fish[100:120], 20)
