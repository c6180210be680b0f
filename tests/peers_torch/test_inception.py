"""FID's InceptionV3 and its resizing against PyTorch's operations, at the same random weights."""

import jax
import numpy as np
import pytest
import torch
from helpers.inception_weights import random_weights
from torch.nn import functional

from fish_jax.evaluation.metrics import inception

pytestmark = pytest.mark.usefixtures("strict_dtypes")


class Reference:
    """The network in lines of PyTorch, block by block, [N, 3, 299, 299] to [N, 2048]."""

    def __init__(self, weights, dtype, count_padding=False, last="maximum"):
        self.weights = {name: torch.tensor(array, dtype=dtype) for name, array in weights.items()}
        self.count_padding, self.last = count_padding, last

    def layer(self, x, name, stride=1, padding=0):
        of = lambda part: self.weights[f"{name}.{part}"]
        x = functional.conv2d(x, of("conv.weight"), stride=stride, padding=padding)
        statistics = of("bn.running_mean"), of("bn.running_var")
        return functional.relu(
            functional.batch_norm(x, *statistics, of("bn.weight"), of("bn.bias"), eps=1e-3)
        )

    def average(self, x):
        return functional.avg_pool2d(x, 3, 1, 1, count_include_pad=self.count_padding)

    def block_5(self, x, name):
        wide = self.layer(self.layer(x, f"{name}.branch5x5_1"), f"{name}.branch5x5_2", padding=2)
        double = self.layer(x, f"{name}.branch3x3dbl_1")
        double = self.layer(double, f"{name}.branch3x3dbl_2", padding=1)
        double = self.layer(double, f"{name}.branch3x3dbl_3", padding=1)
        pooled = self.layer(self.average(x), f"{name}.branch_pool")
        return torch.cat([self.layer(x, f"{name}.branch1x1"), wide, double, pooled], 1)

    def block_6a(self, x):
        double = self.layer(x, "Mixed_6a.branch3x3dbl_1")
        double = self.layer(double, "Mixed_6a.branch3x3dbl_2", padding=1)
        double = self.layer(double, "Mixed_6a.branch3x3dbl_3", stride=2)
        single = self.layer(x, "Mixed_6a.branch3x3", stride=2)
        return torch.cat([single, double, functional.max_pool2d(x, 3, 2)], 1)

    def block_6(self, x, name):
        single = self.layer(x, f"{name}.branch7x7_1")
        single = self.layer(single, f"{name}.branch7x7_2", padding=(0, 3))
        single = self.layer(single, f"{name}.branch7x7_3", padding=(3, 0))
        double = self.layer(x, f"{name}.branch7x7dbl_1")
        for number, padding in ((2, (3, 0)), (3, (0, 3)), (4, (3, 0)), (5, (0, 3))):
            double = self.layer(double, f"{name}.branch7x7dbl_{number}", padding=padding)
        pooled = self.layer(self.average(x), f"{name}.branch_pool")
        return torch.cat([self.layer(x, f"{name}.branch1x1"), single, double, pooled], 1)

    def block_7a(self, x):
        single = self.layer(self.layer(x, "Mixed_7a.branch3x3_1"), "Mixed_7a.branch3x3_2", 2)
        long = self.layer(x, "Mixed_7a.branch7x7x3_1")
        long = self.layer(long, "Mixed_7a.branch7x7x3_2", padding=(0, 3))
        long = self.layer(long, "Mixed_7a.branch7x7x3_3", padding=(3, 0))
        long = self.layer(long, "Mixed_7a.branch7x7x3_4", stride=2)
        return torch.cat([single, long, functional.max_pool2d(x, 3, 2)], 1)

    def block_7(self, x, name, pooled):
        fork = lambda x, name: [
            self.layer(x, f"{name}a", padding=(0, 1)),
            self.layer(x, f"{name}b", padding=(1, 0)),
        ]
        single = fork(self.layer(x, f"{name}.branch3x3_1"), f"{name}.branch3x3_2")
        double = self.layer(x, f"{name}.branch3x3dbl_1")
        double = self.layer(double, f"{name}.branch3x3dbl_2", padding=1)
        double = fork(double, f"{name}.branch3x3dbl_3")
        ends = [self.layer(x, f"{name}.branch1x1"), *single, *double]
        return torch.cat([*ends, self.layer(pooled, f"{name}.branch_pool")], 1)

    def __call__(self, x):
        x = self.layer(x, "Conv2d_1a_3x3", stride=2)
        x = self.layer(self.layer(x, "Conv2d_2a_3x3"), "Conv2d_2b_3x3", padding=1)
        x = self.layer(functional.max_pool2d(x, 3, 2), "Conv2d_3b_1x1")
        x = functional.max_pool2d(self.layer(x, "Conv2d_4a_3x3"), 3, 2)
        for name in ("Mixed_5b", "Mixed_5c", "Mixed_5d"):
            x = self.block_5(x, name)
        x = self.block_6a(x)
        for name in ("Mixed_6b", "Mixed_6c", "Mixed_6d", "Mixed_6e"):
            x = self.block_6(x, name)
        x = self.block_7a(x)
        x = self.block_7(x, "Mixed_7b", self.average(x))
        largest = functional.max_pool2d(x, 3, 1, 1)
        x = self.block_7(x, "Mixed_7c", largest if self.last == "maximum" else self.average(x))
        return functional.adaptive_avg_pool2d(x, 1).flatten(1)


