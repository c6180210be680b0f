"""The bank of damages: what each does to images, and how scores are held against the orders."""

import numpy as np
import pytest

from benchmarks.judging import bank, candidates, intervals, orders
from benchmarks.judging.damages import DAMAGES
from fish_jax.data.synthetic import drawing


@pytest.fixture(scope="module")
def fish():
    return drawing.draw_school(8, 28, 64, 0)


@pytest.mark.parametrize("name", DAMAGES)
def test_a_damage_gives_as_many_images(fish, name):
    made = DAMAGES[name](fish, np.random.default_rng(0))
    assert made.shape == fish.shape and made.dtype == np.uint8
    assert np.array_equal(made, fish) == (name == "none")
    np.testing.assert_array_equal(made, DAMAGES[name](fish, np.random.default_rng(0)))


def test_what_some_damages_keep(fish):
    damage = lambda name: DAMAGES[name](fish, np.random.default_rng(0))
    np.testing.assert_array_equal(damage("halves")[:, :, :32], fish[:, :, :32])
    np.testing.assert_array_equal(damage("halves")[1:, :, 32:], fish[:-1, :, 32:])
    for name in ("blocks 1/2", "blocks 1/4"):
        assert [sorted(image.ravel()) for image in damage(name)[:, :, :56]] != fish.tolist()
        np.testing.assert_allclose(damage(name).mean(), fish.mean(), atol=3)
    mirrored = damage("mirrored half")
    np.testing.assert_array_equal(mirrored, mirrored[:, :, ::-1])
    assert len(np.unique(damage("copies 5"), axis=0)) == 2
    assert len(np.unique(damage("darkest half"), axis=0)) == 4
    np.testing.assert_allclose(damage("random phases").mean((1, 2)), fish.mean((1, 2)), atol=12)


def test_orders_were_not_changed_since_they_were_written():
    assert [len(orders.pairs(height)) for height in (28, 70, 140)] == [187, 212, 231]


@pytest.mark.parametrize("height", [28, 70, 140])
def test_orders_have_no_circle_and_name_what_there_is(height):
    pairs = orders.pairs(height)
    names = {name for pair in pairs for name in pair}
    assert names <= {*DAMAGES, *bank.AGES}
    worse = {name: {b for a, b in pairs if a == name} for name in names}
    while worse:
        last = [name for name, after in worse.items() if not after & set(worse)]
        assert last, "a circle"
        for name in last:
            del worse[name]


def test_wrong_pairs_are_found():
    row = lambda frechet, precision: dict(frechet=frechet, precision=precision)
    found = {"none": row(1, 0.9), "blur 1/35": row(2, 0.9), "blur 1/10": row(1.5, 0.1)}
    assert bank.wrong(found, 140, "frechet") == (3, [("blur 1/35", "blur 1/10")])
    assert bank.wrong(found, 140, "precision") == (3, [("none", "blur 1/35")])


def test_a_table_of_few_fish(fish):
    pixels = lambda images: np.float32(images.reshape(len(images), -1)[:, ::500])
    found = bank.table(pixels, fish, bank.damaged(bank.Sides(fish, fish), 8, None))
    assert list(found) == list(DAMAGES)
    assert found["none"]["frechet"] == pytest.approx(0, abs=1e-3)
    assert found["none"]["precision"] == 1
    lines = bank.lines("pixels", found, 28)
    assert lines[2].startswith("| none | ") and len(lines) == 2 + len(DAMAGES) + 1 + 2 + 2


def test_samples_of_a_run_are_judged_too(fish, tmp_path):
    np.save(tmp_path / "late.npy", fish)
    made = bank.damaged(bank.Sides(fish, fish), 4, tmp_path)
    assert len(made) == len(DAMAGES) + 1
    np.testing.assert_array_equal(made["late"](), fish[:4])


@pytest.mark.parametrize("name", candidates.FIXED)
def test_candidates_describe_each_image_alone(fish, name):
    found = candidates.FIXED[name](fish)
    assert len(found) == 8 and np.isfinite(found).all()
    np.testing.assert_allclose(candidates.FIXED[name](fish[3:4])[0], found[3], atol=1e-3)


def test_most_intervals_of_two_samples_hold_their_mean_score():
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 256, (400, 16, 16, 3), np.uint8)
    pool = intervals.Images(pixels, np.float32(rng.normal(size=(400, 6))))
    shares = intervals.held(pool, pool, 40, 20)
    assert list(shares) == list(intervals.NAMES)
    assert all(share >= 0.75 for share in shares.values())
