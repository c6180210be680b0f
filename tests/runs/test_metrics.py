"""The curves of a run, from its log."""

import numpy as np
import pytest

import fish_jax
from fish_jax.errors import UserError
from fish_jax.runs import config_file, metrics

CONFIG = {"name": "a", "data": {}}


def line_of(step, **more):
    return {"step": step, "epoch": 1, "images": 4 * step, "steps": 2, "images_per_second": 9} | more


def test_each_metric_is_a_column(tmp_path):
    config_file.write_config(tmp_path, CONFIG)
    for line in (line_of(2, d_loss=0.5), line_of(4, d_loss=0.25, diversity=0.75)):
        metrics.append_metrics(tmp_path, line)
    found = fish_jax.read_metrics(str(tmp_path))
    assert {column.dtype for column in found.values()} == {np.dtype(float)}
    np.testing.assert_array_equal(found["step"], [2, 4])
    np.testing.assert_array_equal(found["images"], [8, 16])
    np.testing.assert_array_equal(found["d_loss"], [0.5, 0.25])
    np.testing.assert_array_equal(found["diversity"], [np.nan, 0.75])


def test_a_run_without_a_line_has_empty_columns(tmp_path):
    config_file.write_config(tmp_path, CONFIG)
    found = fish_jax.read_metrics(tmp_path)
    assert found.keys() == set(metrics.COUNTS)
    assert all(column.shape == (0,) for column in found.values())


def test_a_folder_without_a_run_is_refused(tmp_path):
    with pytest.raises(UserError, match="is not the folder of a run"):
        fish_jax.read_metrics(tmp_path)
