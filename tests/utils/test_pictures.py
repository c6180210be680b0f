"""Grids, files written whole, and means over epochs."""

import io

import numpy as np
import pytest
from PIL import Image

from fish_jax.training import plots
from fish_jax.utils import files, pictures


def test_grid_places_images_row_by_row():
    images = np.stack([np.full((2, 3, 3), value, np.uint8) for value in (10, 20, 30)])
    sheet = pictures.grid(images, 2)
    assert sheet.shape == (5, 7, 3)
    expected = [
        [10, 10, 10, 255, 20, 20, 20],
        [10, 10, 10, 255, 20, 20, 20],
        [255] * 7,
        [30, 30, 30, 255, 255, 255, 255],
        [30, 30, 30, 255, 255, 255, 255],
    ]
    np.testing.assert_array_equal(sheet[..., 0], expected)


def test_a_layout_has_the_gaps_and_the_background_asked_for():
    images = np.stack([np.full((2, 3, 3), value, np.uint8) for value in (10, 20, 30)])
    sheet = pictures.layout(images, 2, 2, (1, 2, 3))
    assert sheet.shape == (6, 8, 3) and (sheet[2:4] == (1, 2, 3)).all()
    np.testing.assert_array_equal(sheet[:2, 5:, :], images[1])
    clear = pictures.layout(images, 2, 2, (0, 0, 0, 0))
    np.testing.assert_array_equal(clear[4:, :3, :3], images[2])
    assert (clear[4:, :3, 3] == 255).all() and not clear[4:, 3:].any()


@pytest.mark.parametrize("shape", [(28, 64), (140, 320), (1, 1), (71, 9)])
def test_images_are_cut_out_of_a_grid(shape):
    images = np.random.default_rng(0).integers(0, 256, (12, *shape, 3), dtype=np.uint8)
    np.testing.assert_array_equal(pictures.cut(pictures.grid(images, 4), 4, 3), images)


def test_what_is_no_grid_is_not_cut():
    with pytest.raises(ValueError, match="no grid of 4 x 8 images"):
        pictures.cut(np.zeros((30, 31, 3), np.uint8), 8, 4)


def test_png_is_enlarged_by_a_whole_factor(tmp_path):
    image = np.arange(24, dtype=np.uint8).reshape(2, 4, 3)
    pictures.write_png(tmp_path / "new" / "a.png", image, least_width=13)
    read = np.asarray(Image.open(tmp_path / "new" / "a.png"))
    np.testing.assert_array_equal(read, image.repeat(3, 0).repeat(3, 1))
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["a.png"]


def test_what_a_page_shows_of_greys_and_of_alpha():
    rgb = np.arange(24, dtype=np.uint8).reshape(2, 4, 3)
    assert pictures.over_white(rgb) is rgb
    greys = np.array([[[[0], [90]]], [[[255], [1]]]], np.uint8)
    np.testing.assert_array_equal(pictures.over_white(greys), greys.repeat(3, -1))
    clear = np.array([[0, 100, 200, 255], [0, 100, 200, 51], [9, 8, 7, 0]], np.uint8)
    shown = [[0, 100, 200], [204, 224, 244], [255, 255, 255]]  # as docs/images.md has the second
    found = pictures.over_white(np.stack([clear, clear[::-1]])[:, None])
    assert found.dtype == np.uint8
    np.testing.assert_array_equal(found, np.stack([shown, shown[::-1]])[:, None])


def test_a_grid_is_over_white():
    images = np.zeros((4, 2, 3, 4), np.uint8)
    images[1:, ..., 3] = 255
    sheet = pictures.grid(images, 2)
    assert sheet.shape == (5, 7, 3) and (sheet[:2, :3] == 255).all() and not sheet[:2, 4:].any()
    assert not pictures.grid(images[..., :1], 2)[:2, :3].any()


