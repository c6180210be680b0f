"""The data set of letters: reproducible, varied, readable, whole, and written by a command."""

import string
import subprocess
import sys
from collections import Counter
from pathlib import Path

import matplotlib
import numpy as np
import pytest

from benchmarks import arguments, letters
from benchmarks.letters import choose_letters, draw_letters
from fish_jax.errors import UserError

SIZES = [(28, 64, 150), (32, 32, 150), (16, 16, 60), (60, 20, 60), (140, 320, 6), (16, 200, 30)]


@pytest.fixture(scope="module")
def choices():
    return [choose_letters(0, index, 64 / 28) for index in range(1500)]


def test_the_same_seed_draws_the_same_pixels():
    first = draw_letters(20, 28, 64, seed=3)
    draw_letters(2, 40, 50, seed=1)
    np.testing.assert_array_equal(draw_letters(20, 28, 64, seed=3), first)


def test_a_smaller_count_draws_the_first_pictures():
    pictures = draw_letters(30, 28, 64, seed=7)
    np.testing.assert_array_equal(draw_letters(9, 28, 64, seed=7), pictures[:9])
    assert draw_letters(0, 28, 64).shape == (0, 28, 64, 3)


def test_no_two_pictures_are_equal_nor_those_of_other_seeds():
    pictures = np.concatenate([draw_letters(100, 28, 64, seed) for seed in (0, 1)])
    assert len({picture.tobytes() for picture in pictures}) == 200


def test_progress_adds_up():
    reports = []
    draw_letters(5, 20, 20, on_progress=reports.append)
    assert sum(reports) == 5


@pytest.mark.parametrize("height, width, count", SIZES)
def test_letters_stand_out_and_none_is_cut_off(height, width, count):
    pictures = draw_letters(count, height, width, seed=2)
    assert pictures.shape == (count, height, width, 3) and pictures.dtype == np.uint8
    border = np.ones((height, width), bool)
    border[1:-1, 1:-1] = False
    for index, picture in enumerate(pictures):
        chosen = choose_letters(2, index, width / height)
        background = letters._background(chosen, height, width)
        np.testing.assert_array_equal(picture[border], letters._to_pixels(background[border]))
        assert letters.contrast(picture / 255, background).max() > 2.5
        changed = np.any(picture != letters._to_pixels(background), -1)
        assert 0.02 < changed.mean() < 0.8


@pytest.mark.parametrize("height, width", [(28, 64), (32, 32), (60, 20)])
def test_letters_are_near_the_centre(height, width):
    for index in range(60):
        coverage = letters._coverage(choose_letters(0, index, width / height), height, width)
        y, x = (
            np.average(np.arange(n), weights=coverage.sum(1 - axis))
            for axis, n in enumerate(coverage.shape)
        )
        assert abs(y / (height - 1) - 0.5) < 0.3 and abs(x / (width - 1) - 0.5) < 0.3


@pytest.mark.parametrize("font", letters.FONTS)
def test_slanting_and_turning_lose_nothing(font, choices):
    """Neither changes an area."""
    chosen = choices[0]._replace(text="WQW", font=font, weight=0.04, gap=0.12)
    ink = lambda **looks: np.asarray(letters._outline(chosen._replace(**looks), 112), float).sum()
    upright = ink(slant=0, angle=0)
    for slant in (-0.2, 0.2):
        for angle in (-8, 8):
            assert ink(slant=slant, angle=angle) == pytest.approx(upright, rel=0.005)


@pytest.mark.parametrize("font", letters.FONTS)
def test_a_font_has_26_different_capitals(font, choices):
    assert Path(matplotlib.get_data_path(), "fonts", "ttf", f"{font}.ttf").exists()
    plain = choices[0]._replace(font=font, weight=0, gap=0, slant=0, angle=0)
    drawn = [letters._outline(plain._replace(text=letter), 80) for letter in string.ascii_uppercase]
    assert len({(outline.size, outline.tobytes()) for outline in drawn}) == 26
    assert all(outline.height > 40 for outline in drawn)


