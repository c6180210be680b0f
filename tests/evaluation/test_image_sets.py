"""Any two sets of images: how they are read, brought to one size and counted; their scores."""

import numpy as np
import pytest
from PIL import Image, ImageFilter

import fish_jax
from fish_jax.data.synthetic import drawing
from fish_jax.errors import UserError
from fish_jax.evaluation import image_sets
from fish_jax.evaluation.image_sets import parse_size
from fish_jax.evaluation.scores import Judgement


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


@pytest.fixture(scope="module")
def fish():
    return drawing.draw_school(150, 20, 40, 0)


def noise(count, height=20, width=40):
    return np.random.default_rng(0).integers(0, 256, (count, height, width, 3), np.uint8)


def write(folder, images):
    folder.mkdir()
    for index, image in enumerate(images):
        Image.fromarray(image).save(folder / f"{index:03d}.png")
    return folder


@pytest.fixture
def judged(monkeypatch):
    """What is judged, without judging: real images, generated ones and their number."""
    given = {}

    def read(config, images, count, *_):
        given.update(real=images.train, count=count, data=config["data"])

    def judge(references, generated, intervals, **_):
        given.update(fake=generated, intervals=intervals)
        return Judgement((), "protocol")

    monkeypatch.setattr(image_sets, "read_references", read)
    monkeypatch.setattr(image_sets, "judge", judge)
    return given


def test_arrays_are_taken_as_they_are(judged):
    real, fake = noise(100), noise(33)
    judgement = fish_jax.score(real, fake)
    assert judged["real"] is real and judged["fake"] is fake
    assert judged["count"] == 33 and judged["intervals"]
    told = "protocol; real: 100 images given from Python; generated: 33 images given from Python"
    assert judgement.protocol == told


def test_what_load_images_returns_is_taken(judged):
    """The images to train on of each side."""
    real = fish_jax.load_images(noise(150), 20, 40, holdout=0.2)
    fake = fish_jax.load_images(noise(33), 16, 30)
    protocol = fish_jax.score(real, fake).protocol
    assert judged["real"] is real.train and judged["fake"].shape == (33, 20, 40, 3)
    assert f"real: {len(real.train)} images given from Python; generated: 33 images" in protocol


def test_the_protocol_says_how_greys_and_alpha_are_shown(judged):
    with_alpha = np.concatenate([noise(100), noise(100)[..., :1]], axis=-1)
    protocol = fish_jax.score(with_alpha, noise(33)[..., :1]).protocol
    assert "real: 100 images given from Python, alpha over white; " in protocol
    assert protocol.endswith("generated: 33 images given from Python, grey as RGB")
    assert judged["real"].shape[3] == judged["fake"].shape[3] == 3


def test_of_more_generated_images_some_are_chosen_by_the_seed(judged):
    """33 of 100 real ones can be compared."""
    fake = noise(90)
    fish_jax.score(noise(100), fake)
    first = judged["fake"]
    assert len(first) == judged["count"] == 33
    fish_jax.score(noise(100), fake)
    np.testing.assert_array_equal(judged["fake"], first)
    fish_jax.score(noise(100), fake, seed=1)
    assert np.any(judged["fake"] != first)
    everything = {image.tobytes() for image in fake}
    assert len({image.tobytes() for image in first} & everything) == 33
    fish_jax.score(noise(100), fake, count=32)
    assert judged["count"] == len(judged["fake"]) == 32


def test_generated_images_are_brought_to_the_size_of_the_real_ones(judged, tmp_path):
    folders = write(tmp_path / "real", noise(100)), write(tmp_path / "fake", noise(40, 30, 30))
    judgement = fish_jax.score(*folders)
    assert judged["real"].shape[1:] == judged["fake"].shape[1:] == (20, 40, 3)
    assert "real: folder " in judgement.protocol and "40 image files" in judgement.protocol
    assert judged["data"]["path"] and judged["data"]["fit"] == "stretch"
    fish_jax.score(noise(100), noise(40, 30, 30))
    assert judged["fake"].shape[1:] == (20, 40, 3)
    fish_jax.score(*folders, size=(16, 17))
    assert judged["real"].shape[1:] == judged["fake"].shape[1:] == (16, 17, 3)


