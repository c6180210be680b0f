"""Lists the layers of a file that Keras saved, and their weights; a separate program.

HDF5 reads some damaged files for ever, crashes on others, and unpacks a piece of an array whatever
its size. So `read_apart` has another process read a file, with limits of memory and time, which
imports h5py and no JAX.

Keras has two file layouts. The older, `.h5`, has groups named after the layers; attributes hold the
order of the layers and the names of their weights. The newer, `.weights.h5`, which `.keras` files
hold in a zip, has numbered weights at `layers/<class>_<number>/vars`, in order within a class only.

Reading runs no code of the file and writes nothing.
"""

import contextlib
import io
import json
import math
import re
import sys
import zipfile
import zlib
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from fish_jax.errors import UserError
from fish_jax.utils import limited

SECONDS = 30.0  # of processor time; 100 MB take one
BESIDE = 1 << 28  # bytes of memory that Python, NumPy and HDF5 take
MOST_LISTED = 1 << 22  # bytes of names and shapes

KERNEL_WEIGHTS = ("kernel", "bias")
NORM_WEIGHTS = ("gamma", "beta", "moving_mean", "moving_variance")
NORM = "batch_normalization"


class Weight(NamedTuple):
    """An array of a file.

    Attributes:
      shape: None of one that has no numbers at all.
      dtype: its name.
      values: None unless they are floating-point numbers, and those of all layers within the limit.
    """

    shape: tuple[int, ...] | None
    dtype: str
    values: np.ndarray | None


# Layers by class, each its name and its weights by their names in Keras. Those of an old file are
# in order under "".
Queues = dict[str, deque[tuple[str, dict[str, Weight]]]]
_Found = dict[str, list[tuple[str, dict[str, Any]]]]  # the same with arrays of h5py


def read_apart(path: Path, most: int) -> Queues:
    """Reads a file in a process that may take `most` bytes several times, but not more.

    Args:
      path: the path of a `.h5`, `.weights.h5` or `.keras` file.
      most: bytes of all weights, and of a file that is unpacked from a zip.

    Raises:
      UserError: it cannot be read, or takes too much time or memory.
    """
    module, arguments = "fish_jax.training.keras_file", [str(path), str(most)]
    try:
        output = most + MOST_LISTED
        printed = limited.run_module(module, arguments, BESIDE + 3 * most, SECONDS, output)
    except ValueError as error:
        raise _damaged(path, error) from None
    listed, _, numbers = printed.partition(b"\n")
    found = json.loads(listed)
    if "error" in found:
        raise UserError(found["error"])
    return {
        keras_class: deque((name, _unpacked(weights, numbers)) for name, weights in layers)
        for keras_class, layers in found["layers"].items()
    }


def _unpacked(weights: Mapping[str, Any], numbers: bytes) -> dict[str, Weight]:
    """The weights of a layer, as `packed` has them."""
    unpacked = {}
    for role, (shape, dtype, start) in weights.items():
        values = None
        if start is not None:
            values = np.frombuffer(numbers, dtype, math.prod(shape), start).reshape(shape)
        unpacked[role] = Weight(None if shape is None else tuple(shape), dtype, values)
    return unpacked


def packed(path: Path, most: int) -> list[bytes | memoryview]:
    """The program's output: a line of JSON (the layers or an error), then all numbers."""
    try:
        listed, arrays = _read(path, most)
    except UserError as error:
        listed, arrays = {"error": str(error)}, []
    return [json.dumps(listed).encode() + b"\n", *(array.data.cast("B") for array in arrays)]


def _read(path: Path, most: int) -> tuple[dict[str, Any], list[np.ndarray]]:
    """The layers, with each weight's place among the numbers, and the arrays of these."""
    with _damage_explained(path), _layers(path, most) as found:
        weights = [w for layers in found.values() for _, each in layers for w in each.values()]
        wanted = [each for each in weights if each.shape is not None and each.dtype.kind == "f"]
        if sum(math.prod(each.shape) * each.dtype.itemsize for each in wanted) > most:
            wanted = []
        places, arrays, start = {}, [], 0
        for each in wanted:
            values = np.asarray(each)
            arrays.append(values.astype(values.dtype.newbyteorder("="), "C").reshape(-1))
            places[id(each)], start = start, start + values.nbytes
        place = lambda each: (each.shape, each.dtype.name, places.get(id(each)))
        listed = {
            keras_class: [(name, {r: place(w) for r, w in each.items()}) for name, each in layers]
            for keras_class, layers in found.items()
        }
        if len(json.dumps(listed)) > MOST_LISTED:
            raise ValueError("it lists more layers than any network has")
        return {"layers": listed}, arrays


def class_of(name: str) -> str:
    """The class of a layer by the name that Keras gave it: conv2d for conv2d_3."""
    return re.sub(r"_\d+$", "", name)


def _damaged(path: Path, error: Exception) -> UserError:
    return UserError(
        f"{path} cannot be read as weights that Keras saved, a .h5, .weights.h5 or .keras "
        f"file: {str(error) or 'not enough memory'}"
    )


