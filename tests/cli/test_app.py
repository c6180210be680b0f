"""Modes as first words, their help, and the table that both come from."""

import inspect
from pathlib import Path

import pytest
from helpers.in_process import demo, run, runs_that_stop

from fish_jax.cli import app, commands, help
from fish_jax.cli.modes import COMMANDS
from fish_jax.config_loader import load_config
from fish_jax.errors import UserError
from fish_jax.runs import interpolation, inversion, sampling
from fish_jax.serving import server

DEMO = demo("lsgan_dense")


@pytest.fixture(scope="module")
def given(tmp_path_factory):
    with runs_that_stop(tmp_path_factory.mktemp("runs")) as given:
        yield given


@pytest.mark.parametrize("mode", COMMANDS)
def test_a_mode_is_a_function_of_its_flags(mode):
    parameters = inspect.signature(getattr(commands, mode)).parameters
    assert set(parameters) == set(COMMANDS[mode].takes)


def test_the_first_word_may_be_the_mode(given, tmp_path):
    assert run("train", *DEMO, f"--workdir={tmp_path}", "--config.epochs=3") == ""
    assert given["config"].epochs == 3


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["smaple", "--workdir=x"], "unknown mode 'smaple'; modes are train, compare"),
        (["sample", "--mode=walk"], "sample already names the mode; leave out --mode"),
        (["sample", "--config.epochs=2"], "--config.epochs needs a config: --config=NAME or"),
        (["sample", "more"], "unexpected argument 'more'"),
        (["describe", "--config=nothing"], "no config file 'nothing'; give the path of"),
        (["describe", "--config=bst"], "no config file 'bst'; did you mean best? Give the path"),
        (["score", "--fake=x"], "score needs --real, a folder, zip or .npy of real images"),
        (["score", "--real=x"], "score needs --fake, a folder, zip or .npy of generated images"),
        (["score", "--real=x", "--fake=x", "--size=140"], "--size=140 is not HEIGHTxWIDTH in pix"),
        (["score", "--real=no/x", "--fake=x"], "no/x does not exist; give a folder, a .zip or a"),
        (["score", "--real=x", "--fake=x", "--resize=legacy"], "--resize needs --inception"),
        (["score", "--real=x", "--fake=x", "--workdir=x"], "score does not use --workdir"),
        (["invert", "--image=x"], "invert needs --workdir, the folder of a run"),
        (["invert", "--workdir=x"], "invert needs --image, an image file"),
        (["invert", "--workdir=x", "--image=x"], "x is not the folder of a run"),
        (["invert", "--workdir=x", "--image=x", "--out=a.jpg"], "--out=a.jpg must end in .png"),
        ([*DEMO, "--dry_run", "--init=no/x"], "no/x is not the folder of a run"),
        (["sample", "--workdir=x", "--init=y"], "sample does not use --init"),
    ],
)
def test_mistakes(given, arguments, message):
    assert message in run(*arguments)


@pytest.mark.parametrize(
    ("arguments", "place"),
    [
        (["data", *DEMO, "--workdir=~/no/run", "--config.data.path=~/photos"], "photos does not"),
        (["export", "--workdir=~/runs/y"], "runs/y is not the folder of a run"),
        (["evaluate", "--workdir=$PLACE/runs/y"], "runs/y is not the folder of a run"),
        (["evaluate", "--workdir=~/runs/x", "--inception=~/x.npz"], "x.npz"),
        (["train", "--config=~/own.py"], "own.py has no function get_config"),
        ([*DEMO, "--dry_run", "--init=~/x"], "x is not the folder of a run"),
        (["score", "--real=~/x", "--fake=~/y"], "x does not exist"),
        (["invert", "--workdir=~/runs/x", "--image=~/x.jpg"], "x.jpg cannot be used as an image"),
        (["data", *DEMO, "--out=~/x.jpg"], "x.jpg must end in .png"),
    ],
)
def test_a_path_of_any_flag_may_begin_at_home(given, tmp_path, monkeypatch, arguments, place):
    home = tmp_path / "home"
    (home / "runs" / "x").mkdir(parents=True)
    (home / "runs" / "x" / "config.json").write_text(load_config("lsgan_dense").to_json())
    (home / "own.py").touch()
    for name in ("HOME", "USERPROFILE", "PLACE"):
        monkeypatch.setenv(name, str(home))
    assert f"{home}/{place}" in run(*arguments)


