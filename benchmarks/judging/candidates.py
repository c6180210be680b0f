"""Feature spaces that were tried and are not in the package."""

import functools
import math

import jax
import jax.numpy as jnp
import numpy as np

from benchmarks.judging.bank import Extract
from fish_jax.evaluation.features import batches, wavelets


def all_octaves(images: jax.Array) -> jax.Array:
    """Scattering with as many octaves as fit into the image, each octave's part as long as others.

    The four finest octaves are those of `wavelets.scattering`; of the coarser ones come the moduli
    of the brightness in 4 x 4 parts. Each octave is divided by the root of its number of features.
    """
    colours = wavelets.opponents(images)
    parts = [wavelets.scattering(images)]
    for octave in range(int(math.log2(min(images.shape[1:3]) / 4))):
        if octave >= 2:
            moduli = wavelets.log(
                wavelets.pool(wavelets.moduli(colours)[:, wavelets.BRIGHTNESS], 4)
            )
            parts.append(moduli.reshape(len(images), -1))
        colours = wavelets.halve(colours)
    return jnp.concatenate([part / math.sqrt(part.shape[1] / 64) for part in parts], axis=1)


def random_conv(images: jax.Array) -> jax.Array:
    """Four random convolutions of stride 2: means of 2 x 2 parts, and deviations."""
    colours = wavelets.opponents(images)
    parts, maps = [wavelets.layout(colours)], jnp.moveaxis(colours, 1, 3)
    rng = np.random.default_rng(1)
    for channels in (16, 16, 24, 24):
        kernel = rng.standard_normal((5, 5, maps.shape[3], channels))
        kernel -= kernel.mean((0, 1), keepdims=True)
        kernel *= np.sqrt(2 / np.sum(kernel**2, (0, 1, 2), keepdims=True))
        maps = jnp.pad(maps, ((0, 0), (2, 2), (2, 2), (0, 0)), "symmetric")
        maps = jax.lax.conv_general_dilated(
            maps,
            np.float32(kernel),
            (2, 2),
            "VALID",
            dimension_numbers=("NHWC", "HWIO", "NHWC"),
            precision=jax.lax.Precision.HIGHEST,
        )
        maps = jax.nn.relu(maps)
        parts.append(wavelets.log(wavelets.pool(jnp.moveaxis(maps, 3, 1), 2)))
        parts.append(wavelets.log(jnp.std(maps, (1, 2))))
    return jnp.concatenate([part.reshape(len(images), -1) for part in parts], axis=1)


def dct(images: jax.Array) -> jax.Array:
    """Mean sizes of the 8 x 8 cosine transform of blocks, at full and at half the resolution."""
    waves = np.cos(math.pi * (np.arange(8)[:, None] + 0.5) * np.arange(8) / 8) / 2
    waves = np.float32(waves * np.where(np.arange(8), 1, math.sqrt(0.5)))
    colours = wavelets.opponents(images)
    parts = [wavelets.layout(colours)]
    for maps in (colours, wavelets.halve(colours)):
        n, _, height, width = maps.shape
        rows, columns = height // 8, width // 8
        blocks = maps[:, :, : rows * 8, : columns * 8].reshape(n, 3, rows, 8, columns, 8)
        exact = jax.lax.Precision.HIGHEST
        sizes = jnp.abs(jnp.einsum("ncrhkw,hi,wj->ncrkij", blocks, waves, waves, precision=exact))
        sizes = wavelets.log(jnp.mean(sizes, (2, 3)))
        parts.append(sizes[:, 2].reshape(n, 64)[:, 1:])
        parts.append(sizes[:, :2, :4, :4].reshape(n, 2, 16)[:, :, 1:])
    return jnp.concatenate([part.reshape(len(images), -1) for part in parts], axis=1)


FIXED: dict[str, Extract] = {wavelets.NAME: wavelets.extract} | {
    name: functools.partial(batches.map_batches, jax.jit(space))
    for name, space in (
        ("scattering, all octaves", all_octaves),
        ("random_conv-1", random_conv),
        ("dct-1", dct),
    )
}
