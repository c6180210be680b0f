"""Reads weights that Keras saved into the same networks, without TensorFlow.

`keras_file` lists what a file holds. Here it is held against the layers of the network, in order.
"""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from fish_jax.errors import UserError
from fish_jax.gan.compilation import CREATE
from fish_jax.gan.model import Gan, plan_discriminator, plan_generator
from fish_jax.gan.state import TrainState, begin_average, create_state, split_seed
from fish_jax.networks.adapters import OwnNetwork
from fish_jax.networks.summary import LayerPlan
from fish_jax.training.keras_file import (
    KERNEL_WEIGHTS,
    NORM,
    NORM_WEIGHTS,
    Queues,
    Weight,
    class_of,
    read_apart,
)

CLASSES = {
    "conv": "conv2d",
    "conv_transpose": "conv2d_transpose",
    "dense": "dense",
    "project": "dense",
    "norm": NORM,
}
# Keras' name of a weight: our collection and name.
ROLES = {
    "kernel": ("params", "kernel"),
    "bias": ("params", "bias"),
    "gamma": ("params", "scale"),
    "beta": ("params", "bias"),
    "moving_mean": ("batch_stats", "mean"),
    "moving_variance": ("batch_stats", "var"),
}

Plan = Sequence[LayerPlan]
Variables = dict[str, dict[str, dict[str, Any]]]  # by collection, layer and name


class WantedLayer(NamedTuple):
    """A layer of this network: its name, class in Keras, description, and shapes of weights."""

    name: str
    keras_class: str
    text: str
    weights: dict[str, Any]


def from_keras(
    gan: Gan,
    *,
    generator: str | Path | None = None,
    discriminator: str | Path | Sequence[str | Path] | None = None,
    seed: int = 0,
) -> TrainState:
    """Makes a training state from weights that Keras saved, to sample from or to train further.

    The networks must be those of the config, layer by layer. Only weights are read: strides,
    activations and optimisers come from the config. Pass the state to `generate`, or to `train` as
    its `initial` state.

    Args:
      gan: from `make_gan`.
      generator: a `.h5`, `.weights.h5` or `.keras` file. Without one, initial weights are drawn.
      discriminator: the same, or several files whose layers follow one another: an autoencoder's
        encoder and decoder, or the layers before and behind the features of feature matching.
      seed: the seed of the initial weights of a network without a file, and of the state's key.
        `train` takes the key of its config's seed instead.

    Returns:
      A state at step 0.

    Raises:
      UserError: a file cannot be read, or holds another network; names the first layer that
        differs.
    """
    shapes, loaded = jax.eval_shape(lambda: create_state(gan, 0)), {}
    if generator is not None:
        loaded |= _load_generator(generator, gan, shapes)
    if discriminator is not None:
        loaded |= _load_discriminator(discriminator, gan, shapes)
    if generator is None or discriminator is None:
        state = CREATE(gan, np.uint32(seed))
    else:  # nothing to draw, which takes seconds
        zeros = jax.tree.map(lambda leaf: jnp.zeros(leaf.shape, leaf.dtype), shapes.loss_state)
        state = shapes.replace(step=jnp.int32(0), loss_state=zeros, key=split_seed(seed)[2])
    return state.replace(**loaded)


def _check_rows(network: str, module: Any, rows: Plan) -> None:
    if isinstance(module, OwnNetwork):
        raise UserError(
            f"{network} is {module.name}, but Keras files can only be read into layer tables"
        )
    for index, row in enumerate(rows):
        if row.name.endswith(("_residual", "_to_image", "_from_image")):
            raise UserError(
                f"{network}'s layers[{index}] ({row.text}) does not exist in Keras; networks with "
                "residual rows or rows of images cannot be read from its files"
            )
        if row.statistics and "spectral norm" in row.text:
            raise UserError(
                f"{network}'s layers[{index}] has spectral normalisation, but Keras files hold no "
                "statistics for it; use another norm in these layers"
            )


def _load_generator(path: str | Path, gan: Gan, state: TrainState) -> dict[str, Any]:
    plan = plan_generator(gan)
    _check_rows("G", gan.generator, plan)
    (loaded,) = _load([path], "generator", [("layers", plan, state.generator_variables)], gan)
    return {
        "generator_params": loaded["params"],
        "generator_stats": loaded["batch_stats"],
        "generator_average": begin_average(gan, loaded["params"], loaded["batch_stats"]),
        "generator_optimizer": gan.generator_optimizer.init(loaded["params"]),
    }


def _load_discriminator(
    paths: str | Path | Sequence[str | Path], gan: Gan, state: TrainState
) -> dict[str, Any]:
    params, stats = state.discriminator_params, state.discriminator_stats
    names = [name for name in ("encode", "decode") if name in params]
    shapes = [{"params": params[name], "batch_stats": stats.get(name, {})} for name in names]
    plans = plan_discriminator(gan)
    _check_rows("D", gan.discriminator, [row for plan in plans for row in plan])
    parts = list(zip(("layers", "decoder"), plans, shapes))
    files = [paths] if isinstance(paths, (str, Path)) else paths
    loaded = _load(files, "discriminator", parts, gan)
    params, stats = (
        {name: part[collection] for name, part in zip(names, loaded) if part[collection]}
        for collection in ("params", "batch_stats")
    )
    return {
        "discriminator_params": params,
        "discriminator_stats": stats,
        "discriminator_optimizer": gan.discriminator_optimizer.init(params),
    }


