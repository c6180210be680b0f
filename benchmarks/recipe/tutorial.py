"""What a user would pick instead: the DCGAN of PyTorch's tutorial, on squashed images.

Its networks, weights, labels, optimisers and batches are the tutorial's (Radford et al., 2016,
https://arxiv.org/abs/1511.06434); at 128 x 128 both networks have one layer more.
"""

import itertools
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

if TYPE_CHECKING:
    from benchmarks.recipe.course import Clock

LATENTS, FILTERS, BATCH, RATE, COUNT = 100, 64, 128, 2e-4, 574


def resized(images: np.ndarray, height: int, width: int) -> np.ndarray:
    """Images squashed or stretched to a size: uint8 [N, height, width, 3]."""
    make = lambda image: Image.fromarray(image).resize((width, height), Image.Resampling.BICUBIC)
    return np.stack([np.asarray(make(image)) for image in images])


def networks(side: int):
    """Generator and discriminator for square images of 64 pixels or a power of two more."""
    from torch import nn

    doublings = int(np.log2(side)) - 3  # between 4 x 4 and half the side
    widths = [FILTERS * 2**power for power in range(doublings, -1, -1)]
    up = [nn.ConvTranspose2d(LATENTS, widths[0], 4, 1, 0, bias=False)]
    down = [nn.Conv2d(3, FILTERS, 4, 2, 1, bias=False), nn.LeakyReLU(0.2, True)]
    for wide, narrow in itertools.pairwise(widths):
        up += [nn.BatchNorm2d(wide), nn.ReLU(True)]
        up += [nn.ConvTranspose2d(wide, narrow, 4, 2, 1, bias=False)]
    for narrow, wide in zip(widths[::-1], widths[-2::-1]):
        down += [nn.Conv2d(narrow, wide, 4, 2, 1, bias=False)]
        down += [nn.BatchNorm2d(wide), nn.LeakyReLU(0.2, True)]
    up += [nn.BatchNorm2d(FILTERS), nn.ReLU(True)]
    up += [nn.ConvTranspose2d(FILTERS, 3, 4, 2, 1, bias=False), nn.Tanh()]
    down += [nn.Conv2d(widths[0], 1, 4, 1, 0, bias=False), nn.Flatten(0)]
    made = nn.Sequential(*up), nn.Sequential(*down)
    for module in (module for network in made for module in network.modules()):
        if isinstance(module, (nn.Conv2d, nn.ConvTranspose2d)):
            nn.init.normal_(module.weight, 0.0, 0.02)
        elif isinstance(module, nn.BatchNorm2d):
            nn.init.normal_(module.weight, 1.0, 0.02)
            nn.init.zeros_(module.bias)
    return made


def train(images: np.ndarray, side: int, seed: int, minutes: float, clock: "Clock") -> None:
    """Trains until the minutes are over, and draws samples at marks, stretched to the images' size.

    Args:
      images: uint8 [N, H, W, 3].
      side: of the squares that it is trained on.
      seed: of weights, latents and order.
      minutes: on the clock.
      clock: keeps the samples.
    """
    import torch
    from torch.nn.functional import binary_cross_entropy_with_logits as loss

    torch.manual_seed(seed)
    generator, discriminator = networks(side)
    pixels = torch.from_numpy(resized(images, side, side)).permute(0, 3, 1, 2)
    optimizers = [
        torch.optim.Adam(network.parameters(), RATE, (0.5, 0.999))
        for network in (generator, discriminator)
    ]
    fixed, one, zero = torch.randn(COUNT, LATENTS, 1, 1), torch.ones(BATCH), torch.zeros(BATCH)

    def draw() -> np.ndarray:
        with torch.no_grad():
            parts = [generator(part).clamp(-1, 1) for part in fixed.split(82)]
        squares = torch.cat(parts).permute(0, 2, 3, 1).numpy()
        squares = np.round((squares + 1) * 127.5).astype(np.uint8)
        return resized(squares, *images.shape[1:3])

    seen, order = 0, torch.empty(0, dtype=torch.int64)
    while clock.minutes() < minutes:
        if len(order) < BATCH:
            order = torch.randperm(len(pixels))
        batch, order = order[:BATCH], order[BATCH:]
        real = pixels[batch] / 127.5 - 1
        fake = generator(torch.randn(BATCH, LATENTS, 1, 1))
        optimizers[1].zero_grad()
        (loss(discriminator(real), one) + loss(discriminator(fake.detach()), zero)).backward()
        optimizers[1].step()
        optimizers[0].zero_grad()
        loss(discriminator(fake), one).backward()
        optimizers[0].step()
        seen += BATCH
        if clock.due():
            clock.draw(seen, draw)
    clock.draw(seen, draw)
