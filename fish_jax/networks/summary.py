"""Shapes, parameters and operations of a network, row by row, without running it."""

import math
from typing import NamedTuple

from fish_jax.errors import UserError
from fish_jax.networks.spec import IMAGE_OPS, KERNEL_OPS, Row, Rows, base_size
from fish_jax.utils import validation


class LayerPlan(NamedTuple):
    """Shape and cost of one row of a layer table, for one image.

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


Plan = tuple[LayerPlan, ...]


def _describe_row(row: Row) -> str:
    parts = [row.op]
    if row.op in KERNEL_OPS:
        parts.append(str(row.filters))
    if row.op in ("conv", "conv_transpose"):
        parts.append(f"{row.kernel}x{row.kernel} stride {row.stride} {row.padding}")
    if row.op == "residual":
        parts.append(f"{row.kernel}x{row.kernel} twice")
    if row.op in ("upsample", "downsample", "max_pool"):
        parts.append(f"{row.size[0]}x{row.size[1]}")
        if row.filter == "linear":
            parts.append("linear")
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
        case "conv_transpose":
            return (shape[0] * row.stride, shape[1] * row.stride, row.filters)
        case "upsample":
            return (shape[0] * row.size[0], shape[1] * row.size[1], shape[2])
    raise ValueError(row.op)


def _count(row: Row, shape: tuple[int, ...], output: tuple[int, ...]) -> tuple[int, int, int]:
    """(parameters, statistics, flops) of a row."""
    units = math.prod(output) if row.op == "project" else output[-1]
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
    return weights + biases + norm, norm, flops


def plan(rows: Rows, input_shape: tuple[int, ...], image_size: tuple[int, int] = (1, 1)) -> Plan:
    """Follows the shape of one image, or latent, through a table.

    Args:
      rows: from `spec.read_rows`.
      input_shape: of one input, without the batch: (H, W, 3) or (latents,).
      image_size: (height, width) of the images made, where the table has a `project`.

    Returns:
      One entry per row.

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
