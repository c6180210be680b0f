"""Weights in the layouts that Keras has written, made here with h5py; real files: tests/peers."""

import io
import json
import os
import pickle
import struct
import subprocess
import sys
import tracemalloc
import zipfile
import zlib

import h5py
import jax
import numpy as np
import pytest
from helpers.tiny import CONFIGS, tiny_config

import fish_jax
from fish_jax.configs.default import residual
from fish_jax.errors import UserError
from fish_jax.gan.state import split_seed
from fish_jax.networks.spec import KERNEL_OPS
from fish_jax.training import keras_file, keras_import
from fish_jax.utils import limited

KERAS = {"conv": "conv2d", "conv_transpose": "conv2d_transpose", "project": "dense"}
# Their tables are those of dcgan_deep and of ralsgan.
SHARED = {"dcgan_feature_matching", "ralsgan_high_lr", "ragan_sgd"}
WEIGHTS = {
    "norm": (
        ("gamma", "scale"),
        ("beta", "bias"),
        ("moving_mean", "mean"),
        ("moving_variance", "var"),
    ),
    "op": (("kernel", "kernel"), ("bias", "bias")),
}


def shaken(tree, seed=0):
    random = np.random.default_rng(seed)
    return jax.tree.map(lambda x: random.normal(size=x.shape).astype(x.dtype), tree)


def named_layers(rows, params, stats):
    """(Keras' name, {Keras' weight: array}) of each layer with weights, in the network's order."""
    counts = {}

    def unique(keras_class):
        counts[keras_class] = counts.get(keras_class, -1) + 1
        return keras_class + (f"_{counts[keras_class]}" if counts[keras_class] else "")

    for index, row in enumerate(rows):
        for kind, name in (("op", f"{index:02d}_{row.op}"), ("norm", f"{index:02d}_norm")):
            leaves = {**params.get(name, {}), **stats.get(name, {})}
            weights = {k: np.asarray(leaves[o]) for k, o in WEIGHTS[kind] if o in leaves}
            if weights:
                keras_class = KERAS.get(row.op, row.op) if kind == "op" else "batch_normalization"
                yield unique(keras_class), weights


def write_old(path, layers, whole_model=False):
    """The layout of 2020, with layers between that have no weights."""
    with h5py.File(path, "w") as file:
        group = file.create_group("model_weights") if whole_model else file
        names = [name for name, _ in layers]
        group.attrs["layer_names"] = [n.encode() for n in ["input_1", *names, "leaky_re_lu_7"]]
        for name in ("input_1", "leaky_re_lu_7"):
            group.create_group(name).attrs["weight_names"] = np.zeros(0)
        for name, weights in layers:
            layer = group.create_group(name)
            layer.attrs["weight_names"] = [f"{name}/{role}:0".encode() for role in weights]
            for role, value in weights.items():
                layer[f"{name}/{role}:0"] = value
        if whole_model:
            file["optimizer_weights/Adam/iter:0"] = 7


def write_new(path, layers):
    with h5py.File(path, "w") as file:
        file.create_group("vars")
        for name, weights in layers:
            for number, value in enumerate(weights.values()):
                file[f"layers/{name}/vars/{number}"] = value
        file["layers/dropout/seed_generator/vars/0"] = np.zeros(2, np.uint32)
        file["optimizer/vars/0"] = 3
        file["metrics/mean/vars/0"] = 0.5


def write_zip(path, layers):
    inside = io.BytesIO()
    write_new(inside, layers)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("config.json", "{}")
        archive.writestr("model.weights.h5", inside.getvalue())


WRITERS = {
    "weights.h5": write_old,
    "model.h5": lambda path, layers: write_old(path, layers, whole_model=True),
    "new.weights.h5": write_new,
    "zipped.keras": write_zip,
}


RUN_MODULE = limited.run_module


def run_here(module, arguments, memory, seconds, output):
    path, most = arguments
    return b"".join(keras_file.packed(keras_file.Path(path), int(most)))


@pytest.fixture(autouse=True)
def in_process(monkeypatch):
    """Reads files in this process, which is faster."""
    monkeypatch.setattr(limited, "run_module", run_here)


@pytest.fixture
def apart(monkeypatch, in_process):
    """Reads files in another process, as users do."""
    monkeypatch.setattr(limited, "run_module", RUN_MODULE)


