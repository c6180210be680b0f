"""Layer tables: the fields of a row, the reader of a table, and the image sizes it can make."""

import dataclasses
import itertools
import math
from collections.abc import Sequence
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from fish_jax.errors import UserError
from fish_jax.networks.ops import pyramid
from fish_jax.networks.ops.pooling import Pair
from fish_jax.utils import validation
from fish_jax.utils.config import Config

# By default JAX lets a GPU multiply float32 in TF32: float32 asks for all digits, HIGH allows TF32.
PRECISIONS = {
    "float32": jax.lax.Precision.HIGHEST,
    "tf32": jax.lax.Precision.HIGH,
    "bfloat16": jax.lax.Precision.DEFAULT,
}
# The energy of an autoencoder is the mean of one of these over the errors of its reconstruction.
ENERGIES = {"mae": jnp.abs, "mse": jnp.square}
KERNEL_OPS = ("conv", "conv_transpose", "residual", "dense", "project", "to_image", "from_image")
IMAGE_OPS = (
    "conv conv_transpose residual max_pool upsample double downsample to_image from_image".split()
)
RGB = 3  # channels that tables are written for
KERNEL_INITS = (
    "zeros glorot_uniform glorot_normal he_uniform he_normal lecun_uniform lecun_normal".split()
)


@dataclasses.dataclass(frozen=True)
class Row:
    """One row of a layer table.

    Attributes:
      op: a key of `OP_FIELDS`. `project` is a dense layer reshaped to an image of the size that the
        table's up-sampling needs; its norm stands before the reshape, one statistic per unit.
        `residual` adds two convolutions of stride 1 to its input; see `layers.Residual`. `double`
        interpolates to twice the size, or a pixel less where that is what the image's size needs.
        `to_image` ends a level of a generator: a convolution whose output is added to the enlarged
        image of the level below; its features go on to the next row. `from_image` begins a level
        of a discriminator: a convolution of the image, halved once for each level above, is added
        to the features that come from there.
      filters: output channels, or units of `dense`; set for `to_image`. See `with_channels`.
      kernel: height and width of a convolution's kernel.
      stride: the stride of a convolution; the factor of up-sampling of a transposed one.
      padding: of `conv`, "same" or "valid", as TensorFlow pads.
      size: (rows, columns) that `upsample` makes of one, and that `downsample` and `max_pool` make
        one of.
      filter: of `upsample` and `downsample`: "box", by repeating and by means, or "linear", by
        interpolation and its adjoint, without aliasing; see `ops.linear_resampling`.
      use_bias: whether the operation adds a bias.
      kernel_init: a name of `KERNEL_INITS`, or "normal_0.02" for a normal of that deviation.
      norm: "batch", of the output; "spectral", which divides each kernel by its largest singular
        value (Miyato et al. 2018, https://arxiv.org/abs/1802.05957); or "none".
      norm_momentum, norm_epsilon: of batch normalisation.
      activation: "none", "leaky_relu", "relu", "elu" or "tanh"; a `residual` row applies it before
        each convolution, and not to their sum with the input.
      slope: the slope of leaky_relu for negative values.
      dropout: share of the output set to zero in training.
      noise: deviation of Gaussian noise added to the output in training.
    """

    op: str
    filters: int = 0
    kernel: int = 0
    stride: int = 1
    padding: str = "same"
    size: tuple[int, int] = (1, 1)
    filter: str = "box"
    use_bias: bool = True
    kernel_init: str = "glorot_uniform"
    norm: str = "none"
    norm_momentum: float = 0.99
    norm_epsilon: float = 1e-3
    activation: str = "none"
    slope: float = 0.3
    dropout: float = 0.0
    noise: float = 0.0

    @property
    def upsampling(self) -> tuple[int, int]:
        """The factors by which this row multiplies height and width."""
        if self.op == "conv_transpose":
            return (self.stride, self.stride)
        return self.size if self.op == "upsample" else (1, 1)