def test_real_images_of_several_sizes_need_one_that_is_named(judged, tmp_path):
    real = write(tmp_path / "real", [*noise(99), noise(1, 30, 50)[0]])
    message = (
        r"real images in .*real have different sizes, such as 20 x 40 and 30 x 50 \(height x "
        r"width\); choose .* --size=25x60, in Python size=\(25, 60\)"
    )
    with pytest.raises(UserError, match=message):
        fish_jax.score(real, noise(40, 25, 60))
    given = [Image.fromarray(image) for image in (*noise(99), *noise(1, 30, 50))]
    with pytest.raises(UserError, match="^the real images have different sizes, such as 20 x 40"):
        fish_jax.score(given, noise(40, 25, 60))
    fish_jax.score(real, noise(40, 25, 60), size=(25, 60))
    assert judged["real"].shape == (100, 25, 60, 3)


def test_too_few_images_are_a_sentence(judged):
    with pytest.raises(UserError, match="Python gives 31 generated images; at lea"):
        fish_jax.score(noise(95), noise(31))
    with pytest.raises(UserError, match="Python gives 94 real images; a third .* 31 "):
        fish_jax.score(noise(94), noise(40))
    with pytest.raises(UserError, match="Python gives 40 generated images; at least 41 are"):
        fish_jax.score(noise(200), noise(40), count=41)
    with pytest.raises(UserError, match="at least 32 images on each side are needed, not 5"):
        fish_jax.score(noise(200), noise(40), count=5)
    fish_jax.score(noise(95), noise(32))
    assert judged["count"] == 32


@pytest.mark.parametrize(
    ("real", "fake", "options", "message"),
    [
        ("nowhere", noise(40), {}, "nowhere does not exist; give a folder, a .zip or a .npy"),
        (noise(100), "nowhere", {}, "nowhere does not exist; give a folder, a .zip or a .npy"),
        ("", noise(40), {}, "the real images are ''; give a folder, a .zip, a .npy or an array"),
        (noise(100), None, {}, "the generated images are None; give a folder"),
        (noise(100), 3, {}, "images has the type int; pass a sequence"),
        (
            noise(100) / 255,
            noise(40),
            {},
            r"images can be used: the first: float64 \[20, 40, 3\]",
        ),
        (noise(100), noise(40)[..., :2], {}, r"images can be used: the first: uint8 \[20, 40, 2\]"),
        (
            noise(100)[0],
            noise(40),
            {"size": (20, 40)},
            r"none of the 20 images .* uint8 \[40, 3\], not",
        ),
        (
            noise(100),
            noise(40),
            {"size": (8, 8)},
            "size must be a pair, each a whole number from 1",
        ),
        (noise(100), noise(40), {"inception": "x.npz"}, "x.npz"),
    ],
)
def test_mistakes(judged, real, fake, options, message):
    with pytest.raises(UserError, match=message):
        fish_jax.score(real, fake, **options)


def test_sizes_are_parsed():
    assert parse_size("140x320") == (140, 320) and parse_size(" 8 x 9 ") == (8, 9)
    for text in ("140", "140x", "x320", "140*320", "-1x3", "1.5x3", "140x320x3"):
        with pytest.raises(UserError, match="HEIGHTxWIDTH in pixels; write it as 140x320"):
            parse_size(text)


def test_other_real_images_score_better_than_soft_ones(fish):
    """And the baseline is that of the references; nothing is said of memorisation."""
    real, fake = fish[:110], fish[110:]
    soft = [Image.fromarray(image).filter(ImageFilter.GaussianBlur(2)) for image in fake]
    good, bad = (
        {score.name: score for score in fish_jax.score(real, images, intervals=False).scores}
        for images in (fake, np.stack(list(map(np.asarray, soft))))
    )
    for name in ("sliced_wasserstein", "frechet", "kernel"):
        assert good[name].value < bad[name].value and good[name].floor == bad[name].floor
    assert not {"memorisation", "copies"} & good.keys()


@pytest.mark.slow
def test_folders_score_as_arrays_do(fish, tmp_path, capsys):
    real, fake = fish[:110], fish[110:]
    folders = write(tmp_path / "real", real), write(tmp_path / "fake", fake)
    (tmp_path / "fake" / "broken.png").write_bytes(b"no image")
    of_arrays = fish_jax.score(real, fake)
    assert capsys.readouterr() == ("", "")
    of_folders = fish_jax.score(*folders, show_progress=True)
    assert of_folders.scores == of_arrays.scores
    assert all(score.low <= score.value <= score.high for score in of_folders.scores[:1])
    told = capsys.readouterr().err
    assert "generated: folder " in told and "1 file skipped:\n  broken.png" in told
