"""One experiment in fish_jax and in Keras with the same numbers in both, and how they differ."""

import functools
import importlib
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import keras
import keras_gans
import numpy as np
import optax
from keras_gans import Given, Networks, Optimizers, Outcome, Width

import fish_jax
from fish_jax.data.synthetic.drawing import draw_school
from fish_jax.gan.randomness import Draws, Stream
from fish_jax.gan.state import TrainState
from fish_jax.networks.layers import image_dropout
from fish_jax.networks.modules import dropout_keys

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
STEPS_OF_NOISE = "zero-gradient parameters, learning rates per step"


class Quantity(NamedTuple):
    """What is compared, and of which tensor."""

    kind: str
    name: str


Values = dict[Quantity, np.ndarray]
Differences = dict[Quantity, float]


class Tensor(NamedTuple):
    """One tensor of both sides: its name, Keras' variable and fish_jax's array."""

    name: str
    variable: keras.Variable
    ours: jax.Array


class Pair(NamedTuple):
    """An experiment on both sides, with the same weights."""

    experiment: str
    gan: Any
    state: TrainState
    networks: Networks
    optimizers: Optimizers


draw = jax.jit(fish_jax.draw, static_argnums=(0, 3))


def _single(value: float) -> float:
    return float(np.float32(value))


def our_gan(
    experiment: str, size: tuple[int, int], w: Width, dtype: Any, changes: Mapping[str, Any]
) -> Any:
    """The experiment's config with another size, narrowed by `w` and with fields changed."""
    config = importlib.import_module(f"fish_jax.configs.{experiment}").get_config()
    config.height, config.width = size
    narrow = lambda rows: tuple(
        row | {"filters": w(row["filters"])} if row.get("filters", 0) > 3 else row for row in rows
    )
    config.generator.layers = narrow(config.generator.layers)
    config.discriminator.layers = narrow(config.discriminator.layers)
    config.discriminator.decoder = narrow(config.discriminator.decoder)
    if dtype == np.float64:
        # Even among doubles TensorFlow keeps LeakyReLU's slope in single precision.
        config.generator.slope = _single(config.generator.slope)
        config.discriminator.slope = _single(config.discriminator.slope)
        config.optimizer.b1, config.optimizer.b2 = map(
            _single, (config.optimizer.b1, config.optimizer.b2)
        )
    config.update_from_flattened_dict(dict(changes))
    return fish_jax.make_gan(config, dtype)


def keras_optimizers(experiment: str, dtype: Any) -> Optimizers:
    both = keras_gans.optimizers(experiment)
    for optimizer in both:
        if dtype == np.float64 and hasattr(optimizer, "beta_1"):
            # Keras' bias correction takes its powers of the decays in single precision, its
            # moments in double: the two agree where the decays are numbers of both.
            optimizer.beta_1 = _single(optimizer.beta_1)
            optimizer.beta_2 = _single(optimizer.beta_2)
    return both


def _weights(tree: Any, random: np.random.Generator) -> Any:
    """Random weights, with biases, scales and statistics where mistakes show: not at 0 and 1."""

    def fill(path, leaf):
        role = path[-1].key
        if role == "var":
            return random.uniform(0.5, 1.5, leaf.shape)
        if role == "kernel":
            return random.normal(size=leaf.shape) / np.sqrt(np.prod(leaf.shape[:-1]))
        return (role == "scale") + 0.1 * random.normal(size=leaf.shape)

    filled = jax.tree_util.tree_map_with_path(fill, tree)
    return jax.tree.map(lambda value, leaf: jnp.asarray(value, leaf.dtype), filled, tree)


def make_state(experiment: str, gan: Any) -> TrainState:
    """The state before the first step, at random weights; BEGAN's k away from 0."""
    state = jax.eval_shape(lambda: fish_jax.create_state(gan, 0))
    random, names = np.random.default_rng(1), ("params", "stats")
    names = [f"{network}_{name}" for network in ("generator", "discriminator") for name in names]
    weights = {name: _weights(getattr(state, name), random) for name in names}
    zeros = jax.tree.map(
        lambda leaf: jnp.zeros(leaf.shape, leaf.dtype), state.replace(key=None, **weights)
    )
    if experiment == "began":
        weights["loss_state"] = zeros.loss_state | {"k": jnp.asarray(0.3, gan.dtype)}
    return zeros.replace(key=jax.random.key(3), **weights)


def in_double(tree: Any) -> Any:
    """A copy of a tree whose single-precision leaves are doubles: the same numbers."""

    def convert(leaf):
        return leaf.astype(np.float64) if leaf.dtype == np.float32 else leaf.copy()

    return jax.tree.map(convert, tree)


def make_pair(
    experiment: str,
    size: tuple[int, int],
    w: Width,
    dtype: Any,
    state: TrainState | None = None,
    **changes: Any,
) -> Pair:
    """Both sides at the weights of a state; without one, at random weights."""
    keras.config.set_floatx(np.dtype(dtype).name)
    keras.config.set_dtype_policy(np.dtype(dtype).name)  # else that of the first call stays
    gan = our_gan(experiment, size, w, dtype, changes)
    state = make_state(experiment, gan) if state is None else state
    networks = keras_gans.NETWORKS[experiment](*size, gan.latent_size, w)
    pair = Pair(experiment, gan, state, networks, keras_optimizers(experiment, dtype))
    for tensor in state_tensors(networks, state):
        tensor.variable.assign(np.asarray(tensor.ours).astype(dtype))
    return pair


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


