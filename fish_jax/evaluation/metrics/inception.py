"""InceptionV3 with TensorFlow's weights of 2015, the features of FID and KID, from a user's file.

    network = inception.load_network("inception.npz")
    found = inception.extract(network, images)     uint8 [N, H, W, 3] to float32 [N, 2048]

Nothing is downloaded. The weights are those of pytorch-fid's `pt_inception-2015-12-05-6726825d.pth`
by the same names; where PyTorch is at hand these lines make the file:

    import numpy, torch
    state = torch.load("pt_inception-2015-12-05-6726825d.pth", weights_only=True)
    numpy.savez("inception.npz", **{name: array.numpy() for name, array in state.items()})

References:
  Szegedy et al., Rethinking the Inception Architecture for Computer Vision, 2015,
  https://arxiv.org/abs/1512.00567
  Heusel et al., GANs Trained by a Two Time-Scale Update Rule Converge to a Local Nash Equilibrium
  (FID), 2017, https://arxiv.org/abs/1706.08500
  Binkowski et al., Demystifying MMD GANs (KID), 2018, https://arxiv.org/abs/1801.01401
  Parmar et al., On Aliased Resizing and Surprising Subtleties in GAN Evaluation (clean-fid), 2022,
  https://arxiv.org/abs/2104.11222
"""

from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from flax import linen
from PIL import Image

from fish_jax.errors import UserError
from fish_jax.evaluation.features.batches import map_batches
from fish_jax.evaluation.metrics import inception_weights
from fish_jax.utils.progress import Advance, ignore_advance

SIDE = 299  # pixels
DIMENSION = 2048
RESIZES = ("clean", "legacy")

_AT_ONCE = 16  # images; a process then takes 1.2 GB on a CPU
_EPSILON = 1e-3  # of batch normalisation

Weights = Mapping[str, np.ndarray | jax.Array]


class Conv(NamedTuple):
    """A convolution without bias, batch normalisation and ReLU."""

    name: str
    filters: int
    kernel: tuple[int, int] = (1, 1)
    stride: int = 1
    padding: str = "SAME"


# Layers in their order: a convolution, a pooling by its name, or branches of the same input, whose
# channels are concatenated.
Steps = tuple["Conv | str | tuple[Steps, ...]", ...]
Branches = tuple[Steps, ...]


_SHRINK = ((3, 3), 2, "VALID")  # kernel, stride and padding


def _chain(name: str, *convs: tuple) -> Steps:
    """Convolutions one after another; each tuple is what follows the name in `Conv`."""
    return tuple(Conv(f"{name}_{place}", *conv) for place, conv in enumerate(convs, 1))


def _block_a(name: str, pooled: int) -> Branches:
    return (
        (Conv(f"{name}.branch1x1", 64),),
        _chain(f"{name}.branch5x5", (48,), (64, (5, 5))),
        _chain(f"{name}.branch3x3dbl", (64,), (96, (3, 3)), (96, (3, 3))),
        ("average", Conv(f"{name}.branch_pool", pooled)),
    )


def _block_b(name: str) -> Branches:
    return (
        (Conv(f"{name}.branch3x3", 384, *_SHRINK),),
        _chain(f"{name}.branch3x3dbl", (64,), (96, (3, 3)), (96, *_SHRINK)),
        ("halve",),
    )


def _block_c(name: str, narrow: int) -> Branches:
    row, column = (narrow, (1, 7)), (narrow, (7, 1))
    return (
        (Conv(f"{name}.branch1x1", 192),),
        _chain(f"{name}.branch7x7", (narrow,), row, (192, (7, 1))),
        _chain(f"{name}.branch7x7dbl", (narrow,), column, row, column, (192, (1, 7))),
        ("average", Conv(f"{name}.branch_pool", 192)),
    )


def _block_d(name: str) -> Branches:
    return (
        _chain(f"{name}.branch3x3", (192,), (320, *_SHRINK)),
        _chain(f"{name}.branch7x7x3", (192,), (192, (1, 7)), (192, (7, 1)), (192, *_SHRINK)),
        ("halve",),
    )


