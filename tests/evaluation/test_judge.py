"""Scores of images: what they must see, beside what they say of real images."""

import jax
import numpy as np
import pytest
from helpers import encoders
from helpers.references import prepare
from PIL import Image, ImageFilter

from fish_jax.data.synthetic import drawing
from fish_jax.evaluation.judge import judge
from fish_jax.evaluation.references import FLOOR_DRAWS
from fish_jax.evaluation.scores import SCORES, kind_of

COUNT = 48
TRAIN = 2 * COUNT + 16


@pytest.fixture(scope="module")
def fish():
    return drawing.draw_school(TRAIN + COUNT, 28, 64, 0)


@pytest.fixture(scope="module")
def references(fish):
    return prepare(fish[:TRAIN], fish[TRAIN:], COUNT)


@pytest.fixture(scope="module")
def trained_references(fish):
    """Of an encoder that has learnt something; those above have one with random weights."""
    with encoders.trained(steps=200):
        return prepare(fish[:TRAIN], fish[TRAIN:], COUNT)


def scores(references, images):
    return {score.name: score for score in judge(references, images).scores}


def values(references, images):
    return {name: score.value for name, score in scores(references, images).items()}


@pytest.mark.slow
def test_other_real_images_have_the_scores_of_the_floor(fish, references):
    """The same as the held-out ones, as there are no others in these; real ones are redrawn."""
    for score in scores(references, fish[TRAIN:]).values():
        assert abs(score.value - score.floor) <= 6 * score.spread + 1e-6, score
    assert references.floors["memorisation"] == 1 and references.spreads["memorisation"] == 0
    assert references.spreads["frechet"] > 0


@pytest.mark.slow
def test_damage_is_seen(fish, trained_references):
    references = trained_references
    real = references.floors
    noise = np.random.default_rng(0).normal(0, 40, fish[TRAIN:].shape)
    noisy = np.uint8(np.clip(fish[TRAIN:] + noise, 0, 255))
    alike = np.repeat(fish[TRAIN : TRAIN + 2], COUNT // 2, axis=0)
    for damaged in (noisy, alike):
        made = scores(references, damaged)
        for name in ("sliced_wasserstein", "frechet", "kernel"):
            assert made[name].value > 1.4 * max(real[name], 0), name
        for name in ("recall", "coverage"):
            assert made[name].value < 0.8 * real[name], name
    assert scores(references, alike)["similarity"].value > real["similarity"] + 0.2


def test_copies_are_seen_and_mirrored_ones_too(fish, references):
    few, held = COUNT // 4, fish[TRAIN:]
    for copies in (fish[:COUNT], fish[:COUNT, :, ::-1]):
        made = scores(references, copies)
        assert made["memorisation"].value < 1e-5 and made["copies"].value == 1
        made = scores(references, np.concatenate([copies[:few], held[few:]]))
        assert made["memorisation"].value > 0.5  # a median does not see a quarter
        assert 0.25 <= made["copies"].value < 0.3
    assert references.floors["copies"] < 0.05


@pytest.mark.slow
def test_more_damage_has_worse_scores(fish, trained_references):
    """The floor is the least, and no level better than the one before by more than its spread."""
    references = trained_references
    held, rng = fish[TRAIN:], np.random.default_rng(0)
    noise = rng.normal(0, 1, held.shape)
    noisy = [np.uint8(np.clip(held + sigma * noise, 0, 255)) for sigma in (16, 32, 64)]
    blurred = [
        np.stack([Image.fromarray(image).filter(ImageFilter.GaussianBlur(r)) for image in held])
        for r in (1.5, 3, 6)
    ]
    unique = [np.resize(held[: COUNT // times], held.shape) for times in (2, 6, 24)]
    low, real = ("sliced_wasserstein", "frechet", "kernel"), references.floors
    looks, variety = ("precision",), ("recall", "coverage")
    for levels, high in ((noisy, looks), (blurred, looks), (unique, variety)):
        made = [scores(references, level) for level in levels]
        for name in (*low, *high):
            values = [real[name], *(one[name].value for one in made)]
            steps = np.diff(values) * (1 if name in low else -1) / references.spreads[name]
            assert np.all(steps > -1) and np.sum(steps) > 3, (name, values)


def test_intervals_are_of_the_scores(fish, references):
    judgement = judge(references, fish[COUNT : 2 * COUNT], intervals=True)
    for score in judgement.scores:
        kind = kind_of(score.name)
        assert kind.least <= score.low <= score.high <= kind.most
        if score.name in ("frechet", "kernel", "sliced_wasserstein", "recall"):
            assert score.low < score.value < score.high
    table = judgement.table()
    assert f"{COUNT} generated images against {COUNT} of {TRAIN // 2} real ones" in table
    assert (
        f"standard deviation (+-) of {FLOOR_DRAWS} draws of {COUNT} of {COUNT} held-out ones"
        in table
    )
    assert "with 48 images, the covariance of 305 features is singular" in table
    assert all(SCORES[name].title in table for name in references.floors if name in SCORES)


def test_generated_images_are_judged_over_white(fish, references):
    """Colours under an alpha of 0 do not count, nor does it matter how greys are stored."""
    shown = fish[:COUNT].copy()
    shown[:, :, :9] = 255
    clear = np.concatenate([fish[:COUNT], np.full_like(shown[..., :1], 255)], axis=3)
    clear[:, :, :9, 3] = 0
    greys = fish[:COUNT, ..., :1]
    for stored, seen in ((clear, shown), (greys, np.repeat(greys, 3, axis=3))):
        assert values(references, stored) == values(references, seen)


def test_counts_that_cannot_be(fish, references):
    with pytest.raises(ValueError, match="40 generated images, not 48"):
        judge(references, fish[:40])
    with pytest.raises(ValueError, match="at least 32 are needed"):
        prepare(fish[:100], fish[100:120], 20)


@pytest.mark.slow
def test_a_second_judgement_compiles_nothing(fish, references, caplog):
    judge(references, fish[TRAIN:], intervals=True)
    with jax.log_compiles():
        judge(references, fish[:COUNT], intervals=True)
    assert "ompiling" not in caplog.text
    with jax.log_compiles():
        jax.jit(lambda x: x + 1)(np.float32(1))
    assert "ompiling" in caplog.text


@pytest.mark.slow
def test_progress_ends_where_it_should(fish):
    totals, done = {}, {}

    def begin(what, total):
        totals[what], done[what] = total, 0

        def advance(count):
            done[what] += count

        return advance

    with encoders.trained(steps=3):
        references = prepare(fish[: TRAIN + 4], fish[TRAIN + 4 :], 40, begin=begin)
    judge(references, fish[:40], intervals=True, begin=begin)
    assert done == totals and len(done) == 6
    assert totals["textures of real images"] == 2 * (TRAIN + 4) + COUNT - 4


def test_the_protocol_names_the_fit(fish):
    images = fish[:64], fish[64:96]
    told = prepare(*images, 32, unseen=False, resizing="fit crop, resample bicubic")
    assert "; 28 x 64, fit crop, resample bicubic, rounded to 8 bits; " in told.protocol
    assert "memorisation" not in told.floors
    assert "; 28 x 64, rounded" in prepare(*images, 32, unseen=False).protocol
