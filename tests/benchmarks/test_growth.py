"""A point of `make growth`: a process of its own, with fewer filters."""

import re
import subprocess
import sys

import pytest

from benchmarks import common, growth

TINY = common.Case("lsgan", "cpu", "float32", 20, 40, 2, 1 / 32, 8)


@pytest.mark.slow
def test_a_point_is_timed():
    row = growth.time_point(TINY, 2, 0.02)
    assert {name: row[name] for name in TINY._fields} == TINY._asdict()
    assert len(row["rounds"]) == 2
    assert min(row["rounds"]) <= row["images_per_second"] <= max(row["rounds"])
    assert row["gflops"] > 0 and row["peak_megabytes"] > 100
    title, _, header, rule, line = growth.growth_table("batch", [row]).splitlines()[1:]
    assert title == (
        "Images per step; else lsgan, CPU, float32, 20 x 40, filters x 0.03125, 8 images:"
    )
    assert header.startswith("| batch | images/s | ") and set(rule) == set("|-:")
    assert line.startswith("| 2     | ") and len(line) == len(header)


def test_a_base_that_cannot_be_is_told_in_one_sentence():
    command = [sys.executable, "-m", "benchmarks.growth", "--axes", "images", "--height", "21"]
    done = subprocess.run([*command, "--width", "40"], capture_output=True, text=True)
    assert done.returncode == 1
    assert re.fullmatch(r"error: this generator cannot make 21 x 40 images.*\n", done.stderr)


def test_filters_are_scaled_and_outputs_are_not():
    counts = [
        growth.count_parameters(TINY._replace(filters=factor)) for factor in growth.AXES["filters"]
    ]
    assert counts == sorted(set(counts))
    config = common.get_config(TINY._replace(experiment="began", filters=1 / 4))
    for layers, output in ((config.generator.layers, 3), (config.discriminator.layers, 256)):
        assert layers[0]["filters"] == 12 and layers[-1]["filters"] == output


def test_a_point_that_does_not_fit_is_a_row(monkeypatch):
    def start(name, case):
        raise RuntimeError(f"{name} stopped with status -9: ")

    monkeypatch.setattr(growth, "Process", start)
    row = growth.time_point(TINY, 1, 1.0)
    assert row["failed"] == "out of memory"
    last = growth.growth_table("size", [row]).splitlines()[-1]
    assert last == "| 20 x 40 | failed: out of memory |"


def test_table_of_calls():
    row = TINY._asdict() | {
        "call_microseconds": [90.0, 100.0, 110.0],
        "step_microseconds": [900.0, 900.0, 900.0],
        "beyond_microseconds": [-50.0, 10.0, 40.0],  # below its own spread
        "loop_steps": 9,
    }
    assert growth.dispatch_table([row]).splitlines()[1:] == [
        "Calls of lsgan, CPU, float32, batch 2, 20 x 40, filters x 0.03125, 8 images; "
        "0.90 ms a step, 9 in a call of a run:",
        "",
        "| beside the steps              | median, us | lowest | highest | % at 1 step "
        "| % in a run |",
        "|-------------------------------|-----------:|-------:|--------:|------------:"
        "|-----------:|",
        "| call of no step               |        100 |     90 |     110 |      10.000 "
        "|      1.220 |",
        "| call of one step, less a step |         10 |    -50 |      40 |           - "
        "|          - |",
    ]
