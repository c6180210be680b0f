"""A peer: PyTorch, with networks from the same tables and the same simultaneous update.

PyTorch pads a strided convolution on the side that TensorFlow leaves bare. So that its layers can
be the plain ones, a network with strides sees everything turned by 180 degrees: its kernels are
turned as they are loaded, and losses agree to rounding.
"""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from benchmarks.common import Weights

Update = Callable[[torch.Tensor, torch.Tensor], tuple[torch.Tensor, torch.Tensor]]


class Lambda(nn.Module):
    """A function of one tensor as a layer."""

    def __init__(self, function: Callable[[torch.Tensor], torch.Tensor]):
        super().__init__()
        self.function = function

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.function(x)


class Layer(NamedTuple):
    """A layer with weights, and the image on the other side of a dense one's flattening.

    Attributes:
      module: convolution or nn.Linear.
      axis: of `module.weight` that runs over an image's pixels, or None.
      sides: height and width of that image.
    """

    module: nn.Module
    axis: int | None = None
    sides: tuple[int, int] = (1, 1)


class Network(nn.Module):
    """The rows of a table as PyTorch layers.

    Args:
      rows: with their table's defaults filled in.
      shape: (channels, height, width) of an input, or (numbers,).
      image_size: (height, width) of the images made, where the table has a `project`.
    """

    def __init__(self, rows: list[dict], shape: tuple[int, ...], image_size: tuple[int, int]):
        super().__init__()
        strided = [r for r in rows if r.get("stride", 1) > 1 and r.get("padding") != "valid"]
        self.turned = bool(strided)
        self.flattened = None
        self.weighted: list[Layer] = []
        factors = [(r["stride"],) * 2 for r in rows if r["op"] == "conv_transpose"]
        factors += [r["size"] for r in rows if r["op"] == "upsample"]
        self.base = tuple(side // int(np.prod(f)) for side, f in zip(image_size, zip(*factors)))
        modules = []
        for row in rows:
            made, shape = self._operation(row, shape)
            modules += made
            if row.get("norm") == "batch":
                kind = nn.BatchNorm1d if row["op"] in ("dense", "project") else nn.BatchNorm2d
                modules.append(kind(shape[0], row["norm_epsilon"], 1 - row["norm_momentum"]))
            modules += _activation(row)
            if row["op"] == "project":
                shape = (row["filters"], *self.base)
                modules.append(Lambda(lambda x, shape=shape: x.unflatten(1, shape)))
            if row.get("dropout"):
                modules.append(nn.Dropout(row["dropout"]))
        self.layers = nn.Sequential(*modules)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.layers(x)

    def _operation(self, row: Mapping[str, Any], shape: tuple[int, ...]):
        """The modules of a row's operation, and the shape after it."""
        filters, kernel, stride = (row.get(name, 0) for name in ("filters", "kernel", "stride"))
        bias = row.get("use_bias", False)
        match row["op"]:
            case "conv":
                pad = 0 if row.get("padding") == "valid" else kernel // 2
                module = nn.Conv2d(shape[0], filters, kernel, stride, pad, bias=bias)
                self.weighted.append(Layer(module))
                sides = [(side + 2 * pad - kernel) // stride + 1 for side in shape[1:]]
                if kernel < stride:  # only the last pixel of each block counts, once turned
                    assert kernel == 1
                    last = Lambda(lambda x: x[..., stride - 1 :: stride, stride - 1 :: stride])
                    module.stride = (1, 1)
                    return [last, module], (filters, *sides)
                return [module], (filters, *sides)
            case "conv_transpose":
                pad = max((kernel - stride + 1) // 2, 0)
                extra = max(stride - kernel, 0) if kernel < stride else 2 * pad + stride - kernel
                made = (kernel, stride, pad, 0 if kernel < stride else extra)
                module = nn.ConvTranspose2d(shape[0], filters, *made, bias=bias)
                self.weighted.append(Layer(module))
                shape = (filters, *(side * stride for side in shape[1:]))
                if kernel < stride:
                    return [module, Lambda(lambda x: F.pad(x, (extra, 0, extra, 0)))], shape
                return [module], shape
            case "dense" | "project":
                units = filters if row["op"] == "dense" else filters * int(np.prod(self.base))
                module = nn.Linear(shape[0], units, bias=bias)
                axis, sides = (0, self.base) if row["op"] == "project" else (1, self.flattened)
                self.weighted.append(Layer(module, axis if sides else None, sides))
                return [module], (units,)
            case "flatten":
                self.flattened = shape[1:]
                return [nn.Flatten()], (int(np.prod(shape)),)
            case "max_pool":
                sides = (side // factor for side, factor in zip(shape[1:], row["size"]))
                return [nn.MaxPool2d(row["size"])], (shape[0], *sides)
            case "upsample":
                sides = (side * factor for side, factor in zip(shape[1:], row["size"]))
                factors = tuple(map(float, row["size"]))
                return [nn.Upsample(scale_factor=factors)], (shape[0], *sides)
        raise ValueError(row["op"])

    @torch.no_grad()
    def load(self, draw: Weights) -> None:
        """Fills the network with the shared weights."""
        for module, axis, sides in self.weighted:
            if isinstance(module, nn.Linear):
                weight = torch.from_numpy(draw(tuple(module.weight.shape[::-1]))).T
                if axis is not None:  # from (height, width, channels) to (channels, height, width)
                    weight = weight.unflatten(axis, (*sides, -1))
                    weight = weight.flip(axis, axis + 1) if self.turned else weight
                    weight = weight.movedim(axis + 2, axis).flatten(axis, axis + 2)
            else:
                # [k, k, in, out], or [k, k, out, in] where transposed: the last two change places.
                shape = module.weight.shape
                weight = torch.from_numpy(draw((*shape[2:], shape[1], shape[0])))
                weight = weight.permute(3, 2, 0, 1)
                weight = weight.flip(2, 3) if self.turned else weight
            module.weight.copy_(weight)
            if module.bias is not None:
                module.bias.zero_()


def _activation(row: Mapping[str, Any]) -> list[nn.Module]:
    match row.get("activation", "none"):
        case "leaky_relu":
            return [nn.LeakyReLU(row["slope"], inplace=True)]
        case "elu":
            return [nn.ELU(inplace=True)]
        case "tanh":
            return [nn.Tanh()]
    return []


def _rows(table: Mapping[str, Any], layers: str = "layers") -> list[dict]:
    """The rows with their table's defaults; a last row takes no dropout from them."""
    defaults = {k: v for k, v in table.items() if k not in ("layers", "decoder")}
    rows = [{**(defaults if "filters" in row else {}), **row} for row in table[layers]]
    return [*rows[:-1], rows[-1] | {"dropout": table[layers][-1].get("dropout", 0.0)}]


class Gan(nn.Module):
    """Both networks of a config; a decoder makes the discriminator an autoencoder."""

    def __init__(self, config: Mapping[str, Any]):
        super().__init__()
        size, table = (config["height"], config["width"]), config["discriminator"]
        encoder = _rows(table)
        self.generator = Network(_rows(config["generator"]), (config["latents"]["size"],), size)
        self.encoder = Network(encoder, (3, *size), size)
        self.decoder = None
        if table["decoder"]:
            self.decoder = Network(_rows(table, "decoder"), (encoder[-1]["filters"],), size)

    def load(self, seed: int) -> None:
        for offset, network in enumerate([self.generator, self.encoder, self.decoder]):
            if network is not None:
                network.load(Weights(seed + offset))

    def see(self, images: torch.Tensor, turned: bool) -> torch.Tensor:
        """Images as the discriminator sees them."""
        return images if self.encoder.turned == turned else images.flip(2, 3)

    def score(self, images: torch.Tensor) -> torch.Tensor:
        code = self.encoder(images)
        if self.decoder is None:
            return code[:, 0]
        return (self.decoder(code).float() - images).abs().mean((1, 2, 3))

    def discriminator_parameters(self) -> list[nn.Parameter]:
        return [p for n in (self.encoder, self.decoder) if n is not None for p in n.parameters()]


def losses(config: Mapping[str, Any], real: torch.Tensor, fake: torch.Tensor, targets, k=0.0):
    """Both losses of scores, for the losses that are compared."""
    loss = config["loss"]
    match loss["name"]:
        case "bce":
            entropy = F.binary_cross_entropy_with_logits
            discriminator = entropy(real, targets[0]) + entropy(fake, targets[1])
            generator = entropy(fake, targets[2])
        case "lsgan":
            discriminator = F.mse_loss(real, targets[0]) / 2 + F.mse_loss(fake, targets[1]) / 2
            generator = F.mse_loss(fake, targets[2]) / 2
        case "ralsgan":
            real, fake = real - fake.mean(), fake - real.mean()
            discriminator = (((real - 1) ** 2).mean() + ((fake + 1) ** 2).mean()) / 2
            generator = (((real + 1) ** 2).mean() + ((fake - 1) ** 2).mean()) / 2
        case "began":
            discriminator, generator = real.mean() - k * fake.mean(), fake.mean()
        case name:
            raise ValueError(name)
    return loss["d_factor"] * discriminator, loss["g_factor"] * generator
