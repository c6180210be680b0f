"""Weights that Keras saved, for the same network here; read with h5py, without TensorFlow.

Keras has written two layouts. The older, `.h5`, of 2020: groups named after the layers, whose order
and whose weights' names are attributes. The newer, `.weights.h5`, and `.keras`, a zip with one
inside: numbered weights below `layers/<class>_<number>/vars`, in order within a class only.
"""

import contextlib
import io
import re
import zipfile
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from fish_jax.errors import UserError
from fish_jax.networks import LayerPlan
from fish_jax.state import Gan, TrainState, create_state, plan_discriminator, plan_generator

CLASSES = {
    "conv": "conv2d",
    "conv_transpose": "conv2d_transpose",
    "dense": "dense",
    "project": "dense",
    "norm": "batch_normalization",
}
KERNEL_WEIGHTS = ("kernel", "bias")
NORM_WEIGHTS = ("gamma", "beta", "moving_mean", "moving_variance")
# Keras' name of a weight: our collection and name.
ROLES = {
    "kernel": ("params", "kernel"),
    "bias": ("params", "bias"),
    "gamma": ("params", "scale"),
    "beta": ("params", "bias"),
    "moving_mean": ("batch_stats", "mean"),
    "moving_variance": ("batch_stats", "var"),
}

Tree = dict[str, dict[str, Any]]


class SavedLayer(NamedTuple):
    """A layer of a file: its name there, its class (an old file does not tell), its weights."""

    name: str
    keras_class: str
    weights: dict[str, np.ndarray]


def from_keras(
    gan: Gan,
    *,
    generator: str | Path | None = None,
    discriminator: str | Path | Sequence[str | Path] | None = None,
    seed: int = 0,
) -> TrainState:
    """A state at the weights of networks that Keras saved, to sample from or to train on.

    The networks must be the config's, layer by layer; what the files say of optimisers is not
    read. Pass the state to `generate`, or to `train` as its `initial` state.

    Args:
      gan: from `make_gan`.
      generator: a `.h5`, `.weights.h5` or `.keras` file. Without one, the initial weights.
      discriminator: the same; for an autoencoder one file, or two: encoder and decoder.
      seed: decides the initial weights of a network without a file, and every later draw.

    Returns:
      A state at step 0.

    Raises:
      UserError: a file that cannot be read, or of another network: names the first layer that
        differs.
    """
    state = jax.jit(create_state, static_argnums=0)(gan, np.uint32(seed))
    if generator is not None:
        shapes = {"params": state.generator_params, "batch_stats": state.generator_stats}
        loaded = _load(generator, "generator", [("layers", plan_generator(gan), shapes)], gan)[0]
        state = state.replace(
            generator_params=loaded["params"],
            generator_stats=loaded["batch_stats"],
            generator_optimizer=gan.generator_optimizer.init(loaded["params"]),
        )
    if discriminator is not None:
        params, stats = _load_discriminator(discriminator, gan, state)
        state = state.replace(
            discriminator_params=params,
            discriminator_stats=stats,
            discriminator_optimizer=gan.discriminator_optimizer.init(params),
        )
    return state


def _load_discriminator(
    paths: str | Path | Sequence[str | Path], gan: Gan, state: TrainState
) -> tuple[Tree, Tree]:
    names = [name for name in ("encode", "decode") if name in state.discriminator_params]
    parts = [
        (
            table,
            plan,
            {
                "params": state.discriminator_params[name],
                "batch_stats": state.discriminator_stats.get(name, {}),
            },
        )
        for name, table, plan in zip(names, ("layers", "decoder"), plan_discriminator(gan))
    ]
    if isinstance(paths, (str, Path)):
        loaded = _load(paths, "discriminator", parts, gan)
    elif len(paths) == len(parts):
        loaded = [_load(p, "discriminator", [part], gan)[0] for p, part in zip(paths, parts)]
    else:
        raise UserError(f"this discriminator has {len(parts)} parts, not the {len(paths)} files'")
    collections = [
        {n: part[c] for n, part in zip(names, loaded)} for c in ("params", "batch_stats")
    ]
    return collections[0], {name: tree for name, tree in collections[1].items() if tree}


def _load(
    path: str | Path,
    network: str,
    parts: Sequence[tuple[str, Sequence[LayerPlan], Mapping[str, Tree]]],
    gan: Gan,
) -> list[dict[str, Tree]]:
    """The weights of one file for one or more tables of a network, in their order."""
    queues = _queues(_read(Path(path)))
    filled = []
    for table, plan, shapes in parts:
        collections: dict[str, Tree] = {"params": {}, "batch_stats": {}}
        for index, entry in enumerate(plan):
            for name in (entry.name, f"{index:02d}_norm"):
                wanted = _wanted(name, shapes)
                if wanted:
                    where = f"{network}.{table}[{index}] ({entry.text})"
                    saved = _next(queues, name, where, path, network, wanted)
                    for role, value in saved.weights.items():
                        collection, ours = ROLES[role]
                        layer = collections[collection].setdefault(name, {})
                        layer[ours] = jnp.asarray(value, gan.dtype)
        filled.append(collections)
    for queue in queues.values():
        if queue:
            raise UserError(
                f"{path} is not of this {network}: beyond its layers the file has "
                f"{queue[0].name}, with {_text(queue[0].weights)}"
            )
    return filled


