"""One experiment in fish_jax and in Keras with the same numbers in both, and how they differ."""

import importlib
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import keras
import keras_gans
import numpy as np
import optax
from keras_gans import Given, Networks, Optimizers, Width

import fish_jax
from fish_jax.draws import Stream
from fish_jax.layers import image_dropout
from fish_jax.networks import dropout_keys

# What Keras calls each weight, and what fish_jax does.
ROLES = {
    "kernel": "kernel",
    "bias": "bias",
    "gamma": "scale",
    "beta": "bias",
    "moving_mean": "mean",
    "moving_variance": "var",
}

# Parameters whose true gradient is zero, as batch normalisation or a relativistic loss subtracts
# whatever they add. What they get is rounding noise, which Adam turns into steps of random sign.
_RALSGAN = {f"discriminator/conv2d_{i}/bias" for i in (2, 3, 4)} | {"discriminator/dense_0/bias"}
_DEEP = {f"discriminator/conv2d_{i}/bias" for i in range(6)}
ZERO_GRADIENT = {
    "dcgan_shallow": {f"discriminator/conv2d_{i}/bias" for i in range(4)},
    "dcgan_deep": _DEEP,
    "dcgan_feature_matching": _DEEP,
    "lsgan_dense": {f"generator/dense_{i}/bias" for i in range(3)},
    "lsgan": {f"discriminator/conv2d_{i}/bias" for i in range(2)},
    "ralsgan": _RALSGAN,
    "ralsgan_high_lr": _RALSGAN,
    "ragan_sgd": _RALSGAN,
    "began": set(),
}


class Tensor(NamedTuple):
    """One tensor of both sides: its name, Keras' variable and fish_jax's array."""

    name: str
    variable: keras.Variable
    ours: jax.Array


class Pair(NamedTuple):
    """An experiment on both sides, with the same weights."""

    experiment: str
    gan: Any
    state: fish_jax.state.TrainState
    networks: Networks
    optimizers: Optimizers


def our_gan(
    experiment: str,
    size: tuple[int, int],
    w: Width,
    dtype: jax.typing.DTypeLike,
    changes: Mapping[str, Any] = {},
):
    """The experiment's config with another size, narrowed by `w` and with fields changed."""
    config = importlib.import_module(f"configs.{experiment}").get_config()
    config.height, config.width = size
    narrow = lambda rows: tuple(
        row | {"filters": w(row["filters"])} if row.get("filters", 0) > 3 else row for row in rows
    )
    config.generator.layers = narrow(config.generator.layers)
    config.discriminator.layers = narrow(config.discriminator.layers)
    config.discriminator.decoder = narrow(config.discriminator.decoder)
    config.update_from_flattened_dict(changes)
    return fish_jax.make_gan(config, dtype)


def _shaken(tree: Any, random: np.random.Generator) -> Any:
    """Biases, scales and statistics moved away from 0 and 1, where mistakes would not show."""

    def shake(path, leaf):
        role = path[-1].key
        if role == "kernel":
            return leaf
        if role == "var":
            return jnp.asarray(random.uniform(0.5, 1.5, leaf.shape), leaf.dtype)
        return leaf + jnp.asarray(0.1 * random.normal(size=leaf.shape), leaf.dtype)

    return jax.tree_util.tree_map_with_path(shake, tree)


def _model_tensors(
    model: keras.Sequential, where: str, params: Mapping, stats: Mapping
) -> Iterator[Tensor]:
    kernels = iter(sorted(name for name in params if not name.endswith("norm")))
    norms = iter(sorted(name for name in params if name.endswith("norm")))
    counts: dict[str, int] = {}
    for layer in model.layers:
        if not layer.weights:
            continue
        kind = type(layer).__name__.lower()
        number = counts[kind] = counts.get(kind, -1) + 1
        name = next(norms if kind == "batchnormalization" else kernels)
        leaves = {**params.get(name, {}), **stats.get(name, {})}
        for variable in layer.weights:
            role = ROLES[variable.name]
            if role in leaves:
                yield Tensor(f"{where}/{kind}_{number}/{variable.name}", variable, leaves[role])
    assert next(kernels, None) is next(norms, None) is None


def tensors(networks: Networks, generator: Any, discriminator: Any) -> list[Tensor]:
    """Every weight of both sides; each network's trees are (parameters, statistics).

    Any trees of the parameters' structure will do: gradients or moments, with statistics {}.
    """
    found = list(_model_tensors(networks.generator, "generator", *generator))
    params, stats = discriminator
    names = ("discriminator",) if len(networks.discriminator) == 1 else ("encoder", "decoder")
    for part, where, key in zip(networks.discriminator, names, ("encode", "decode")):
        found += _model_tensors(part, where, params[key], stats.get(key, {}))
    return found