def test_choices_are_varied(choices):
    assert Counter(one.font for one in choices).keys() == set(letters.FONTS)
    counts = Counter("".join(one.text for one in choices))
    assert counts.keys() == set(string.ascii_uppercase)
    assert min(counts.values()) > 0.6 * max(counts.values())
    for name in ("fill", "weight", "gap", "slant", "angle", "place", "ink", "paper", "towards"):
        assert len({getattr(one, name) for one in choices}) == len(choices)
    shaded = np.mean([one.paper != one.shade for one in choices])
    assert 0.4 < shaded < 0.6


def test_chosen_colours_have_contrast(choices):
    for one in choices:
        assert letters.contrast(one.ink, one.paper) >= letters.CONTRAST
        background = letters._background(one, 7, 16)
        assert letters.contrast(one.ink, background).min() >= letters.CONTRAST - 1e-6


def test_contrast_is_that_of_wcag():
    assert letters.contrast((0, 0, 0), (1, 1, 1)) == pytest.approx(21)
    assert letters.contrast((1, 1, 1), (1, 0, 0)) == pytest.approx(3.998, abs=1e-3)
    assert letters.luminance((0.5, 0.5, 0.5)) == pytest.approx(0.2140, abs=1e-4)


@pytest.mark.parametrize(
    "aspect, lengths", [(0.3, {1}), (1, {1}), (1.6, {1, 2}), (64 / 28, {2, 3}), (9, {2, 3})]
)
def test_wide_pictures_have_more_letters(aspect, lengths):
    assert {len(choose_letters(0, index, aspect).text) for index in range(40)} == lengths


@pytest.mark.parametrize(
    "size, told",
    [
        ((1, 15, 64), "height and width must be at least 16 pixels, not 15 x 64"),
        ((10**18, 28, 64), "do not fit in memory"),
        ((10**30, 28, 64), "do not fit in memory"),
    ],
)
def test_impossible_sizes_are_told(size, told):
    with pytest.raises(UserError, match=told):
        draw_letters(*size)


def run(monkeypatch, *words):
    monkeypatch.setattr(sys, "argv", ["letters", *map(str, words)])
    letters.main()


def test_the_command_writes_what_is_loaded_as_images(tmp_path, load):
    path = tmp_path / "letters.npy"
    command = [sys.executable, "-m", "benchmarks.letters", "--out", path]
    command += ["--count", "30", "--height", "20", "--width", "30", "--seed", "4"]
    subprocess.run(command, capture_output=True, check=True)
    images = load(path)
    np.testing.assert_array_equal(images.train, draw_letters(30, 20, 30, seed=4))
    assert [file.name for file in tmp_path.glob("letters*")] == ["letters.npy"]


@pytest.mark.parametrize(
    "words, told",
    [
        (["--count", "0"], "argument --count: '0' must be a whole number, 1 or more"),
        (["--height", "x"], "argument --height: 'x' must be a whole number, 1 or more"),
        (["--seed", "-1"], "argument --seed: '-1' must be a whole number, 0 or more"),
        (["--width", "8"], "error: height and width must be at least 16 pixels, not 28 x 8"),
        (["--out", "letters.png"], "'letters.png' must be a file that ends in .npy"),
        (["--out", "/no/such/folder/letters.npy"], "/no/such/folder is not a folder that can be"),
        (["--count", "9" * 18], "do not fit in memory; draw fewer or smaller ones"),
    ],
)
def test_wrong_arguments_are_told(tmp_path, monkeypatch, capsys, words, told):
    with pytest.raises(SystemExit) as end:
        run(monkeypatch, "--out", tmp_path / "letters.npy", *words)
    message = end.value.code if isinstance(end.value.code, str) else capsys.readouterr().err
    assert end.value.code != 0 and told in message
    assert len(message.strip().split("error: ")[1].splitlines()) == 1
    assert not list(tmp_path.iterdir())


def test_the_command_needs_a_file(monkeypatch, capsys):
    with pytest.raises(SystemExit) as end:
        run(monkeypatch)
    assert end.value.code == 2 and "required: --out" in capsys.readouterr().err


def test_a_folder_is_no_file_to_write(tmp_path, monkeypatch, capsys):
    (tmp_path / "letters.npy").mkdir()
    with pytest.raises(SystemExit):
        run(monkeypatch, "--out", tmp_path / "letters.npy")
    assert "must be a file that ends in .npy" in capsys.readouterr().err


def test_seeds_from_words():
    assert arguments.seed("0") == 0 and arguments.seed("12") == 12
