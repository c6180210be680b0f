"""Shapes, parameters and operations of a network, row by row, without running it."""

import math
from typing import NamedTuple

from fish_jax.errors import UserError
from fish_jax.networks.ops import pyramid
from fish_jax.networks.ops.pooling import Pair
from fish_jax.networks.spec import (
    IMAGE_OPS,
    KERNEL_OPS,
    Row,
    Rows,
    image_rows,
    made_sizes,
)
from fish_jax.utils import validation


class LayerPlan(NamedTuple):
    """Shape and cost of one row of a layer table, for one image.

    Attributes:
      name: the name of the row in the parameters.
      text: the operation in words.
      shape: the shape of the output, without the batch.
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


Plan = tuple[LayerPlan, ...]


def _describe_row(row: Row) -> str:
    has_kernel, resamples = row.op in KERNEL_OPS, row.op in ("upsample", "downsample", "max_pool")
    strided = row.op in ("conv", "conv_transpose", "from_image")
    parts = (
        (row.op, True),
        (f"{row.filters}", has_kernel and row.op != "to_image"),
        (f"{row.kernel}x{row.kernel} stride {row.stride} {row.padding}", strided),
        (f"{row.kernel}x{row.kernel}", row.op == "to_image"),
        (f"{row.kernel}x{row.kernel} twice", row.op == "residual"),
        (f"{row.size[0]}x{row.size[1]}", resamples),
        ("linear", resamples and row.filter == "linear"),
        ("from zero", row.kernel_init == "zeros"),
        (f"+ {row.norm} norm", row.norm == "batch" or (row.norm == "spectral" and has_kernel)),
        (f"+ {row.activation}", row.activation != "none"),
        (f"+ dropout {row.dropout}", row.dropout > 0),
        (f"+ noise {row.noise}", row.noise > 0),
    )
    return " ".join(text for text, holds in parts if holds)


def _convolved(side: int, row: Row) -> int:
    """The length of a side after a convolution."""
    if row.padding == "valid":
        return (side - row.kernel) // row.stride + 1
    return -(-side // row.stride)


def _output_shape(row: Row, shape: tuple[int, ...], size: tuple[int, int]) -> tuple[int, ...]:
    """The shape of a row's output, where `size` is that of what it makes in a generator."""
    match row.op:
        case "conv" | "from_image":
            return (_convolved(shape[0], row), _convolved(shape[1], row), row.filters)
        case "dense":
            return (row.filters,)
        case "residual":
            return (*shape[:2], row.filters)
        case "flatten":
            return (math.prod(shape),)
        case "max_pool" | "downsample":
            return (shape[0] // row.size[0], shape[1] // row.size[1], shape[2])
        case "conv_transpose":
            return (shape[0] * row.stride, shape[1] * row.stride, row.filters)
        case "project" | "double" | "to_image":
            return (*size, row.filters or shape[2])
        case "upsample":
            return (shape[0] * row.size[0], shape[1] * row.size[1], shape[2])
    raise ValueError(row.op)


def _count(row: Row, shape: tuple[int, ...], output: tuple[int, ...]) -> tuple[int, int, int]:
    """(parameters, statistics, flops) of a row that takes `shape`."""
    units = math.prod(output) if row.op == "project" else row.filters or output[-1]
    weights = biases = flops = 0
    if row.op == "residual":
        weights = row.kernel**2 * (shape[-1] + row.filters) * row.filters
        if shape[-1] != row.filters:
            weights += shape[-1] * row.filters  # the kernel of 1 x 1
        flops = 2 * weights * math.prod(shape[:2])
        biases = 2 * units if row.use_bias else 0
    elif row.op in KERNEL_OPS:
        weights = row.kernel**2 * shape[-1] * row.filters if row.kernel else shape[-1] * units
        # A transposed convolution applies its kernel once for each pixel of its INPUT.
        pixels = shape[:-1] if row.op == "conv_transpose" else output[:-1]
        flops = 2 * weights * (math.prod(pixels) if row.kernel else 1)
        biases = units if row.use_bias else 0
    norm = 2 * units if row.norm == "batch" else 0
    return weights + biases + norm, norm or _spectral_statistics(row, shape[-1], units), flops


def _spectral_statistics(row: Row, channels: int, units: int) -> int:
    """A vector and a singular value for each kernel."""
    if row.norm != "spectral" or row.op not in KERNEL_OPS:
        return 0
    kernels = 2 + (channels != units) if row.op == "residual" else 1
    return kernels * (1 + (channels if row.op == "conv_transpose" else units))


def _check_input(row: Row, shape: tuple[int, ...], where: str, makes: bool) -> None:
    if row.op == "double" and not makes:
        raise UserError(f"{where} belongs in a generator: its size depends on the image")
    if row.op in IMAGE_OPS and len(shape) != 3:
        raise UserError(f"{where} needs an image but gets {shape}")
    if row.op in ("dense", "project") and len(shape) != 1:
        raise UserError(f"{where} needs a vector but gets {shape}; add a flatten row")


def _check_level(
    row: Row, output: tuple[int, ...], shape: tuple[int, ...], where: str, first: bool
) -> None:
    """Refuses an image that does not fit the features next to it, of `shape`."""
    if row.op == "from_image" and not first and output != shape:
        raise UserError(f"{where} makes {output}, which cannot be added to {shape} from above")
    if row.op == "to_image" and output[:2] != shape[:2]:
        raise UserError(
            f"{where} makes an image of {output[0]} x {output[1]} pixels from features of "
            f"{shape[0]} x {shape[1]}: put exactly one double row between two levels of a "
            "generator"
        )


def plan(rows: Rows, input_shape: tuple[int, ...], image_size: Pair = (1, 1)) -> Plan:
    """Follows the shape of one image, or latent, through a table.

    Args:
      rows: from `spec.read_rows`.
      input_shape: the input shape of one input, without the batch: (H, W, C) or (latents,).
      image_size: (height, width) of the images made, where the table has a `project`.

    Returns:
      One entry per row.

    Raises:
      UserError: the image is too small for the rows, a size that they cannot make, or levels that
        do not fit together.
    """
    makes = any(row.op == "project" for row in rows)
    sizes = made_sizes(rows, image_size) if makes else ((1, 1),) * len(rows)
    entries, shape = [], input_shape
    for index, row in enumerate(rows):
        where, taken = f"layers[{index}] ({_describe_row(row)})", shape
        _check_input(row, shape, where, makes)
        if row.op == "from_image":
            above = image_rows(rows).index(index)
            height, width = input_shape[:2]
            taken = (*pyramid.halved_size((height, width), above), input_shape[2])
        output = _output_shape(row, taken, sizes[index])
        _check_level(row, output, shape, where, first=index == 0)
        if min(output) < 1:
            size = " x ".join(map(str, input_shape[:2]))
            raise UserError(
                f"images of {size} are too small for this network: nothing is left after {where}; "
                "use larger images"
            )
        counts = _count(row, taken, output)
        validation.check_memory(where, max(counts[0], math.prod(output)))
        entries.append(LayerPlan(f"{index:02d}_{row.op}", _describe_row(row), output, *counts))
        shape = shape if row.op == "to_image" else output
    return tuple(entries)