def _load(
    paths: Sequence[str | Path],
    network: str,
    parts: Sequence[tuple[str, Plan, Variables]],
    gan: Gan,
) -> list[Variables]:
    """Reads files, whose layers follow one another, into one or more tables of a network."""
    if not paths:
        raise UserError(f"this {network} takes one file, or several files with its layers in order")
    left, filled, most = list(map(Path, paths)), [], _most_unpacked([part[2] for part in parts])
    path = left.pop(0)
    queues = _read(path, most)
    for table, plan, shapes in parts:
        collections: Variables = {"params": {}, "batch_stats": {}}
        for wanted in _wanted_layers(f"{network}.{table}", plan, shapes):
            if left and not any(queues.values()):
                path = left.pop(0)
                queues = _read(path, most)
            for role, value in _take(queues, wanted, f"{path} does not fit this {network}").items():
                collection, ours = ROLES[role]
                layer = collections[collection].setdefault(wanted.name, {})
                layer[ours] = jnp.asarray(value, gan.dtype)
        filled.append(collections)
    for name, weights in (layer for queue in queues.values() for layer in queue):
        raise UserError(
            f"{path} does not fit this {network}: after its last layer the file has {name}, "
            f"{_text(weights)}"
        )
    if left:
        raise UserError(f"{left[0]} is one too many: the layers of this {network} end in {path}")
    return filled


def _read(path: Path, most: int) -> Queues:
    """Reads a file, or says why it cannot be read as a file of Keras."""
    advice = "load it in TensorFlow, save it as .h5, and read that file"
    if path.is_dir():
        raise UserError(f"{path} is a folder; {advice}")
    is_part = path.suffix == ".index" or ".data-" in path.suffix
    if is_part or path.with_name(f"{path.name}.index").is_file():
        raise UserError(f"{path} is a checkpoint of TensorFlow; {advice}")
    if not path.is_file():
        raise UserError(f"{path} does not exist")
    return read_apart(path, most)


def _most_unpacked(shapes: Any) -> int:
    """A limit in bytes: eight times the weights, for float64 with optimiser state, and 64 MiB."""
    return 2**26 + 8 * sum(leaf.size * leaf.dtype.itemsize for leaf in jax.tree.leaves(shapes))


def _wanted_layers(table: str, plan: Plan, shapes: Variables) -> Iterator[WantedLayer]:
    for index, entry in enumerate(plan):
        row = f"{table}[{index}] ({entry.text})"
        for name, text, roles in (
            (entry.name, row, KERNEL_WEIGHTS),
            (f"{index:02d}_norm", f"the batch norm of {row}", NORM_WEIGHTS),
        ):
            weights = {
                role: shapes[collection][name][ours]
                for role, (collection, ours) in ROLES.items()
                if role in roles and ours in shapes[collection].get(name, {})
            }
            if weights:
                yield WantedLayer(name, CLASSES[name.split("_", 1)[1]], text, weights)


def _take(queues: Queues, wanted: WantedLayer, refusal: str) -> dict[str, np.ndarray]:
    """Reads the next layer of a class from the file, if its weights have the wanted shapes."""
    refusal = f"{refusal}: {wanted.text} has {_text(wanted.weights)}, but the file"
    queue = queues[""] if "" in queues else queues.get(wanted.keras_class)
    if not queue:
        raise UserError(f"{refusal} has no {wanted.keras_class} layer left for it")
    name, weights = queue.popleft()
    refusal = f"{refusal}'s {name}"
    shapes = lambda weights: {role: value.shape for role, value in weights.items()}
    if shapes(weights) != shapes(wanted.weights):
        raise UserError(f"{refusal} has {_text(weights)}")
    convolutions = {CLASSES["conv"], CLASSES["conv_transpose"]}  # kernels may have one shape
    if class_of(name) in convolutions - {wanted.keras_class}:
        raise UserError(f"{refusal} is not a {wanted.keras_class}")
    return {role: _numbers(weight, f"{refusal} has a {role}") for role, weight in weights.items()}


def _numbers(weight: Weight, refusal: str) -> np.ndarray:
    """The numbers of an array whose shape is known to be right."""
    if weight.values is None:
        if not weight.dtype.startswith("float"):
            raise UserError(f"{refusal} of {weight.dtype}; save it in float32")
        raise UserError(f"{refusal} in a file of far more; save this network alone")
    if not np.isfinite(weight.values).all():
        raise UserError(f"{refusal} that is not finite")
    return weight.values


def _text(weights: Mapping[str, Any]) -> str:
    return ", ".join(f"{role} {' x '.join(map(str, v.shape or ()))}" for role, v in weights.items())
