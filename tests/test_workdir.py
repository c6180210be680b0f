"""Differences between configurations, and the log across a crash."""

import pytest

from configs import lsgan
from fish_jax import files, sampling, workdir
from fish_jax.errors import UserError

CONFIG = {
    "epochs": 3,
    "batch_size": 8,
    "data": {"path": "a", "fit": "crop"},
    "generator": {"layers": [{"op": "conv", "filters": 3}]},
    "label": (0.9, 1.0),
}


def test_differences_name_fields_and_both_values():
    other = {
        "epochs": 9,  # harmless
        "batch_size": 4,
        "data": {"path": "b", "fit": "crop"},  # the images themselves are compared
        "generator": {"layers": [{"op": "conv", "filters": 5}, {"op": "flatten"}]},
        "label": [0.9, 1.0],  # as JSON has it
    }
    assert workdir.differences(CONFIG, other) == [
        "batch_size: 8 there, 4 now",
        "generator.layers[0].filters: 3 there, 5 now",
        "generator.layers[1].op: '(absent)' there, 'flatten' now",
    ]
    assert workdir.differences(CONFIG, CONFIG) == []


def test_a_folder_of_an_older_version_is_of_float32(tmp_path):
    workdir.write_config(tmp_path, CONFIG)
    (tmp_path / workdir.CHECKPOINTS / "7").mkdir(parents=True)
    workdir.check(tmp_path, CONFIG | {"precision": "float32"})
    with pytest.raises(UserError, match="precision: 'float32' there, 'bfloat16' now"):
        workdir.check(tmp_path, CONFIG | {"precision": "bfloat16"})


def test_log_is_rewound_to_the_checkpoint(tmp_path):
    for step in (1, 2, 3):
        workdir.append_metrics(tmp_path, {"step": step, "d_loss": 0.1 * step})
    with open(tmp_path / workdir.METRICS, "a") as file:
        file.write('{"step": 4, "d_l')  # the process died here
    assert [line["step"] for line in workdir.read_metrics(tmp_path)] == [1, 2, 3]
    workdir.rewind_metrics(tmp_path, 2)
    workdir.append_metrics(tmp_path, {"step": 3, "d_loss": 7.0})
    lines = workdir.read_metrics(tmp_path)
    assert [(line["step"], line["d_loss"]) for line in lines] == [(1, 0.1), (2, 0.2), (3, 7.0)]


def test_pictures_are_rewound_to_the_checkpoint(tmp_path):
    (tmp_path / "samples").mkdir()
    for name in ("000002.png", "000003.png", "mine.png"):
        (tmp_path / "samples" / name).write_bytes(b"")
    workdir.rewind_pictures(tmp_path, 2)
    names = sorted(path.name for path in (tmp_path / "samples").iterdir())
    assert names == ["000002.png", "mine.png"]


def test_checkpoints_without_a_config_are_not_touched(tmp_path):
    (tmp_path / workdir.CHECKPOINTS / "7").mkdir(parents=True)
    with pytest.raises(UserError, match="config.json cannot be read"):
        workdir.check(tmp_path, CONFIG)
    assert not (tmp_path / workdir.CONFIG).exists()


def test_a_run_without_a_checkpoint_may_change(tmp_path):
    workdir.write_config(tmp_path, CONFIG)
    workdir.check(tmp_path, CONFIG | {"batch_size": 3})
    (tmp_path / workdir.CHECKPOINTS / "7").mkdir(parents=True)
    with pytest.raises(UserError, match="batch_size: 8 there, 3 now"):
        workdir.check(tmp_path, CONFIG | {"batch_size": 3})


def test_files_cut_off_are_removed_and_those_of_others_stay(tmp_path):
    """A folder may be shared: --workdir=. or --workdir=$HOME is easily typed."""
    (tmp_path / "samples" / "deep").mkdir(parents=True)
    others = ["film.partial", "samples/film.mp4.partial", "samples/deep/000001.png.77.partial"]
    for name in ("config.json.77.partial", "samples/000001.png.77.partial", *others):
        (tmp_path / name).write_bytes(b"")
    files.remove_partial(tmp_path)
    left = [str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*.partial")]
    assert sorted(left) == sorted(others)


def test_configs_of_older_versions_are_read(tmp_path):
    """Each as a version before the field wrote it."""
    whole = workdir.plain(lsgan.get_config())
    older = {name: value for name, value in whole.items() if name != "precision"}
    older["data"] = {name: v for name, v in whole["data"].items() if name != "device_gigabytes"}
    workdir.write_config(tmp_path, older)
    assert workdir.read_config(tmp_path) == whole


def test_a_config_that_no_version_wrote_is_named(tmp_path):
    workdir.write_config(tmp_path, CONFIG)
    with pytest.raises(UserError, match="config.json: the config has no field 'label'"):
        sampling.load(tmp_path)
