"""Every network of the project, read from the layer tables of a config.

A table is a mapping of defaults and `layers`, a sequence of rows, each a mapping that names its
`op` and may override the defaults. A row means, in this order: the operation, normalisation,
activation, dropout, noise. Nothing else decides what a network is: `read_table` checks a table,
`plan` follows the shapes through it, and `Stack` computes it.
"""

import dataclasses
import functools
import math
from collections.abc import Mapping
from typing import Any, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp

from fish_jax.errors import UserError
from fish_jax.networks import layers
from fish_jax.networks.ops import linear_resampling, pooling
from fish_jax.utils import validation

# By default JAX lets a GPU multiply float32 in TF32: float32 asks for all digits, HIGH allows TF32.
PRECISIONS = {
    "float32": jax.lax.Precision.HIGHEST,
    "tf32": jax.lax.Precision.HIGH,
    "bfloat16": jax.lax.Precision.DEFAULT,
}
KERNEL_OPS = ("conv", "conv_transpose", "residual", "dense", "project")
IMAGE_OPS = ("conv", "conv_transpose", "residual", "max_pool", "upsample", "downsample")
KERNEL_INITS = {
    "glorot_uniform": (1.0, "fan_avg", "uniform"),
    "glorot_normal": (1.0, "fan_avg", "truncated_normal"),
    "he_uniform": (2.0, "fan_in", "uniform"),
    "he_normal": (2.0, "fan_in", "truncated_normal"),
    "lecun_uniform": (1.0, "fan_in", "uniform"),
    "lecun_normal": (1.0, "fan_in", "truncated_normal"),
}


