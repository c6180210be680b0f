"""Reads weights from a user's `.npz` or `.safetensors` file, checks all, and executes nothing."""

import hashlib
import io
import json
import math
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np

from fish_jax.errors import UserError
from fish_jax.utils import files, npz
from fish_jax.utils.messages import explain, printable
from fish_jax.utils.validation import shown

MOST_HEADER = 1 << 20  # bytes of a safetensors header, which take 25 times as many in memory
MOST_BESIDE = 1 << 22  # bytes of a file beside its numbers

Shapes = Mapping[str, tuple[int, ...]]

_TYPES = {"F32": np.dtype("<f4"), "F16": np.dtype("<f2"), "BF16": np.dtype(jnp.bfloat16)}


class _Entry(NamedTuple):
    """An array as the header of a file declares it."""

    kind: str
    shape: tuple[int, ...]
    load: Callable[[], np.ndarray]


def read(path: str | Path, shapes: Shapes, optional: Shapes) -> tuple[dict[str, np.ndarray], str]:
    """Reads the arrays of a network.

    Names, types and shapes are checked before any array is read, all arrays before any is returned.

    Args:
      path: a `.npz` or a `.safetensors` file, recognised by its first bytes.
      shapes: the shapes of the required arrays.
      optional: the optional of arrays that are accepted and ignored.

    Returns:
      float32 arrays by the names of `shapes`, and the SHA-256 of the file in hexadecimal.

    Raises:
      UserError: no such file, neither kind of file, a damaged one, or an array that is missing, not
        wanted, of another shape, of another type than float16, bfloat16 or float32, or not finite.
    """
    content = _content(path, _most_bytes(shapes, optional))
    try:
        entries = _open(content)
    except Exception as error:  # Damaged, in whatever way.
        raise UserError(f"{path} is damaged: {explain(error)}") from None
    if entries is None:
        raise UserError(
            f"{path} is neither a .npz nor a .safetensors file; docs/evaluation.md shows how to "
            "make one"
        )
    _check(path, entries, shapes, optional)
    arrays = {name: _load(path, name, entries[name]) for name in shapes}
    return arrays, hashlib.sha256(content).hexdigest()


def _most_bytes(shapes: Shapes, optional: Shapes) -> int:
    """A limit of the file: its arrays in float64, which is twice what is accepted, and names."""
    return MOST_BESIDE + 8 * sum(map(math.prod, (*shapes.values(), *optional.values())))


def _content(path: str | Path, most: int) -> bytes:
    try:
        files.check_regular(path)
        with open(path, "rb") as file:
            content = file.read(most + 1)
        if len(content) > most:
            raise ValueError(f"it has more than {most:,} bytes, twice the size of this network")
        return content
    except (OSError, ValueError, MemoryError) as error:
        raise UserError(f"{path} cannot be read: {explain(error)}") from None


def _open(content: bytes) -> dict[str, _Entry] | None:
    """Lists the arrays by name; None for another kind of file."""
    if content.startswith(b"PK\x03\x04"):
        return _open_npz(npz.open_archive(io.BytesIO(content)))
    if content[8:9] == b"{":
        return _open_safetensors(content)
    return None


def _open_npz(archive: zipfile.ZipFile) -> dict[str, _Entry] | None:
    if not all(name.endswith(".npy") for name in archive.namelist()):
        return None  # of PyTorch's, or any other zip
    arrays = npz.list_arrays(archive)
    return {name: _Entry(dtype.name, shape, load) for name, (shape, dtype, load) in arrays.items()}


def _open_safetensors(content: bytes) -> dict[str, _Entry]:
    length = int.from_bytes(content[:8], "little")
    if length > len(content) - 8:
        raise ValueError("its header is longer than the file")
    if length > MOST_HEADER:
        raise ValueError(f"its header has more than {MOST_HEADER:,} bytes")
    header = json.loads(content[8 : 8 + length])
    data = memoryview(content)[8 + length :]
    header.pop("__metadata__", None)
    return {name: _safetensors_entry(name, entry, data) for name, entry in header.items()}


def _safetensors_entry(name: str, entry: dict[str, Any], data: memoryview) -> _Entry:
    kind, shape, (begin, end) = entry["dtype"], tuple(entry["shape"]), entry["data_offsets"]
    if any(type(number) is not int or number < 0 for number in (*shape, begin, end)):
        raise ValueError(f"the shape and offsets of {name} are not whole numbers from 0")
    if not begin <= end <= len(data):
        raise ValueError(f"{name} lies outside the file")
    if kind not in _TYPES:
        return _Entry(str(kind), shape, lambda: np.zeros(shape))  # refused by its type, or not read
    dtype = _TYPES[kind]
    if end - begin != math.prod(shape) * dtype.itemsize:
        raise ValueError(
            f"{name} has {end - begin} bytes, which does not match {list(shape)} {kind}"
        )
    load = lambda: np.frombuffer(data[begin:end], dtype).reshape(shape)
    return _Entry(dtype.name, shape, load)


def _check(
    path: str | Path, entries: Mapping[str, _Entry], shapes: Shapes, optional: Shapes
) -> None:
    for name, shape in shapes.items():
        if name not in entries:
            raise UserError(f"{path} has no array {name}; expected one of shape {list(shape)}")
    known = {**optional, **shapes}
    for name, (kind, shape, _) in entries.items():
        if name not in known:
            raise UserError(
                f"{path} has an unexpected array {printable(name)[:100]} of shape "
                f"{shown(list(shape))}"
            )
        if shape != known[name]:
            raise UserError(
                f"{path}: {name} has the shape {shown(list(shape))}; expected {list(known[name])}"
            )
        if name in shapes and kind not in {dtype.name for dtype in _TYPES.values()}:
            raise UserError(
                f"{path}: {name} of shape {list(shape)} is {printable(kind)[:100]}; expected "
                "float32, float16 or bfloat16"
            )


def _load(path: str | Path, name: str, entry: _Entry) -> np.ndarray:
    try:
        array = np.ascontiguousarray(entry.load(), np.float32)
    except Exception as error:  # Damaged, in whatever way.
        raise UserError(f"{path} is damaged: {name}: {explain(error)}") from None
    if not np.isfinite(array).all():
        raise UserError(
            f"{path}: {name} of shape {list(entry.shape)} has numbers that are not finite"
        )
    return array
