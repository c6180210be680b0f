"""Reads weights that Keras saved into the same networks here, with h5py and without TensorFlow.

Keras has two file layouts. The older, `.h5`, has groups named after the layers; attributes hold the
order of the layers and the names of their weights. The newer, `.weights.h5`, which `.keras` files
hold in a zip, has numbered weights at `layers/<class>_<number>/vars`, in order within a class only.

Reading runs no code of the file and writes nothing. An array is read only after its shape was found
to be that of the network. A zip is unpacked in memory, up to `_most_unpacked` bytes.
"""

import contextlib
import io
import math
import re
import zipfile
import zlib
from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from fish_jax.errors import UserError
from fish_jax.gan.compilation import CREATE
from fish_jax.gan.model import Gan, plan_discriminator, plan_generator
from fish_jax.gan.state import TrainState, begin_average, create_state, split_seed
from fish_jax.networks.summary import LayerPlan

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

Plan = Sequence[LayerPlan]
Variables = dict[str, dict[str, dict[str, Any]]]  # by collection, layer and name


class WantedLayer(NamedTuple):
    """A layer of this network: its name, class in Keras, description, and shapes of weights."""

    name: str
    keras_class: str
    text: str
    weights: dict[str, Any]


# Layers by class, each its name and its weights by their names in Keras, not read yet. Those of an
# old file are in order under "".
Queues = dict[str, deque[tuple[str, dict[str, Any]]]]


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
      discriminator: the same; for an autoencoder one file, or two: encoder and decoder.
      seed: of the initial weights of a network without a file, and of every later random number.

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


def _check_rows(network: str, rows: Plan) -> None:
    for index, row in enumerate(rows):
        if row.name.endswith(("_residual", "_to_image", "_from_image")):
            raise UserError(
                f"{network}'s layers[{index}] ({row.text}) has no layer of Keras; only networks "
                "without residual rows and rows of images can be read from its files"
            )


def _load_generator(path: str | Path, gan: Gan, state: TrainState) -> dict[str, Any]:
    plan = plan_generator(gan)
    _check_rows("G", plan)
    (loaded,) = _load(path, "generator", [("layers", plan, state.generator_variables)], gan)
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
    _check_rows("D", [row for plan in plans for row in plan])
    parts = list(zip(("layers", "decoder"), plans, shapes))
    files = [paths] if isinstance(paths, (str, Path)) else paths
    if len(files) == 1:
        loaded = _load(files[0], "discriminator", parts, gan)
    elif len(files) == len(parts):
        loaded = [_load(file, "discriminator", [part], gan)[0] for file, part in zip(files, parts)]
    else:
        takes = "one file" if len(parts) == 1 else "one file or two, encoder and decoder"
        raise UserError(f"this discriminator takes {takes}, not {len(files)}")
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
    path: str | Path, network: str, parts: Sequence[tuple[str, Plan, Variables]], gan: Gan
) -> list[Variables]:
    """Reads one file into the layers of one or more tables of a network, in their order."""
    path, filled = Path(path), []
    refusal = f"{path} is not of this {network}"
    with _layers(path, _most_unpacked([shapes for _, _, shapes in parts])) as queues:
        for table, plan, shapes in parts:
            collections: Variables = {"params": {}, "batch_stats": {}}
            for wanted in _wanted_layers(f"{network}.{table}", plan, shapes):
                for role, value in _take(queues, wanted, path, refusal).items():
                    collection, ours = ROLES[role]
                    layer = collections[collection].setdefault(wanted.name, {})
                    layer[ours] = jnp.asarray(value, gan.dtype)
            filled.append(collections)
        for name, weights in (layer for queue in queues.values() for layer in queue):
            raise UserError(f"{refusal}: beyond its layers the file has {name}, {_text(weights)}")
    return filled


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


def _take(queues: Queues, wanted: WantedLayer, path: Path, refusal: str) -> dict[str, np.ndarray]:
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
    if _class_of(name) in convolutions - {wanted.keras_class}:
        raise UserError(f"{refusal} is no {wanted.keras_class}")
    with _damage_explained(path):
        return {role: _numbers(v, f"{refusal} has a {role}") for role, v in weights.items()}


def _numbers(dataset: Any, refusal: str) -> np.ndarray:
    """Reads an array whose shape is known to be right."""
    if dataset.dtype.kind != "f":
        raise UserError(f"{refusal} of {dataset.dtype}; save it in float32")
    if math.prod(dataset.chunks or ()) > max(dataset.size, 2**20):
        raise UserError(f"{refusal} in pieces larger than itself")  # each is unpacked whole
    value = np.asarray(dataset)
    if not np.isfinite(value).all():
        raise UserError(f"{refusal} that is not finite")
    return value


def _class_of(name: str) -> str:
    """The class of a layer by the name that Keras gave it: conv2d for conv2d_3."""
    return re.sub(r"_\d+$", "", name)


def _text(weights: Mapping[str, Any]) -> str:
    return ", ".join(f"{role} {' x '.join(map(str, v.shape or ()))}" for role, v in weights.items())