@dataclasses.dataclass(frozen=True)
class Row:
    """One row of a layer table.

    Attributes:
      op: a key of `OP_FIELDS`. `project` is a dense layer reshaped to an image of the size that the
        table's up-sampling needs; its norm stands before the reshape, one statistic per unit.
        `residual` adds two convolutions of stride 1 to its input; see `layers.Residual`.
      filters: output channels, or units of `dense`.
      kernel: height and width of a convolution's kernel.
      stride: of a convolution; the factor of up-sampling of a transposed one.
      padding: of `conv`, "same" or "valid", as TensorFlow pads.
      size: (rows, columns) that `upsample` makes of one, and that `downsample` and `max_pool` make
        one of.
      filter: how `upsample` and `downsample` do so: "box", by repeating and means, or "linear", by
        interpolation and its adjoint, without aliasing; see `smoothing`.
      use_bias: whether the operation adds a bias.
      kernel_init: a name of `KERNEL_INITS`, or "normal_0.02" for a normal of that deviation.
      norm: "batch" or "none".
      norm_momentum, norm_epsilon: of the normalisation.
      activation: "none", "leaky_relu", "relu", "elu" or "tanh"; of `residual` it stands ahead of
        each convolution, and nothing behind their sum with the input.
      slope: of leaky_relu for negative values.
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


# What each field of a row may be.
ROW = {
    "op": validation.choice(
        (
            "conv",
            "conv_transpose",
            "residual",
            "dense",
            "project",
            "flatten",
            "max_pool",
            "upsample",
            "downsample",
        )
    ),
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
    "norm": validation.choice(("batch", "none")),
    "norm_momentum": validation.SHARE,
    "norm_epsilon": validation.POSITIVE,
    "activation": validation.choice(("none", "leaky_relu", "relu", "elu", "tanh")),
    "slope": validation.FINITE,
    "dropout": validation.SHARE,
    "noise": validation.NOT_NEGATIVE,
}
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
    "downsample": (("size",), ("filter",)),
}
_OF_SOME_OPS = {name for must, may in OP_FIELDS.values() for name in (*must, *may)}
_OF_EVERY_OP = tuple(name for name in ROW if name not in _OF_SOME_OPS)
# What a table may be: its rows, and a default for each of their fields but `op` and `filter`, which
# no row with a kernel has. configs/default.py has those that do not say what a row is.
TABLE = {"layers": validation.ROWS} | {
    name: kind._replace(needed=name not in ("filters", "kernel", "stride", "padding", "size"))
    for name, kind in ROW.items()
    if name not in ("op", "filter")
}


class LayerPlan(NamedTuple):
    """What one row does to one image.

    Attributes:
      name: of the row in the parameters.
      text: the operation in words.
      shape: of the output, without the batch.
      parameters: number of trained parameters.
      statistics: number of running statistics of the normalisation.
      flops: floating-point operations of the forward pass, multiply and add counted as two.
    """

    name: str
    text: str
    shape: tuple[int, ...]
    parameters: int
    statistics: int
    flops: int


def _read_row(fields: Any, defaults: Mapping[str, Any], where: str) -> Row:
    if not isinstance(fields, dict):
        raise UserError(f"{where} is {validation.shown(fields)}; a row is fields and their values")
    op = fields.get("op")
    validation.check(f"{where}.op", op, ROW["op"])
    must, may = OP_FIELDS[op]
    kinds = {name: ROW[name]._replace(needed=name in must) for name in (*_OF_EVERY_OP, *must, *may)}
    for name in fields:
        if name in ROW and name not in kinds:
            others = [other for other, fields in OP_FIELDS.items() if name in sum(fields, ())]
            raise UserError(f"{where}.{name} is a field of {', '.join(others)}, not of {op}")
    inherited = {name: v for name, v in defaults.items() if name in kinds}
    values = {**(inherited if op in KERNEL_OPS else {}), **fields}
    validation.check_fields(values, kinds, where)
    return Row(**{name: tuple(v) if name == "size" else v for name, v in values.items()})


def read_table(table: Mapping[str, Any], where: str = "table") -> tuple[Row, ...]:
    """Checks a layer table and fills in its defaults.

    Defaults hold for rows with a kernel; a last row takes neither dropout nor noise from them.

    Args:
      table: `layers`, and any field of `TABLE` as a default for every row with a kernel.
      where: the table's name in messages.

    Returns:
      The rows.

    Raises:
      UserError: an unknown operation, field or value.
    """
    kinds = {name: kind._replace(needed=name == "layers") for name, kind in TABLE.items()}
    validation.check_fields(table, kinds, where)
    defaults = {name: value for name, value in table.items() if name != "layers"}
    last = {**defaults, "dropout": 0.0, "noise": 0.0}
    rows = table["layers"]
    return tuple(
        _read_row(row, last if i == len(rows) - 1 else defaults, f"{where}.layers[{i}]")
        for i, row in enumerate(rows)
    )


def _deviation(name: str) -> float:
    """The number in "normal_0.02"; fails, or is nan, where there is none."""
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
    if name not in KERNEL_INITS:
        return nn.initializers.normal(_deviation(name))
    axes = dict(in_axis=-1, out_axis=-2) if transposed else dict(in_axis=-2, out_axis=-1)
    return nn.initializers.variance_scaling(*KERNEL_INITS[name], **axes)


def total_upsampling(rows: tuple[Row, ...]) -> tuple[int, int]:
    """The factors by which a table multiplies the height and width of its projection."""
    factors = [row.upsampling for row in rows]
    return math.prod(f[0] for f in factors), math.prod(f[1] for f in factors)


def _nearest_multiples(side: int, factor: int) -> list[int]:
    below = max(side // factor, 1) * factor
    above = below + factor * (below < side)
    if side - below == above - side:
        return sorted({below, above})
    return [below if abs(side - below) < abs(above - side) else above]


def base_size(rows: tuple[Row, ...], image_size: tuple[int, int]) -> tuple[int, int]:
    """The size of the image that `project` makes, so that the table ends at `image_size`.

    Raises:
      UserError: the up-sampling does not divide the size; names the nearest that it does.
    """
    factors = total_upsampling(rows)
    if any(side < 1 or side % factor for side, factor in zip(image_size, factors)):
        heights, widths = (_nearest_multiples(s, f) for s, f in zip(image_size, factors))
        sizes = " or ".join(f"{h} x {w}" for h in heights for w in widths)
        raise UserError(
            f"this generator cannot make {image_size[0]} x {image_size[1]} images (height x "
            f"width): it up-samples by {factors[0]} x {factors[1]}, so height must be a multiple "
            f"of {factors[0]} and width of {factors[1]}; the nearest are {sizes}"
        )
    return image_size[0] // factors[0], image_size[1] // factors[1]


def _activate(x: jax.Array, row: Row) -> jax.Array:
    if row.activation == "none":
        return x
    if row.activation == "leaky_relu":
        return nn.leaky_relu(x, row.slope)
    return {"relu": nn.relu, "elu": layers.elu, "tanh": jnp.tanh}[row.activation](x)


UPSAMPLE = {"box": pooling.upsample_nearest, "linear": linear_resampling.upsample_linear}
DOWNSAMPLE = {"box": pooling.mean_pool, "linear": linear_resampling.downsample_linear}


class Stack(nn.Module):
    """A network: the rows of a table, one after the other.

    Attributes:
      rows: from `read_table`.
      image_size: (height, width) of the images made, where the table has a `project`.
      dtype: of the computation, but for batch statistics and the last activation.
      param_dtype: of parameters and statistics, and of what the network returns.
      precision: of convolutions and matrix products, as `jax.lax.Precision` has it.
      axis_name: of the devices that share a batch in training, or None.
    """

    rows: tuple[Row, ...]
    image_size: tuple[int, int] = (1, 1)
    dtype: jax.typing.DTypeLike = jnp.float32
    param_dtype: jax.typing.DTypeLike = jnp.float32
    precision: jax.lax.PrecisionLike = None
    axis_name: str | None = None

    @nn.compact
    def __call__(
        self, x: jax.Array, keys: jax.Array | None = None, train: bool = False
    ) -> tuple[jax.Array, jax.Array]:
        """Computes the network.

        Args:
          x: [N, ...].
          keys: N keys for dropout and noise; needed where a row has them and `train` is set.
          train: use and update the batch's statistics, drop out and add noise.

        Returns:
          The output, and the input of the last row that has a kernel: its features.
        """
        features = x = x.astype(self.dtype)
        for index, row in enumerate(self.rows):
            name = f"{index:02d}_{row.op}"
            if row.op in KERNEL_OPS:
                features = x
            x = self._operate(x, row, name)
            if row.norm == "batch":
                norm = layers.BatchNorm(
                    row.norm_momentum,
                    row.norm_epsilon,
                    self.dtype,
                    self.param_dtype,
                    self.axis_name,
                    name=f"{index:02d}_norm",
                )
                x = norm(x, train)
            if index == len(self.rows) - 1:  # a tanh rounded to bfloat16 would change pixels
                x = x.astype(self.param_dtype)
            x = x if row.op == "residual" else _activate(x, row)
            if row.op == "project":
                x = x.reshape(x.shape[0], *base_size(self.rows, self.image_size), row.filters)
            if train and row.dropout:
                x = layers.image_dropout(x, dropout_keys(keys, index), row.dropout)
            if train and row.noise:
                x = layers.image_noise(x, _fold(keys, 2 * index + 1), row.noise)
        return x, features.astype(self.param_dtype)

    def _operate(self, x: jax.Array, row: Row, name: str) -> jax.Array:
        settings = dict(
            use_bias=row.use_bias,
            kernel_init=kernel_initializer(row.kernel_init, row.op == "conv_transpose"),
            dtype=self.dtype,
            param_dtype=self.param_dtype,
            precision=self.precision,
            name=name,
        )
        match row.op:
            case "conv" | "conv_transpose":
                settings |= dict(padding=row.padding, transposed=row.op == "conv_transpose")
                return layers.Convolution(row.filters, row.kernel, row.stride, **settings)(x)
            case "residual":
                activate = functools.partial(_activate, row=row)
                return layers.Residual(row.filters, row.kernel, activate, **settings)(x)
            case "dense":
                return layers.Dense(row.filters, **settings)(x)
            case "project":
                units = math.prod(base_size(self.rows, self.image_size)) * row.filters
                return layers.Dense(units, **settings)(x)
            case "flatten":
                return x.reshape(x.shape[0], -1)
            case "max_pool":
                return pooling.max_pool(x, row.size)
            case "upsample":
                return UPSAMPLE[row.filter](x, row.size)
            case "downsample":
                return DOWNSAMPLE[row.filter](x, row.size)


def dropout_keys(keys: jax.Array | None, index: int) -> jax.Array:
    """The keys, one per image, of the dropout mask of a table's row."""
    return _fold(keys, 2 * index)


