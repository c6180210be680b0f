"""A point of `make growth`: a process of its own, with fewer filters."""

from benchmarks import common, growth

TINY = growth.Point("lsgan", 2, (20, 40), 1 / 32, 8)


def test_a_point_is_timed():
    row = growth.time_point(TINY, rounds=2, seconds=0.02)
    assert {name: row[name] for name in TINY._fields} == TINY._asdict()
    assert len(row["rounds"]) == 2
    assert min(row["rounds"]) <= row["images_per_second"] <= max(row["rounds"])
    assert row["step_milliseconds"] > 0 and row["gflops"] > 0 and row["peak_megabytes"] > 100
    assert "images/s" in growth.growth_table("batch", [row])


def test_filters_are_scaled_and_outputs_are_not():
    counts = [
        growth.count_parameters(TINY._replace(filters=factor)) for factor in growth.AXES["filters"]
    ]
    assert counts == sorted(set(counts))
    config = common.get_config("began", 20, 40, 1 / 4)
    for layers, output in ((config.generator.layers, 3), (config.discriminator.layers, 256)):
        assert layers[0]["filters"] == 12 and layers[-1]["filters"] == output


def test_a_point_that_does_not_fit_is_a_row(monkeypatch):
    def start(point):
        raise RuntimeError("fish_jax stopped with status -9: ")

    monkeypatch.setattr(growth, "_start", start)
    row = growth.time_point(TINY, rounds=1, seconds=1.0)
    assert row["failed"] == "out of memory"
    assert "out of memory" in growth.growth_table("size", [row])