def _block_e(name: str, pooling: str) -> Branches:
    def fork(first: str) -> Branches:
        ends = (("a", (1, 3)), ("b", (3, 1)))
        return tuple((Conv(f"{name}.{first}{end}", 384, kernel),) for end, kernel in ends)

    return (
        (Conv(f"{name}.branch1x1", 320),),
        (Conv(f"{name}.branch3x3_1", 384), fork("branch3x3_2")),
        (*_chain(f"{name}.branch3x3dbl", (448,), (384, (3, 3))), fork("branch3x3dbl_3")),
        (pooling, Conv(f"{name}.branch_pool", 192)),
    )


NETWORK: Steps = (
    Conv("Conv2d_1a_3x3", 32, *_SHRINK),
    Conv("Conv2d_2a_3x3", 32, (3, 3), padding="VALID"),
    Conv("Conv2d_2b_3x3", 64, (3, 3)),
    "halve",
    Conv("Conv2d_3b_1x1", 80),
    Conv("Conv2d_4a_3x3", 192, (3, 3), padding="VALID"),
    "halve",
    _block_a("Mixed_5b", 32),
    _block_a("Mixed_5c", 64),
    _block_a("Mixed_5d", 64),
    _block_b("Mixed_6a"),
    _block_c("Mixed_6b", 128),
    _block_c("Mixed_6c", 160),
    _block_c("Mixed_6d", 160),
    _block_c("Mixed_6e", 192),
    _block_d("Mixed_7a"),
    _block_e("Mixed_7b", "average"),
    # An average in the paper; the graph of 2015 that FID was defined with has a maximum.
    _block_e("Mixed_7c", "largest"),
)


def _parameters(steps: Steps, channels: int) -> tuple[dict[str, tuple[int, ...]], int]:
    """The shapes of the weights by name, and the number of output channels."""
    shapes = {}
    for step in steps:
        if isinstance(step, Conv):
            shapes[f"{step.name}.conv.weight"] = (step.filters, channels, *step.kernel)
            for part in ("weight", "bias", "running_mean", "running_var"):
                shapes[f"{step.name}.bn.{part}"] = (step.filters,)
            channels = step.filters
        elif not isinstance(step, str):
            inner = [_parameters(branch, channels) for branch in step]
            shapes |= {name: shape for found, _ in inner for name, shape in found.items()}
            channels = sum(count for _, count in inner)
    return shapes, channels


SHAPES: dict[str, tuple[int, ...]] = _parameters(NETWORK, 3)[0]
# The classifier, of 1,008 classes, and counters of training: in the file, but not needed.
OPTIONAL: dict[str, tuple[int, ...]] = {"fc.weight": (1008, DIMENSION), "fc.bias": (1008,)}
OPTIONAL |= {
    name.replace("running_mean", "num_batches_tracked"): ()
    for name in SHAPES
    if name.endswith("running_mean")
}


def _convolve(conv: Conv, weights: Weights, x: jax.Array) -> jax.Array:
    kernel, scale, bias, mean, variance = (
        jnp.asarray(weights[f"{conv.name}.{part}"])
        for part in ("conv.weight", "bn.weight", "bn.bias", "bn.running_mean", "bn.running_var")
    )
    scale = scale * jax.lax.rsqrt(variance + _EPSILON)
    x = jax.lax.conv_general_dilated(
        x,
        kernel * scale[:, None, None, None],
        (conv.stride, conv.stride),
        conv.padding,
        dimension_numbers=("NHWC", "OIHW", "NHWC"),
        precision=jax.lax.Precision.HIGHEST,
    )
    return jax.nn.relu(x + (bias - mean * scale)[None, None, None])


def _pool(kind: str, x: jax.Array) -> jax.Array:
    """Pools over 3 x 3: "halve" and "largest" take maxima, "average" leaves padding out."""
    if kind == "halve":
        return linen.max_pool(x, (3, 3), (2, 2), "VALID")
    if kind == "largest":
        return linen.max_pool(x, (3, 3), (1, 1), "SAME")
    return linen.avg_pool(x, (3, 3), (1, 1), "SAME", count_include_pad=False)


def run(steps: Steps, weights: Weights, x: jax.Array) -> jax.Array:
    """Applies some layers of the network: float32 [N, H, W, C] to [N, h, w, c]."""
    for step in steps:
        if isinstance(step, Conv):
            x = _convolve(step, weights, x)
        elif isinstance(step, str):
            x = _pool(step, x)
        else:
            x = jnp.concatenate([run(branch, weights, x) for branch in step], axis=-1)
    return x