@contextlib.contextmanager
def _damage_explained(path: Path) -> Iterator[None]:
    """Turns what h5py and zipfile raise on a damaged file into a UserError."""
    damaged = (ArithmeticError, AttributeError, LookupError, OSError, RuntimeError, TypeError)
    try:
        yield
    except (*damaged, MemoryError, ValueError, zipfile.BadZipFile, zlib.error) as error:
        raise _damaged(path, error) from None


@contextlib.contextmanager
def _layers(path: Path, most: int) -> Iterator[_Found]:
    """Opens a file and gives its layers; their weights can be read until it is closed."""
    try:
        import h5py
    except ImportError:
        raise UserError(f"reading {path} needs h5py; run pip install h5py") from None
    source = io.BytesIO(_unpack(path, most)) if zipfile.is_zipfile(path) else path
    with h5py.File(source, "r") as file:
        weights: Any = file.get("model_weights", file)
        frozen = '"trainable": false' in _string(file.attrs.get("model_config", ""))
        if "layer_names" in weights.attrs:
            found = _read_old(weights, path, frozen, h5py)
        else:
            found = _read_new(file, path, h5py)
        if not any(found.values()):
            raise UserError(f"{path} holds no layer with weights saved by Keras")
        yield found


def _unpack(path: Path, most: int) -> bytes:
    """Unpacks the weights file in a zip, at most `most` bytes."""
    with zipfile.ZipFile(path) as archive:
        entry = archive.getinfo("model.weights.h5")
        if entry.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            raise ValueError(
                "compressed in a way that Keras does not use"
            )  # nor is unpacked piecewise
        with archive.open(entry) as packed:
            content = packed.read(most + 1)  # whatever size the zip states
    if len(content) > most:
        raise ValueError(f"unpacked it has more than {most} bytes, far more than this network")
    return content


def _array(item: Any, root: Any, h5py: Any) -> Any:
    """Checks that an item is an array within the file itself, as HDF5 can link to other files."""
    if not isinstance(item, h5py.Dataset) or item.file != root.file:
        raise ValueError(f"{item.name} is not an array of this file")
    if item.external or item.is_virtual:
        raise ValueError(f"{item.name} lies in another file")
    return item


def _read_old(group: Any, path: Path, frozen: bool, h5py: Any) -> _Found:
    layers: dict[tuple[str, str], dict[str, Any]] = {}
    for outer in map(_string, group.attrs["layer_names"]):  # a model within a model is one of them
        for weight_name in map(_string, group[outer].attrs["weight_names"]):
            layer, _, role = weight_name.rpartition("/")
            weights = layers.setdefault((outer, layer), {})
            weights[role.partition(":")[0]] = _array(group[outer][weight_name], group, h5py)
    nested = len(layers) > len({outer for outer, _ in layers})
    if nested and frozen:  # whose weights stand behind all others of their model
        raise UserError(f"{path} has frozen layers in a nested model; save that model alone")
    return {"": [(name.split("/")[-1], w) for (_, name), w in layers.items()]}


def _string(value: bytes | str) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)


def _read_new(file: Any, path: Path, h5py: Any) -> _Found:
    groups: dict[str, dict[int, Any]] = {}

    def visit(name: str, item: Any) -> None:
        match = re.fullmatch(r"((?:layers|_layer_checkpoint_dependencies)/.+)/vars/(\d+)", name)
        if match and isinstance(item, h5py.Dataset) and "seed_generator" not in name:
            groups.setdefault(match[1], {})[int(match[2])] = _array(item, file, h5py)

    file.visititems(visit)
    if not _ordered(groups):
        raise UserError(
            f"{path} has nested models, whose order this format does not keep; save it as .h5, or "
            "save the inner models alone"
        )
    found: _Found = {}
    for place in sorted(groups, key=_natural):
        name = place.split("/")[-1]
        roles = NORM_WEIGHTS if class_of(name) == NORM else KERNEL_WEIGHTS
        weights = {
            roles[number] if number < len(roles) else str(number): value
            for number, value in sorted(groups[place].items())
        }
        found.setdefault(class_of(name), []).append((name, weights))
    return found


def _ordered(places: Iterable[str]) -> bool:
    """Whether each nested model has only siblings of its class, whose numbers order them."""
    classes: dict[str, set[str]] = {}
    nested = set()
    for place in places:
        names = place.split("/")[1::2]  # layers/sequential/layers/dense
        for depth, name in enumerate(names):
            parent = "/".join(names[:depth])
            classes.setdefault(parent, set()).add(class_of(name))
            if depth + 1 < len(names):
                nested.add(parent)
    return all(len(classes[parent]) == 1 for parent in nested)


def _natural(path: str) -> list[tuple[str, int]]:
    """A sorting key that puts dense_10 after dense, dense_1 and dense_2."""
    found = (re.fullmatch(r"(.*?)(?:_(\d+))?", part) for part in path.split("/"))
    return [(match[1], int(match[2] or 0)) for match in found if match]


if __name__ == "__main__":
    for piece in packed(Path(sys.argv[1]), int(sys.argv[2])):
        sys.stdout.buffer.write(piece)
