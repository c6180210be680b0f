"""`fish_jax.from_keras` on files that Keras 2, as of 2020, and Keras 3 really wrote."""

import keras
import keras_gans
import numpy as np
import pytest
import tf_keras
from compare import our_gan, tensors

import fish_jax
from fish_jax.errors import UserError

SIZE = (20, 40)
# What to save, by file; Keras 3 writes weights alone in its own layout only.
FORMATS = {
    "model.h5": "save",
    "weights.h5": "save_weights",
    "new.weights.h5": "save_weights",
    "zipped.keras": "save",
}


def narrow(filters: int) -> int:
    return max(4, filters // 16)


@pytest.fixture(params=["keras 2", "keras 3"])
def writer(request, monkeypatch):
    """Keras of one generation, building the networks of keras_gans."""
    generation = {"keras 2": tf_keras, "keras 3": keras}[request.param]
    monkeypatch.setattr(keras_gans, "keras", generation)
    monkeypatch.setattr(keras_gans, "layers", generation.layers)
    keras.config.set_dtype_policy("float32")
    keras.config.set_floatx("float32")
    return generation


def build(experiment: str) -> keras_gans.Networks:
    """Networks with weights and statistics at random, and moved once so that Adam has moments."""
    latents = our_gan(experiment, SIZE, narrow, np.float32, {}).latent_size
    networks = keras_gans.NETWORKS[experiment](*SIZE, latents, narrow)
    random = np.random.default_rng(2)
    for model in (networks.generator, *networks.discriminator):
        model.set_weights([random.uniform(0.5, 1, w.shape) / 9 for w in model.get_weights()])
    return networks


def train_once(model) -> None:
    model.compile(optimizer="adam", loss="mse")
    shapes = [(2, *side[1:]) for side in (model.input_shape, model.output_shape)]
    model.train_on_batch(*map(np.ones, shapes))


def assert_loaded(networks, state) -> None:
    pairs = tensors(
        networks,
        (state.generator_params, state.generator_stats),
        (state.discriminator_params, state.discriminator_stats),
    )
    assert pairs
    for name, variable, ours in pairs:
        np.testing.assert_array_equal(ours, variable.numpy(), err_msg=name)


@pytest.fixture(autouse=True)
def short_names(monkeypatch):
    """Keras 2 names variables with their layer: "dense/kernel:0"."""
    import compare

    roles = compare.ROLES

    class Roles(dict):
        def __missing__(self, name):
            return roles[name.split("/")[-1].removesuffix(":0")]

    monkeypatch.setattr(compare, "ROLES", Roles(roles))


@pytest.mark.parametrize("experiment", keras_gans.NETWORKS)
def test_every_experiment(experiment, writer, tmp_path):
    networks = build(experiment)
    networks.generator.save(tmp_path / "generator.h5")
    paths = [tmp_path / f"part{i}.weights.h5" for i in range(len(networks.discriminator))]
    for path, part in zip(paths, networks.discriminator):
        part.save_weights(path)
    gan = our_gan(experiment, SIZE, narrow, np.float32, {})
    state = fish_jax.from_keras(
        gan,
        generator=tmp_path / "generator.h5",
        discriminator=paths if len(paths) > 1 else paths[0],
    )
    assert_loaded(networks, state)
    latents = fish_jax.seed_latents(gan, range(4))
    theirs = networks.generator(np.asarray(latents), training=False)
    pixels = np.clip(np.round((np.asarray(theirs) + 1) * 127.5), 0, 255)
    ours = np.asarray(fish_jax.generate(state, latents, gan)).astype(int)
    assert np.abs(ours - pixels).max() <= 1 and (ours == pixels).mean() > 0.999


@pytest.mark.parametrize("file", FORMATS)
@pytest.mark.parametrize("experiment", ["lsgan", "dcgan_deep"])
def test_every_format(experiment, file, writer, tmp_path):
    if file == "weights.h5" and writer is keras:
        pytest.skip("Keras 3 does not write weights alone in the old layout")
    networks = build(experiment)
    paths = {}
    for name, model in (("generator", networks.generator), ("d", networks.discriminator[0])):
        train_once(model)
        paths[name] = tmp_path / f"{name}.{file}"
        getattr(model, FORMATS[file])(paths[name])
    gan = our_gan(experiment, SIZE, narrow, np.float32, {})
    state = fish_jax.from_keras(gan, generator=paths["generator"], discriminator=paths["d"])
    assert_loaded(networks, state)


@pytest.mark.parametrize("file", ["model.h5", "new.weights.h5", "zipped.keras"])
def test_an_autoencoder_in_one_file(file, writer, tmp_path):
    networks = build("began")
    encoder, decoder = networks.discriminator
    images = writer.Input((*SIZE, 3))
    whole = writer.Model(images, decoder(encoder(images)))
    getattr(whole, FORMATS[file])(tmp_path / file)
    networks.generator.save_weights(tmp_path / "g.weights.h5")
    gan = our_gan("began", SIZE, narrow, np.float32, {})
    state = fish_jax.from_keras(
        gan, generator=tmp_path / "g.weights.h5", discriminator=tmp_path / file
    )
    assert_loaded(networks, state)


@pytest.mark.parametrize("file", FORMATS)
def test_another_network_is_refused(file, writer, tmp_path):
    if file == "weights.h5" and writer is keras:
        pytest.skip("Keras 3 does not write weights alone in the old layout")
    path = tmp_path / file
    getattr(build("dcgan_deep").generator, FORMATS[file])(path)
    gan = our_gan("ralsgan", SIZE, narrow, np.float32, {})
    with pytest.raises(UserError, match=r"generator\.layers\[1\].* has kernel 3 x 3 x 4 x 16"):
        fish_jax.from_keras(gan, generator=path)
