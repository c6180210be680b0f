"""The arithmetic of the study that chose the feature space."""

import jax.numpy as jnp
import numpy as np

from benchmarks import feature_space
from benchmarks.feature_space import Photos, Row
from fish_jax.data.synthetic import drawing


def test_near_duplicates_are_on_one_side():
    groups = np.repeat(np.arange(0, 40, 4), 4)
    left, right = feature_space._halve(groups, seed=0)
    assert sorted([*left, *right]) == list(range(40))
    assert not set(groups[left]) & set(groups[right])
    assert len(left) and len(right)


def test_a_summary_counts_what_was_asked_for():
    def row(damage, kind, *spread):
        return Row(damage, kind, "1", np.zeros(6), np.array(spread, float))

    rows = [
        row("none", "floor", 9, 9, 9, 9, 9, 9),
        row("unique", "variety", 4, 1, 0, -4, 0, -2),
        row("unique", "variety", 5, 0, 0, -9, 0, -8),
        row("blur", "looks", 2, 9, -5, 0, 3, 0),
        row("blur", "looks", 1, 9, -4, 0, -2, 0),
        row("zoom", "frame", 4, 4, 0, 0, 0, 0),
    ]
    cells = ["3/5, 1/2", "3/5, 1/2", "2/2, 0/1", "2/2, 1/1", "0/2, 1/1", "1/2, 1/1"]
    assert feature_space.summary("mine", rows).strip("| ").split(" | ")[2:] == cells


def test_a_small_study_sees_noise_and_copies():
    """In a space of three numbers, where the largest halves that there are are compared."""

    def contrasts(images):
        return jnp.std(images.astype(jnp.float32), axis=(1, 2)) / np.float32(64)

    school = drawing.draw_school(96, 28, 64)
    photos = Photos(school, np.array(["a", "b"] * 48), np.arange(96))
    rows = feature_space.study(photos, {"contrasts": contrasts}, 1000)["contrasts"]
    found = {(row.damage, row.level): row.spread for row in rows}
    assert rows[0].kind == "floor" and 30 < int(rows[0].level.removeprefix("N = ")) <= 48
    assert len(rows) == 1 + 3 + 1 + 23
    assert found["noise, sigma", "32"][0] > 3
    assert found["unique", "1/10"][3] < -3
    assert len(feature_space.table("contrasts", rows)) == len(rows)
