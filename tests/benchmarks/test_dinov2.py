"""DINOv2's network against numbers of another program."""

import jax
import numpy as np
import pytest

from benchmarks.judging import dinov2

WIDTH, SIDE = 128, 5
NUMBERS = [
    [0.22248069941997528, 0.23024842143058777, 2.374619245529175, 0.7584755420684814],
    [0.22205373644828796, 0.23198240995407104, 2.2962121963500977, 1.3056104183197021],
]


def weights():
    """Random ones of two layers and two heads, in the order of their names here."""
    matrix, row = (WIDTH, WIDTH), (WIDTH,)
    shapes = {
        "embeddings.cls_token": (1, 1, WIDTH),
        "embeddings.position_embeddings": (1, 1 + SIDE**2, WIDTH),
        "embeddings.patch_embeddings.projection.weight": (WIDTH, 3, 14, 14),
        "embeddings.patch_embeddings.projection.bias": row,
        "layernorm.weight": row,
        "layernorm.bias": row,
    }
    for layer in ("encoder.layer.0", "encoder.layer.1"):
        for name in ("norm1", "norm2"):
            shapes |= {f"{layer}.{name}.weight": row, f"{layer}.{name}.bias": row}
        for name in ("attention.query", "attention.key", "attention.value", "output.dense"):
            name = f"{layer}.attention.{name}"
            shapes |= {f"{name}.weight": matrix, f"{name}.bias": row}
        shapes |= {f"{layer}.layer_scale1.lambda1": row, f"{layer}.layer_scale2.lambda1": row}
        shapes |= {f"{layer}.mlp.fc1.weight": (4 * WIDTH, WIDTH)}
        shapes |= {f"{layer}.mlp.fc1.bias": (4 * WIDTH,)}
        shapes |= {f"{layer}.mlp.fc2.weight": (WIDTH, 4 * WIDTH), f"{layer}.mlp.fc2.bias": row}
    rng, scale = np.random.default_rng(0), lambda shape: 0.1 if len(shape) > 1 else 0.5
    make = lambda shape: (rng.standard_normal(shape) * scale(shape)).astype(np.float32)
    return {name: make(shape) for name, shape in shapes.items()}


def test_numbers_of_another_program():
    """Of Dinov2Model in transformers 4.46.3 and PyTorch 2.13, in float32; places are resized."""
    rng = np.random.default_rng(1)
    with jax.default_matmul_precision("highest"):
        found = dinov2.describe(weights(), rng.random((2, 42, 56, 3), np.float32))
    assert found.shape == (2, WIDTH)
    np.testing.assert_allclose(found[:, :4], NUMBERS, atol=1e-5)


@pytest.mark.parametrize(("before", "after"), [(5, 3), (5, 5), (37, 16), (4, 9)])
def test_cubic_resizing_keeps_constants_and_sizes(before, after):
    matrix = dinov2.cubic(before, after)
    assert matrix.shape == (before, after)
    np.testing.assert_allclose(matrix.sum(0), 1, atol=1e-6)
    if before == after:
        np.testing.assert_allclose(matrix, np.eye(before), atol=1e-6)