@pytest.fixture(scope="module")
def initial():
    """Makes an experiment's networks and a state of random weights, once."""
    made = {}

    def get(name):
        if name not in made:
            gan = fish_jax.make_gan(tiny_config(name))
            shapes = jax.eval_shape(lambda: fish_jax.create_state(gan, 5)).replace(key=None)
            state = jax.tree.map(lambda leaf: np.zeros(leaf.shape, leaf.dtype), shapes)
            fields = [
                f"{n}_{c}" for n in ("generator", "discriminator") for c in ("params", "stats")
            ]
            made[name] = gan, state.replace(**{f: shaken(getattr(state, f)) for f in fields})
        return made[name]

    return get


def generator_layers(gan, state):
    return list(named_layers(gan.generator.rows, state.generator_params, state.generator_stats))


def discriminator_layers(gan, state):
    parts = (("encode", gan.discriminator.encoder), ("decode", gan.discriminator.decoder))
    params, stats = state.discriminator_params, state.discriminator_stats
    return [list(named_layers(rows, params[n], stats.get(n, {}))) for n, rows in parts if rows]


def assert_same_weights(left, right, networks=("generator", "discriminator")):
    for network in networks:
        for part in ("params", "stats"):
            ours, theirs = (getattr(s, f"{network}_{part}") for s in (left, right))
            assert jax.tree.structure(ours) == jax.tree.structure(theirs)
            jax.tree.map(np.testing.assert_array_equal, ours, theirs)


@pytest.mark.parametrize("name", sorted(set(CONFIGS) - SHARED - {"best", "r3gan", "sngan"}))
def test_every_experiment_comes_back(name, initial, tmp_path):
    gan, state = initial(name)
    write_old(tmp_path / "g.h5", generator_layers(gan, state))
    parts = discriminator_layers(gan, state)
    paths = [tmp_path / f"{index}.weights.h5" for index in range(len(parts))]
    for path, layers in zip(paths, parts):
        write_new(path, layers)
    discriminator = paths if len(paths) > 1 else paths[0]
    loaded = fish_jax.from_keras(gan, generator=tmp_path / "g.h5", discriminator=discriminator)
    assert_same_weights(loaded, state)
    expected = jax.eval_shape(lambda: fish_jax.create_state(gan, 0))
    assert jax.tree.map(jax.typeof, loaded) == jax.tree.map(jax.typeof, expected)
    created = split_seed(0)[2]
    assert (
        loaded.step == 0 and (jax.random.key_data(loaded.key) == jax.random.key_data(created)).all()
    )


@pytest.mark.parametrize("file", WRITERS)
def test_every_layout(file, initial, tmp_path):
    gan, state = initial("dcgan_deep")
    WRITERS[file](tmp_path / file, generator_layers(gan, state))
    loaded = fish_jax.from_keras(gan, generator=tmp_path / file, seed=5)
    assert_same_weights(loaded, state, ["generator"])
    fresh = jax.jit(fish_jax.create_state, static_argnums=0)(gan, 5)
    assert_same_weights(loaded, fresh, ["discriminator"])  # no file: initial weights


def test_many_layers_of_a_class_keep_their_order(initial, tmp_path):
    """conv2d_10 comes after conv2d_9, though not in the alphabet."""
    gan, state = initial("began")
    one = [layer for part in discriminator_layers(gan, state) for layer in part]
    counts, renamed = {}, []
    for name, weights in one:
        keras_class = "conv2d" if name.startswith("conv2d") else "dense"
        counts[keras_class] = counts.get(keras_class, -1) + 1
        suffix = f"_{counts[keras_class]}" if counts[keras_class] else ""
        renamed.append((keras_class + suffix, weights))
    assert renamed[-1][0] == "conv2d_12"
    write_new(tmp_path / "d.weights.h5", renamed)
    loaded = fish_jax.from_keras(gan, discriminator=tmp_path / "d.weights.h5")
    assert_same_weights(loaded, state, ["discriminator"])


def refusal(gan, **paths):
    with pytest.raises(UserError) as caught:
        fish_jax.from_keras(gan, **paths)
    return str(caught.value)