@contextlib.contextmanager
def _layers(path: Path, most: int) -> Iterator[Queues]:
    """Opens a file and gives its layers; their weights can be read until it is closed."""
    if path.is_dir():
        raise UserError(f"{path} is a folder; load it in TensorFlow, save it as .h5 and read that")
    if not path.is_file():
        raise UserError(f"{path} does not exist")
    try:
        import h5py
    except ImportError:
        raise UserError(f"to read {path} takes h5py; pip install h5py") from None
    with contextlib.ExitStack() as stack:
        with _damage_explained(path):
            source = io.BytesIO(_unpack(path, most)) if zipfile.is_zipfile(path) else path
            file = stack.enter_context(h5py.File(source, "r"))
            weights: Any = file.get("model_weights", file)
            frozen = '"trainable": false' in _string(file.attrs.get("model_config", ""))
            if "layer_names" in weights.attrs:
                queues = _read_old(weights, path, frozen, h5py)
            else:
                queues = _read_new(file, path, h5py)
        if not any(queues.values()):
            raise UserError(f"{path} holds no layer with weights that Keras saved")
        yield queues


@contextlib.contextmanager
def _damage_explained(path: Path) -> Iterator[None]:
    """Turns what h5py and zipfile raise on a damaged file into a UserError."""
    damaged = (ArithmeticError, AttributeError, LookupError, OSError, RuntimeError, TypeError)
    try:
        yield
    except (*damaged, ValueError, zipfile.BadZipFile, zlib.error) as error:
        raise UserError(
            f"{path} cannot be read as weights that Keras saved, a .h5, .weights.h5 or .keras "
            f"file: {error}"
        ) from None


def _unpack(path: Path, most: int) -> bytes:
    """Unpacks the weights file in a zip, at most `most` bytes."""
    with zipfile.ZipFile(path) as archive:
        entry = archive.getinfo("model.weights.h5")
        if entry.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            raise ValueError("packed in a way that Keras does not use")  # nor is unpacked piecewise
        with archive.open(entry) as packed:
            content = packed.read(most + 1)  # whatever size the zip states
    if len(content) > most:
        raise ValueError(f"unpacked it has more than {most} bytes, far more than this network")
    return content


def _array(item: Any, root: Any, h5py: Any) -> Any:
    """Checks that an item is an array within the file itself, as HDF5 can link to other files."""
    if not isinstance(item, h5py.Dataset) or item.file != root.file:
        raise ValueError(f"{item.name} is no array of this file")
    if item.external or item.is_virtual:
        raise ValueError(f"{item.name} lies in another file")
    return item


def _read_old(group: Any, path: Path, frozen: bool, h5py: Any) -> Queues:
    layers: dict[tuple[str, str], dict[str, Any]] = {}
    for outer in map(_string, group.attrs["layer_names"]):  # a model within a model is one of them
        for weight_name in map(_string, group[outer].attrs["weight_names"]):
            layer, _, role = weight_name.rpartition("/")
            weights = layers.setdefault((outer, layer), {})
            weights[role.partition(":")[0]] = _array(group[outer][weight_name], group, h5py)
    nested = len(layers) > len({outer for outer, _ in layers})
    if nested and frozen:  # whose weights stand behind all others of their model
        raise UserError(
            f"{path} has frozen layers in a model within a model; save that model alone"
        )
    return {"": deque((name.split("/")[-1], w) for (_, name), w in layers.items())}


def _string(value: bytes | str) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)


def _read_new(file: Any, path: Path, h5py: Any) -> Queues:
    groups: dict[str, dict[int, Any]] = {}

    def visit(name: str, item: Any) -> None:
        match = re.fullmatch(r"((?:layers|_layer_checkpoint_dependencies)/.+)/vars/(\d+)", name)
        if match and isinstance(item, h5py.Dataset) and "seed_generator" not in name:
            groups.setdefault(match[1], {})[int(match[2])] = _array(item, file, h5py)

    file.visititems(visit)
    if not _ordered(groups):
        raise UserError(
            f"{path} has models within a model, in an order that this format does not keep; save "
            "it as .h5, or the inner models alone"
        )
    queues: Queues = {}
    for place in sorted(groups, key=_natural):
        name = place.split("/")[-1]
        roles = NORM_WEIGHTS if _class_of(name) == CLASSES["norm"] else KERNEL_WEIGHTS
        weights = {
            roles[number] if number < len(roles) else str(number): value
            for number, value in sorted(groups[place].items())
        }
        queues.setdefault(_class_of(name), deque()).append((name, weights))
    return queues


def _ordered(places: Iterable[str]) -> bool:
    """Whether each nested model has only siblings of its class, whose numbers order them."""
    classes: dict[str, set[str]] = {}
    nested = set()
    for place in places:
        names = place.split("/")[1::2]  # layers/sequential/layers/dense
        for depth, name in enumerate(names):
            parent = "/".join(names[:depth])
            classes.setdefault(parent, set()).add(_class_of(name))
            if depth + 1 < len(names):
                nested.add(parent)
    return all(len(classes[parent]) == 1 for parent in nested)


def _natural(path: str) -> list[tuple[str, int]]:
    """A sorting key that puts dense_10 after dense, dense_1 and dense_2."""
    found = (re.fullmatch(r"(.*?)(?:_(\d+))?", part) for part in path.split("/"))
    return [(match[1], int(match[2] or 0)) for match in found if match]