@pytest.fixture(scope="module")
def weights():
    return random_weights()


@pytest.fixture(scope="module")
def images():
    """Noise of several grains in [-1, 1], float32 [2, 299, 299, 3]."""
    random = np.random.default_rng(1)
    coarse = random.normal(size=(2, 30, 30, 3)).repeat(10, 1).repeat(10, 2)[:, :299, :299]
    return np.float32(np.tanh(coarse + random.normal(size=(2, 299, 299, 3)) / 2))


@pytest.fixture(scope="module")
def ours(weights, images):
    return np.asarray(jax.jit(inception.features)(weights, images))


def theirs(weights, images, dtype, **settings):
    x = torch.tensor(images, dtype=dtype).permute(0, 3, 1, 2)
    with torch.inference_mode():
        return Reference(weights, dtype, **settings)(x).numpy()


def difference(a, b):
    """The largest of a feature, relative to the mean size of that image's features."""
    return float((np.abs(a - b).max(1) / np.abs(b).mean(1)).max())


@pytest.mark.parametrize("dtype, limit", [(torch.float64, 2e-5), (torch.float32, 2e-5)])
def test_features(ours, weights, images, dtype, limit):
    reference = theirs(weights, images, dtype)
    assert ours.shape == reference.shape == (2, 2048) and ours.dtype == np.float32
    assert (reference > 0).mean() > 0.5 and reference.std() > 0.1
    # Two images that differ in nothing but rounding would say nothing.
    assert difference(reference[:1], reference[1:]) > 1e-2
    worst = difference(ours, reference)
    print(f"{dtype}: features differ by {worst:.1e} of their mean")
    assert worst < limit


@pytest.mark.parametrize("other", [{"count_padding": True}, {"last": "average"}])
def test_the_network_of_torchvision_is_told_apart(ours, weights, images, other):
    """Its averages count padding, and its last block has no maximum."""
    assert difference(ours, theirs(weights, images, torch.float32, **other)) > 1e-2


SIZES = [(140, 320), (28, 64), (299, 299), (17, 400), (512, 301)]


@pytest.mark.parametrize("height, width", SIZES)
def test_legacy_resizing(height, width):
    images = np.random.default_rng(0).integers(0, 256, (2, height, width, 3), np.uint8)
    x = torch.tensor(images).permute(0, 3, 1, 2).float() / 255
    x = 2 * functional.interpolate(x, (299, 299), mode="bilinear", align_corners=False) - 1
    made = np.asarray(inception.resized(images, "legacy"))
    worst = np.abs(made - x.permute(0, 2, 3, 1).numpy()).max()
    print(f"{height} x {width}: resized images differ by {worst:.1e}")
    assert made.dtype == np.float32 and worst < 1e-6


@pytest.mark.parametrize("height, width", SIZES)
def test_clean_resizing(height, width):
    """PyTorch's own bicubic filter with antialiasing is Pillow's, computed apart."""
    images = np.random.default_rng(0).integers(0, 256, (2, height, width, 3), np.uint8)
    x = torch.tensor(images).permute(0, 3, 1, 2).double()
    x = functional.interpolate(
        x, (299, 299), mode="bicubic", align_corners=False, antialias=True
    ).clip(0, 255)
    made = np.asarray(inception.resized(images, "clean"))
    worst = np.abs(made - ((x - 128) / 128).permute(0, 2, 3, 1).numpy()).max()
    print(f"{height} x {width}: resized images differ by {worst:.1e}")
    assert made.dtype == np.float32 and worst < 1e-6
