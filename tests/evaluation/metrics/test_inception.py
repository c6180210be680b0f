"""FID's InceptionV3 against NumPy, a user's file of its weights, and FID and KID among scores."""

import json
import tracemalloc
import zipfile
from types import SimpleNamespace

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers.inception_weights import random_weights
from helpers.references import prepare
from helpers.tiny import tiny_config

import fish_jax
from fish_jax.data.images import ImageSet
from fish_jax.data.synthetic import drawing
from fish_jax.errors import UserError
from fish_jax.evaluation import evaluate
from fish_jax.evaluation.judge import judge
from fish_jax.evaluation.metrics import inception, inception_weights
from fish_jax.evaluation.metrics.distances import fit_gaussian, frechet_distance, kernel_distance

pytestmark = pytest.mark.usefixtures("strict_dtypes")


@pytest.fixture(scope="module")
def weights():
    return random_weights()


def test_names_and_shapes():
    """Of pytorch-fid's file: 94 convolutions, 21,785,568 numbers that are trained."""
    shapes = inception.SHAPES
    assert len(shapes) == 5 * 94 and "Conv2d_1a_3x3.bn.running_var" in shapes
    trained = [np.prod(shape) for name, shape in shapes.items() if "running" not in name]
    assert sum(trained) == 21_785_568
    assert shapes["Mixed_5b.branch1x1.conv.weight"] == (64, 192, 1, 1)
    assert shapes["Mixed_6b.branch7x7_2.conv.weight"] == (128, 128, 1, 7)
    assert shapes["Mixed_7a.branch3x3_2.conv.weight"] == (320, 192, 3, 3)
    assert shapes["Mixed_7c.branch3x3dbl_3b.conv.weight"] == (384, 384, 3, 1)
    assert len(inception.OPTIONAL) == 94 + 2


# A restatement in NumPy, in doubles.