@pytest.mark.parametrize("file", WRITERS)
def test_another_network_is_refused_with_its_first_layer(file, initial, tmp_path):
    gan, state = initial("ralsgan")
    layers = generator_layers(gan, state)
    path = tmp_path / file
    changed = [
        (n, {r: np.zeros((2, *v.shape), v.dtype)[0] for r, v in w.items()}) for n, w in layers
    ]
    changed[4] = (changed[4][0], {"kernel": np.zeros((5, 5, 4, 4), np.float32)})
    changed[6] = (changed[6][0], {"kernel": np.zeros((7, 7, 4, 4), np.float32)})
    WRITERS[file](path, changed)
    assert refusal(gan, generator=path) == (
        f"{path} does not fit this generator: generator.layers[2] (conv_transpose 4 3x3 stride 2 "
        "same + batch norm + leaky_relu) has kernel 3 x 3 x 4 x 4, but the file's "
        "conv2d_transpose_1 has kernel 5 x 5 x 4 x 4"
    )
    WRITERS[file](path, layers[:-1])
    assert "but the file has no conv2d_transpose layer left for it" in refusal(gan, generator=path)
    WRITERS[file](path, [*layers, ("dense_9", {"kernel": np.zeros((3, 2), np.float32)})])
    message = refusal(gan, generator=path)
    assert message.endswith("after its last layer the file has dense_9, kernel 3 x 2")


def test_a_norm_or_a_bias_more_or_less_is_refused(initial, tmp_path):
    gan, state = initial("ralsgan")
    layers, path = discriminator_layers(gan, state)[0], tmp_path / "d.h5"
    name, weights = layers[0]
    write_old(path, [(name, {"kernel": weights["kernel"]}), *layers[1:]])
    message = refusal(gan, discriminator=path)
    assert (
        "has kernel 3 x 3 x 3 x 4, bias 4, but the file's conv2d has kernel 3 x 3 x 3 x 4"
        in message
    )
    _, weights = next(layer for layer in layers if "norm" in layer[0])
    write_old(path, [layers[0], ("batch_normalization_9", weights), *layers[1:]])
    message = refusal(gan, discriminator=path)
    assert "discriminator.layers[1]" in message and "batch_normalization_9 has gamma 4" in message


def test_a_convolution_is_no_transposed_one(initial, tmp_path):
    """With as many channels in as out their kernels have one shape."""
    gan, state = initial("ralsgan")
    layers, path = generator_layers(gan, state), tmp_path / "g.h5"
    name, weights = layers[4]
    assert name == "conv2d_transpose_1" and weights["kernel"].shape == (3, 3, 4, 4)
    write_old(path, [*layers[:4], ("conv2d_5", weights), *layers[5:]])
    message = refusal(gan, generator=path)
    assert message.endswith("but the file's conv2d_5 is not a conv2d_transpose")
    write_old(path, [*layers[:4], ("mine", weights), *layers[5:]])  # a name of the user's own
    assert_same_weights(fish_jax.from_keras(gan, generator=path), state, ["generator"])


def test_values_that_are_not_finite_are_refused(initial, tmp_path):
    gan, state = initial("lsgan_dense")
    layers, path = generator_layers(gan, state), tmp_path / "g.h5"
    name, weights = layers[1]
    layers[1] = name, weights | {"gamma": np.full_like(weights["gamma"], np.nan)}
    write_old(path, layers)
    message = refusal(gan, generator=path)
    assert message.endswith("the file's batch_normalization has a gamma that is not finite")