@jax.jit
def features(weights: Weights, images: jax.Array) -> jax.Array:
    """Computes the features of FID and KID, the last spatial means.

    Args:
      weights: float32, of the names and shapes of `SHAPES`.
      images: float32 [N, 299, 299, 3], in [-1, 1].

    Returns:
      float32 [N, 2048].

    Raises:
      ValueError: images of another shape or type.
    """
    if images.shape[1:] != (SIDE, SIDE, 3) or images.dtype != jnp.float32:
        raise ValueError(
            f"images must be float32 [N, {SIDE}, {SIDE}, 3], not {images.dtype}{list(images.shape)}"
        )
    return jnp.mean(run(NETWORK, weights, images), axis=(1, 2))


class Network(NamedTuple):
    """Inception's weights and preprocessing.

    Attributes:
      weights: of `features`.
      digest: the SHA-256 of their file in hexadecimal.
      resize: one of `RESIZES`.
    """

    weights: Weights
    digest: str
    resize: str

    @property
    def description(self) -> str:
        """The network in words, for a protocol."""
        return (
            f"InceptionV3 with weights of SHA-256 {self.digest[:12]}, resize {self.resize} to "
            f"{SIDE} x {SIDE}"
        )


def load_network(path: str | Path, resize: str = "clean") -> Network:
    """Loads the network from a user's file.

    Args:
      path: a `.npz` or `.safetensors` file of float32, float16 or bfloat16 with the names and
        shapes of `SHAPES`; the other arrays of pytorch-fid's weights, `OPTIONAL`, are accepted.
      resize: "clean" or "legacy", see `resized`.

    Returns:
      The network, for `extract`.

    Raises:
      UserError: another `resize`, no such file, or one that is damaged or has other arrays.
    """
    if resize not in RESIZES:
        raise UserError(f"resize must be one of {', '.join(RESIZES)}, not {resize!r}")
    weights, digest = inception_weights.read(path, SHAPES, OPTIONAL)
    for name, array in weights.items():
        if name.endswith("running_var") and np.min(array) < 0:
            raise UserError(f"{path}: {name} has a variance below 0")
    return Network(jax.device_put(weights), digest, resize)


def _bicubic(image: np.ndarray) -> np.ndarray:
    """Resizes uint8 [H, W, 3] to float32 [299, 299, 3], one channel at a time, as Pillow must."""
    channels = [Image.fromarray(channel) for channel in np.moveaxis(image.astype(np.float32), 2, 0)]
    made = [channel.resize((SIDE, SIDE), Image.Resampling.BICUBIC) for channel in channels]
    return np.stack([np.asarray(channel) for channel in made], axis=-1)


def resized(images: np.ndarray, resize: str) -> jax.Array:
    """Resizes and scales images for the network, without rounding.

    "clean", as clean-fid: bicubic in floats with antialiasing, clipped to 0 to 255, (x - 128) /
    128. "legacy", as pytorch-fid: bilinear between the four nearest pixels, which leaves out most
    pixels of a larger image, and x / 127.5 - 1. TensorFlow's first FID sampled positions half a
    pixel away; that is not implemented.

    Args:
      images: uint8 [N, H, W, 3].
      resize: one of `RESIZES`.

    Returns:
      float32 [N, 299, 299, 3].
    """
    if resize == "clean":
        made = np.clip(np.stack([_bicubic(image) for image in images]), 0, 255)
        return jnp.asarray((made - 128) / 128)
    shape = (len(images), SIDE, SIDE, 3)
    return jax.image.resize(jnp.float32(images), shape, "bilinear", antialias=False) / 127.5 - 1


def extract(
    network: Network, images: np.ndarray, on_progress: Advance = ignore_advance
) -> np.ndarray:
    """Extracts the features of images, each resized to 299 x 299.

    Args:
      network: of `load_network`.
      images: uint8 [N, H, W, 3], N >= 1; may be mapped from disk.
      on_progress: as in `batches.map_batches`.

    Returns:
      float32 [N, 2048], on the host.

    Raises:
      ValueError: other shapes or types.
    """
    function = lambda batch: features(network.weights, resized(batch, network.resize))
    return map_batches(function, images, on_progress, at_once=_AT_ONCE)