def state_tensors(networks: Networks, state: TrainState) -> list[Tensor]:
    """Every parameter and running statistic."""
    return tensors(
        networks,
        (state.generator_params, state.generator_stats),
        (state.discriminator_params, state.discriminator_stats),
    )


def moments(pair: Pair, state: TrainState) -> list[Tensor]:
    """Adam's first and second moments of every parameter; none for SGD."""
    found = []
    for name, theirs in (("mu", "momentum"), ("nu", "velocity")):
        trees = [
            optax.tree_utils.tree_get(optimizer, name)
            for optimizer in (state.generator_optimizer, state.discriminator_optimizer)
        ]
        if trees[0] is None:
            return []
        variables = [
            variable
            for optimizer in pair.optimizers
            for variable in optimizer.variables
            if variable.path.endswith(theirs)
        ]
        trained = tensors(pair.networks, (trees[0], {}), (trees[1], {}))
        assert len(trained) == len(variables)
        found += [Tensor(f"{t.name}/{theirs}", v, t.ours) for t, v in zip(trained, variables)]
    return found


def make_images(size: tuple[int, int], count: int) -> np.ndarray:
    """Drawn fish, uint8 [count, *size, 3]."""
    return draw_school(count, *size, seed=5)


def scaled(images: np.ndarray, dtype: Any) -> np.ndarray:
    """The report's scaling."""
    return images.astype(dtype) / np.asarray(127.5, dtype) - np.asarray(1, dtype)


def given(gan: Any, draws: Draws) -> Given:
    """What fish_jax draws for a step, for Keras to use."""
    plan, _ = fish_jax.plan_discriminator(gan)
    count = len(draws.latents)

    def mask(stream: Stream, index: int, rate: float) -> np.ndarray:
        ones = jnp.ones((count, *plan[index].shape), gan.dtype)
        keys = dropout_keys(draws.keys[stream], index)
        return np.asarray(image_dropout(ones, keys, rate))

    return Given(
        np.asarray(draws.latents),
        np.asarray(draws.discriminator_latents),
        tuple(np.asarray(label) for label in draws.targets),
        tuple(
            [
                mask(stream, index, row.dropout)
                for index, row in enumerate(gan.discriminator.encoder)
                if row.dropout
            ]
            for stream in (Stream.SCORE_REAL, Stream.SCORE_FAKE, Stream.SCORE_GENERATED)
        ),
    )


def keras_backward(pair: Pair, images: np.ndarray, given: Given, k: float, order: str) -> Outcome:
    real = scaled(images, pair.gan.dtype)
    if pair.experiment == "began":
        return keras_gans.backward_began(pair.networks, real, given, k)
    return keras_gans.backward(pair.experiment, pair.networks, real, given, order)


@functools.partial(jax.jit, static_argnums=0)
def compute_gradients(gan, state, images, draws):
    return fish_jax.compute_gradients(state, images, draws, gan)


@functools.partial(jax.jit, static_argnums=0, donate_argnums=1)
def apply_gradients(gan, state, gradients):
    return fish_jax.apply_gradients(state, gradients, gan)


@functools.cache
def learning_rate(experiment: str, name: str) -> float:
    """Of the network that a tensor's name begins with."""
    both = keras_gans.optimizers(experiment)
    optimizer = both.generator if name.startswith("gen") else both.discriminator
    return float(optimizer.learning_rate)


def difference(ours: Any, theirs: Any, floor: float = 0.0) -> float:
    """The largest difference, relative to the tensor's largest value or the floor."""
    ours, theirs = np.asarray(ours), np.asarray(theirs)
    assert ours.shape == theirs.shape, f"{ours.shape} and {theirs.shape}"
    # Without arrays of absolute values: most of these have millions of numbers.
    largest = lambda array: max(array.max(), -array.min())
    gap, scale = largest(ours - theirs), max(largest(theirs), floor)
    assert np.isfinite(gap) and scale > 0
    return float(gap / scale)


def distance(ours: Any, theirs: Any) -> float:
    """The norm of the difference, relative to the tensor's norm."""
    ours, theirs = np.asarray(ours), np.asarray(theirs)
    return float(np.linalg.norm((ours - theirs).ravel()) / np.linalg.norm(theirs.ravel()))


def tensor_quantity(experiment: str, name: str) -> Quantity:
    if name in ZERO_GRADIENT[experiment]:
        return Quantity(STEPS_OF_NOISE, name)
    return Quantity("running statistics" if "moving" in name else "updated parameters", name)


def tensor_difference(
    experiment: str, quantity: Quantity, ours: Any, theirs: Any, steps: int
) -> float:
    """Of an updated tensor: relative to the larger of its scale and the learning rate.

    Those of ZERO_GRADIENT in learning rates for each of the steps.
    """
    rate = learning_rate(experiment, quantity.name)
    if quantity.kind == STEPS_OF_NOISE:
        return float(np.abs(np.asarray(ours) - np.asarray(theirs)).max() / rate / steps)
    return difference(ours, theirs, rate)


def assert_below(differences: Differences, limit: float, noise: float) -> None:
    """Every difference below its limit; `noise` limits the parameters of ZERO_GRADIENT."""
    over = {
        quantity: value
        for quantity, value in differences.items()
        if not value < (noise if quantity.kind == STEPS_OF_NOISE else limit)
    }
    worst = sorted(over.items(), key=lambda item: -item[1])[:5]
    assert not over, f"{len(over)} differ, the most {worst}"