def test_what_is_no_file_of_keras_is_refused(initial, tmp_path):
    gan, state = initial("lsgan_dense")
    assert "nowhere.h5 does not exist" in refusal(gan, generator=tmp_path / "nowhere.h5")
    for name, content in {"text.h5": b"no weights", "empty.keras": b""}.items():
        (tmp_path / name).write_bytes(content)
        assert f"{name} cannot be read as weights that Keras saved" in refusal(
            gan, generator=tmp_path / name
        )
    with zipfile.ZipFile(tmp_path / "other.zip", "w") as archive:
        archive.writestr("a.txt", "a")
    assert "other.zip cannot be read as weights" in refusal(gan, generator=tmp_path / "other.zip")
    with h5py.File(tmp_path / "other.h5", "w") as file:
        file["table/7"] = np.zeros(3)
    assert "holds no layer with weights" in refusal(gan, generator=tmp_path / "other.h5")
    write_old(tmp_path / "cut.h5", generator_layers(gan, state))
    whole = (tmp_path / "cut.h5").read_bytes()
    (tmp_path / "cut.h5").write_bytes(whole[: len(whole) // 2])
    assert "cut.h5 cannot be read" in refusal(gan, generator=tmp_path / "cut.h5")
    assert "takes one file, or several files with its layers" in refusal(gan, discriminator=[])


def test_a_zip_is_unpacked_up_to_a_bound(initial, tmp_path):
    """64 MiB and eight times the weights: refused whatever size the zip states."""
    gan, state = initial("ralsgan")
    shapes = [state.generator_params, state.generator_stats]
    most = keras_import._most_unpacked(shapes)
    assert most == 2**26 + 8 * 4 * sum(leaf.size for leaf in jax.tree.leaves(shapes))
    path = tmp_path / "bomb.keras"
    with (
        zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive,
        archive.open("model.weights.h5", "w") as file,
    ):
        for _ in range(most // 2**20 + 300):
            file.write(bytes(2**20))
    tracemalloc.start()
    message = refusal(gan, generator=path)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert f"unpacked it has more than {most} bytes, far more than this network" in message
    assert peak < 2.2 * most and path.stat().st_size < most / 30
    content = path.read_bytes()
    size = struct.pack("<I", (most // 2**20 + 300) * 2**20)
    assert content.count(size) >= 1
    path.write_bytes(content.replace(size, struct.pack("<I", 1000)))  # it states a kilobyte
    assert "bomb.keras cannot be read as weights" in refusal(gan, generator=path)


@pytest.mark.parametrize("method", [zipfile.ZIP_LZMA, zipfile.ZIP_BZIP2])
def test_a_zip_that_cannot_be_unpacked_piecewise_is_refused(method, initial, tmp_path):
    gan, _ = initial("ralsgan")
    with zipfile.ZipFile(tmp_path / "bomb.keras", "w", method) as archive:
        archive.writestr("model.weights.h5", bytes(2**20))
    assert "compressed in a way that Keras does not use" in refusal(
        gan, generator=tmp_path / "bomb.keras"
    )


KERNEL = (8, 400)  # of ralsgan's first layer


def in_place_of(name, role, replace):
    """Writes a file in the new layout, an array of which is made by a function of its group."""

    def write(path, layers):
        write_new(path, layers)
        with h5py.File(path, "a") as file:
            group = file[f"layers/{name}/vars"]
            del group[str(role)]
            replace(group, str(role), path.parent)

    return write


def outside(folder):
    """A file with numbers that are none of the model's."""
    with h5py.File(folder / "other.h5", "w") as file:
        file["kernel"] = np.ones(KERNEL, np.float32)
    (folder / "secret").write_bytes(np.ones(KERNEL, np.float32).tobytes())
    return folder / "other.h5", folder / "secret"


def virtual(group, role, folder):
    layout = h5py.VirtualLayout(KERNEL, np.float32)
    layout[:] = h5py.VirtualSource(outside(folder)[0], "kernel", KERNEL)
    group.create_virtual_dataset(role, layout)


STRANGE = {
    "of a petabyte": (
        lambda g, r, _: g.create_dataset(r, (2**24, 2**26), "f4"),
        "the file's dense",
    ),
    "in another file": (virtual, "vars/0 lies in another file"),
    "in a raw file": (
        lambda g, r, folder: g.create_dataset(
            r, KERNEL, "f4", external=[(str(outside(folder)[1]), 0, 12800)]
        ),
        "vars/0 lies in another file",
    ),
    "behind a link": (
        lambda g, r, folder: g.__setitem__(r, h5py.ExternalLink(str(outside(folder)[0]), "kernel")),
        "has kernel 8 x 400, but the file has no dense layer left",
    ),
    "of objects": (
        lambda g, r, _: g.create_dataset(r, KERNEL, h5py.special_dtype(vlen=np.uint8)),
        "has a kernel of object; save it in float32",
    ),
    "opaque": (
        lambda g, r, _: g.create_dataset(r, data=np.frombuffer(pickle.dumps(print), "V1")),
        "but the file's dense has kernel 33",
    ),
    "empty": (lambda g, r, _: g.create_dataset(r, data=h5py.Empty("f4")), "the file's dense has"),
}


@pytest.mark.parametrize("kind", STRANGE)
def test_an_array_that_is_none_of_the_file_is_not_read(kind, initial, tmp_path):
    gan, state = initial("ralsgan")
    replace, message = STRANGE[kind]
    write = in_place_of("dense", 0, replace)
    write(tmp_path / "g.weights.h5", generator_layers(gan, state))
    assert message in refusal(gan, generator=tmp_path / "g.weights.h5")


def test_what_the_old_layout_names_is_an_array_of_the_file(initial, tmp_path):
    gan, state = initial("ralsgan")
    other, path = outside(tmp_path)[0], tmp_path / "g.h5"
    for link in (h5py.ExternalLink(str(other), "kernel"), h5py.SoftLink("/batch_normalization")):
        write_old(path, generator_layers(gan, state))
        with h5py.File(path, "a") as file:
            del file["dense/dense/kernel:0"]
            file["dense/dense/kernel:0"] = link
        assert "is not an array of this file" in refusal(gan, generator=path)
    with h5py.File(path, "a") as file:
        file.attrs["layer_names"] = 3
    assert "g.h5 cannot be read as weights" in refusal(gan, generator=path)


WATCHED = """
import json, pickle, sys
import fish_jax
from tests.helpers.tiny import tiny_config
from fish_jax.training import keras_file
from fish_jax.utils import limited

# The watch sees this process alone.
packed = lambda path, most: keras_file.packed(keras_file.Path(path), int(most))
limited.run_module = lambda module, arguments, *limits: b"".join(packed(*arguments))
clean, paths = sys.argv[1:5], sys.argv[5:]
gan, seen = fish_jax.make_gan(tiny_config("ralsgan")), []

def watch(event, arguments):
    what = str(arguments[:2])
    if event in ("pickle.find_class", "marshal.loads", "compile", "os.system", "subprocess.Popen"):
        seen.append(event)
    elif event in ("exec", "import") and "evil" in what:
        seen.append(f"{event} {what}")
    elif event == "open" and (str(arguments[1])[:1] in "wax" or "evil.p" in what):
        seen.append(f"{event} {what}")

for path in clean:  # what libraries import when they are first used
    fish_jax.from_keras(gan, generator=path)
sys.addaudithook(watch)
loaded = [int(fish_jax.from_keras(gan, generator=path).step) for path in paths]
found = list(seen)
pickle.loads(pickle.dumps(print))  # the watch works
print(json.dumps([loaded, found, seen[len(found):]]))
"""


@pytest.mark.slow
def test_no_code_of_a_file_runs_and_nothing_is_written(initial, tmp_path):
    """Lambda layers, pickles, code and ways out of the folder, in files whose weights are right."""
    gan, state = initial("ralsgan")
    layers = generator_layers(gan, state)
    for name in ("clean", "evil"):
        (tmp_path / name).mkdir()
        for file, write in WRITERS.items():
            write(tmp_path / name / file, layers)
    clean, paths = ([tmp_path / name / file for file in WRITERS] for name in ("clean", "evil"))
    function = {"class_name": "__lambda__", "config": {"code": "4wEAAAAAAAAA", "defaults": None}}
    config = {"class_name": "Lambda", "module": "evil", "config": {"function": function}}
    pickled = b"cos\nsystem\n(S'echo planted'\ntR."
    for path in paths[:-1]:
        with h5py.File(path, "a") as file:
            file.attrs["model_config"] = json.dumps({"config": {"layers": [config]}})
            file.attrs["pickled"] = np.void(pickled)
            file["evil.pkl"] = np.void(pickled)
    with zipfile.ZipFile(paths[-1], "a") as archive, pytest.warns(UserWarning, match="Duplicate"):
        archive.writestr("config.json", json.dumps(config))
        for name in ("../evil.py", "/tmp/evil_fish.py", "evil.py", "evil.pkl", "../../evil"):
            archive.writestr(name, pickled)
        link = zipfile.ZipInfo("assets")
        link.external_attr = 0o120777 << 16
        archive.writestr(link, "/tmp")
    before = sorted(tmp_path.rglob("*"))
    done = subprocess.run(
        [sys.executable, "-c", WATCHED, *map(str, clean + paths)],
        capture_output=True,
        text=True,
        env=os.environ | {"JAX_PLATFORMS": "cpu"},
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == [[0] * len(paths), [], ["pickle.find_class"]]
    assert sorted(tmp_path.rglob("*")) == before and not os.path.exists("/tmp/evil_fish.py")


@pytest.mark.slow
def test_a_run_begins_at_the_weights(initial, tmp_path):
    """With a learning rate of next to nothing the weights of the file are those of the run."""
    config = tiny_config("lsgan_dense")
    config.optimizer.name = "sgd"
    config.optimizer.generator_lr = config.optimizer.discriminator_lr = 1e-30
    config.epochs = 1
    config.data.cache = str(tmp_path / "cache")
    gan, state = fish_jax.make_gan(config), initial("lsgan_dense")[1]
    write_old(tmp_path / "g.h5", generator_layers(gan, state))
    begin = fish_jax.from_keras(gan, generator=tmp_path / "g.h5")
    fish_jax.train(config, tmp_path / "run", initial=begin)
    _, after = fish_jax.load(tmp_path / "run")
    assert after.step == 3
    jax.tree.map(np.testing.assert_array_equal, after.generator_params, state.generator_params)
    assert (tmp_path / "run" / "checkpoints" / "0").is_dir()  # saved before the first step
    assert not any(leaf.is_deleted() for leaf in jax.tree.leaves(begin))  # training took a copy


def test_an_initial_state_of_another_config_is_refused(initial, tmp_path):
    config = tiny_config("lsgan_dense")
    config.data.cache = str(tmp_path / "cache")
    with pytest.raises(UserError, match="initial state does not fit this config"):
        fish_jax.train(config, tmp_path / "run", initial=initial("ralsgan")[1])


def test_kernel_ops_all_have_a_class_in_keras():
    known = set(fish_jax.training.keras_import.CLASSES)
    assert {*KERNEL_OPS, "norm"} - {"residual", "to_image", "from_image"} == known


def test_residual_rows_are_of_no_model_of_keras(tmp_path):
    config = tiny_config("ralsgan")
    config.discriminator.layers = (residual(4), *config.discriminator.layers)
    gan = fish_jax.make_gan(config)
    message = r"D's layers\[0\] \(residual 4 3x3 twice .*\) does not exist in Keras; net"
    with pytest.raises(UserError, match=message):
        fish_jax.from_keras(gan, discriminator=tmp_path / "discriminator.h5")


def test_models_within_a_model_whose_order_is_lost_are_refused(initial, tmp_path):
    """The new layout keeps no order between a Sequential and a Functional model, or a layer."""
    gan, state = initial("began")
    encoder, decoder = discriminator_layers(gan, state)
    path = tmp_path / "d.weights.h5"
    named = lambda outer, layers: [(f"{outer}/layers/{name}", weights) for name, weights in layers]
    write_new(path, named("sequential", encoder) + named("sequential_1", decoder))
    loaded = fish_jax.from_keras(gan, discriminator=[path])
    assert_same_weights(loaded, state, ["discriminator"])
    write_new(path, named("sequential", encoder) + named("functional", decoder))
    assert "whose order this format does not keep" in refusal(gan, discriminator=path)
    write_new(path, named("sequential", encoder) + decoder)
    assert "whose order this format does not keep" in refusal(gan, discriminator=path)


def test_bfloat16_is_refused(initial, tmp_path):
    gan, state = initial("lsgan_dense")
    layers = generator_layers(gan, state)
    name, weights = layers[0]
    raw = weights | {"kernel": np.zeros(weights["kernel"].shape, "V2")}
    write_old(tmp_path / "g.h5", [(name, raw), *layers[1:]])
    assert "save it in float32" in refusal(gan, generator=tmp_path / "g.h5")


def test_what_tensorflow_saved_otherwise_is_refused_with_what_to_do(initial, tmp_path):
    gan, _ = initial("lsgan_dense")
    advice = "; load it in TensorFlow, save it as .h5, and read that file"
    assert refusal(gan, generator=tmp_path) == f"{tmp_path} is a folder{advice}"
    parts = [tmp_path / f"ckpt-1.{end}" for end in ("index", "data-00000-of-00001")]
    for part in parts:
        part.write_bytes(b"\0" * 100)
    for path in (*parts, tmp_path / "ckpt-1"):
        assert refusal(gan, generator=path) == f"{path} is a checkpoint of TensorFlow{advice}"


@pytest.mark.parametrize("write", [write_old, write_new])
def test_a_discriminator_may_be_in_several_files(write, initial, tmp_path):
    """Feature matching needs its features, so that what is before and behind them is saved."""
    gan, state = initial("dcgan_deep")
    (layers,) = discriminator_layers(gan, state)
    paths = [tmp_path / f"{index}.h5" for index in range(3)]
    for path, part in zip(paths, (layers[:2], layers[2:-1], layers[-1:])):
        write(path, part)
    loaded = fish_jax.from_keras(gan, discriminator=paths)
    assert_same_weights(loaded, state, ["discriminator"])
    message = refusal(gan, discriminator=[paths[1], paths[0], paths[2]])
    assert message.startswith(
        f"{paths[1]} does not fit this discriminator: discriminator.layers[0]"
    )
    message = refusal(gan, discriminator=paths[:2])
    assert message.startswith(f"{paths[1]} does not fit this") and "no dense layer left" in message
    message = refusal(gan, discriminator=[*paths, paths[0]])
    assert (
        message == f"{paths[0]} is one too many: the layers of this discriminator end in {paths[2]}"
    )


def bomb(path, gigabytes):
    """A chunk of 12,800 bytes that unpacks to gigabytes of zeros, without packing so many."""
    packer = zlib.compressobj(9)
    block = packer.compress(bytes(2**20)) + packer.flush(zlib.Z_FULL_FLUSH)
    begin, block = block[:2], block[2:]
    count = 1024 * gigabytes
    end = b"\3\0" + struct.pack(">I", (count * 2**20 % 65521) << 16 | 1)  # its checksum
    packed = begin + block * count + end

    def put(group, role, folder):
        dataset = group.create_dataset(role, KERNEL, "f4", chunks=KERNEL, compression="gzip")
        dataset.id.write_direct_chunk((0, 0), packed)

    return in_place_of("dense", 0, put)


def test_a_file_is_read_apart_and_takes_little(initial, tmp_path, apart):
    """As HDF5 unpacks a piece whole, whatever the size of its array."""
    gan, state = initial("ralsgan")
    layers, path = generator_layers(gan, state), tmp_path / "g.weights.h5"
    write_new(path, layers)
    most = keras_import._most_unpacked([])
    found = keras_file.read_apart(path, most)
    np.testing.assert_array_equal(found["dense"][0][1]["kernel"].values, layers[0][1]["kernel"])
    bomb(path, gigabytes=4)(path, layers)
    with pytest.raises(
        UserError, match=r"g.weights.h5 .*: reading it takes more than .* of memory"
    ):
        keras_file.read_apart(path, most)


@pytest.mark.slow
def test_a_file_that_hdf5_reads_for_ever_is_refused(monkeypatch, apart):
    """HDF5 2.0 and 1.14 never come back from a damaged attribute of this one."""
    monkeypatch.setattr(keras_file, "SECONDS", 2.0)
    path = keras_file.Path(__file__).with_name("hangs.h5")
    with pytest.raises(UserError, match="hangs.h5 .*: reading it takes more than 2 seconds"):
        keras_file.read_apart(path, 2**26)


def test_frozen_layers_in_a_model_within_a_model_are_refused(initial, tmp_path):
    """The old layout puts their weights behind all others of the inner model."""
    gan, _ = initial("lsgan_dense")
    with h5py.File(tmp_path / "g.h5", "w") as file:
        file.attrs["model_config"] = '{"layers": [{"trainable": false}]}'
        group = file.create_group("model_weights")
        group.attrs["layer_names"] = [b"sequential"]
        names = ["dense_1/kernel:0", "dense/kernel:0"]
        group.create_group("sequential").attrs["weight_names"] = [name.encode() for name in names]
        for name in names:
            group["sequential"][name] = np.zeros((2, 2), np.float32)
    assert "has frozen layers in a nested model" in refusal(gan, generator=tmp_path / "g.h5")