@pytest.mark.parametrize(("channels", "mode"), [(1, "L"), (3, "RGB"), (4, "RGBA")])
def test_a_picture_keeps_its_channels(channels, mode):
    image = np.random.default_rng(0).integers(0, 256, (5, 6, channels), np.uint8)
    read = Image.open(io.BytesIO(pictures.to_png(image)))
    assert read.mode == mode
    np.testing.assert_array_equal(np.asarray(read).reshape(image.shape), image)
    assert Image.open(io.BytesIO(pictures.encode(image, "WEBP", 2))).size == (12, 10)


def test_a_failed_write_leaves_the_old_picture(tmp_path, monkeypatch):
    path = tmp_path / "a.png"
    pictures.write_png(path, np.zeros((2, 2, 3), np.uint8))
    before = path.read_bytes()

    def fail(descriptor):
        raise OSError("no space left")  # as a full disk may say it last

    monkeypatch.setattr(files.os, "fsync", fail)
    with pytest.raises(OSError, match="no space"):
        pictures.write_png(path, np.ones((2, 2, 3), np.uint8))
    assert path.read_bytes() == before
    assert [p.name for p in tmp_path.iterdir()] == ["a.png"]


def test_epoch_means_weigh_lines_by_their_steps():
    lines = [
        {"step": 3, "epoch": 1, "steps": 3, "d_loss": 1.0},
        {"step": 4, "epoch": 1, "steps": 1, "d_loss": 5.0},
        {"step": 8, "epoch": 2, "steps": 4, "d_loss": 7.0},
    ]
    means = plots.epoch_means(lines)
    np.testing.assert_array_equal(means["epoch"], [1, 2])
    np.testing.assert_array_equal(means["d_loss"], [2, 7])


def test_epoch_means_are_of_the_lines_that_have_the_metric():
    """As with a line an epoch and scores every other epoch."""
    lines = [{"step": s, "epoch": s, "steps": 1, "d_loss": 1.0 * s} for s in (1, 2, 3, 4)]
    for line in lines[1::2]:
        line["scores/frechet"] = 10.0 * line["epoch"]
    lines.append({"step": 5, "epoch": 4, "steps": 3, "d_loss": 8.0})
    means = plots.epoch_means(lines)
    np.testing.assert_array_equal(means["epoch"], [1, 2, 3, 4])
    np.testing.assert_array_equal(means["d_loss"], [1, 2, 3, 7])
    np.testing.assert_array_equal(means["scores/frechet"], [np.nan, 20, np.nan, 40])


def test_damaged_lines_do_not_count(tmp_path):
    lines = [{"step": s, "epoch": s, "steps": 1, "d_loss": 1.0 * s, "g_loss": 2} for s in range(6)]
    changes = {0: ("d_loss", "d_lozs"), 1: ("epoch", "epocj"), 2: ("g_loss", "steps")}
    for index, (name, other) in changes.items():
        lines[index][other] = 0 * lines[index].pop(name)
    means = plots.epoch_means(lines)
    np.testing.assert_array_equal(means["epoch"], [0, 3, 4, 5])
    np.testing.assert_array_equal(means["d_loss"], [np.nan, 3, 4, 5])
    lines[3]["steps"] = 0
    np.testing.assert_array_equal(plots.epoch_means(lines)["epoch"], [0, 4, 5])
    for damaged in ([lines[0]], lines[1:2], lines[:2], lines[3:4]):
        plots.plot_losses(tmp_path / "plot.png", damaged, "a run")


def test_plots_are_pictures(tmp_path):
    fields = dict(steps=1, d_loss=1.0, g_loss=2.0, k=0.1, m_global=0.5, energy_ratio=0.7)
    lines = [dict(step=i, epoch=i, **fields) for i in (1, 2)]
    for plot in (plots.plot_losses, plots.plot_equilibrium):
        plot(tmp_path / "plot.png", lines, "a run")
        assert Image.open(tmp_path / "plot.png").size[0] > 500
