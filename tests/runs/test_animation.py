"""Films of a run, animations, and walks through the latents."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers.tiny import tiny_config, tiny_state
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from fish_jax.errors import UserError
from fish_jax.gan import inference
from fish_jax.gan.model import make_gan
from fish_jax.runs import animation as films
from fish_jax.runs import config_file, interpolation, sampling
from fish_jax.utils import pictures

ROOT = 0.5**0.5
CLOSED_WALK = jax.jit(interpolation.closed_walk, static_argnums=1)


def test_an_arc_has_equal_angles_and_keeps_its_length():
    places = jnp.array([0.0, 1 / 3, 0.5, 1.0])
    found = interpolation.slerp(jnp.array([2.0, 0.0]), jnp.array([0.0, 2.0]), places)
    expected = [[2, 0], [3**0.5, 1], [2 * ROOT, 2 * ROOT], [0, 2]]
    np.testing.assert_allclose(found, expected, atol=1e-6)


def test_ends_of_other_lengths_are_met():
    found = interpolation.slerp(
        jnp.array([1.0, 0.0]), jnp.array([3.0, 3.0]), jnp.array([0.0, 0.5, 1.0])
    )
    middle = (1 + 18**0.5) / 2 * np.array([np.cos(np.pi / 8), np.sin(np.pi / 8)])
    np.testing.assert_allclose(found, [[1, 0], middle, [3, 3]], atol=1e-6)


@pytest.mark.parametrize("end", [[2.0, 4.0], [-1.0, -2.0], [0.0, 0.0]])
def test_where_there_is_no_one_arc_the_line_is_taken(end):
    found = interpolation.slerp(jnp.array([1.0, 2.0]), jnp.array(end), jnp.array([0.0, 0.25, 1.0]))
    line = 0.75 * np.array([1.0, 2.0]) + 0.25 * np.array(end)
    np.testing.assert_allclose(found, [[1, 2], line, end], atol=1e-6)


@pytest.mark.slow
@settings(deadline=None, max_examples=20)
@given(st.integers(2, 5), st.integers(1, 7), st.integers(2, 6), st.integers(0, 2**32 - 1))
def test_a_walk_meets_every_station_and_has_no_jumps(count, frames, size, seed):
    stations = jax.random.normal(jax.random.key(seed), (count, size))
    found = CLOSED_WALK(stations, frames)  # compiled in one
    assert found.shape == (count * frames, size)
    np.testing.assert_allclose(found[::frames], stations, atol=1e-5)
    longest = np.linalg.norm(stations, axis=1).max()
    assert np.linalg.norm(found, axis=1).max() <= longest * (1 + 1e-3)
    steps = np.linalg.norm(found - np.roll(found, -1, 0), axis=1)
    assert steps.max() <= (np.pi + 1) * longest / frames  # half a circle, and once along its radius


def test_a_walk_shows_the_images_of_its_seeds(tmp_path, monkeypatch):
    gan = make_gan(tiny_config("ralsgan"))
    state = tiny_state(gan)
    monkeypatch.setattr(sampling, "load", lambda *_: (gan, state))
    done = []
    walked = interpolation.walk(tmp_path, [7, 3, 20], 15, on_progress=done.append)
    assert walked.shape == (45, 20, 40, 3) and done == [32, 13]
    np.testing.assert_array_equal(walked[::15], inference.render(gan, state, [7, 3, 20]))
    assert len(np.unique(walked.reshape(45, -1), axis=0)) == 45


@pytest.mark.parametrize(
    "seeds, frames, message",
    [
        ([3], 5, "at least two seeds"),
        (range(500), 5, "make 2,500 images; an animation may have at most 2,000"),
        ([1, 2], 0, "frames must be a whole number from 1"),
        (
            [1, -1],
            5,
            r"seeds must be whole numbers from 0 to 4294967295, such as .*, not \[1, -1\]",
        ),
        ([1, 2**32], 5, "seeds must be whole numbers"),
        ([1, 1.5], 5, "seeds must be whole numbers"),
        ("1,5", 5, "seeds must be whole numbers"),
        (3, 5, "seeds must be whole numbers"),
        ([], 5, "seeds must be whole numbers"),
    ],
)
def test_walks_that_cannot_be(seeds, frames, message):
    with pytest.raises(UserError, match=message):
        interpolation.check_walk(seeds, frames)


@pytest.mark.parametrize("suffix", [".webp", ".gif", ".GIF"])
def test_an_animation_has_its_frames_and_begins_anew(tmp_path, suffix):
    colours = np.array([[200, 30, 30], [30, 200, 30], [30, 30, 200]], np.uint8)
    images = np.broadcast_to(colours[:, None, None], (3, 6, 10, 3))
    path = tmp_path / "new" / f"a{suffix}"
    done = []
    films.write_animation(path, films.enlarged(images, 32), [40, 80, 2000], done.append)
    assert done == [1, 1, 1] and [file.name for file in path.parent.iterdir()] == [path.name]
    with Image.open(path) as animation:
        assert (animation.size, animation.n_frames) == ((30, 18), 3)
        assert animation.info["loop"] == 0
        lasting = []
        for index, colour in enumerate(colours):
            animation.seek(index)
            found = np.asarray(animation.convert("RGB")).astype(int)
            assert np.abs(found - colour).max() < 12
            lasting.append(animation.info["duration"])
        assert lasting == [40, 80, 2000]


def make_run(folder, epochs):
    config_file.write_config(folder, config_file.plain(tiny_config("ralsgan")))
    for epoch in epochs:
        image = np.full((10, 300, 3), epoch % 256, np.uint8)
        pictures.write_png(folder / "samples" / f"{epoch:06d}.png", image)


def test_a_film_shows_epochs_in_their_order(tmp_path):
    make_run(tmp_path, [1, 20, 9])
    (tmp_path / "samples" / "mine.png").write_bytes(b"not of the run")
    frames, pace = films.film(tmp_path)
    assert [frame.getpixel((0, 0))[0] for frame in frames] == [1, 9, 20]
    assert pace == [400, 400, films.LAST]
    captions = [np.asarray(frame)[10:] for frame in frames]
    assert all(part.shape[0] > 10 and part.min() < 100 and part.max() == 255 for part in captions)
    assert (captions[0] != captions[1]).any()


def test_a_long_film_leaves_epochs_out_and_keeps_the_ends(tmp_path):
    make_run(tmp_path, range(1, films.MOST_FRAMES + 12))
    frames, pace = films.film(tmp_path)
    assert len(frames) == len(pace) == films.MOST_FRAMES
    assert frames[0].getpixel((0, 0))[0] == 1
    assert frames[-1].getpixel((0, 0))[0] == (films.MOST_FRAMES + 11) % 256
    assert pace[0] == 50


def test_runs_without_a_film(tmp_path):
    with pytest.raises(UserError, match="is not the folder of a run"):
        films.film(tmp_path)
    make_run(tmp_path, [])
    with pytest.raises(UserError, match="has no samples of an epoch yet"):
        films.film(tmp_path)
    make_run(tmp_path, [1, 2])
    pictures.write_png(tmp_path / "samples" / "000003.png", np.zeros((20, 300, 3), np.uint8))
    with pytest.raises(UserError, match="000003.png has another size than .*000001.png"):
        films.film(tmp_path)
    whole = (tmp_path / "samples" / "000002.png").read_bytes()
    (tmp_path / "samples" / "000002.png").write_bytes(whole[:50])
    with pytest.raises(UserError, match="000002.png cannot be read as a picture"):
        films.film(tmp_path)