# The fields that a row must and may have, beside those of every row.
OP_FIELDS = {
    "conv": (("filters", "kernel"), ("stride", "padding", "use_bias", "kernel_init")),
    "conv_transpose": (("filters", "kernel"), ("stride", "use_bias", "kernel_init")),
    "residual": (("filters", "kernel"), ("use_bias", "kernel_init")),
    "dense": (("filters",), ("use_bias", "kernel_init")),
    "project": (("filters",), ("use_bias", "kernel_init")),
    "flatten": ((), ()),
    "max_pool": (("size",), ()),
    "upsample": (("size",), ("filter",)),
    "double": ((), ()),
    "to_image": (("kernel",), ("use_bias", "kernel_init")),
    "from_image": (("filters", "kernel"), ("stride", "use_bias", "kernel_init")),
    "downsample": (("size",), ("filter",)),
}
# Fields of every row that some operations lack.
NOT_OF = {"to_image": "norm norm_momentum norm_epsilon dropout noise".split()}
Rows = tuple[Row, ...]
# The schema of a row.
ROW = {
    "op": validation.choice(OP_FIELDS),
    "filters": validation.whole(1),
    "kernel": validation.whole(1),
    "stride": validation.whole(1),
    "padding": validation.choice(("same", "valid")),
    "size": validation.pair(validation.whole(1)),
    "filter": validation.choice(("box", "linear")),
    "use_bias": validation.BOOLEAN,
    "kernel_init": validation.Kind(
        f"one of {', '.join([*KERNEL_INITS, 'normal_0.02'])}",
        lambda name: (
            isinstance(name, str)
            and (name in KERNEL_INITS or validation.POSITIVE.accepts(_deviation(name)))
        ),
    ),
    "norm": validation.choice(("batch", "spectral", "none")),
    "norm_momentum": validation.SHARE,
    "norm_epsilon": validation.POSITIVE,
    "activation": validation.choice(("none", "leaky_relu", "relu", "elu", "tanh")),
    "slope": validation.FINITE,
    "dropout": validation.SHARE,
    "noise": validation.NOT_NEGATIVE,
}
_OF_SOME_OPS = {name for must, may in OP_FIELDS.values() for name in (*must, *may)}
_OF_EVERY_OP = tuple(name for name in ROW if name not in _OF_SOME_OPS)
# The schema of a table: its rows, and a default for each of their fields but `op` and `filter`,
# which no row with a kernel has. configs/default.py holds the needed ones.
TABLE = {"layers": validation.ROWS} | {
    name: kind._replace(needed=name not in ("filters", "kernel", "stride", "padding", "size"))
    for name, kind in ROW.items()
    if name not in ("op", "filter")
}


def read_rows(rows: Sequence[Any], defaults: Config, where: str) -> Rows:
    """Checks the rows of a layer table and fills in its defaults.

    Defaults hold for rows with a kernel; a last row takes neither dropout nor noise from them.

    Args:
      rows: `layers` or `decoder` of a table.
      defaults: that table, whose fields of `TABLE` are checked already; others are ignored.
      where: the name of `rows` in messages, such as "generator.layers".

    Returns:
      The rows.

    Raises:
      UserError: an unknown operation, field or value.
    """
    last = {**defaults, "dropout": 0.0, "noise": 0.0}
    return tuple(
        _read_row(row, last if i == len(rows) - 1 else defaults, f"{where}[{i}]")
        for i, row in enumerate(rows)
    )


def with_channels(rows: Rows, channels: int) -> Rows:
    """The rows of a network that makes images of so many channels, of a table written for RGB.

    A last row of three filters makes the channels, and so does each `to_image`.
    """

    def filters(index: int, row: Row) -> int:
        last_of_three = index == len(rows) - 1 and row.filters == RGB
        return channels if row.op == "to_image" or last_of_three else row.filters

    return tuple(dataclasses.replace(row, filters=filters(i, row)) for i, row in enumerate(rows))


def _fields_of(op: str) -> tuple[str, ...]:
    """The names of the fields that a row may have."""
    of_every = (name for name in _OF_EVERY_OP if name not in NOT_OF.get(op, ()))
    return (*of_every, *itertools.chain(*OP_FIELDS[op]))


def _read_row(fields: Any, defaults: Config, where: str) -> Row:
    if not isinstance(fields, dict):
        raise UserError(
            f"{where} is {validation.shown(fields)}; a row must be fields and their values"
        )
    op: Any = fields.get("op")
    validation.check(f"{where}.op", op, ROW["op"])
    known = _fields_of(op)
    inherited: dict[str, Any] = {}
    if op in KERNEL_OPS:
        inherited = {name: value for name, value in defaults.items() if name in known}
    for name in fields:
        if name in ROW and name not in known:
            others = [other for other in OP_FIELDS if name in _fields_of(other)]
            raise UserError(f"{where}.{name} applies to {', '.join(others)}, not to {op}")
    needed = set(OP_FIELDS[op][0]) - inherited.keys()
    kinds = {name: ROW[name]._replace(needed=name in needed) for name in known}
    validation.check_fields(fields, kinds, where)
    values: dict[str, Any] = {**inherited, **fields}
    if "size" in values:
        values["size"] = tuple(values["size"])
    if op == "to_image":
        values["filters"] = RGB
    return Row(**values)


