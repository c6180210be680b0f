"""The DCGAN of PyTorch's tutorial, which `benchmarks.recipe hour` trains beside the recipe."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch

from benchmarks.recipe import tutorial


@pytest.mark.parametrize(
    "side, expected",
    [(64, (3_576_704, 2_765_568)), (128, (12_786_560, 11_164_416))],
)
def test_networks_have_the_tutorials_parameters(side, expected):
    """At 64 x 64 as the tutorial's code has them; at 128 x 128 with one layer more, by hand."""
    generator, discriminator = tutorial.networks(side)
    count = lambda network: sum(each.numel() for each in network.parameters())
    assert (count(generator), count(discriminator)) == expected
    images = generator(torch.zeros(2, tutorial.LATENTS, 1, 1))
    assert images.shape == (2, 3, side, side) and discriminator(images).shape == (2,)


def test_samples_are_stretched_to_the_size_of_the_images(monkeypatch):
    """A clock that stops after two steps: both networks are updated, then samples drawn."""
    monkeypatch.setattr(tutorial, "COUNT", 2)
    monkeypatch.setattr(tutorial, "BATCH", 2)
    minutes, drawn = iter((0, 0, 5)), []
    clock = SimpleNamespace(
        minutes=lambda: next(minutes),
        due=lambda: False,
        draw=lambda seen, render: drawn.append((seen, render())),
    )
    images = np.random.default_rng(0).integers(0, 256, (4, 28, 96, 3), np.uint8)
    tutorial.train(images, 64, 0, 1.0, clock)
    seen, samples = drawn[0]
    assert seen == 4 and samples.shape == (2, 28, 96, 3) and samples.dtype == np.uint8