def test_several_folders_may_begin_at_home_and_have_commas_and_blanks(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    for name in ("a", "b", "a,b"):
        (tmp_path / name).mkdir()
    there = lambda *names: [tmp_path / name for name in names]
    assert commands._folders("~/a, ~/b,") == there("a", "b")
    assert commands._folders(f"{tmp_path}/a,b") == there("a,b")
    assert commands._folders("~/a,~/c") == there("a", "c")


@pytest.mark.parametrize(
    "arguments",
    [
        ["data", *DEMO, "--config.data.path=photos\r"],
        ["data", *DEMO, "--workdir=x\x1b[31m"],
        ["sample", "--workdir=x\r"],
        ["export", "--workdir=ctrl\x07"],
        ["train", "--config=own\r.py"],
        ["export", "--workdir=x\u202egnp"],
    ],
)
def test_control_characters_do_not_reach_the_terminal(given, arguments):
    (Path.cwd() / "ctrl\x07").mkdir(exist_ok=True)
    assert run(*arguments).isprintable()


READERS = {
    "sample": (sampling, "sample"),
    "walk": (interpolation, "walk"),
    "export": (commands, "contents"),
    "serve": (server, "serve"),
    "evaluate": (commands, "evaluate_run"),
    "invert": (inversion, "invert"),
}


@pytest.mark.parametrize("mode", READERS)
def test_the_checkpoint_is_a_flag_of_each_mode_that_reads_one(given, monkeypatch, mode):
    def stop(*given, **options):
        raise UserError(f"given {[*given, *options.values()]}")

    monkeypatch.setattr(*READERS[mode], stop)
    more = {"seeds": "--seeds=0,1", "image": "--image=a.jpg"}
    needed = [flag for name, flag in more.items() if name in COMMANDS[mode].takes]
    arguments = [mode, "--workdir=run", *needed]
    for flags, checkpoint in ((["--checkpoint=best"], "best"), ([], "newest")):
        assert f"'{checkpoint}'" in run(*arguments, *flags)


def test_the_modes_that_read_a_checkpoint():
    readers = {mode for mode in COMMANDS if "checkpoint" in COMMANDS[mode].takes}
    assert set(READERS) == readers - {"train"}


def test_presets_by_name_and_path(given, tmp_path):
    for value in ("lsgan_dense:demo", "configs/lsgan_dense.py:demo"):
        assert run(*DEMO[1:], f"--config={value}", f"--workdir={tmp_path}") == ""
        assert given["config"].name == "lsgan_dense-demo"


@pytest.mark.parametrize("words", [["--help"], ["-h"], ["--helpfull", "--mode=nothing"]])
def test_help_lists_the_modes(words, capsys):
    with pytest.raises(SystemExit) as end:
        app.parse(["fish-jax", *words])
    assert end.value.code == 0
    text = capsys.readouterr().out
    for name, command in COMMANDS.items():
        assert f"\n{name}: {command.summary}\n" in text
        assert f"{name} {command.example}\n" in f"{text}\n"
    assert max(map(len, text.splitlines())) <= help.WIDTH


@pytest.mark.parametrize("mode", COMMANDS)
def test_help_of_a_mode(mode, capsys):
    with pytest.raises(SystemExit):
        app.parse(["fish-jax", mode, "--help"])
    text = capsys.readouterr().out
    shown = {line.split()[0] for line in text.splitlines() if line.startswith("  --")}
    assert {name.replace("[no]", "") for name in shown} == {
        f"--{name}" for name in COMMANDS[mode].flags
    }
    example = text.splitlines()[-1].partition(f" {mode} ")[2].split()
    given = {flag.lstrip("-").split("=")[0].split(".")[0] for flag in example}
    assert given and given <= set(COMMANDS[mode].flags)
    assert max(map(len, text.splitlines())) <= help.WIDTH


@pytest.mark.parametrize(
    "arguments",
    [
        ["data", *DEMO, "--config.data.path=photos", "--out=photos/x.png"],
        ["data", *DEMO, "--config.data.path=photos", "--workdir=photos/run"],
        ["train", *DEMO, "--config.data.path=photos", "--workdir=photos/run"],
        ["train", *DEMO, "--config.data.path=photos", "--dry_run", "--workdir=photos/run"],
        ["compare", "--config=compare:demo", "--config.data.path=photos", "--workdir=photos/run"],
        ["sample", "--workdir=run", "--out=photos/deep/grid.png"],
        ["sample", "--workdir=run", "--out=photos"],
        ["walk", "--workdir=run", "--out=photos/walk.gif"],
        ["film", "--workdir=run", "--out=link/film.gif"],
        ["invert", "--workdir=run", "--image=x.jpg", "--out=photos/x.png"],
        ["export", "--workdir=run", "--out=photos/export"],
    ],
)
def test_nothing_is_written_among_the_images_of_a_run(given, arguments):
    Path("photos").mkdir(exist_ok=True)
    Path("run").mkdir(exist_ok=True)
    if not Path("link").exists():
        Path("link").symlink_to("photos")
    Path("run/config.json").write_text('{"data": {"path": "photos"}}')
    told = run(*arguments)
    flag = "--workdir" if "photos/run" in arguments[-1] else "--out"
    assert "photos, the folder of images, so training would read what is written there" in told
    assert told.endswith(f"choose another {flag}")
    assert not list(Path("photos").iterdir())
