"""Differences between configurations, and the log across a crash."""

import pytest

from fish_jax import workdir
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


@pytest.mark.parametrize(
    "garbage",
    [
        *(b"7", b"null", b"[]", b'"step"', b"{}", b'{"d_loss": 1}', b'{"step": "2", "d_loss": 1}'),
        *(b'{"step": 2, "d_loss": null}', b'{"step": 2, "d_loss": NaN}', b'{"step": NaN}'),
        *(b'{"step": 1e999}', b'{"step": %s}' % (b"9" * 400), b'{"step": %s}' % (b"9" * 9000)),
        *(b"\x80\xff\x00", b'{"step": 2, "d_\xffoss": 1', b"[" * 100_000, b'{"step": {}}', b""),
    ],
)
def test_garbage_in_the_log_is_left_out(tmp_path, garbage):
    workdir.append_metrics(tmp_path, {"step": 1, "d_loss": 0.5})
    with open(tmp_path / workdir.METRICS, "ab") as file:
        file.write(garbage + b"\n")
    workdir.append_metrics(tmp_path, {"step": 3, "d_loss": 0.7})
    lines = [{"step": 1, "d_loss": 0.5}, {"step": 3, "d_loss": 0.7}]
    assert workdir.read_metrics(tmp_path) == lines
    workdir.rewind_metrics(tmp_path, 2)
    assert workdir.read_metrics(tmp_path) == lines[:1]


@pytest.mark.parametrize(
    "content", [b"", b"{", b"7", b"null", b"[1]", b"\xff{}", b"[" * 100_000, b"9" * 9000]
)
def test_a_damaged_config_is_a_sentence(tmp_path, content):
    workdir.write_config(tmp_path, CONFIG)
    (tmp_path / workdir.CONFIG).write_bytes(content)
    with pytest.raises(UserError, match="its config.json cannot be read"):
        workdir.read_config(tmp_path)


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
