"""What the command line takes, and the sentences by which it refuses the rest."""

import os
import subprocess
import sys

import pytest
from helpers.in_process import demo, run, runs_that_stop
from helpers.marks import slow

DEMO = demo("lsgan_dense")


@pytest.fixture(scope="module")
def given(tmp_path_factory):
    with runs_that_stop(tmp_path_factory.mktemp("runs")) as given:
        yield given


TAKEN = {
    "with =": ("--config.epochs=3",),
    "with one dash": ("-config.epochs=3",),
    "in two words": ("--config.epochs", "3"),
    "the last one": ("--config.epochs=9", "--config.epochs=3"),
    "from a file": ("--flagfile={}",),
    "after a value that is the name of a flag": ("--workdir", "seeds", "--config.epochs=3"),
}


@pytest.mark.parametrize("name", TAKEN)
def test_a_field_can_be_set(given, tmp_path, name):
    (tmp_path / "flags").write_text("--config.epochs=3\n")
    arguments = [text.replace("{}", str(tmp_path / "flags")) for text in TAKEN[name]]
    assert run(*DEMO, f"--workdir={tmp_path}", *arguments) == ""
    assert given["config"].epochs == 3


def test_overrides_may_stand_before_their_config(given, tmp_path):
    assert run("--config.epochs=3", *DEMO, f"--workdir={tmp_path}") == ""
    assert given["config"].epochs == 3


@pytest.mark.parametrize(
    ("arguments", "value"),
    [
        (["--config.loss.separate_latents"], True),
        (["--config.loss.separate_latents=t"], True),
        (["--config.loss.separate_latents", "True"], True),
        (["--config.loss.separate_latents", "--noconfig.loss.separate_latents"], False),
    ],
)
def test_booleans(given, tmp_path, arguments, value):
    assert run(*DEMO, f"--workdir={tmp_path}", *arguments) == ""
    assert given["config"].loss.separate_latents is value


def test_values_of_other_types(given, tmp_path):
    arguments = ["--config.loss.real_label=0.8,1", "--config.data.holdout", "-0.0"]
    arguments += ["--config.data.cache= a=b ", "--config.generator.layers[0].norm=none"]
    arguments += ["--config.generator.layers[0].dropout=0.5", "--config.discriminator.decoder=[]"]
    assert run(*DEMO, f"--workdir={tmp_path}", *arguments) == ""
    config = given["config"]
    assert config.loss.real_label == (0.8, 1) and config.data.holdout == 0
    assert config.data.cache == " a=b " and config.discriminator.decoder == ()
    assert config.generator.layers[0] == dict(op="dense", filters=256, norm="none", dropout=0.5)


def test_one_row_changes_where_several_are_the_same_object(given, tmp_path):
    """began.py writes its pooling once and uses it at three levels."""
    argument = "--config.discriminator.layers[2].activation=relu"
    assert run(*demo("began"), f"--workdir={tmp_path}", argument) == ""
    layers = given["config"].discriminator.layers
    assert [layers[i]["activation"] for i in (2, 5, 8)] == ["relu", "elu", "elu"]


