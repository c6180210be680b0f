"""Differences between configurations, the logs across a crash, and who may train in a folder."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from fish_jax.configs import lsgan
from fish_jax.data.dataset import GIVEN
from fish_jax.errors import UserError
from fish_jax.evaluation.evaluate import evaluate
from fish_jax.runs import config_file, directory, layout, metrics, sampling
from fish_jax.utils import files, json_text
from fish_jax.utils.log import LOGGER, phase

CONFIG = {
    "epochs": 3,
    "batch_size": 8,
    "data": {"path": "a", "fit": "crop"},
    "generator": {"layers": [{"op": "conv", "filters": 3}]},
    "label": (0.9, 1.0),
}


COUNTS = {"epoch": 1, "images": 8, "steps": 1, "images_per_second": 4.5}


def line_of(step, loss):
    return {"step": step, **COUNTS, "d_loss": loss}


def test_differences_name_fields_and_both_values():
    other = {
        "epochs": 9,  # harmless
        "batch_size": 4,
        "data": {"path": "b", "fit": "crop"},  # the images themselves are compared
        "generator": {"layers": [{"op": "conv", "filters": 5}, {"op": "flatten"}]},
        "label": [0.9, 1.0],  # as JSON has it
    }
    assert config_file.differences(CONFIG, other) == [
        "batch_size: 8 there, 4 now",
        "generator.layers[0].filters: 3 there, 5 now",
        "generator.layers[1].op: '(absent)' there, 'flatten' now",
    ]
    assert config_file.differences(CONFIG, CONFIG) == []


def test_a_folder_of_an_older_version_is_of_float32(tmp_path):
    config_file.write_config(tmp_path, CONFIG)
    (tmp_path / layout.CHECKPOINTS / "7").mkdir(parents=True)
    directory.check(tmp_path, config_file.upgrade(CONFIG) | {"precision": "float32"})
    with pytest.raises(UserError, match="precision: 'float32' there, 'bfloat16' now"):
        directory.check(tmp_path, config_file.upgrade(CONFIG) | {"precision": "bfloat16"})


def test_a_run_of_given_images_asks_for_them(tmp_path):
    """It resumes with them, or with a copy, whose checksum is compared later; not with fish."""
    (tmp_path / layout.CHECKPOINTS / "7").mkdir(parents=True)
    config = config_file.upgrade(CONFIG)
    of = lambda path: config | {"data": config["data"] | {"path": path}}
    config_file.write_config(tmp_path, of(GIVEN))
    with pytest.raises(UserError, match="were given from Python; give them again as images=.*, or"):
        directory.check(tmp_path, of(""))
    directory.check(tmp_path, of(GIVEN))
    directory.check(tmp_path, of("/a/copy.npy"))
    config_file.write_config(tmp_path, of("/photos"))
    directory.check(tmp_path, of(GIVEN))


def test_log_is_rewound_to_the_checkpoint(tmp_path):
    config_file.write_config(tmp_path, CONFIG)
    for step in (1, 2, 3):
        metrics.append_metrics(tmp_path, line_of(step, 0.1 * step))
    with open(tmp_path / layout.METRICS, "a") as file:
        file.write('{"step": 4, "d_l')  # the process died here
    assert [line["step"] for line in metrics.read_lines(tmp_path)] == [1, 2, 3]
    directory.rewind(tmp_path, step=2, epochs=9)
    metrics.append_metrics(tmp_path, line_of(3, 7.0))
    lines = metrics.read_lines(tmp_path)
    assert [(line["step"], line["d_loss"]) for line in lines] == [(1, 0.1), (2, 0.2), (3, 7.0)]


@pytest.mark.parametrize(
    "garbage",
    [
        *(b"7", b"null", b"[]", b'"step"', b"{}", b'{"d_loss": 1}', b'{"step": "2", "d_loss": 1}'),
        *(b'{"step": 2, "d_loss": null}', b'{"step": 2, "d_loss": NaN}', b'{"step": NaN}'),
        *(b'{"step": 1e999}', b'{"step": %s}' % (b"9" * 400), b'{"step": %s}' % (b"9" * 9000)),
        *(b'{"step": 1}', b'{"step": 0, REST', b'{"step": -2, REST', b'{"step": [], REST'),
        *(b'{"step": 2, "d_loss": "x", REST', b'{"step": 2, "steps": 0, "images": 1, "epoch": 1}'),
        *(
            b'{"step": 2, "a": %s, REST' % (b"[" * 40 + b"]" * 40),
            b'{"a": ' * 900 + b"1" + b"}" * 900,
        ),
        *(b"\x80\xff\x00", b'{"step": 2, "d_\xffoss": 1', b"[" * 100_000, b'{"step": {}}', b""),
    ],
)
def test_garbage_in_the_log_is_left_out(tmp_path, garbage):
    config_file.write_config(tmp_path, CONFIG)
    lines = [line_of(1, 0.5), line_of(3, 0.7)]
    metrics.append_metrics(tmp_path, lines[0])
    with open(tmp_path / layout.METRICS, "ab") as file:
        file.write(garbage.replace(b"REST", json.dumps(COUNTS).encode()[1:]) + b"\n")
    metrics.append_metrics(tmp_path, lines[1])
    assert metrics.read_lines(tmp_path) == lines
    directory.rewind(tmp_path, step=2, epochs=9)
    assert metrics.read_lines(tmp_path) == lines[:1]


DEEP = b'{"data": {"path": %s}}' % (b"[" * 500 + b"]" * 500)
LONG = b" " * json_text.MOST_BYTES + b"{}"


@pytest.mark.parametrize(
    "content",
    [b"", b"{", b"7", b"null", b"[1]", b"\xff{}", b"[" * 100_000, b"9" * 9000, DEEP, LONG],
    ids=range(10),
)
def test_a_damaged_config_is_a_sentence(tmp_path, content):
    config_file.write_config(tmp_path, CONFIG)
    (tmp_path / layout.CONFIG).write_bytes(content)
    with pytest.raises(UserError, match="its config.json cannot be read"):
        config_file.read_config(tmp_path)


def test_pictures_are_rewound_to_the_checkpoint(tmp_path):
    (tmp_path / "samples").mkdir()
    names = ("000002.png", "000003.png", "mine.png")
    for name in names:
        (tmp_path / "samples" / name).write_bytes(b"")
    left = lambda: tuple(sorted(path.name for path in (tmp_path / "samples").iterdir()))
    directory.rewind(tmp_path, step=0, epochs=2)
    assert left() == names  # a folder without a run
    config_file.write_config(tmp_path, CONFIG)
    directory.rewind(tmp_path, step=0, epochs=2)
    assert left() == ("000002.png", "mine.png")


@pytest.mark.parametrize("make", [lambda p: p.write_text(""), lambda p: p.symlink_to("nothing")])
def test_what_is_no_folder_is_told(tmp_path, make):
    make(tmp_path / "file")
    refused = pytest.raises(UserError, match="file is not a folder, but a run needs one")
    with refused, directory.open_run(tmp_path / "file"):
        pass


def test_checkpoints_without_a_config_are_not_touched(tmp_path):
    (tmp_path / layout.CHECKPOINTS / "7").mkdir(parents=True)
    with pytest.raises(UserError, match="has checkpoints, but its config.json cannot be read"):
        directory.check(tmp_path, CONFIG)
    assert not (tmp_path / layout.CONFIG).exists()


def test_a_run_without_a_checkpoint_may_change(tmp_path):
    config_file.write_config(tmp_path, CONFIG)
    directory.check(tmp_path, CONFIG | {"batch_size": 3})
    (tmp_path / layout.CHECKPOINTS / "7").mkdir(parents=True)
    with pytest.raises(UserError, match="batch_size: 8 there, 3 now"):
        directory.check(tmp_path, CONFIG | {"batch_size": 3})


def lines(folder):
    return (folder / layout.LOG).read_text().splitlines()


def test_one_trains_in_a_folder_and_others_are_told_who(tmp_path):
    folder = tmp_path / "run"
    with directory.open_run(folder):
        LOGGER.info("mine")
        before = lines(folder)
        refused = f"{folder} is in use: process {os.getpid()} trains there; wait for it"
        with pytest.raises(UserError, match=refused), directory.open_run(folder):
            pass
        with ThreadPoolExecutor(1) as thread, pytest.raises(UserError, match=refused):
            thread.submit(directory.open_run(folder).__enter__).result()
        assert lines(folder) == before
        with directory.open_run(tmp_path / "other"):
            pass
    with directory.open_run(folder):  # free again
        pass


def test_a_child_that_outlives_a_run_does_not_hold_its_folder(tmp_path):
    hears, says = os.pipe()
    with directory.open_run(tmp_path):
        child = os.fork()
        if child == 0:
            os.write(says, b"born")
            time.sleep(60)
            os._exit(0)
        os.read(hears, 4)
    try:
        with directory.open_run(tmp_path):
            pass
    finally:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)


def test_a_lock_of_a_killed_process_is_free(tmp_path):
    code = "import sys, time; from pathlib import Path; from fish_jax.runs import directory\n"
    code += "with directory.open_run(Path(sys.argv[1])): print('open', flush=True); time.sleep(60)"
    command = [sys.executable, "-c", code, str(tmp_path)]
    owner = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert owner.stdout.readline() == "open\n"
    with (
        pytest.raises(UserError, match=f"process {owner.pid} trains"),
        directory.open_run(tmp_path),
    ):
        pass
    owner.kill()
    owner.communicate()
    with directory.open_run(tmp_path):
        pass


def test_the_log_has_a_line_for_each_record_of_its_own_thread(tmp_path, capfd, monkeypatch):
    monkeypatch.setattr(LOGGER, "handlers", [])  # pytest's own cannot tell its workers such text
    (tmp_path / layout.LOG).write_text("half a li")  # the power went here
    with pytest.raises(UserError), directory.open_run(tmp_path):
        with phase("compiling"):
            LOGGER.info("two lines:\n%s", "of one \udcff record")
        with ThreadPoolExecutor(1) as thread:
            thread.submit(LOGGER.info, "of another run").result()
        with phase("plotting"):
            raise UserError("no ink\nleft")
    LOGGER.info("after the run")
    first, *rest = lines(tmp_path)
    assert first == "half a li"
    stamp = re.compile(rf"20\d\d-\d\d-\d\dT\d\d:\d\d:\d\d\.\d\d\dZ {os.getpid()} (.*)")
    assert [stamp.fullmatch(line)[1] for line in rest] == [
        *("begin: compiling", "two lines: | of one \\udcff record", "end: compiling"),
        *("begin: plotting", "broken off: plotting", "stop: no ink | left"),
    ]
    assert capfd.readouterr() == ("", "")


def test_files_cut_off_are_removed_and_those_of_others_stay(tmp_path):
    """A folder may be shared: --workdir=. or --workdir=$HOME is easily typed."""
    (tmp_path / "samples" / "deep").mkdir(parents=True)
    others = [
        "film.partial",
        "samples/film.mp4.partial",
        "samples/deep/000001.png.01234567.partial",
    ]
    for name in ("config.json.0badcafe.partial", "samples/000001.png.01234567.partial", *others):
        (tmp_path / name).write_bytes(b"")
    files.remove_partial(tmp_path)
    left = [str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*.partial")]
    assert sorted(left) == sorted(others)


def test_configs_of_older_versions_are_read(tmp_path):
    """Each as a version before the field wrote it."""
    whole = config_file.plain(lsgan.get_config())
    older = {name: value for name, value in whole.items() if name not in config_file.ADDED}
    older["data"] = {name: v for name, v in whole["data"].items() if name != "device_gigabytes"}
    config_file.write_config(tmp_path, older)
    assert config_file.read_config(tmp_path) == whole


def test_a_config_that_no_version_wrote_is_named(tmp_path):
    config_file.write_config(tmp_path, CONFIG)
    for use in (sampling.load, evaluate):  # which reads images first
        with pytest.raises(UserError, match="config.json: the config has no field 'label'"):
            use(tmp_path)


@pytest.mark.parametrize("include", ["", "*", "*.png", "*.jpg"])
def test_a_run_is_not_written_among_its_images(tmp_path, monkeypatch, include):
    photos, elsewhere = tmp_path / "photos", tmp_path / "elsewhere"
    for folder in (photos, elsewhere):
        folder.mkdir()
    (photos / "link").symlink_to(elsewhere)
    monkeypatch.setenv("HOME", str(tmp_path))
    for path in (str(photos), "~/photos", "$HOME/photos/"):
        data = {"path": path, "include": include}
        for folder in (
            *(photos, photos / "run", tmp_path / "x" / ".." / "photos" / "a" / "run"),
            *(elsewhere / "run", photos / "link" / "run"),
        ):
            with pytest.raises(UserError, match="lies in .*photos/?, the folder of images"):
                directory.check_place(folder, data)
        directory.check_place(tmp_path / "photos-run", data)
    directory.check_place(photos / "run", data | {"path": ""})


def test_a_run_is_not_written_into_a_comparison(tmp_path):
    (tmp_path / "protocol.json").write_text("{}")
    with pytest.raises(UserError, match="holds a comparison; choose another --workdir"):
        directory.check_place(tmp_path, {"path": "", "include": ""})
    with pytest.raises(UserError, match="is the folder of a comparison; its runs are in .*runs"):
        config_file.read_config(tmp_path)
    directory.check_place(tmp_path / "runs" / "best-0", {"path": "", "include": ""})


@pytest.mark.parametrize("name", directory.WRITTEN)
@pytest.mark.parametrize("is_there", [True, False])
def test_a_link_in_a_run_of_someone_else_is_not_followed(tmp_path, name, is_there):
    run, outside = tmp_path / "run", tmp_path / "outside"
    run.mkdir()
    if is_there:
        outside.write_text("precious\n")
    (run / name).symlink_to(outside)
    refused = pytest.raises(UserError, match=f"run/{name} is a link to {outside}, and writing")
    with refused, directory.open_run(run):
        LOGGER.info("begin")
    assert [path.name for path in run.iterdir()] == [name]
    assert outside.read_text() == "precious\n" if is_there else not outside.exists()


@pytest.mark.parametrize("name", [layout.LOCK, layout.LOG, layout.METRICS])
def test_a_pipe_in_place_of_a_file_is_refused_at_once(tmp_path, name):
    os.mkfifo(tmp_path / name)
    refused = pytest.raises(UserError, match=f"{name} is neither a file nor a folder; remove it")
    with refused, directory.open_run(tmp_path):
        pass


def test_the_folder_itself_may_be_a_link(tmp_path):
    (tmp_path / "disk").mkdir()
    (tmp_path / "run").symlink_to("disk")
    with directory.open_run(tmp_path / "run"):
        pass
    assert (tmp_path / "disk" / layout.LOG).exists()