def windows(x, kernel, fill):
    """What a kernel of odd sides sees around each pixel: [N, H, W, C] to [N, H, W, C, h, w]."""
    high, wide = (side // 2 for side in kernel)
    padded = np.pad(x, ((0, 0), (high, high), (wide, wide), (0, 0)), constant_values=fill)
    return np.lib.stride_tricks.sliding_window_view(padded, kernel, (1, 2))


def layer(weights, name, x):
    kernel, scale, bias, mean, variance = (
        np.float64(weights[f"{name}.{part}"])
        for part in ("conv.weight", "bn.weight", "bn.bias", "bn.running_mean", "bn.running_var")
    )
    x = np.einsum("nhwcij,ocij->nhwo", windows(x, kernel.shape[2:], 0), kernel, optimize=True)
    return np.maximum((x - mean) / np.sqrt(variance + 0.001) * scale + bias, 0)


def chain(weights, x, *names):
    for name in names:
        x = layer(weights, name, x)
    return x


def average(x):
    return np.nanmean(windows(x, (3, 3), np.nan), axis=(4, 5))


def largest(x):
    return np.max(windows(x, (3, 3), -np.inf), axis=(4, 5))


def block_5b(weights, x):
    of = lambda x, *names: chain(weights, x, *(f"Mixed_5b.branch{name}" for name in names))
    double = of(x, "3x3dbl_1", "3x3dbl_2", "3x3dbl_3")
    parts = of(x, "1x1"), of(x, "5x5_1", "5x5_2"), double, of(average(x), "_pool")
    return np.concatenate(parts, axis=-1)


def block_6a(weights, x):
    """A stride of 2 without padding takes every second pixel from the second on."""
    of = lambda x, *names: chain(weights, x, *(f"Mixed_6a.branch{name}" for name in names))
    parts = of(x, "3x3"), of(x, "3x3dbl_1", "3x3dbl_2", "3x3dbl_3"), largest(x)
    return np.concatenate([part[:, 1:-1:2, 1:-1:2] for part in parts], axis=-1)


def block_7c(weights, x):
    of = lambda x, *names: chain(weights, x, *(f"Mixed_7c.branch{name}" for name in names))
    single, double = of(x, "3x3_1"), of(x, "3x3dbl_1", "3x3dbl_2")
    forks = [of(single, "3x3_2a"), of(single, "3x3_2b")]
    forks += [of(double, "3x3dbl_3a"), of(double, "3x3dbl_3b")]
    return np.concatenate([of(x, "1x1"), *forks, of(largest(x), "_pool")], axis=-1)


@pytest.mark.parametrize(
    "place, restated, channels",
    [(7, block_5b, 192), (10, block_6a, 288), (17, block_7c, 2048)],
    ids=["5b", "6a", "7c"],
)
def test_blocks_against_numpy(weights, place, restated, channels):
    x = np.random.default_rng(0).random((2, 7, 5, channels), np.float32)
    made = np.asarray(inception.run(inception.NETWORK[place : place + 1], weights, x))
    expected = restated(weights, np.float64(x))
    assert made.shape == expected.shape and np.mean(expected > 0) > 0.3
    np.testing.assert_allclose(made, expected, rtol=1e-4, atol=1e-5 * expected.max())


def test_whole_network(weights):
    """Golden numbers of tests/peers_torch's restatement in PyTorch, in doubles."""
    x, y = np.meshgrid(np.arange(299), np.arange(299))
    image = np.stack([x % 256, y % 256, (x * y) % 251], axis=-1) / 128 - 1
    images = np.float32([image, image[::-1]])
    made = np.asarray(jax.jit(inception.features)(weights, images))
    assert made.shape == (2, inception.DIMENSION) and made.dtype == np.float32
    golden = [[73.510602815, 19.711218269, 10.344916525], [73.796480028, 19.729816381, 13.43672581]]
    np.testing.assert_allclose(made[:, [1250, 825, 1441]], golden, rtol=2e-5)
    np.testing.assert_allclose(made.mean(1), [6.896969273, 6.852755932], rtol=1e-5)
    np.testing.assert_allclose(np.linalg.norm(made, axis=1), [532.2595732, 529.7679812], rtol=1e-5)


@pytest.mark.parametrize(
    "images", [np.zeros((1, 299, 298, 3), np.float32), np.zeros((1, 299, 299, 3), np.uint8)]
)
def test_other_images_are_refused(images):
    with pytest.raises(ValueError, match=r"float32 \[N, 299, 299, 3\], not"):
        inception.features({}, images)


def test_resizing_by_hand():
    """Two pixels become 299: the middle is between both, the ends are flat or beyond them."""
    image = np.uint8([[[0] * 3, [255] * 3]])[None]
    legacy = np.asarray(inception.resized(image, "legacy"))
    clean = np.asarray(inception.resized(image, "clean"))
    assert legacy.shape == clean.shape == (1, 299, 299, 3)
    assert legacy.dtype == clean.dtype == np.float32
    row = np.clip((np.arange(299) + 0.5) * 2 / 299 - 0.5, 0, 1)
    expected = np.broadcast_to(row[:, None], (1, 299, 299, 3))
    np.testing.assert_allclose(legacy, 2 * expected - 1, atol=1e-6)
    # Bicubic is steeper, and what it makes beyond 0 and 255 is cut off.
    assert clean.min() == -1 and clean.max() == np.float32(127 / 128)
    assert clean[0, 0, 100, 0] < legacy[0, 0, 100, 0] and abs(clean[0, 0, 149, 0]) < 0.01


def test_images_of_the_right_size_are_only_scaled():
    image = np.random.default_rng(0).integers(0, 256, (1, 299, 299, 3), np.uint8)
    np.testing.assert_allclose(inception.resized(image, "clean"), (image - 128.0) / 128)
    np.testing.assert_allclose(inception.resized(image, "legacy"), image / 127.5 - 1, atol=1e-6)


def test_only_clean_sees_all_pixels():
    """Of stripes ten times as fine, bilinear samples take a few; antialiasing leaves their mean."""
    stripes = np.zeros((1, 2990, 40, 3), np.uint8)
    stripes[:, ::10] = 250
    assert np.ptp(np.asarray(inception.resized(stripes, "clean"))[:, 5:-5]) < 0.01
    assert np.asarray(inception.resized(stripes, "legacy")).max() == -1


# Files. A network of two arrays stands for Inception's 470.

SHAPES = {"a.weight": (2, 3), "b.bias": (4,)}
OPTIONAL = {"fc": (5,), "count": ()}


def two_arrays(dtype=np.float32):
    return {"a.weight": np.arange(6).reshape(2, 3).astype(dtype), "b.bias": np.ones(4, dtype)}


def write_safetensors(path, arrays, changes=None, tail=b""):
    """As the format has it; `changes` are made to its header."""
    kinds = {"float32": "F32", "float16": "F16", "bfloat16": "BF16", "int64": "I64"}
    header, data = {"__metadata__": {"format": "pt"}}, b""
    for name, array in arrays.items():
        place = [len(data), len(data) + array.nbytes]
        kind = kinds.get(array.dtype.name, "F64")
        header[name] = {"dtype": kind, "shape": list(array.shape), "data_offsets": place}
        data += array.tobytes()
    for name, change in (changes or {}).items():
        header[name] |= change
    text = json.dumps(header).encode()
    path.write_bytes(len(text).to_bytes(8, "little") + text + data + tail)


def write(path, arrays):
    np.savez(path, **arrays) if path.suffix == ".npz" else write_safetensors(path, arrays)


@pytest.fixture(params=[".npz", ".safetensors"])
def path(request, tmp_path):
    return tmp_path / f"weights{request.param}"


def read(path):
    return inception_weights.read(path, SHAPES, OPTIONAL)


def refused(path):
    with pytest.raises(UserError) as error:
        read(path)
    assert str(path) in str(error.value) and "\n" not in str(error.value)
    return str(error.value)


@pytest.mark.parametrize("dtype", [np.float32, np.float16, jnp.bfloat16])
def test_files_are_read(path, dtype):
    if path.suffix == ".npz" and dtype is jnp.bfloat16:
        pytest.skip(".npz has no bfloat16")
    extras = {"fc": np.zeros(5, np.float32), "count": np.array(3)}
    write(path, two_arrays(dtype) | extras)
    found, digest = read(path)
    assert found.keys() == SHAPES.keys() and len(digest) == 64
    for name, array in two_arrays().items():
        assert found[name].dtype == np.float32
        np.testing.assert_array_equal(found[name], array)
    write(path, two_arrays(dtype))
    assert read(path)[1] != digest


def test_wrong_arrays(path):
    """A sentence names file, array, shape there and shape expected."""
    sound = two_arrays()
    write(path, {"a.weight": sound["a.weight"]})
    assert refused(path) == f"{path} has no array b.bias; expected one of shape [4]"
    write(path, sound | {"AuxLogits.x": np.zeros((7, 1), np.float32)})
    assert "has an unexpected array AuxLogits.x of shape [7, 1]" in refused(path)
    write(path, sound | {"a.weight": np.zeros((3, 2), np.float32)})
    assert "a.weight has the shape [3, 2]; expected [2, 3]" in refused(path)
    write(path, sound | {"fc": np.zeros(6, np.float32)})
    assert "fc has the shape [6]; expected [5]" in refused(path)
    write(path, sound | {"b.bias": np.ones(4, np.int64)})
    assert "b.bias of shape [4] is " in refused(path) and "float32, float16 or bfloat16" in refused(
        path
    )
    write(path, sound | {"b.bias": np.float32([0, 1, np.nan, 3])})
    assert "b.bias of shape [4] has numbers that are not finite" in refused(path)


def test_damaged_files(path):
    write(path, two_arrays())
    content = path.read_bytes()
    path.write_bytes(content[:-20])
    assert "is damaged" in refused(path)
    path.write_bytes(content[:6])
    assert "is damaged" in refused(path) or "is neither" in refused(path)
    if path.suffix == ".npz":  # whose checksums see a byte
        at = content.index(np.float32(5).tobytes())
        path.write_bytes(content[:at] + b"\xff" + content[at + 1 :])
        assert "is damaged: Bad CRC-32" in refused(path)


@pytest.mark.parametrize(
    "change, message",
    [
        ({"data_offsets": [0, 4000]}, "a.weight lies outside the file"),
        ({"data_offsets": [8, 0]}, "a.weight lies outside the file"),
        ({"data_offsets": [-24, 0]}, "a.weight are not whole numbers from 0"),
        ({"data_offsets": [0, 24.0]}, "a.weight are not whole numbers from 0"),
        ({"data_offsets": [0, 20]}, "a.weight has 20 bytes, which does not match [2, 3] F32"),
        ({"shape": [2, 2**62]}, "a.weight has 24 bytes"),
        ({"shape": [True, 6]}, "a.weight are not whole numbers from 0"),
        ({"shape": 6}, "is damaged"),
        ({"dtype": "F64"}, "a.weight of shape [2, 3] is F64"),
    ],
)
def test_safetensors_headers_that_lie(tmp_path, change, message):
    path = tmp_path / "x.safetensors"
    write_safetensors(path, two_arrays(), {"a.weight": change})
    assert message in refused(path)


def test_safetensors_headers_that_are_none(tmp_path):
    path = tmp_path / "x.safetensors"
    path.write_bytes((2**63).to_bytes(8, "little") + b"{}")
    assert "its header is longer than the file" in refused(path)
    path.write_bytes((9).to_bytes(8, "little") + b'{"a": 3} ')
    assert "is damaged" in refused(path)
    path.write_bytes((100_000).to_bytes(8, "little") + b'{"a":' * 20_000)
    assert "is damaged" in refused(path)


def test_a_file_far_larger_than_the_network_is_not_read(path):
    """No more than its arrays in float64, and 4 MiB of names."""
    write(path, two_arrays())
    with open(path, "ab") as file:
        file.truncate(inception_weights.MOST_BESIDE + 8 * (6 + 4 + 5 + 1))
    assert "cannot be read" not in refused_or_read(path)
    with open(path, "ab") as file:
        file.truncate(10**12)  # takes no room on disk
    assert "cannot be read: it has more than 4,194,432 bytes, twice the size" in refused(path)


def refused_or_read(path):
    try:
        return str(read(path))
    except UserError as error:
        return str(error)


def test_a_long_header_is_not_parsed(tmp_path):
    """Which takes 25 times its size."""
    path, length = tmp_path / "x.safetensors", 3_000_000
    path.write_bytes(length.to_bytes(8, "little") + b'{"a":[' + b"[]," * (length // 3 - 3) + b" ]}")
    tracemalloc.start()
    assert refused(path) == f"{path} is damaged: its header has more than 1,048,576 bytes"
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 4 * length


def test_messages_are_short(tmp_path):
    path = tmp_path / "x.safetensors"
    for name, shape in (("a" * 99_000, [1]), ("a.weight", [1] * 99_000)):
        array = np.ones(1, np.float32)
        write_safetensors(path, {**two_arrays(), name: array}, {name: {"shape": shape}})
        assert len(refused(path)) < 400 + len(str(path))


def test_other_files(tmp_path):
    assert "cannot be read: no such file" in refused(tmp_path / "none.npz")
    assert "cannot be read: not a regular file" in refused(tmp_path)
    path = tmp_path / "weights.npz"
    for content in (b"", b"text", b"\x80\x02." * 100):
        path.write_bytes(content)
        assert "is neither a .npz nor a .safetensors file" in refused(path)
    with zipfile.ZipFile(path, "w") as archive:  # as PyTorch saves
        archive.writestr("archive/data.pkl", b"")
    assert "is neither a .npz nor a .safetensors file" in refused(path)


def test_nothing_is_unpickled(tmp_path):
    path = tmp_path / "weights.npz"
    np.savez(path, **two_arrays() | {"a.weight": np.array([[{}] * 3] * 2, object)})
    assert "a.weight of shape [2, 3] is object" in refused(path)


def test_a_network_is_loaded(tmp_path, monkeypatch):
    """Of a whole file, with what else pytorch-fid's has."""
    path, random = tmp_path / "weights.npz", np.random.default_rng(0)
    few = {name: shape for name, shape in inception.SHAPES.items() if "Conv2d_1a" in name}
    monkeypatch.setattr(inception, "SHAPES", few)
    arrays = {name: random.random(shape, np.float32) for name, shape in few.items()}
    extras = {"fc.bias": np.zeros(1008), "Conv2d_1a_3x3.bn.num_batches_tracked": np.array(0)}
    np.savez(path, **arrays, **extras)
    network = inception.load_network(path, "legacy")
    assert jax.tree.map(np.shape, network.weights) == few
    assert network.description.startswith("InceptionV3 with weights of SHA-256 ")
    assert network.description.endswith(f"{network.digest[:12]}, resize legacy to 299 x 299")
    with pytest.raises(UserError, match="resize must be one of clean, legacy, not 'bicubic'"):
        inception.load_network(path, "bicubic")
    arrays["Conv2d_1a_3x3.bn.running_var"][3] = -1
    np.savez(path, **arrays)
    with pytest.raises(UserError, match="running_var has a variance below 0"):
        inception.load_network(path)


# Scores. Means of parts of an image, repeated, stand for Inception's features.

COUNT = 32


@pytest.fixture
def network(monkeypatch):
    def extract(network, images, on_progress=lambda count: None):
        on_progress(len(images))
        parts = np.float32(images).reshape(len(images), 7, 4, 8, 8, 3).mean((2, 4)) / 255
        return np.tile(parts.reshape(len(images), -1), 13)[:, : inception.DIMENSION]

    monkeypatch.setattr(inception, "extract", extract)
    return inception.Network({}, "0123456789abcdef" * 4, "clean")


@pytest.fixture(scope="module")
def fish():
    return drawing.draw_school(5 * COUNT, 28, 64, 0)


@pytest.mark.slow
def test_fid_and_kid_are_told_with_weights_alone(fish, network):
    train, held, made = fish[: 2 * COUNT], fish[2 * COUNT : 4 * COUNT], fish[4 * COUNT :]
    plain = judge(prepare(train, held, COUNT), made)
    references = prepare(train, held, COUNT, network=network)
    found = judge(references, made, intervals=True, network=network)
    scores = {score.name: score for score in found.scores}
    assert scores.keys() - {score.name for score in plain.scores} == {"fid", "kid"}
    assert "FID" not in plain.table() and "Inception" not in plain.table()
    for score in plain.scores:  # which FID has not changed
        assert scores[score.name][1:3] == score[1:3]
    sides = [inception.extract(network, side) for side in (train[COUNT:], made)]
    expected = frechet_distance(*map(fit_gaussian, sides))
    assert scores["fid"].value == pytest.approx(expected, rel=1e-6)
    assert scores["kid"].value == pytest.approx(1000 * kernel_distance(*sides))
    for name in ("fid", "kid"):
        score = scores[name]
        assert score.low < score.value < score.high and score.spread > 0
        assert abs(score.value - score.floor) < 6 * score.spread
    text = (
        "FID and KID of InceptionV3 with weights of SHA-256 0123456789ab, resize clean to 299 x 299"
    )
    assert text in found.protocol and "FID  " in found.table() and "KID  " in found.table()
    assert "32 images on each side, whose covariance of 2048 features is singular" in found.protocol


def test_fid_sees_damage_and_its_floor_does_not(fish, network):
    references = prepare(fish[:64], fish[64:], COUNT, network=network)
    found = judge(references, fish[64:96] // 2, network=network)
    for score in found.scores:
        if score.name in ("fid", "kid"):
            assert score.value > score.floor + 10 * score.spread
            assert np.isnan(score.low)


def test_references_are_of_one_network(fish, network):
    references = prepare(fish[:64], fish[64:], COUNT, network=network)
    for other in (None, network._replace(resize="legacy"), network._replace(digest="f" * 64)):
        with pytest.raises(ValueError, match="cannot judge features of"):
            judge(references, fish[:COUNT], network=other)
    plain = prepare(fish[:64], fish[64:], COUNT)
    with pytest.raises(ValueError, match="references of no network"):
        judge(plain, fish[:COUNT], network=network)


@pytest.mark.slow
def test_progress_ends_where_it_should(fish, network):
    totals, done = {}, {}

    def begin(what, total):
        totals[what], done[what] = total, 0
        return lambda count: done.update({what: done[what] + count})

    references = prepare(fish[:90], fish[90:], COUNT, begin=begin, network=network)
    judge(references, fish[:COUNT], True, begin=begin, network=network)
    assert done == totals and len(done) == 9
    assert totals["Inception features of real images"] <= len(fish)


@pytest.fixture
def drawn(fish, tmp_path):
    """A config, and images of it."""
    config = tiny_config("lsgan_dense")
    config.data.cache = str(tmp_path / "cache")
    names = tuple(map(str, range(len(fish))))
    return config, ImageSet(fish[:96], fish[96:], names[:96], names[96:], (), "drawn fish")


@pytest.mark.slow
def test_the_cache_knows_the_weights(fish, network, drawn, monkeypatch):
    calls, prepare = [], evaluate.prepare

    def counted(*arguments, **settings):
        calls.append(settings["network"])
        return prepare(*arguments, **settings)

    monkeypatch.setattr(evaluate, "prepare", counted)
    others = [network, network._replace(resize="legacy"), network._replace(digest="f" * 64), None]
    for other in others * 2:
        references = evaluate.read_references(*drawn, COUNT, network=other)
        assert references.network == (other.description if other else "")
        assert (references.inception is None) == (other is None)
        judge(references, fish[:COUNT], network=other)
    assert calls == others


def test_a_run_is_evaluated_with_a_file(fish, network, drawn, monkeypatch):
    config, images = drawn
    load = lambda path, resize: network._replace(digest=path * 4, resize=resize)
    render = lambda gan, state, seeds, on_progress: fish[: len(seeds)]
    state = SimpleNamespace(step=0)
    for module, name, stand_in in (
        (evaluate, "load_network", load),
        (evaluate, "load_data", lambda *_: images),
        (evaluate.sampling, "read_run", lambda folder: (config, None)),
        (evaluate.sampling, "load", lambda *_: (SimpleNamespace(averaging=None), state)),
        (evaluate, "render", render),
    ):
        monkeypatch.setattr(module, name, stand_in)
    found = fish_jax.evaluate("a run", COUNT, False, inception="file", resize="legacy")
    assert "SHA-256 filefilefile, resize legacy to" in found.protocol
    assert [score.name for score in found.scores][-2:] == ["fid", "kid"]
    assert "FID" not in fish_jax.evaluate("a run", COUNT, False).table()
