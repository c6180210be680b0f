"""The pictures of an epoch: samples, and what BEGAN's autoencoder makes of images."""

import jax
import numpy as np
from helpers.tiny import tiny_config, tiny_images
from PIL import Image

from fish_jax.gan.model import make_gan
from fish_jax.gan.state import create_state
from fish_jax.training.previews import augmented, compile_preview, newest_samples, write_previews
from fish_jax.utils.pictures import grid


def test_began_shows_its_autoencoder(tmp_path):
    config = tiny_config("began")
    gan, images = make_gan(config), tiny_images(config)
    state = jax.jit(lambda: create_state(gan, 0))()
    drawn = jax.device_get(compile_preview(gan, state, images)(state))
    samples, sheet = drawn["samples"], drawn["autoencoder"]
    assert samples.shape == (16, 20, 40, 3) and sheet.shape == (32, 20, 40, 3)
    np.testing.assert_array_equal(sheet[:8], samples[:8])
    np.testing.assert_array_equal(sheet[16:24], images[:8])
    assert (sheet[8:16] != sheet[:8]).any() and (sheet[24:] != images[:8]).any()
    files = write_previews(tmp_path, 12, drawn)
    assert newest_samples(tmp_path) == tmp_path / "samples" / "000012.png"
    for name in drawn:
        assert (tmp_path / name / "000012.png").read_bytes() == files[name]
        written = np.asarray(Image.open(tmp_path / name / "000012.png"))
        sheet = grid(drawn[name], len(drawn[name]) // 4)
        factor = len(written) // len(sheet)
        np.testing.assert_array_equal(written[::factor, ::factor], sheet)


def test_augmented_images_stand_beside_what_they_are_of():
    config = tiny_config("ralsgan")
    config.loss.augment = "color,translation,cutout"
    images = tiny_images(config, 3)
    rows = augmented(config, images, 5).reshape(3, 5, 20, 40, 3)
    np.testing.assert_array_equal(rows[:, 0], images)
    assert len({picture.tobytes() for picture in rows.reshape(15, -1)}) == 15
    config.loss.augment, config.data.flips = "", True
    rows = augmented(config, images, 5).reshape(3, 5, 20, 40, 3)
    mirrored = [(rows == each[:, None]).all((2, 3, 4)) for each in (images, images[:, :, ::-1])]
    assert (mirrored[0] ^ mirrored[1]).all() and mirrored[1].any() and not mirrored[1][:, 0].any()