REFUSED = {
    "no value": (["--config.epochs"], "--config.epochs has no value; write a whole number"),
    "a flag for a value": (["--config.epochs", "--dry_run"], "--config.epochs has no value"),
    "not a folder": (["--workdir", "--dry_run"], "--workdir has no value; --dry_run is another"),
    "no for a number": (["--noconfig.epochs"], "epochs must be a whole number, not 'false'"),
    "yes": (["--config.loss.separate_latents=yes"], "must be true or false, not 'yes'"),
    "no such variant": ([f"{DEMO[0]}s"], "no variant 'demos'; the only one is demo"),
    "no config file": (["--config=README.md"], "no config file 'README.md'; give the path of"),
    "a folder for a config": (["--config=configs"], "no config file 'configs'"),
    "after --": (["--", "--config.epochs=3"], "unexpected argument '--config.epochs=3'"),
    "a section": (["--config.loss={}"], "the config has no field 'loss'; did you mean loss."),
    "a whole row": (["--config.generator.layers[0]={}"], "no field 'generator.layers[0]'; did you"),
    "an element": (
        ["--config.loss.real_label[0]=1"],
        "no field 'loss.real_label[0]'; did you mean",
    ),
    "a negative index": (["--config.generator.layers[-1].filters=8"], "did you mean generator.l"),
    "other case": (["--config.Epochs=3"], "no field 'Epochs'; did you mean epochs?"),
    "nothing alike": (["--config.qqqqqqq=3"], "no field 'qqqqqqq'; see fish_jax.configs.default"),
    "a field of other rows": (
        ["--config.generator.layers[0].kernel=3"],
        "generator.layers[0].kernel applies to conv, conv_transpose, residual, to_image,",
    ),
    "nan": (
        ["--config.optimizer.generator_lr=nan"],
        "generator_lr must be a finite number above 0",
    ),
    "inf": (["--config.epochs=inf"], "epochs must be a whole number, not 'inf'"),
    "huge": (
        ["--config.epochs=" + "9" * 400],
        "epochs must be a whole number from 0 to 2147483647",
    ),
    "0 in float32": (["--config.optimizer.eps=1e-50"], "not 1e-50, which is 0 in float32"),
    "1 in float32": (["--config.optimizer.b2=0.99999999"], "which is 1 in float32"),
    "labels in reverse": (
        ["--config.loss.fake_label=1,0"],
        "fake_label must be (low, high), finite",
    ),
    "brackets": (["--config.loss.fake_label=" + "(" * 5000], "fake_label must be a tuple in b"),
    "huge layer": (
        ["--config.generator.layers[0].filters=2147483647", "--config.latents.size=2147483647"],
        "out of memory: layers[0] (dense 2147483647",
    ),
    "huge images": (
        ["--mode=data", "--config.height=9999999", "--config.width=9999999"],
        "out of memory: 20 images of 9999999 x 9999999 pixels",
    ),
    "not a boolean": (["--dry_run=maybe"], "flag --dry_run=maybe must be true or false"),
    "flagfile": (["--flagfile=nothing"], "nothing"),
    "NUL": (["--workdir=a\0b"], r"'--workdir=a\x00b' contains a NUL"),
    "seeds in training": (["--seeds=3"], "train does not use --seeds; leave it out"),
    "FID in training": (["--inception=x.npz"], "train does not use --inception; leave"),
    "last weights in training": (
        ["--noaveraged"],
        "train does not use --noaveraged; leave",
    ),
    "frames in training": (["--frames=3"], "train does not use --frames; leave it out"),
    "config in sampling": (["--mode=sample"], "sample does not use --config"),
    "picture in a file": (["--mode=data", "--out=main.py/a.png"], "choose another --out"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_mistakes(given, tmp_path, name):
    arguments, message = REFUSED[name]
    assert message in run(*DEMO, f"--workdir={tmp_path}", *arguments)


def test_resizing_needs_weights(given):
    assert "--resize needs --inception" in run("--mode=evaluate", "--workdir=x", "--resize=legacy")


@pytest.mark.parametrize(
    ("seeds", "message"),
    [
        (
            "9" * 5000,
            "write numbers from 0 to 4294967295 and ascending ranges, such as 0,1,4-6",
        ),
        (",".join(["0-99999"] * 2), "--seeds names more than 100,000"),
        ("4294967296", "'4294967296' is not a list of seeds"),
    ],
)
def test_seeds(given, seeds, message):
    assert message in run("--mode=sample", "--workdir=x", f"--seeds={seeds}")


FILES = {
    "nothing": ("", "mine.py has no function get_config"),
    "no function": ("get_config = 3", "mine.py has no function get_config"),
    "syntax": ("def get_config(:", "mine.py: SyntaxError: invalid syntax"),
    "lines": ("raise ValueError('first\\nsecond')", "mine.py: ValueError: first second"),
    "exit": ("def get_config(): raise SystemExit(3)", "mine.py: SystemExit: 3"),
    "no end": ("def get_config(): return get_config()", "RecursionError"),
    "arguments": ("def get_config(a): pass", "missing 1 required positional argument"),
    "None": ("def get_config(): return None", "returns None; it must return a config"),
    "class": ("class get_config: pass", "it must return a config"),
    "empty": ("def get_config(): return {}", "the config is missing the field name"),
    "numbers": ("def get_config(): return {1: 2}", "the config has no field 1"),
    "no layers": ("from configs.default import get_config", "generator.layers is empty"),
    "placeholder": (
        "from ml_collections import config_dict\nfrom configs import lsgan\n"
        "def get_config():\n    config = lsgan.get_config().unlock()\n"
        "    config.epochs = config_dict.required_placeholder(int)\n    return config",
        "the config is missing the field epochs",
    ),
}


@pytest.mark.parametrize("name", FILES)
def test_config_files(given, tmp_path, name):
    body, message = FILES[name]
    (tmp_path / "mine.py").write_text(body + "\n")
    assert message in run(f"--config={tmp_path}/mine.py", f"--workdir={tmp_path}/run")


def test_a_config_file_may_return_a_dict(given, tmp_path):
    (tmp_path / "mine.py").write_text(
        "from configs import lsgan_dense\n"
        "def get_config():\n"
        "    return lsgan_dense.get_config('demo').to_dict()\n"
    )
    arguments = [f"--config={tmp_path}/mine.py", "--config.data.count=20", "--config.data.fit=crop"]
    assert run(*arguments, f"--workdir={tmp_path}/run") == ""
    assert given["config"].data.fit == "crop"


@pytest.mark.parametrize(
    ("platform", "flags"), [("cuda", []), ("fpga", []), slow("cuda", ["-O", "-P"])]
)
def test_a_platform_that_is_not_there(platform, flags):
    environment = os.environ | {"JAX_PLATFORMS": platform, "CUDA_VISIBLE_DEVICES": ""}
    done = subprocess.run(
        [sys.executable, *flags, "main.py", DEMO[0], "--dry_run"],
        env=environment,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 1
    last = done.stderr.strip().splitlines()[-1]
    assert last.startswith(f"error: JAX found no device for JAX_PLATFORMS={platform} (")
    assert "Traceback" not in done.stderr
