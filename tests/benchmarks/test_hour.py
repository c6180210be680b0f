"""The hour of `benchmarks.recipe`: who takes part, its clock, its table and its chart."""

import json
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from benchmarks.recipe import course, hour
from fish_jax.evaluation.scores import Score
from fish_jax.gan.model import make_gan

FLOORS = {
    "frechet": 3.961,
    "sliced_wasserstein": 11.3,
    "precision": 0.77,
    "recall": 0.74,
    "coverage": 0.95,
}
MARK = {"frechet": 40.36, "sliced_wasserstein": 39.3, "precision": 0.52} | {
    "recall": 0.67,
    "coverage": 0.64,
    "minutes": 10.13,
    "images": 47_400,
}


@pytest.mark.parametrize("name", ["best", "flat", "ralsgan", "dcgan_deep"])
def test_contestants_train_on_images_of_full_size_until_their_time_is_over(name):
    config = course.configured(name, 3, "photos")
    assert (config.seed, config.data.path, config.data.holdout) == (3, "photos", 0.2)
    assert (config.height, config.width) == (140, 320)
    assert config.epochs == (0 if name == "best" else course.FOREVER)
    make_gan(config)


@pytest.fixture
def clock(tmp_path, monkeypatch):
    """A clock whose process began at 0 s, and the seconds that have passed."""
    now = SimpleNamespace(seconds=0.0)
    monkeypatch.setattr(course.time, "time", lambda: now.seconds)
    process = SimpleNamespace(create_time=lambda: 0.0)
    monkeypatch.setattr(course.psutil, "Process", lambda: process)
    return course.Clock(tmp_path / "own"), now


def test_the_clock_counts_from_the_start_of_the_process_without_drawing(clock, tmp_path):
    clock, now = clock
    now.seconds = 119
    assert not clock.due()
    now.seconds = 130
    assert clock.due()

    def draw():
        now.seconds += 60
        return np.ones((2, 4, 4, 3), np.uint8)

    clock.draw(800, draw)
    assert not clock.due() and clock.minutes() == pytest.approx(130 / 60)
    now.seconds += 60 * 30  # two marks at once
    assert clock.due()
    clock.draw(9_000, draw)
    assert not clock.due()
    kept = json.loads((tmp_path / "own" / course.COURSE).read_text())
    expected = [{"minutes": 2.17, "images": 800}, {"minutes": 32.17, "images": 9_000}]
    assert kept == expected
    assert np.load(tmp_path / "own" / "1.npy").shape == (2, 4, 4, 3)


def test_the_table_has_a_row_for_each_mark_and_one_of_real_images():
    lines = hour.table({"best, seed 0": [MARK]}, FLOORS).splitlines()
    assert lines == [
        "|  | minutes | images | frechet | sliced wasserstein | precision | recall | coverage |",
        "|---|--:|--:|--:|--:|--:|--:|--:|",
        "| best, seed 0 | 10.1 | 47,400 | 40.4 | 39.3 | 0.52 | 0.67 | 0.64 |",
        "| real images |  |  | 3.96 | 11.3 | 0.77 | 0.74 | 0.95 |",
    ]


def test_the_chart_is_a_picture(tmp_path):
    hour.chart(tmp_path / "hour.png", {"best": [MARK], "flat": [MARK, MARK]}, FLOORS)
    with Image.open(tmp_path / "hour.png") as image:
        assert image.size == (1500, 675)


def test_scores_of_marks_are_computed_once_per_protocol(tmp_path, monkeypatch):
    (tmp_path / course.COURSE).write_text(json.dumps([{"minutes": 2.0, "images": 8}]))
    np.save(tmp_path / "0.npy", np.zeros((5, 4, 4, 3), np.uint8))
    judged = []

    def judge(references, samples):
        judged.append(len(samples))
        scores = [Score(name, value, FLOORS[name]) for name, value in FLOORS.items()]
        return SimpleNamespace(scores=[*scores, Score("kernel", 1.0, 1.0)])

    monkeypatch.setattr(hour, "judge", judge)
    references = SimpleNamespace(count=3, protocol="3 images")
    marks = hour.judged(tmp_path, references)
    assert marks == [{"minutes": 2.0, "images": 8} | FLOORS] == hour.judged(tmp_path, references)
    assert judged == [3]
    hour.judged(tmp_path, SimpleNamespace(count=4, protocol="4 images"))
    assert judged == [3, 4]
