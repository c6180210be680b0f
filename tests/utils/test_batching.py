"""Batches of one shape."""

import numpy as np
import pytest

from fish_jax.utils.batching import map_padded


@pytest.mark.parametrize("count", [1, 3, 4, 5, 8, 11])
def test_all_batches_have_one_shape_and_no_row_is_lost(count):
    shapes, done = set(), []

    def function(left, right):
        shapes.add((left.shape, left.dtype.name, right.shape, right.dtype.name))
        return left.sum((1, 2)) + right

    left = np.arange(6 * count, dtype=np.uint8).reshape(count, 2, 3)
    right = np.arange(count, dtype=np.float32)
    made = map_padded(function, left, right, size=4, on_progress=done.append)
    np.testing.assert_array_equal(made, left.sum((1, 2)) + right)
    assert shapes == {((4, 2, 3), "uint8", (4,), "float32")}
    assert done == [4] * (count // 4) + [count % 4] * (count % 4 > 0)


def test_zeros_fill_the_last_batch():
    seen = []
    map_padded(lambda rows: seen.append(rows) or rows, np.array([5, 6, 7]), size=2)
    np.testing.assert_array_equal(seen, [[5, 6], [7, 0]])


def test_an_array_on_disk_is_read_a_batch_at_a_time(tmp_path):
    np.save(tmp_path / "rows.npy", np.arange(10))
    rows = np.load(tmp_path / "rows.npy", mmap_mode="r")
    made = map_padded(lambda batch: type(batch) is np.ndarray and batch, rows, size=3)
    np.testing.assert_array_equal(made, rows)