def _deviation(name: str) -> float:
    """The number in "normal_0.02"; nan, or a ValueError, if there is none."""
    return float(name.removeprefix("normal_")) if name.startswith("normal_") else math.nan


def kernel_initializer(name: str, transposed: bool = False) -> nn.initializers.Initializer:
    """The initialiser of a name of `KERNEL_INITS` or "normal_<deviation>".

    Args:
      name: the name.
      transposed: whether kernels are [k, k, out, in] instead of [..., in, out].

    Raises:
      UserError: no such initialiser.
    """
    validation.check("kernel_init", name, ROW["kernel_init"])
    if name == "zeros":
        return nn.initializers.zeros
    if name not in KERNEL_INITS:
        return nn.initializers.normal(_deviation(name))
    in_axis, out_axis = (-1, -2) if transposed else (-2, -1)
    return getattr(nn.initializers, name)(in_axis, out_axis)


def total_upsampling(rows: Rows) -> tuple[int, int]:
    """The factors by which a table multiplies the height and width of its projection.

    Rows that double are left out: they make any size.
    """
    factors = [row.upsampling for row in rows]
    return math.prod(f[0] for f in factors), math.prod(f[1] for f in factors)


def image_rows(rows: Rows) -> tuple[int, ...]:
    """The indices of the rows that make or take an image, where levels end or begin."""
    return tuple(i for i, row in enumerate(rows) if row.op in ("to_image", "from_image"))


def row_levels(rows: Rows) -> tuple[int, ...]:
    """The level that each row belongs to, 0 for the lowest; rows without images are of level 0."""
    places = image_rows(rows)
    if places and rows[places[0]].op == "from_image":
        return tuple(sum(place > index for place in places) for index in range(len(rows)))
    return tuple(sum(place < index for place in places) for index in range(len(rows)))


def _made_sides(rows: Rows, side: int, axis: int) -> list[int] | None:
    """One side of what each row makes, from the side of the image; None if that cannot be made."""
    made, levels = [], row_levels(rows)
    current = side
    for index, row in reversed(list(enumerate(rows))):
        if row.op == "to_image":  # of features, which go on as they are
            made.append(pyramid.halved(side, levels[-1] - levels[index]))
            continue
        made.append(current)
        factor = row.upsampling[axis]
        if current % factor:
            return None
        current = pyramid.halved(current, 1) if row.op == "double" else current // factor
    return made[::-1]


def made_sizes(rows: Rows, image_size: Pair) -> tuple[Pair, ...]:
    """The (height, width) that each row of a generator makes, found from the last back.

    Raises:
      UserError: the up-sampling does not divide the size; names the nearest that it does.
    """
    heights, widths = (_made_sides(rows, side, axis) for axis, side in enumerate(image_size))
    if heights is None or widths is None:
        raise UserError(_wrong_size(rows, image_size))
    return tuple(zip(heights, widths))


def _nearest_sides(rows: Rows, side: int, axis: int) -> list[int]:
    """The side that can be made and is nearest to this one, or two that are equally near."""
    for distance in itertools.count():
        near = sorted({max(side - distance, 1), side + distance})
        if found := [each for each in near if _made_sides(rows, each, axis)]:
            return found
    raise AssertionError


def _wrong_size(rows: Rows, image_size: Pair) -> str:
    """The message about a size that a generator cannot make."""
    (height, width), factors = image_size, total_upsampling(rows)
    heights, widths = (_nearest_sides(rows, side, axis) for axis, side in enumerate(image_size))
    sizes = " or ".join(f"{h} x {w}" for h in heights for w in widths)
    why = (
        f"it up-samples by {factors[0]} x {factors[1]}, so height must be a multiple of "
        f"{factors[0]} and width of {factors[1]}"
    )
    if any(row.op == "double" for row in rows):
        why = f"the output of its other rows cannot be divided by {factors[0]} x {factors[1]}"
    return (
        f"this generator cannot make {height} x {width} images (height x width): {why}; the "
        f"nearest are {sizes}"
    )