def _fold(keys: jax.Array | None, stream: int) -> jax.Array:
    if keys is None:
        raise ValueError("a network with dropout or noise needs keys in training, one per image")
    return jax.vmap(lambda key: jax.random.fold_in(key, stream))(keys)


# Of one number of a reconstruction.
ENERGIES = {"mae": jnp.abs, "mse": jnp.square}


class Discriminator(nn.Module):
    """Maps each image to one score.

    Without a decoder the score is the network's single output, a logit. With one the network is
    an autoencoder and the score is the image's reconstruction error, an energy, or minus that.

    Attributes:
      encoder: rows from image to logit, or to code.
      decoder: rows from code to image, or none.
      image_size: (height, width).
      energy: "mae", the mean absolute error over an image's numbers, or "mse", the mean square.
      negated: whether the score is minus the energy: high for real images, as losses but those of
        energies have it.
      dtype, param_dtype, precision, axis_name: of both, as in `Stack`; images and scores are of
        param_dtype.
    """

    encoder: tuple[Row, ...]
    decoder: tuple[Row, ...] = ()
    image_size: tuple[int, int] = (1, 1)
    energy: str = "mae"
    negated: bool = False
    dtype: jax.typing.DTypeLike = jnp.float32
    param_dtype: jax.typing.DTypeLike = jnp.float32
    precision: jax.lax.PrecisionLike = None
    axis_name: str | None = None

    def setup(self) -> None:
        arithmetic = (self.dtype, self.param_dtype, self.precision, self.axis_name)
        self.encode = Stack(self.encoder, (1, 1), *arithmetic)
        if self.decoder:
            self.decode = Stack(self.decoder, self.image_size, *arithmetic)

    def __call__(
        self, images: jax.Array, keys: jax.Array | None = None, train: bool = False
    ) -> tuple[jax.Array, jax.Array, jax.Array]:
        """Scores images.

        Args:
          images: [N, H, W, 3] in [-1, 1].
          keys: N keys for dropout and noise, in training.
          train: see `Stack`.

        Returns:
          Scores [N]; features [N, ...], the activations that enter the encoder's last row; and the
          encoder's output: the code [N, D] of an autoencoder, else the logit [N, 1].
        """
        output, features = self.encode(images, keys, train)
        if self.decoder:
            if keys is not None:
                keys = _fold(keys, 2 * len(self.encoder))  # apart from the encoder's
            reconstruction, _ = self.decode(output, keys, train)
            energy = jnp.mean(ENERGIES[self.energy](reconstruction - images), axis=(1, 2, 3))
            return -energy if self.negated else energy, features, output
        return output[:, 0], features, output

    def reconstruct(self, images: jax.Array) -> jax.Array:
        """What the autoencoder makes of images, [N, H, W, 3] in [-1, 1], without training."""
        return self.decode(self.encode(images)[0])[0]