def _wanted(name: str, shapes: Mapping[str, Tree]) -> dict[str, Any]:
    """The weights of a layer of ours by Keras' names; none where it has none."""
    roles = NORM_WEIGHTS if name.endswith("norm") else KERNEL_WEIGHTS
    found = {}
    for role in roles:
        collection, ours = ROLES[role]
        if ours in shapes[collection].get(name, {}):
            found[role] = shapes[collection][name][ours]
    return found


def _next(
    queues: Mapping[str, deque[SavedLayer]],
    name: str,
    where: str,
    path: str | Path,
    network: str,
    wanted: Mapping[str, Any],
) -> SavedLayer:
    keras_class = CLASSES[name.split("_", 1)[1]]
    kind = "batch norm of " if keras_class == "batch_normalization" else ""
    queue = queues.get(keras_class, queues.get("", deque()))
    text = f"{path} is not of this {network}: {kind}{where} has {_text(wanted)}, but the file"
    if not queue:
        raise UserError(f"{text} has no {keras_class} layer left for it")
    saved = queue.popleft()
    if {r: v.shape for r, v in saved.weights.items()} != {r: v.shape for r, v in wanted.items()}:
        raise UserError(f"{text}'s {saved.name} has {_text(saved.weights)}")
    for role, value in saved.weights.items():
        if not np.isfinite(value).all():
            raise UserError(f"{path}: {role} of {saved.name} has values that are not finite")
    return saved


def _text(weights: Mapping[str, Any]) -> str:
    return ", ".join(f"{role} {' x '.join(map(str, v.shape))}" for role, v in weights.items())


def _queues(layers: Sequence[SavedLayer]) -> dict[str, deque[SavedLayer]]:
    """The layers by class; an old file's, which are in the network's order, all under ""."""
    queues: dict[str, deque[SavedLayer]] = {}
    for layer in layers:
        queues.setdefault(layer.keras_class, deque()).append(layer)
    return queues


def _read(path: Path) -> list[SavedLayer]:
    try:
        import h5py
    except ImportError:
        raise UserError("to read Keras' files, pip install h5py") from None
    if not path.is_file():
        raise UserError(f"{path} does not exist, or is not a file")
    try:
        with _opened(path, h5py) as file:
            weights = file.get("model_weights", file)
            layers = _read_old(weights) if "layer_names" in weights.attrs else _read_new(file, h5py)
    except (OSError, KeyError, RuntimeError, ValueError, zipfile.BadZipFile) as error:
        raise UserError(
            f"{path} cannot be read as weights that Keras saved, a .h5, .weights.h5 or .keras "
            f"file: {error}"
        ) from None
    if not layers:
        raise UserError(f"{path} holds no layer with weights that Keras saved")
    return layers


@contextlib.contextmanager
def _opened(path: Path, h5py: Any) -> Iterator[Any]:
    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            source: Any = io.BytesIO(archive.read("model.weights.h5"))
    else:
        source = path
    with h5py.File(source, "r") as file:
        yield file


def _read_old(group: Any) -> list[SavedLayer]:
    layers: dict[tuple[str, str], dict[str, np.ndarray]] = {}
    for outer in map(_string, group.attrs["layer_names"]):  # a model within a model is one of them
        for weight_name in map(_string, group[outer].attrs["weight_names"]):
            layer, _, role = weight_name.rpartition("/")
            weights = layers.setdefault((outer, layer), {})
            weights[role.partition(":")[0]] = np.asarray(group[outer][weight_name])
    return [SavedLayer(name.split("/")[-1], "", w) for (_, name), w in layers.items()]


def _string(value: bytes | str) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)


def _read_new(file: Any, h5py: Any) -> list[SavedLayer]:
    groups: dict[str, dict[int, np.ndarray]] = {}

    def visit(name: str, item: Any) -> None:
        match = re.fullmatch(r"((?:layers|_layer_checkpoint_dependencies)/.+)/vars/(\d+)", name)
        if match and isinstance(item, h5py.Dataset):
            groups.setdefault(match[1], {})[int(match[2])] = np.asarray(item)

    file.visititems(visit)
    layers = []
    for path in sorted(groups, key=_natural):
        name = path.split("/")[-1]
        keras_class = re.sub(r"_\d+$", "", name)
        values = [groups[path][number] for number in sorted(groups[path])]
        roles = NORM_WEIGHTS if keras_class == "batch_normalization" else KERNEL_WEIGHTS
        roles = roles if len(values) <= len(roles) else tuple(map(str, range(len(values))))
        if "seed_generator" not in name:  # of Dropout
            layers.append(SavedLayer(name, keras_class, dict(zip(roles, values))))
    return layers


def _natural(path: str) -> list[tuple[str, int]]:
    """Sorts dense, dense_1, dense_2, dense_10."""
    found = [re.fullmatch(r"(.*?)(?:_(\d+))?", part) for part in path.split("/")]
    return [(match[1], int(match[2] or 0)) for match in found]