def state_tensors(pair: Pair, state: fish_jax.state.TrainState) -> list[Tensor]:
    """Every parameter and running statistic."""
    return tensors(
        pair.networks,
        (state.generator_params, state.generator_stats),
        (state.discriminator_params, state.discriminator_stats),
    )


def make_pair(
    experiment: str,
    size: tuple[int, int],
    w: Width,
    dtype: jax.typing.DTypeLike,
    changes: Mapping[str, Any] = {},
) -> Pair:
    """Both sides at the same random weights."""
    keras.config.set_floatx(np.dtype(dtype).name)
    gan = our_gan(experiment, size, w, dtype, changes)
    random = np.random.default_rng(1)
    state = fish_jax.create_state(gan, 3)
    state = state.replace(
        generator_params=_shaken(state.generator_params, random),
        generator_stats=_shaken(state.generator_stats, random),
        discriminator_params=_shaken(state.discriminator_params, random),
        discriminator_stats=_shaken(state.discriminator_stats, random),
    )
    if experiment == "began":  # k = 0 would hide D's second term
        state = state.replace(loss_state=state.loss_state | {"k": jnp.asarray(0.3, dtype)})
    networks = keras_gans.NETWORKS[experiment](*size, gan.latent_size, w)
    pair = Pair(experiment, gan, state, networks, keras_gans.optimizers(experiment))
    for tensor in state_tensors(pair, state):
        tensor.variable.assign(np.asarray(tensor.ours))
    return pair


def make_images(size: tuple[int, int], count: int) -> np.ndarray:
    """Drawn fish, uint8 [count, *size, 3]."""
    return fish_jax.synthetic.draw_fish(count, *size, seed=5)


def scaled(images: np.ndarray, dtype: jax.typing.DTypeLike) -> np.ndarray:
    """The report's scaling."""
    return images.astype(dtype) / np.asarray(127.5, dtype) - np.asarray(1, dtype)


def given(pair: Pair, state: fish_jax.state.TrainState, count: int) -> Given:
    """What fish_jax draws for the next step, for Keras to use."""
    gan = pair.gan
    draws = fish_jax.draw(gan, state.key, state.step, count)
    plan, _ = fish_jax.plan_discriminator(gan)

    def masks(stream: Stream) -> list[np.ndarray]:
        return [
            np.asarray(
                image_dropout(
                    jnp.ones((count, *plan[index].shape), gan.dtype),
                    dropout_keys(draws.keys[stream], index),
                    row.dropout,
                )
            )
            for index, row in enumerate(gan.discriminator.encoder)
            if row.dropout
        ]

    streams = (Stream.SCORE_REAL, Stream.SCORE_FAKE, Stream.SCORE_GENERATED)
    return Given(
        np.asarray(draws.latents),
        np.asarray(draws.discriminator_latents),
        tuple(np.asarray(label) for label in draws.targets),
        tuple(masks(stream) for stream in streams),
    )


def difference(ours: Any, theirs: Any, floor: float = 0.0) -> float:
    """The largest difference, relative to the tensor's largest value or the floor."""
    ours, theirs = np.asarray(ours), np.asarray(theirs)
    assert ours.shape == theirs.shape, f"{ours.shape} and {theirs.shape}"
    assert ours.dtype == theirs.dtype, f"{ours.dtype} and {theirs.dtype}"
    gap, scale = np.abs(ours - theirs).max(), max(np.abs(theirs).max(), floor)
    assert np.isfinite(gap) and scale > 0
    return float(gap / scale)


def moments(pair: Pair, state: fish_jax.state.TrainState) -> list[tuple[str, Tensor]]:
    """Adam's first and second moments of every parameter; none for SGD."""
    found = []
    for name, ours in (("mu", "momentum"), ("nu", "velocity")):
        trees = [
            optax.tree_utils.tree_get(optimizer, name)
            for optimizer in (state.generator_optimizer, state.discriminator_optimizer)
        ]
        if trees[0] is None:
            return []
        theirs = [
            variable
            for optimizer in pair.optimizers
            for variable in optimizer.variables
            if variable.path.endswith(ours)
        ]
        trained = tensors(pair.networks, (trees[0], {}), (trees[1], {}))
        assert len(trained) == len(theirs)
        found += [(ours, t._replace(variable=v)) for t, v in zip(trained, theirs)]
    return found


def learning_rate(pair: Pair, name: str) -> float:
    """Of the network that a tensor's name begins with."""
    optimizers = pair.optimizers
    optimizer = optimizers.generator if name.startswith("gen") else optimizers.discriminator
    return float(optimizer.learning_rate)