def _describe_row(row: Row) -> str:
    parts = [row.op]
    if row.op in KERNEL_OPS:
        parts.append(str(row.filters))
    if row.op in ("conv", "conv_transpose"):
        parts.append(f"{row.kernel}x{row.kernel} stride {row.stride} {row.padding}")
    if row.op == "residual":
        parts.append(f"{row.kernel}x{row.kernel} twice")
    if row.op in ("upsample", "downsample", "max_pool"):
        parts.append(f"{row.size[0]}x{row.size[1]}" + " linear" * (row.filter == "linear"))
    if row.norm != "none":
        parts.append(f"+ {row.norm} norm")
    if row.activation != "none":
        parts.append(f"+ {row.activation}")
    if row.dropout:
        parts.append(f"+ dropout {row.dropout}")
    if row.noise:
        parts.append(f"+ noise {row.noise}")
    return " ".join(parts)


def _convolved(side: int, row: Row) -> int:
    """The length of a side after a convolution."""
    if row.padding == "valid":
        return (side - row.kernel) // row.stride + 1
    return -(-side // row.stride)


def _output_shape(row: Row, shape: tuple[int, ...], base: tuple[int, int]) -> tuple[int, ...]:
    match row.op:
        case "conv":
            return (_convolved(shape[0], row), _convolved(shape[1], row), row.filters)
        case "conv_transpose":
            return (shape[0] * row.stride, shape[1] * row.stride, row.filters)
        case "dense":
            return (row.filters,)
        case "residual":
            return (*shape[:2], row.filters)
        case "project":
            return (*base, row.filters)
        case "flatten":
            return (math.prod(shape),)
        case "max_pool" | "downsample":
            return (shape[0] // row.size[0], shape[1] // row.size[1], shape[2])
        case "upsample":
            return (shape[0] * row.size[0], shape[1] * row.size[1], shape[2])
    raise ValueError(row.op)


def _count(row: Row, shape: tuple[int, ...], output: tuple[int, ...]) -> tuple[int, int, int]:
    """(parameters, statistics, flops) of a row."""
    units = math.prod(output) if row.op == "project" else output[-1]
    weights = biases = flops = 0
    if row.op == "residual":
        skip = shape[-1] * row.filters * (shape[-1] != row.filters)
        weights = row.kernel**2 * (shape[-1] + row.filters) * row.filters + skip
        flops, biases = 2 * weights * math.prod(shape[:2]), 2 * row.filters * row.use_bias
    elif row.op in KERNEL_OPS:
        weights = row.kernel**2 * shape[-1] * row.filters if row.kernel else shape[-1] * units
        # A transposed convolution applies its kernel once for each pixel of its INPUT.
        pixels = shape[:-1] if row.op == "conv_transpose" else output[:-1]
        flops = 2 * weights * (math.prod(pixels) if row.kernel else 1)
        biases = units if row.use_bias else 0
    norm = 2 * units if row.norm == "batch" else 0
    return weights + biases + norm, norm, flops


def plan(
    rows: tuple[Row, ...], input_shape: tuple[int, ...], image_size: tuple[int, int] = (1, 1)
) -> tuple[LayerPlan, ...]:
    """Follows the shape of one image, or latent, through a table.

    Args:
      rows: from `read_table`.
      input_shape: of one input, without the batch: (H, W, 3) or (latents,).
      image_size: (height, width) of the images made, where the table has a `project`.

    Returns:
      One entry for each row.

    Raises:
      UserError: the image is too small for the rows, or a size that they cannot make.
    """
    base = base_size(rows, image_size) if any(r.op == "project" for r in rows) else (1, 1)
    entries, shape = [], input_shape
    for index, row in enumerate(rows):
        if row.op in IMAGE_OPS and len(shape) != 3:
            raise UserError(f"layers[{index}] ({row.op}) needs an image but gets {shape}")
        if row.op in ("dense", "project") and len(shape) != 1:
            raise UserError(f"layers[{index}] ({row.op}) needs a vector but gets {shape}; flatten")
        output = _output_shape(row, shape, base)
        if min(output) < 1:
            size = " x ".join(map(str, input_shape[:2]))
            raise UserError(
                f"images of {size} are too small for this network: nothing is left after "
                f"layers[{index}] ({_describe_row(row)}); use larger ones"
            )
        text, counts = _describe_row(row), _count(row, shape, output)
        validation.check_memory(f"layers[{index}] ({text})", max(counts[0], math.prod(output)))
        entries.append(LayerPlan(f"{index:02d}_{row.op}", text, output, *counts))
        shape = output
    return tuple(entries)
